"""Routes of work queues by their ids, across pools; and of those of the default pool by their names."""

from uuid import UUID

from headgate.api.routing import Router
from headgate.schema.filters import WorkQueueQuery
from headgate.schema.flow_runs import FlowRun
from headgate.schema.occupancy import QueueOccupancyQuery, WorkQueueOccupancy
from headgate.schema.work_queues import GetQueueRuns, WorkQueue, WorkQueueCreate, WorkQueueStatusDetail, WorkQueueUpdate
from headgate.services import occupancy, polls, work_pools, work_queues
from headgate.services.scope import Scope

router = Router("/work_queues", tag="Work queues")


@router.post("/", status=201)
async def create_work_queue_in_default_pool(scope: Scope, body: WorkQueueCreate) -> WorkQueue:
    """Create a queue in `default-agent-pool`, which is made if there is none."""
    return await work_pools.create_queue(scope, body)


@router.post("/filter")
async def read_all_work_queues(scope: Scope, body: WorkQueueQuery | None) -> list[WorkQueue]:
    """Queues of all pools that match."""
    return await work_queues.list_page(scope, body or WorkQueueQuery())


@router.get("/name/{name}")
async def read_work_queue_of_default_pool(scope: Scope, name: str) -> WorkQueue:
    """One queue of `default-agent-pool`."""
    return await work_queues.get_by_name(scope, work_queues.DEFAULT_POOL, name)


@router.get("/{id}")
async def read_work_queue_by_id(scope: Scope, id: UUID) -> WorkQueue:
    """One queue."""
    return await work_queues.get(scope, id)


@router.get("/{id}/status", error_key="exception_message")
async def read_work_queue_status(scope: Scope, id: UUID) -> WorkQueueStatusDetail:
    """A queue's health."""
    return await work_queues.status(scope, id)


@router.post("/{id}/concurrency_status")
async def read_work_queue_concurrency_status(scope: Scope, id: UUID, body: QueueOccupancyQuery | None) -> WorkQueueOccupancy:
    """A queue's slots in use, and the runs that hold them."""
    return await occupancy.of_queue(scope, id, body or QueueOccupancyQuery())


@router.post("/{id}/get_runs", error_key="exception_message")
async def poll_work_queue(scope: Scope, id: UUID, body: GetQueueRuns | None) -> list[FlowRun]:
    """Runs of a queue that could start now, without claiming them."""
    return await polls.poll_queue(scope, id, body or GetQueueRuns())


@router.patch("/{id}")
async def update_work_queue(scope: Scope, id: UUID, body: WorkQueueUpdate) -> None:
    """Change a queue: what is left out stays, an explicit null clears."""
    await work_queues.update(scope, id, body)


@router.delete("/{id}")
async def delete_work_queue(scope: Scope, id: UUID) -> None:
    """Delete a queue; its deployments and waiting runs go to the default one."""
    await work_queues.delete(scope, id)
