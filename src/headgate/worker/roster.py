"""The runs that a worker or an agent holds, each carried by a task of its own."""

import asyncio
import logging
from collections.abc import Coroutine, Iterable
from typing import Any
from uuid import UUID

from headgate.client.calls import flow_runs
from headgate.errors import NotFound
from headgate.schema.claims import Grant, HeldLease, PolledPool, Stray
from headgate.schema.states import StateType
from headgate.worker.adoption import Adoption
from headgate.worker.execution import Ending, Execution, Station
from headgate.worker.proposals import propose
from headgate.worker.waiting import first_of

ENDED_KEPT = 1000
"""Ended runs that are remembered, for cancels that come too late."""

logger = logging.getLogger("headgate.worker")


class Roster:
    """Starts granted runs and ends those that are to end.

    `freed` is set whenever a run has ended, `found` when one of another worker was found, whose lease is short.
    """

    def __init__(self, station: Station) -> None:
        self.freed = asyncio.Event()
        self.found = asyncio.Event()
        self._station = station
        self._executions: dict[UUID, Execution | Adoption] = {}
        self._tasks: dict[UUID, asyncio.Task[None]] = {}
        self._ended: dict[UUID, HeldLease] = {}
        self._background: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._executions)

    def leases(self) -> list[HeldLease]:
        """The leases of all runs held."""
        return [each.lease for each in self._executions.values() if not isinstance(each, Adoption) or each.is_kept()]

    def cancelling(self) -> list[UUID]:
        """The runs that are being stopped because they were cancelled, and those of others that are looked after."""
        return [
            id
            for id, execution in self._executions.items()
            if execution.ending is Ending.CANCELLED or isinstance(execution, Adoption)
        ]

    def adopt(self, strays: Iterable[Stray]) -> bool:
        """Look after runs whose worker went silent; whether any of them was news."""
        finding, news = self._station.finding, False
        for stray in strays:
            id = stray.lease.flow_run_id
            if finding is not None and id not in self._executions and id not in self._ended:
                adoption = self._executions[id] = Adoption(stray, finding, self._station, on_found=self.found.set)
                self._tasks[id] = asyncio.create_task(self._carry(adoption, None))
                news = True
        return news

    def release(self) -> None:
        """Let go of the runs of others that go on: somebody else will look after them."""
        for execution in [*self._executions.values()]:
            if isinstance(execution, Adoption):
                execution.end(Ending.RETURNED, grace=0.0)

    def start(self, grant: Grant, pool: PolledPool) -> None:
        """Carry a run to its end. One that is still held from an earlier grant is ended first."""
        id = grant.flow_run.id
        earlier, earlier_task = self._executions.get(id), self._tasks.get(id)
        if earlier is not None:
            earlier.end(Ending.LOST, grace=0.0)
        execution = self._executions[id] = Execution(grant, pool, self._station)
        self._station.launches.expect(execution)
        self._tasks[id] = asyncio.create_task(self._carry(execution, earlier_task))

    def cancel(self, ids: Iterable[UUID]) -> bool:
        """Cancel these runs; whether any of them was news."""
        news = [self._cancel(id) for id in ids]
        return any(news)

    def lose(self, ids: Iterable[UUID], held: Iterable[HeldLease]) -> None:
        """End the runs whose leases, among those `held` when the server was asked, are someone else's now."""
        leases = {lease.flow_run_id: lease for lease in held}
        for id in ids:
            execution = self._executions.get(id)
            if execution is not None and execution.lease is leases.get(id):
                self._spawn(self._give_up(execution))

    def end_all(self, ending: Ending, *, grace: float) -> None:
        """End every run."""
        for execution in self._executions.values():
            execution.end(ending, grace=grace)

    async def withdraw(self, *, seconds: float) -> list[HeldLease]:
        """End, unreported, the runs of which no code has begun; their leases, to be returned."""
        chosen = [each for each in self._executions.values() if each.can_be_returned()]
        tasks = [self._tasks[execution.lease.flow_run_id] for execution in chosen]
        for execution in chosen:
            execution.end(Ending.RETURNED, grace=0.0)
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)
        return [execution.lease for execution, task in zip(chosen, tasks, strict=True) if task.done()]

    async def idle(self, *, seconds: float | None = None, unless: asyncio.Event | None = None) -> None:
        """Wait until no run is left, but no longer than `seconds` or until `unless`."""
        events = () if unless is None else (unless,)
        if self._tasks:
            await first_of(asyncio.wait(set(self._tasks.values())), *events, seconds=seconds)

    async def close(self) -> None:
        """Let go of whatever is left."""
        rest = [*self._tasks.values(), *self._background]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    async def _carry(self, execution: Execution | Adoption, earlier: asyncio.Task[None] | None) -> None:
        id = execution.lease.flow_run_id
        try:
            if earlier is not None:
                await asyncio.wait({earlier})
            await execution.run()
        except Exception:
            logger.exception("run %s failed in the worker", id)
        finally:
            self._station.launches.settle(execution)
            if self._executions.get(id) is execution:
                del self._executions[id], self._tasks[id]
            if execution.ending is None and isinstance(execution, Execution):
                self._remember(execution.lease)
            self.freed.set()

    def _remember(self, lease: HeldLease) -> None:
        self._ended[lease.flow_run_id] = lease
        if len(self._ended) > ENDED_KEPT:
            del self._ended[next(iter(self._ended))]

    def _cancel(self, id: UUID) -> bool:
        execution = self._executions.get(id)
        if execution is not None:
            if execution.ending is not None:
                return False
            execution.end(Ending.CANCELLED, grace=self._station.settings.worker_cancel_grace_seconds)
            return True
        lease = self._ended.pop(id, None)
        if lease is not None:  # it ended while the cancel was on its way
            self._spawn(propose(self._station.channel, lease, StateType.CANCELLED, message="The run was cancelled."))
        return lease is not None

    async def _give_up(self, execution: Execution | Adoption) -> None:
        """End a run whose lease is gone, unless it is only winding down after its last report."""
        lease = execution.lease
        try:
            run = await self._station.channel.insist(flow_runs.get(lease.flow_run_id))
            winding_down = run.fence == lease.fence and run.state_type in (StateType.COMPLETED, StateType.FAILED)
        except NotFound:
            winding_down = False
        if not winding_down and execution.ending is None:
            logger.warning("Run %s is someone else's by now; it is ended here.", lease.flow_run_id)
            execution.end(Ending.LOST, grace=0.0)

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
