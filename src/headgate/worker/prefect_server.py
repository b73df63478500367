"""A server of Prefect's on the other side: what a worker asks of ours, in that server's own protocol.

Such a server knows no claims, leases or fences. A run is claimed by proposing Pending for it, which only one of those who
propose it is granted; a heartbeat says that the worker lives, and nothing of its runs; what is to be cancelled is asked for.
So a grant of it has the fence `NO_FENCE`, and a run whose worker dies stays as it is until somebody looks.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace as altered
from datetime import datetime, timedelta
from math import ceil
from typing import Any, TypeVar, cast
from uuid import UUID, uuid4

from msgspec import UNSET
from msgspec.structs import replace

from headgate.client.call import Call
from headgate.client.calls import concurrency_limits, deployments, flow_runs, flows, listings, work_pools, workers
from headgate.client.client import AsyncClient
from headgate.clock import monotonic, now
from headgate.errors import HeadgateError, NotFound
from headgate.schema.claims import (
    NO_FENCE,
    ClaimRequest,
    ClaimResponse,
    Grant,
    Lease,
    LeaseRenewal,
    LeaseRenewalResponse,
    LeaseReturn,
)
from headgate.schema.concurrency_limits import RenewLease
from headgate.schema.deployments import Deployment
from headgate.schema.flow_runs import FlowRun, FlowRunUpdate
from headgate.schema.flows import Labels
from headgate.schema.states import OrchestrationResult, OrchestrationStatus, SetState, StateCreate, StateDetails, StateType
from headgate.schema.work_pools import GetScheduledFlowRuns, WorkPool
from headgate.schema.workers import WorkerHeartbeat
from headgate.worker.prefect_references import attach

T = TypeVar("T")

POLL_SECONDS = 5.0
"""Between two looks for work, more or less: many workers are not to come at once."""

_AT_ONCE = 10
_MOST_READ = 200
"""Runs that such a server answers with at a time."""
_SLOT_SECONDS = 300.0
_SLOTS_EVERY = 60.0


async def is_other_side(client: AsyncClient, call: Call[Any]) -> bool:
    """Whether a call that was answered with 404 was so because its server knows no claims: the pool is there."""
    if not isinstance(call.body, ClaimRequest | LeaseRenewal):
        return False
    try:
        await client.send(_pool(str(call.at["work_pool_name"])))
    except NotFound:
        return False
    return True


class PrefectServer:
    """Answers a worker's calls as our server would, out of calls that such a server knows. `send` is like the client's."""

    def __init__(
        self,
        client: AsyncClient,
        *,
        logger: logging.Logger | logging.LoggerAdapter[logging.Logger],
        clock: Callable[[], datetime] = now,
    ) -> None:
        self._client = client
        self._logger = logger
        self._clock = clock
        self._pools: dict[str, WorkPool] = {}
        self._unheard: dict[UUID, tuple[FlowRun, StateCreate]] = {}
        self._slots_at = monotonic()

    async def send(self, call: Call[T]) -> T:
        """The answer to `call`; raises the error of `headgate.errors` that a status means."""
        answer: Any
        match call.body:
            case ClaimRequest() as body:
                answer = await self._claim(str(call.at["work_pool_name"]), body)
            case LeaseRenewal() as body:
                answer = await self._renew(str(call.at["work_pool_name"]), body)
            case LeaseReturn() as body:
                await self._put_back([lease.flow_run_id for lease in body.leases])
                answer = None
            case SetState() as body:
                answer = await self._client.send(altered(call, body=replace(body, fence=None)))
            case FlowRunUpdate() as body:
                answer = await self._client.send(altered(call, body=replace(body, infrastructure_trace=UNSET)))
            case _:
                answer = await self._client.send(call)
        return cast(T, answer)

    # Claims

    async def _claim(self, name: str, body: ClaimRequest) -> ClaimResponse:
        """Grants, at once; without any, an empty answer when it is time to look again."""
        grants = await self._take(name, body) if body.room else []
        if not grants:
            pause = POLL_SECONDS * random.uniform(0.7, 1.3) if body.room else body.wait_seconds
            await asyncio.sleep(min(body.wait_seconds, pause))
        pool = await self._known(name)
        return ClaimResponse(grants=grants, base_job_template=pool.base_job_template, paused=pool.is_paused)

    async def _take(self, name: str, body: ClaimRequest) -> list[Grant]:
        pool = await self._known(name)
        room = body.room if body.wait_seconds == 0 else min(body.room, _AT_ONCE)
        look = GetScheduledFlowRuns(
            work_queue_names=list(body.queues),
            scheduled_before=self._clock() + timedelta(seconds=body.prefetch_seconds),
            limit=min(room, _MOST_READ),
        )
        found = await self._client.send(work_pools.get_scheduled_flow_runs(name, look))
        runs = {id: run for id, (run, _) in self._unheard.items()} | {each.flow_run.id: each.flow_run for each in found}
        taking = asyncio.create_task(self._take_each(pool, body.worker, [*runs.values()][:room]))
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:  # nobody else would ever know of a claim that was under way
            await self._put_back([grant.flow_run.id for grant in await taking])
            raise

    async def _take_each(self, pool: WorkPool, worker: str, runs: Sequence[FlowRun]) -> list[Grant]:
        """Claim some at a time; an error of one is raised only when nothing was claimed."""
        grants: list[Grant] = []
        for start in range(0, len(runs), _AT_ONCE):
            takes = (self._take_one(pool, worker, run) for run in runs[start : start + _AT_ONCE])
            outcomes = await asyncio.gather(*takes, return_exceptions=True)
            grants += [outcome for outcome in outcomes if isinstance(outcome, Grant)]
            errors = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
            if errors and not grants:
                raise errors[0]
            if errors:
                self._logger.warning("A run could not be claimed; it is tried again. %s", errors[0])
                break
        return grants

    async def _take_one(self, pool: WorkPool, worker: str, run: FlowRun) -> Grant | None:
        """The grant; None when the run is somebody else's, or not to be had now."""
        deployment: Deployment | None = None
        if run.deployment_id is not None:
            try:
                deployment = await self._client.send(deployments.get(run.deployment_id))
            except NotFound:
                self._unheard.pop(run.id, None)
                await self._propose(
                    run.id, StateCreate(type=StateType.CANCELLED, message="Its deployment is gone."), force=True
                )
                return None
        flow = await self._client.send(flows.get(run.flow_id))
        _, pending = self._unheard.get(run.id) or (None, _new(StateType.PENDING))
        self._unheard[run.id] = run, pending  # until an answer is heard, the run may be ours
        answer = await self._propose(run.id, pending)
        del self._unheard[run.id]
        if not _is_ours(answer, pending):
            self._logger.debug("run %s is not claimed: %s", run.id, answer.details.reason)
            return None
        run.state, run.state_type, run.work_pool_name = answer.state, StateType.PENDING, pool.name
        lease = Lease(flow_run_id=run.id, fence=NO_FENCE, expires_at=self._clock())
        grant = Grant(
            lease=lease, flow_run=run, flow=flow, deployment=deployment, work_queue_name=run.work_queue_name or "default"
        )
        await attach(self._client, pool.base_job_template, grant)
        with suppress(HeadgateError):  # 2.x has none
            await self._client.send(flow_runs.update_labels(run.id, _labels(pool, worker)))
        return grant

    async def _put_back(self, ids: Sequence[UUID]) -> None:
        """Have runs that are still Pending scheduled again, for the time that they were."""
        for id in ids:
            run = await self._client.send(flow_runs.get(id))
            if run.state is not None and run.state.type is StateType.PENDING:
                due = run.state.state_details.scheduled_time or run.expected_start_time
                await self._propose(id, _new(StateType.SCHEDULED, scheduled_time=due))

    async def _propose(self, id: UUID, state: StateCreate, *, force: bool = False) -> OrchestrationResult:
        return await self._client.send(flow_runs.set_state(id, SetState(state=state, force=force)))

    # Signs of life

    async def _renew(self, name: str, body: LeaseRenewal) -> LeaseRenewalResponse:
        self._pools[name] = await self._client.send(_pool(name))
        interval = body.heartbeat_interval_seconds or 30.0
        beat = WorkerHeartbeat(name=body.worker, heartbeat_interval_seconds=float(ceil(interval)))  # whole seconds there
        await self._client.send(workers.heartbeat(name, beat))
        held = [lease.flow_run_id for lease in body.leases]
        states = await self._states_of(held)
        await self._keep_slots(states.values())
        return LeaseRenewalResponse(
            expires_at=self._clock() + timedelta(seconds=3 * interval),
            lost=[id for id in held if id not in states],
            cancel=[id for id, state in states.items() if _is_to_end(state)],
        )

    async def _states_of(self, ids: Sequence[UUID]) -> dict[UUID, dict[str, Any]]:
        """The states of those runs that are still there."""
        states: dict[UUID, dict[str, Any]] = {}
        for start in range(0, len(ids), _MOST_READ):
            some = [str(id) for id in ids[start : start + _MOST_READ]]
            call = listings.page("/flow_runs", offset=0, limit=_MOST_READ, flow_runs={"id": {"any_": some}})
            states |= {UUID(run["id"]): run.get("state") or {} for run in await self._client.send(call)}
        return states

    async def _keep_slots(self, states: Any) -> None:
        """Renew what runs hold of their deployments' limits, which lapses by itself."""
        if monotonic() - self._slots_at < _SLOTS_EVERY:
            return
        self._slots_at = monotonic()
        for state in states:
            if lease := (state.get("state_details") or {}).get("deployment_concurrency_lease_id"):
                with suppress(HeadgateError):  # it may have ended with its run just now
                    await self._client.send(
                        concurrency_limits.renew_lease(UUID(lease), RenewLease(lease_duration=_SLOT_SECONDS))
                    )

    async def _known(self, name: str) -> WorkPool:
        """The pool as the last heartbeat saw it."""
        if name not in self._pools:
            self._pools[name] = await self._client.send(_pool(name))
        return self._pools[name]


def _pool(name: str) -> Call[WorkPool]:
    return work_pools.get(name)


def _new(type: StateType, *, scheduled_time: datetime | None = None) -> StateCreate:
    return StateCreate(type=type, state_details=StateDetails(transition_id=uuid4(), scheduled_time=scheduled_time))


def _is_ours(answer: OrchestrationResult, pending: StateCreate) -> bool:
    """Whether the run is Pending by this very proposal, be it that it was made before and the answer lost."""
    if answer.status is OrchestrationStatus.ACCEPT:
        return True
    if answer.status is not OrchestrationStatus.REJECT or answer.state is None or pending.state_details is None:
        return False
    return answer.state.state_details.transition_id == pending.state_details.transition_id


def _is_to_end(state: dict[str, Any]) -> bool:
    """2.x has versions in which it is a Cancelled state of that name."""
    return state.get("type") == StateType.CANCELLING or (
        state.get("type") == StateType.CANCELLED and state.get("name") == "Cancelling"
    )


def _labels(pool: WorkPool, worker: str) -> Labels:
    return {
        "prefect.worker.name": worker,
        "prefect.worker.type": pool.type,
        "prefect.work-pool.name": pool.name,
        "prefect.work-pool.id": str(pool.id),
    }
