"""Routes of workers."""

from headgate.api.routing import Router
from headgate.schema.filters import WorkerQuery
from headgate.schema.workers import Worker, WorkerHeartbeat
from headgate.services import workers
from headgate.services.scope import Scope

router = Router("/work_pools/{work_pool_name}/workers", tag="Workers")


@router.post("/filter")
async def read_workers(scope: Scope, work_pool_name: str, body: WorkerQuery | None) -> list[Worker]:
    """Workers of a pool that match, the last alive first."""
    return await workers.list_page(scope, work_pool_name, body or WorkerQuery())


@router.post("/heartbeat", status=204)
async def worker_heartbeat(scope: Scope, work_pool_name: str, body: WorkerHeartbeat) -> None:
    """A worker is alive; one that is not known joins."""
    await workers.heartbeat(scope, work_pool_name, body)


@router.post("/{name}/drain", status=204)
async def drain_worker(scope: Scope, work_pool_name: str, name: str) -> None:
    """Have a worker claim no more, finish what it has, and leave."""
    await workers.drain(scope, work_pool_name, name)


@router.delete("/{name}")
async def delete_worker(scope: Scope, work_pool_name: str, name: str) -> None:
    """Forget a worker."""
    await workers.delete(scope, work_pool_name, name)
