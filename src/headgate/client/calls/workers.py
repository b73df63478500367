"""Calls about workers."""

from uuid import UUID

from headgate.client.call import Call
from headgate.schema.filters import WorkerQuery
from headgate.schema.workers import Worker, WorkerHeartbeat


def query(pool: str, body: WorkerQuery | None = None) -> Call[list[Worker]]:
    """Workers of a pool that match."""
    return Call(
        "POST",
        "/work_pools/{work_pool_name}/workers/filter",
        at={"work_pool_name": pool},
        body=body or WorkerQuery(),
        returns=list[Worker],
    )


def heartbeat(pool: str, body: WorkerHeartbeat) -> Call[None]:
    """Say that a worker is alive."""
    return Call("POST", "/work_pools/{work_pool_name}/workers/heartbeat", at={"work_pool_name": pool}, body=body)


def drain(pool: str, name: str) -> Call[None]:
    """Have a worker claim no more, finish what it has, and leave."""
    at: dict[str, str | UUID] = {"work_pool_name": pool, "name": name}
    return Call("POST", "/work_pools/{work_pool_name}/workers/{name}/drain", at=at)


def delete(pool: str, name: str) -> Call[None]:
    """Forget a worker."""
    at: dict[str, str | UUID] = {"work_pool_name": pool, "name": name}
    return Call("DELETE", "/work_pools/{work_pool_name}/workers/{name}", at=at)
