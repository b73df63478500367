"""A pool at work: what its queues hold, who serves them, and what keeps the oldest due run of each."""

from headgate.schema.explanations import OldestRun, PoolExplanation, QueueExplanation
from headgate.services import work_queues
from headgate.services.explanations import wire_gate
from headgate.services.positions import COUNTED, place
from headgate.services.scope import Scope
from headgate.services.situations import Situation, situation_of
from headgate.store import explanations as rows
from headgate.store import flow_runs as run_rows
from headgate.store import previews as preview_rows
from headgate.store import work_pools as pool_rows
from headgate.store.database import Tx
from headgate.store.lanes import Queue


async def explain(scope: Scope, pool_name: str) -> PoolExplanation:
    """For each queue of a pool its slots, its due runs, and the first gate of the oldest of these."""
    now = scope.now

    async def unit(tx: Tx) -> PoolExplanation:
        found = await pool_rows.get(tx, pool_name, now=now)
        situation = await situation_of(tx, [], now=now, pools=[found.id] if found else [])
        pool = next(iter(situation.lanes.pools.values()), None)
        if pool is None:
            raise work_queues.missing_pool(pool_name)
        return PoolExplanation(
            name=pool.name,
            type=pool.type,
            is_paused=pool.lane.paused,
            pause=pool.pause,
            concurrency_limit=pool.lane.limit,
            active_slots=pool.lane.used,
            queues=[await _queue(tx, queue, situation) for queue in situation.lanes.queues.values()],
            workers=[*situation.workers.get(pool.lane.id, ())],
        )

    return await scope.store.read(unit)


async def _queue(tx: Tx, queue: Queue, situation: Situation) -> QueueExplanation:
    due, late = await rows.count_due(tx, queue.lane.id, now=situation.now, limit=COUNTED)
    return QueueExplanation(
        name=queue.name,
        priority=queue.lane.priority,
        is_paused=queue.lane.paused,
        pause=queue.pause,
        concurrency_limit=queue.lane.limit,
        active_slots=queue.lane.used,
        last_polled=queue.last_polled,
        served=situation.is_served(queue),
        due=due,
        late=late,
        more=due >= COUNTED,
        oldest=await _oldest(tx, queue, situation) if due else None,
    )


async def _oldest(tx: Tx, queue: Queue, situation: Situation) -> OldestRun | None:
    """None when it was taken or deleted between two looks."""
    now = situation.now
    ids = [run.id for run in await preview_rows.waiting(tx, [queue.lane.id], until=now, limit=1)]
    located = await rows.candidates(tx, ids, now=now)
    runs = await run_rows.get_many(tx, ids, now=now)
    if not located or not runs:
        return None
    run = located[0]
    around = await situation_of(tx, located, now=now)
    found, _, _ = await place(tx, run, around)
    return OldestRun(
        flow_run_id=run.candidate.id,
        name=runs[run.candidate.id].name,
        due_at=run.candidate.due_at,
        gate=await wire_gate(tx, found.gates[0], run, around) if found.gates else None,
    )
