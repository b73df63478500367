"""Routes of work queues by their ids, across pools."""

from uuid import UUID

from headgate.api.routing import Router
from headgate.schema.filters import WorkQueueQuery
from headgate.schema.work_queues import WorkQueue, WorkQueueStatusDetail, WorkQueueUpdate
from headgate.services import work_queues
from headgate.services.scope import Scope

router = Router("/work_queues", tag="Work queues")


@router.post("/filter")
async def read_all_work_queues(scope: Scope, body: WorkQueueQuery | None) -> list[WorkQueue]:
    """Queues of all pools that match."""
    return await work_queues.list_page(scope, body or WorkQueueQuery())


@router.get("/{id}")
async def read_work_queue_by_id(scope: Scope, id: UUID) -> WorkQueue:
    """One queue."""
    return await work_queues.get(scope, id)


@router.get("/{id}/status")
async def read_work_queue_status(scope: Scope, id: UUID) -> WorkQueueStatusDetail:
    """A queue's health."""
    return await work_queues.status(scope, id)


@router.patch("/{id}")
async def update_work_queue(scope: Scope, id: UUID, body: WorkQueueUpdate) -> None:
    """Change a queue: what is left out stays, an explicit null clears."""
    await work_queues.update(scope, id, body)


@router.delete("/{id}")
async def delete_work_queue(scope: Scope, id: UUID) -> None:
    """Delete a queue; its deployments and waiting runs go to the default one."""
    await work_queues.delete(scope, id)
