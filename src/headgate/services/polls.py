"""The polls of existing clients: runs that could start now, shown but not claimed; a worker's waits for some."""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from msgspec import structs

from headgate.core import patience
from headgate.schema.filters import Page
from headgate.schema.flow_runs import FlowRun
from headgate.schema.work_pools import GetScheduledFlowRuns, WorkerFlowRun
from headgate.schema.work_queues import GetQueueRuns
from headgate.services import agents, claims, work_queues
from headgate.services.admission import EVER, admissible
from headgate.services.scope import Scope
from headgate.services.wakeups import wait_until_set
from headgate.store import claims as rows
from headgate.store import flow_runs as run_rows
from headgate.store import work_queues as queue_rows
from headgate.store.claims import Lanes
from headgate.store.database import Tx
from headgate.store.paging import size_of
from headgate.store.work_pools import LockedPool


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look showed of a pool; when it is empty, what may make that different.

    `contended`: it passed over runs with whose limits another server was busy, which nobody is going to tell.
    """

    runs: list[WorkerFlowRun]
    pool: LockedPool
    next_due: datetime | None = None
    opens_at: datetime | None = None
    contended: bool = False


async def poll(scope: Scope, pool_name: str, body: GetScheduledFlowRuns) -> list[WorkerFlowRun]:
    """By the same decision as a claim; the run is taken by who first moves it to Pending.

    A worker's poll that finds nothing is held until there is something, as long as the settings say.
    """
    began = scope.now
    prefetch = patience.prefetch_of(
        user_agent=scope.header("user-agent") or "",
        worker=scope.header("x-prefect-worker-name"),
        scheduled_before=body.scheduled_before,
        now=began,
    )
    looked = await _look(scope, pool_name, body)
    if prefetch is None or body.limit == 0:
        return looked.runs
    deadline = began + timedelta(seconds=scope.settings.server_polls_hold_seconds)
    while not looked.runs and not looked.pool.is_paused and scope.now < deadline and not scope.wakeups.closed:
        with scope.wakeups.waiting([looked.pool.id]) as event:
            ahead = structs.replace(body, scheduled_before=scope.now + prefetch)
            looked = await _look(scope, pool_name, ahead, waits=True)
            if looked.runs or looked.pool.is_paused:
                break
            await wait_until_set(event, _pause(scope, deadline, looked, prefetch))
        if await scope.is_gone():
            break
    return looked.runs


def _pause(scope: Scope, deadline: datetime, looked: Looked, prefetch: timedelta) -> float:
    """Seconds until the next look, when nothing wakes it before."""
    now = scope.now
    told = scope.wakeups.hears and not looked.contended
    ends = [deadline, now + timedelta(seconds=random.uniform(*claims.HEARING_SECONDS) if told else claims.TRUTH_SECONDS)]
    if looked.next_due is not None:
        ends.append(looked.next_due - prefetch)
    if looked.opens_at is not None:
        ends.append(looked.opens_at)
    return max((min(ends) - now).total_seconds(), 0.0)


async def _look(scope: Scope, pool_name: str, body: GetScheduledFlowRuns, *, waits: bool = False) -> Looked:
    async def unit(tx: Tx) -> Looked:
        pool = await work_queues.locked_pool(tx, pool_name)
        lanes = await rows.lanes(tx, pool.id)
        names = {id: queue.name for id, queue in lanes.queues.items()}
        wanted = {*work_queues.ids_of(pool_name, names, body.work_queue_names or [])}
        polled = Lanes({id: queue for id, queue in lanes.queues.items() if id in wanted}, lanes.used)
        return await _poll(
            scope, tx, pool, polled, after=body.scheduled_after, before=body.scheduled_before, limit=body.limit, waits=waits
        )

    return await scope.store.write(unit)


async def poll_queue(scope: Scope, id: UUID, body: GetQueueRuns) -> list[FlowRun]:
    """The same of one queue, as agents ask for it."""

    async def unit(tx: Tx) -> list[FlowRun]:
        queue, pool = await work_queues.locked(scope, tx, id)
        lanes = await rows.lanes(tx, pool.id)
        if body.agent_id is not None:
            await agents.note_poll(tx, body.agent_id, queue, scope.now)
        polled = Lanes({id: lanes.queues[id]}, lanes.used)
        found = await _poll(scope, tx, pool, polled, before=body.scheduled_before, limit=body.limit)
        return [each.flow_run for each in found.runs]

    return await scope.store.write(unit)


async def _poll(
    scope: Scope,
    tx: Tx,
    pool: LockedPool,
    polled: Lanes,
    *,
    after: datetime | None = None,
    before: datetime | None,
    limit: int | None,
    waits: bool = False,
) -> Looked:
    """Runs of these queues of a locked pool; by the way, note that they were polled. Who `waits` is told until when."""
    now = scope.now
    await queue_rows.touch(tx, {id: queue.last_polled for id, queue in polled.queues.items()}, now=now)
    span = after or EVER, before or now + timedelta(days=36_500)
    queues = [queue.lane for queue in polled.queues.values()]
    room = size_of(Page(limit=limit))
    admitted = await admissible(tx, pool, queues, used=polled.used, span=span, room=room, now=now)
    if not admitted.runs:
        next_due = await rows.next_due(tx, pool.id, after=span[1]) if waits else None
        return Looked([], pool, next_due, admitted.opens_at, admitted.contended)
    found = await run_rows.get_many(tx, [run.id for run in admitted.runs], now=now)
    shown = [
        WorkerFlowRun(work_pool_id=pool.id, work_queue_id=run.queue_id, flow_run=found[run.id]) for run in admitted.runs
    ]
    return Looked(shown, pool)
