"""The polls of existing clients: runs that could start now, shown but not claimed."""

from datetime import datetime, timedelta
from uuid import UUID

from headgate.schema.flow_runs import FlowRun
from headgate.schema.work_pools import GetScheduledFlowRuns, WorkerFlowRun
from headgate.schema.work_queues import GetQueueRuns
from headgate.services import agents, work_queues
from headgate.services.admission import EVER, admissible
from headgate.services.scope import Scope
from headgate.store import claims as rows
from headgate.store import flow_runs as run_rows
from headgate.store import work_queues as queue_rows
from headgate.store.claims import Lanes
from headgate.store.database import Tx
from headgate.store.work_pools import LockedPool

_MOST = 200


async def poll(scope: Scope, pool_name: str, body: GetScheduledFlowRuns) -> list[WorkerFlowRun]:
    """By the same decision as a claim; the run is taken by who first moves it to Pending."""

    async def unit(tx: Tx) -> list[WorkerFlowRun]:
        pool = await work_queues.locked_pool(tx, pool_name)
        lanes = await rows.lanes(tx, pool.id)
        names = {id: queue.name for id, queue in lanes.queues.items()}
        wanted = {*work_queues.ids_of(pool_name, names, body.work_queue_names or [])}
        polled = Lanes({id: queue for id, queue in lanes.queues.items() if id in wanted}, lanes.used)
        return await _poll(
            scope, tx, pool, polled, after=body.scheduled_after, before=body.scheduled_before, limit=body.limit
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
        return [each.flow_run for each in found]

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
) -> list[WorkerFlowRun]:
    """Runs of these queues of a locked pool; by the way, note that they were polled."""
    now = scope.now
    await queue_rows.touch(tx, {id: queue.last_polled for id, queue in polled.queues.items()}, now=now)
    span = after or EVER, before or now + timedelta(days=36_500)
    queues = [queue.lane for queue in polled.queues.values()]
    room = _MOST if limit is None else min(limit, _MOST)
    runs = (await admissible(tx, pool, queues, used=polled.used, span=span, room=room, now=now)).runs
    found = await run_rows.get_many(tx, [run.id for run in runs], now=now)
    return [WorkerFlowRun(work_pool_id=pool.id, work_queue_id=run.queue_id, flow_run=found[run.id]) for run in runs]
