"""Routes of work pools, and of the queues inside one."""

from msgspec import UNSET

from headgate.api.routing import Router
from headgate.core.client_versions import refuses_result_storage
from headgate.schema.explanations import PoolExplanation
from headgate.schema.filters import WorkPoolQuery, WorkQueueQuery
from headgate.schema.occupancy import PoolOccupancyQuery, WorkPoolOccupancy
from headgate.schema.previews import Preview, PreviewRequest
from headgate.schema.work_pools import GetScheduledFlowRuns, WorkerFlowRun, WorkPool, WorkPoolCreate, WorkPoolUpdate
from headgate.schema.work_queues import WorkQueue, WorkQueueCreate, WorkQueueUpdate
from headgate.services import occupancy, polls, pool_explanations, previews, work_pools, work_queues
from headgate.services.scope import Scope

router = Router("/work_pools", tag="Work pools")
queues_router = Router("/work_pools/{work_pool_name}/queues", tag="Work queues")


@router.post("/", status=201)
async def create_work_pool(scope: Scope, body: WorkPoolCreate) -> WorkPool:
    """Create a pool with its default queue."""
    return _readable(scope, await work_pools.create(scope, body))


@router.post("/filter")
async def read_work_pools(scope: Scope, body: WorkPoolQuery | None) -> list[WorkPool]:
    """Pools that match."""
    return [_readable(scope, pool) for pool in await work_pools.list_page(scope, body or WorkPoolQuery())]


@router.post("/count")
async def count_work_pools(scope: Scope, body: WorkPoolQuery | None) -> int:
    """How many pools match."""
    return await work_pools.count(scope, body or WorkPoolQuery())


@router.get("/{work_pool_name}")
async def read_work_pool(scope: Scope, work_pool_name: str) -> WorkPool:
    """One pool."""
    return _readable(scope, await work_pools.get(scope, work_pool_name))


def _readable(scope: Scope, pool: WorkPool) -> WorkPool:
    """The pool as the client that asks can read it."""
    if refuses_result_storage(scope.header("user-agent") or ""):
        pool.storage_configuration.default_result_storage_block_id = UNSET
    return pool


@router.patch("/{work_pool_name}")
async def update_work_pool(scope: Scope, work_pool_name: str, body: WorkPoolUpdate) -> None:
    """Change a pool: what is left out stays, an explicit null clears."""
    await work_pools.update(scope, work_pool_name, body)


@router.delete("/{work_pool_name}")
async def delete_work_pool(scope: Scope, work_pool_name: str) -> None:
    """Delete a pool with its queues; its deployments stay, without a pool."""
    await work_pools.delete(scope, work_pool_name)


@router.post("/{work_pool_name}/get_scheduled_flow_runs")
async def poll_work_pool(scope: Scope, work_pool_name: str, body: GetScheduledFlowRuns | None) -> list[WorkerFlowRun]:
    """Runs that could start now, without claiming them."""
    return await polls.poll(scope, work_pool_name, body or GetScheduledFlowRuns())


@router.post("/{work_pool_name}/preview")
async def preview_work_pool(scope: Scope, work_pool_name: str, body: PreviewRequest | None) -> Preview:
    """What will run: runs that wait, and those that schedules are still to make; it does not count as a poll."""
    return await previews.preview(scope, work_pool_name, body or PreviewRequest())


@router.get("/{work_pool_name}/explain")
async def explain_work_pool(scope: Scope, work_pool_name: str) -> PoolExplanation:
    """What a pool's queues hold, who serves them, and what keeps the oldest due run of each."""
    return await pool_explanations.explain(scope, work_pool_name)


@router.post("/{work_pool_name}/concurrency_status")
async def read_work_pool_concurrency_status(
    scope: Scope, work_pool_name: str, body: PoolOccupancyQuery | None
) -> WorkPoolOccupancy:
    """A pool's slots in use, by queue, and the runs that hold them."""
    return await occupancy.of_pool(scope, work_pool_name, body or PoolOccupancyQuery())


@queues_router.post("", status=201)
async def create_work_queue(scope: Scope, work_pool_name: str, body: WorkQueueCreate) -> WorkQueue:
    """Create a queue; a taken priority moves the others down."""
    return await work_queues.create(scope, work_pool_name, body)


@queues_router.post("/filter")
async def read_work_queues(scope: Scope, work_pool_name: str, body: WorkQueueQuery | None) -> list[WorkQueue]:
    """Queues of a pool that match, by priority."""
    return await work_queues.list_page(scope, body or WorkQueueQuery(), pool_name=work_pool_name)


@queues_router.get("/{name}")
async def read_work_queue(scope: Scope, work_pool_name: str, name: str) -> WorkQueue:
    """One queue of a pool."""
    return await work_queues.get_by_name(scope, work_pool_name, name)


@queues_router.patch("/{name}")
async def update_work_queue_of_pool(scope: Scope, work_pool_name: str, name: str, body: WorkQueueUpdate) -> None:
    """Change a queue of a pool: what is left out stays, an explicit null clears."""
    await work_queues.update_by_name(scope, work_pool_name, name, body)


@queues_router.delete("/{name}")
async def delete_work_queue_of_pool(scope: Scope, work_pool_name: str, name: str) -> None:
    """Delete a queue of a pool; its deployments and waiting runs go to the default one."""
    await work_queues.delete_by_name(scope, work_pool_name, name)
