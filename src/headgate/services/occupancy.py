"""Use cases of occupancy: who holds the slots of a pool or a queue, a page at a time."""

from uuid import UUID

from headgate.core.paging import pages_of
from headgate.errors import NotFound
from headgate.schema.filters import Page, WorkQueueQuery
from headgate.schema.occupancy import (
    PoolOccupancyQuery,
    QueueOccupancy,
    QueueOccupancyQuery,
    WorkPoolOccupancy,
    WorkQueueOccupancy,
)
from headgate.services.scope import Scope
from headgate.services.work_queues import missing_pool
from headgate.store import occupancy as rows
from headgate.store import work_pools as pool_rows
from headgate.store import work_queues as queue_rows
from headgate.store.database import Tx
from headgate.store.paging import size_of


async def of_pool(scope: Scope, name: str, query: PoolOccupancyQuery) -> WorkPoolOccupancy:
    """A pool's slots in use, and a page of its queues with the runs that hold them."""
    limit, now = size_of(Page(limit=query.limit)), scope.now

    async def unit(tx: Tx) -> WorkPoolOccupancy:
        pool = await pool_rows.get(tx, name, now=now)
        if pool is None:
            raise missing_pool(name)
        asked = WorkQueueQuery(limit=limit, offset=(query.page - 1) * limit)
        queues = await queue_rows.list_page(tx, asked, now=now, pool=name)
        count = await queue_rows.count(tx, WorkQueueQuery(), pool=name)
        ids = [queue.id for queue in queues]
        held = await rows.holders(tx, pool.id, ids, limit=query.flow_run_limit, now=now)
        return WorkPoolOccupancy(
            active_slots=pool.active_slots or 0,
            concurrency_limit=pool.concurrency_limit,
            queues=[
                QueueOccupancy(
                    queue_id=queue.id,
                    queue_name=queue.name,
                    active_slots=queue.active_slots or 0,
                    concurrency_limit=queue.concurrency_limit,
                    flow_runs=held.get(queue.id, []),
                    flow_run_count=queue.active_slots or 0,
                )
                for queue in queues
            ],
            count=count,
            limit=limit,
            pages=pages_of(count, limit),
            page=query.page,
        )

    return await scope.store.read(unit)


async def of_queue(scope: Scope, id: UUID, query: QueueOccupancyQuery) -> WorkQueueOccupancy:
    """A queue's slots in use, and a page of the runs that hold them."""
    limit, now = size_of(Page(limit=query.limit)), scope.now

    async def unit(tx: Tx) -> WorkQueueOccupancy:
        queue = await queue_rows.get(tx, id, now=now)
        if queue is None or queue.work_pool_id is None:
            raise NotFound("Work queue not found.")
        offset = (query.page - 1) * limit
        held = await rows.holders(tx, queue.work_pool_id, [id], limit=limit, offset=offset, now=now)
        count = queue.active_slots or 0
        return WorkQueueOccupancy(
            active_slots=count,
            concurrency_limit=queue.concurrency_limit,
            flow_runs=held.get(id, []),
            count=count,
            limit=limit,
            pages=pages_of(count, limit),
            page=query.page,
        )

    return await scope.store.read(unit)
