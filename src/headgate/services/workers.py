"""Use cases of workers."""

from uuid import UUID

from headgate.core.resource_events import of_pool
from headgate.errors import NotFound
from headgate.ids import uuid7
from headgate.schema.filters import WorkerQuery
from headgate.schema.work_queues import ReadyStatus
from headgate.schema.workers import Worker, WorkerHeartbeat
from headgate.services import resource_events
from headgate.services.scope import Scope
from headgate.services.work_queues import locked_pool
from headgate.store import work_pools as pool_rows
from headgate.store import workers as rows
from headgate.store.database import Tx
from headgate.store.work_pools import LockedPool
from headgate.store.workers import Beat


async def heartbeat(scope: Scope, pool_name: str, body: WorkerHeartbeat) -> None:
    """Note that a worker is alive; a worker that is not known joins."""

    async def unit(tx: Tx) -> None:
        pool = await locked_pool(tx, pool_name)
        now = scope.now
        was = await pool_rows.status_of(tx, pool, now=now)
        await rows.beat(tx, Beat(uuid7(now), pool.id, body.name, None, body.heartbeat_interval_seconds, now))
        await tell_ready(scope, tx, pool, was=was)

    await scope.store.write(unit)


async def tell_ready(scope: Scope, tx: Tx, pool: LockedPool, *, was: ReadyStatus | None) -> None:
    """Tell that a pool is ready, if it `was` not before a worker's heartbeat."""
    if was is not ReadyStatus.NOT_READY:
        return
    whole = await pool_rows.get(tx, pool.name, now=scope.now)
    if whole is not None:
        await resource_events.keep(scope, tx, *of_pool(whole).became(whole.status, before=was))


async def list_page(scope: Scope, pool_name: str, query: WorkerQuery) -> list[Worker]:
    """A page of a pool's workers that match."""

    async def unit(tx: Tx) -> list[Worker]:
        pool = await pool_rows.get(tx, pool_name, now=scope.now)
        if pool is None:
            raise NotFound(f'Work pool "{pool_name}" not found.')
        return await rows.list_page(tx, pool.id, query, now=scope.now)

    return await scope.store.read(unit)


async def drain(scope: Scope, pool_name: str, name: str) -> None:
    """Have a worker claim no more, finish what it has, and leave. It learns of that by the answer to its open claim."""

    async def unit(tx: Tx) -> UUID:
        pool = await locked_pool(tx, pool_name)
        if not await rows.drain(tx, pool.id, name, now=scope.now):
            raise missing_worker(pool_name, name)
        return pool.id

    scope.wakeups.wake([await scope.store.write(unit)])


async def delete(scope: Scope, pool_name: str, name: str) -> None:
    """Forget a worker; one that still runs joins again with its next heartbeat."""

    async def unit(tx: Tx) -> None:
        pool = await locked_pool(tx, pool_name)
        if not await rows.delete(tx, pool.id, name):
            raise missing_worker(pool_name, name)

    await scope.store.write(unit)


def missing_worker(pool_name: str, name: str) -> NotFound:
    """The error of a worker that does not exist."""
    return NotFound(f"Worker {name!r} not found in pool {pool_name!r}.")
