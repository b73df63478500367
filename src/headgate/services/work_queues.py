"""Use cases of work queues."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from msgspec import UNSET

from headgate.core.pauses import pause_after
from headgate.core.ranks import place
from headgate.core.resource_events import of_queue, told
from headgate.errors import Conflict, Invalid, NotFound
from headgate.ids import uuid7
from headgate.schema.filters import WorkQueueQuery
from headgate.schema.work_pools import DEFAULT_AGENT_POOL
from headgate.schema.work_queues import HealthCheckPolicy, WorkQueue, WorkQueueCreate, WorkQueueStatusDetail, WorkQueueUpdate
from headgate.services import resource_events
from headgate.services.scope import Scope
from headgate.services.wakeups import changes_of
from headgate.store import work_pools as pool_rows
from headgate.store import work_queues as rows
from headgate.store.database import Tx
from headgate.store.work_pools import LockedPool

DEFAULT = "default"
"""What a pool's default queue is called until somebody renames it."""
DEFAULT_POOL = DEFAULT_AGENT_POOL
"""Pool of queues that are created without one, as agents of old know them."""


async def create(scope: Scope, pool_name: str, body: WorkQueueCreate) -> WorkQueue:
    """Create a queue in a pool; `Conflict` when the pool has one of that name."""

    async def unit(tx: Tx) -> WorkQueue:
        return await insert(scope, tx, await locked_pool(tx, pool_name), body)

    queue = await scope.store.write(unit)
    wake(scope, queue.work_pool_id)
    return queue


def wake(scope: Scope, pool: UUID | None) -> None:
    """A queue of the pool was made, changed or deleted: agents may poll another one from now on, and workers are told."""
    if pool is not None:
        scope.wakeups.wake([pool, changes_of(pool)])


async def ensure(scope: Scope, tx: Tx, pool: LockedPool, name: str | None) -> WorkQueue:
    """The queue of that name in a pool that the caller has locked, made if there is none; without a name the default one."""
    if name is None:
        return _found(await rows.get(tx, pool.default_queue_id, now=scope.now))
    found = await rows.get_by_name(tx, pool.name, name, now=scope.now)
    return found or await insert(scope, tx, pool, WorkQueueCreate(name=name))


async def insert(scope: Scope, tx: Tx, pool: LockedPool, body: WorkQueueCreate) -> WorkQueue:
    """Add a queue to a pool that the caller has locked; `Conflict` when it has one of that name."""
    now = scope.now
    others = await rows.of_pool(tx, pool.id, now=now)
    queue = WorkQueue(
        id=uuid7(now),
        created=now,
        updated=now,
        name=body.name,
        description=body.description or "",
        is_paused=body.is_paused,
        concurrency_limit=body.concurrency_limit,
        work_pool_id=pool.id,
        filter=body.filter,
        pause=pause_after(None, body, was_paused=False, is_paused=body.is_paused, now=now),
    )
    if not await rows.insert(tx, queue):
        raise Conflict(f"A work queue with name {body.name!r} already exists in pool {pool.name!r}.")
    await rank(scope, tx, queue, others, body.priority)
    found = _found(await rows.get(tx, queue.id, now=now))
    await resource_events.keep(scope, tx, of_queue(found, pool_type=pool.type).was("created"))
    return found


async def rank(scope: Scope, tx: Tx, queue: WorkQueue, others: list[WorkQueue], wanted: int | None) -> None:
    """Give `queue` its priority among the other queues of its pool; those that have to make room move down."""
    taken = {other.id: other.priority for other in others if other.id != queue.id}
    ranks = place(queue.id, wanted, taken)
    by_id = {other.id: other for other in others} | {queue.id: queue}
    moved = [by_id[id] for id, priority in ranks.items() if by_id[id].priority != priority or id == queue.id]
    for each in moved:
        each.priority = ranks[each.id]
    await rows.rank(tx, moved, now=scope.now)


async def get(scope: Scope, id: UUID) -> WorkQueue:
    """One queue."""
    return _found(await scope.store.read(lambda tx: rows.get(tx, id, now=scope.now)))


async def get_by_name(scope: Scope, pool_name: str, name: str) -> WorkQueue:
    """One queue of a pool."""

    async def unit(tx: Tx) -> WorkQueue:
        found = await rows.get_by_name(tx, pool_name, name, now=scope.now)
        if found is None:
            raise _missing(pool_name, name)
        return found

    return await scope.store.read(unit)


async def list_page(scope: Scope, query: WorkQueueQuery, *, pool_name: str | None = None) -> list[WorkQueue]:
    """A page of those that match, in one pool or in all."""

    async def unit(tx: Tx) -> list[WorkQueue]:
        if pool_name is not None:
            await existing_pool(scope, tx, pool_name)
        return await rows.list_page(tx, query, now=scope.now, pool=pool_name)

    return await scope.store.read(unit)


async def count(scope: Scope, query: WorkQueueQuery, *, pool_name: str | None = None) -> int:
    """How many match."""
    return await scope.store.read(lambda tx: rows.count(tx, query, pool=pool_name))


async def status(scope: Scope, id: UUID) -> WorkQueueStatusDetail:
    """A queue's health: polled lately, and no more Late runs than its policy allows."""

    async def unit(tx: Tx) -> WorkQueueStatusDetail:
        queue = _found(await rows.get(tx, id, now=scope.now))
        late, policy = await rows.late_count(tx, id), HealthCheckPolicy()
        idle = (scope.now - queue.last_polled).total_seconds() if queue.last_polled else None
        healthy = (
            late <= (policy.maximum_late_runs or 0)
            and idle is not None
            and idle <= (policy.maximum_seconds_since_last_polled or 0)
        )
        return WorkQueueStatusDetail(
            healthy=healthy, late_runs_count=late, last_polled=queue.last_polled, health_check_policy=policy
        )

    return await scope.store.read(unit)


async def update(scope: Scope, id: UUID, body: WorkQueueUpdate) -> None:
    """Change a queue; those who wait for its pool look again."""

    queue = await scope.store.write(lambda tx: change(scope, tx, id, body))
    wake(scope, queue.work_pool_id)


async def update_by_name(scope: Scope, pool_name: str, name: str, body: WorkQueueUpdate) -> None:
    """The same, by the names of its pool and its own."""
    await update(scope, (await get_by_name(scope, pool_name, name)).id, body)


async def change(scope: Scope, tx: Tx, id: UUID, body: WorkQueueUpdate) -> WorkQueue:
    """Change a queue inside a transaction; answers it as it is now."""
    queue, pool = await locked(scope, tx, id)
    before, was = told(queue), queue.status
    await _rename(tx, scope, queue, body)
    was_paused = queue.is_paused
    queue.updated = scope.now
    for name in ("description", "is_paused", "concurrency_limit", "last_polled", "filter"):
        if (value := getattr(body, name)) is not UNSET:
            setattr(queue, name, value)
    queue.pause = pause_after(queue.pause, body, was_paused=was_paused, is_paused=queue.is_paused, now=scope.now)
    await rows.update(tx, queue)
    if body.priority is not UNSET and body.priority is not None and queue.work_pool_id:
        await rank(scope, tx, queue, await rows.of_pool(tx, queue.work_pool_id, now=scope.now), body.priority)
    changed = _found(await rows.get(tx, id, now=scope.now))
    subject = of_queue(changed, pool_type=pool.type)
    events = subject.changed(before, told(changed))
    await resource_events.keep(scope, tx, *events, *subject.became(changed.status, before=was))
    return changed


async def _rename(tx: Tx, scope: Scope, queue: WorkQueue, body: WorkQueueUpdate) -> None:
    if body.name is UNSET or body.name == queue.name:
        return
    if await rows.get_by_name(tx, queue.work_pool_name or "", body.name, now=scope.now):
        raise Conflict(f"A work queue with name {body.name!r} already exists in pool {queue.work_pool_name!r}.")
    queue.name = body.name


async def delete(scope: Scope, id: UUID) -> None:
    """Delete; its deployments and waiting runs go to the pool's default queue."""

    async def unit(tx: Tx) -> UUID:
        queue, pool = await locked(scope, tx, id)
        if pool.default_queue_id == id:
            raise Invalid(f"{queue.name!r} is the default queue of pool {pool.name!r}, which always has one.")
        heir = _found(await rows.get(tx, pool.default_queue_id, now=scope.now))
        await rows.delete(tx, queue, heir=heir)
        await resource_events.keep(scope, tx, of_queue(queue, pool_type=pool.type).was("deleted"))
        return pool.id

    wake(scope, await scope.store.write(unit))


async def delete_by_name(scope: Scope, pool_name: str, name: str) -> None:
    """The same, by the names of its pool and its own."""
    await delete(scope, (await get_by_name(scope, pool_name, name)).id)


async def locked(scope: Scope, tx: Tx, id: UUID) -> tuple[WorkQueue, LockedPool]:
    """A queue and its pool as they are once the pool is locked: what was read before may have changed meanwhile."""
    queue = _found(await rows.get(tx, id, now=scope.now))
    pool = await locked_pool(tx, queue.work_pool_name or "")
    return _found(await rows.get(tx, id, now=scope.now)), pool


async def locked_pool(tx: Tx, name: str) -> LockedPool:
    """A pool, locked unless the transaction only reads; `NotFound` when there is none."""
    pool = await pool_rows.lock(tx, name)
    if pool is None:
        raise missing_pool(name)
    return pool


async def seen(scope: Scope, tx: Tx, id: UUID) -> tuple[WorkQueue, LockedPool]:
    """A queue and its pool, for who only reads."""
    queue = _found(await rows.get(tx, id, now=scope.now))
    return queue, await locked_pool(tx, queue.work_pool_name or "")


async def existing_pool(scope: Scope, tx: Tx, name: str) -> None:
    """`NotFound` when there is no such pool."""
    if await pool_rows.get(tx, name, now=scope.now) is None:
        raise missing_pool(name)


def ids_of(pool_name: str, queues: Mapping[UUID, str], names: Sequence[str]) -> list[UUID]:
    """The ids of the named queues of a pool, of which `queues` are all with their names, or of all when none is named;
    `NotFound` names the one that does not exist."""
    ids = {name: id for id, name in queues.items()}
    for name in names:
        if name not in ids:
            raise _missing(pool_name, name)
    return [ids[name] for name in dict.fromkeys(names)] if names else [*queues]


def _missing(pool_name: str, name: str) -> NotFound:
    return NotFound(f"Work pool queue '{pool_name}/{name}' not found.")


def missing_pool(name: str) -> NotFound:
    """The error of a pool that does not exist."""
    return NotFound(f'Work pool "{name}" not found.')


def _found(queue: WorkQueue | None) -> WorkQueue:
    if queue is None:
        raise NotFound("Work Queue not found.")
    return queue
