"""Calls about work queues."""

from uuid import UUID

from headgate.client.call import Call
from headgate.schema.filters import WorkQueueQuery
from headgate.schema.flow_runs import FlowRun
from headgate.schema.occupancy import QueueOccupancyQuery, WorkQueueOccupancy
from headgate.schema.work_queues import GetQueueRuns, WorkQueue, WorkQueueCreate, WorkQueueStatusDetail, WorkQueueUpdate


def create(pool: str, body: WorkQueueCreate) -> Call[WorkQueue]:
    """Create a queue in a pool."""
    return Call("POST", "/work_pools/{work_pool_name}/queues", at={"work_pool_name": pool}, body=body, returns=WorkQueue)


def create_in_default_pool(body: WorkQueueCreate) -> Call[WorkQueue]:
    """Create a queue in `default-agent-pool`, which is made if there is none."""
    return Call("POST", "/work_queues/", body=body, returns=WorkQueue)


def get_by_name(pool: str, name: str) -> Call[WorkQueue]:
    """One queue of a pool."""
    at: dict[str, str | UUID] = {"work_pool_name": pool, "name": name}
    return Call("GET", "/work_pools/{work_pool_name}/queues/{name}", at=at, returns=WorkQueue)


def get_of_default_pool(name: str) -> Call[WorkQueue]:
    """One queue of `default-agent-pool`."""
    return Call("GET", "/work_queues/name/{name}", at={"name": name}, returns=WorkQueue)


def query(pool: str, body: WorkQueueQuery | None = None) -> Call[list[WorkQueue]]:
    """Queues of a pool that match, by priority."""
    return Call(
        "POST",
        "/work_pools/{work_pool_name}/queues/filter",
        at={"work_pool_name": pool},
        body=body or WorkQueueQuery(),
        returns=list[WorkQueue],
    )


def query_all(body: WorkQueueQuery | None = None) -> Call[list[WorkQueue]]:
    """Queues of all pools that match."""
    return Call("POST", "/work_queues/filter", body=body or WorkQueueQuery(), returns=list[WorkQueue])


def get(id: UUID) -> Call[WorkQueue]:
    """One queue."""
    return Call("GET", "/work_queues/{id}", at={"id": id}, returns=WorkQueue)


def status(id: UUID) -> Call[WorkQueueStatusDetail]:
    """A queue's health."""
    return Call("GET", "/work_queues/{id}/status", at={"id": id}, returns=WorkQueueStatusDetail)


def get_runs(id: UUID, body: GetQueueRuns | None = None) -> Call[list[FlowRun]]:
    """Runs of a queue that could start now, without claiming them."""
    return Call("POST", "/work_queues/{id}/get_runs", at={"id": id}, body=body or GetQueueRuns(), returns=list[FlowRun])


def update(id: UUID, body: WorkQueueUpdate) -> Call[None]:
    """Change a queue."""
    return Call("PATCH", "/work_queues/{id}", at={"id": id}, body=body)


def delete(id: UUID) -> Call[None]:
    """Delete a queue; a pool's default queue stays."""
    return Call("DELETE", "/work_queues/{id}", at={"id": id})


def update_by_name(pool: str, name: str, body: WorkQueueUpdate) -> Call[None]:
    """Change a queue, by the names of its pool and its own."""
    at = _named(pool, name)
    return Call("PATCH", "/work_pools/{work_pool_name}/queues/{name}", at=at, body=body)


def delete_by_name(pool: str, name: str) -> Call[None]:
    """Delete a queue, by the names of its pool and its own."""
    return Call("DELETE", "/work_pools/{work_pool_name}/queues/{name}", at=_named(pool, name))


def occupancy(id: UUID, body: QueueOccupancyQuery | None = None) -> Call[WorkQueueOccupancy]:
    """A queue's slots in use, and who holds them."""
    path = "/work_queues/{id}/concurrency_status"
    return Call("POST", path, at={"id": id}, body=body or QueueOccupancyQuery(), returns=WorkQueueOccupancy)


def _named(pool: str, name: str) -> dict[str, str | UUID]:
    return {"work_pool_name": pool, "name": name}
