"""Calls about work pools."""

from headgate.client.call import Call
from headgate.schema.explanations import PoolExplanation
from headgate.schema.filters import WorkPoolQuery
from headgate.schema.occupancy import PoolOccupancyQuery, WorkPoolOccupancy
from headgate.schema.previews import Preview, PreviewRequest
from headgate.schema.work_pools import GetScheduledFlowRuns, WorkerFlowRun, WorkPool, WorkPoolCreate, WorkPoolUpdate


def create(body: WorkPoolCreate) -> Call[WorkPool]:
    """Create a pool with its `default` queue."""
    return Call("POST", "/work_pools/", body=body, returns=WorkPool)


def get(name: str) -> Call[WorkPool]:
    """One pool."""
    return Call("GET", "/work_pools/{work_pool_name}", at={"work_pool_name": name}, returns=WorkPool)


def query(body: WorkPoolQuery | None = None) -> Call[list[WorkPool]]:
    """Pools that match."""
    return Call("POST", "/work_pools/filter", body=body or WorkPoolQuery(), returns=list[WorkPool])


def count(body: WorkPoolQuery | None = None) -> Call[int]:
    """How many pools match."""
    return Call("POST", "/work_pools/count", body=body or WorkPoolQuery(), returns=int)


def update(name: str, body: WorkPoolUpdate) -> Call[None]:
    """Change a pool."""
    return Call("PATCH", "/work_pools/{work_pool_name}", at={"work_pool_name": name}, body=body)


def delete(name: str) -> Call[None]:
    """Delete a pool with its queues."""
    return Call("DELETE", "/work_pools/{work_pool_name}", at={"work_pool_name": name})


def get_scheduled_flow_runs(name: str, body: GetScheduledFlowRuns) -> Call[list[WorkerFlowRun]]:
    """Runs that could start now, without claiming them."""
    return Call(
        "POST",
        "/work_pools/{work_pool_name}/get_scheduled_flow_runs",
        at={"work_pool_name": name},
        body=body,
        returns=list[WorkerFlowRun],
    )


def preview(name: str, body: PreviewRequest | None = None) -> Call[Preview]:
    """What a pool will run, from runs that wait and from schedules; it does not count as a poll."""
    return Call(
        "POST",
        "/work_pools/{work_pool_name}/preview",
        at={"work_pool_name": name},
        body=body or PreviewRequest(),
        returns=Preview,
    )


def explain(name: str) -> Call[PoolExplanation]:
    """What a pool's queues hold, and what keeps it."""
    return Call("GET", "/work_pools/{work_pool_name}/explain", at={"work_pool_name": name}, returns=PoolExplanation)


def occupancy(name: str, body: PoolOccupancyQuery | None = None) -> Call[WorkPoolOccupancy]:
    """A pool's slots in use, and who holds them."""
    path = "/work_pools/{work_pool_name}/concurrency_status"
    return Call("POST", path, at={"work_pool_name": name}, body=body or PoolOccupancyQuery(), returns=WorkPoolOccupancy)
