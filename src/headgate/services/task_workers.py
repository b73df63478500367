"""Use cases of task workers: task runs that were put off, each given to one of the clients that run its task."""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid5

from headgate.schema.states import StateType
from headgate.schema.task_runs import TaskRun
from headgate.schema.task_workers import TaskWorker, TaskWorkerQuery
from headgate.services.scope import Scope
from headgate.services.wakeups import wait_until_set
from headgate.store import task_runs as run_rows
from headgate.store import task_workers as rows
from headgate.store.database import Tx

ACK_SECONDS = 30.0
"""So long a task worker may take to acknowledge."""

OFFERED = timedelta(seconds=2 * ACK_SECONDS)
"""So long a task run is offered to one task worker, should the server die that offered it."""

LOOK_SECONDS = 1.0
"""So often who waits looks by itself: what was put off on another server may not be heard of."""

ATTEND_SECONDS = 20.0
AWAY = timedelta(seconds=3 * ATTEND_SECONDS)
"""Who was not heard of for so long is not connected any more, whatever its row says."""

_TASKS = UUID(int=0x6F1D_52A8_0C37_4B9E_0001)


@dataclass(frozen=True, slots=True)
class Offer:
    """A task run that is offered to nobody else until then."""

    run: TaskRun
    until: datetime


def waits(run: TaskRun) -> bool:
    """Whether it was put off, so that a task worker is to run it.

    Clients of 3.x say so. Those of 2.20 have no word for it: a task run of theirs that belongs to no flow run is Scheduled
    for nobody but a task worker. One that awaits its retry is left to the engine that has it, which tries again by itself.
    """
    state = run.state
    if state is None or state.type is not StateType.SCHEDULED:
        return False
    return bool(state.state_details.deferred) or (run.flow_run_id is None and state.name == "Scheduled")


async def enqueue(tx: Tx, runs: Iterable[TaskRun], *, now: datetime) -> None:
    """Have those of them that were put off wait for a task worker; `announce` them after the commit."""
    await rows.enqueue(tx, [run for run in runs if waits(run)], now=now)


def announce(scope: Scope, keys: Collection[str]) -> None:
    """Task runs of these tasks wait."""
    scope.wakeups.wake([_topic(key) for key in keys])


def _topic(key: str) -> UUID:
    return uuid5(_TASKS, key)


async def next_offer(scope: Scope, keys: Sequence[str], *, turn: int) -> Offer | None:
    """The next task run of any of these tasks, waited for as long as it takes; None when the server stops.

    `turn` says with which of the tasks to begin, so that none of them waits for ever behind another.
    """
    turned = [*keys[turn % len(keys) :], *keys[: turn % len(keys)]]
    while not scope.wakeups.closed:
        with scope.wakeups.waiting([_topic(key) for key in keys]) as event:
            if await scope.store.read(lambda tx: rows.any_waiting(tx, keys, now=scope.now)):
                if (offer := await _offered(scope, turned)) is not None:
                    return offer
                continue
            await wait_until_set(event, LOOK_SECONDS)
    return None


async def _offered(scope: Scope, keys: Sequence[str]) -> Offer | None:
    """An offer; one that nobody waits for any longer is withdrawn at once."""
    offering = asyncio.ensure_future(scope.store.write(lambda tx: _offer(tx, keys, now=scope.now)))
    try:
        return await asyncio.shield(offering)
    except asyncio.CancelledError:
        if (offer := await offering) is not None:
            await withdraw(scope, offer)
        raise


async def _offer(tx: Tx, keys: Sequence[str], *, now: datetime) -> Offer | None:
    until = now + OFFERED
    for key in keys:
        while (id := await rows.offer(tx, key, until=until, now=now)) is not None:
            run = await run_rows.get(tx, id, now=now)
            if run is not None and run.state_type is StateType.SCHEDULED:
                return Offer(run, until)
            await rows.delete(tx, id, until=until)  # it was cancelled, or began in another way
    return None


async def accept(scope: Scope, offer: Offer) -> None:
    """The task run is its task worker's from now on."""
    await scope.store.write(lambda tx: rows.delete(tx, offer.run.id, until=offer.until))


async def withdraw(scope: Scope, offer: Offer) -> None:
    """The task run was not taken: it is offered to the next one."""
    await scope.store.write(lambda tx: rows.withdraw(tx, offer.run.id, until=offer.until, now=scope.now))
    announce(scope, [offer.run.task_key])


# --- who is connected


async def attend(scope: Scope, connection: UUID, identifier: str, keys: Sequence[str]) -> None:
    """A task worker is connected; to be said again every `ATTEND_SECONDS`."""
    await scope.store.write(lambda tx: rows.attend(tx, connection, identifier, keys, now=scope.now))


async def leave(scope: Scope, connection: UUID) -> None:
    """It is not any more."""
    await scope.store.write(lambda tx: rows.leave(tx, connection, stale=scope.now - AWAY))


async def query(scope: Scope, body: TaskWorkerQuery) -> list[TaskWorker]:
    """Task workers that are connected, to whichever server, by their names."""
    wanted = set(body.task_worker_filter.task_keys) if body.task_worker_filter else set()
    found: dict[str, TaskWorker] = {}
    for each in await scope.store.read(lambda tx: rows.attending(tx, stale=scope.now - AWAY)):
        known = found.setdefault(each.identifier, each)
        known.task_keys = sorted({*known.task_keys, *each.task_keys})
        known.timestamp = max(known.timestamp, each.timestamp)
    return [each for each in found.values() if not wanted or not wanted.isdisjoint(each.task_keys)]
