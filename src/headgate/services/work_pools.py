"""Use cases of work pools."""

from contextlib import suppress

from msgspec import UNSET
from msgspec.structs import asdict

from headgate.core import templates
from headgate.core.pauses import pause_after
from headgate.core.resource_events import of_pool, of_queue, told
from headgate.errors import Conflict, Forbidden, Invalid
from headgate.ids import uuid7
from headgate.schema.filters import WorkPoolQuery
from headgate.schema.work_pools import StorageConfiguration, WorkPool, WorkPoolCreate, WorkPoolUpdate
from headgate.schema.work_queues import WorkQueue, WorkQueueCreate, WorkQueueUpdate
from headgate.services import resource_events, template_blocks, work_queues
from headgate.services.scope import Scope
from headgate.services.wakeups import changes_of
from headgate.services.work_queues import DEFAULT, DEFAULT_POOL, missing_pool
from headgate.store import work_pools as rows
from headgate.store import work_queues as queue_rows
from headgate.store.database import Tx
from headgate.store.work_pools import LockedPool

RESERVED = "prefect"
_OF_RESERVED = ("is_paused", "concurrency_limit")


async def create(scope: Scope, body: WorkPoolCreate) -> WorkPool:
    """Create a pool with its default queue; `Conflict` when the name is taken."""
    templates.check(body.base_job_template)

    async def unit(tx: Tx) -> WorkPool:
        await template_blocks.check(scope, tx, body.base_job_template)
        pool = await _create(scope, tx, body)
        await resource_events.keep(scope, tx, *of_pool(pool).became(pool.status, before=None))
        return pool

    return await scope.store.write(unit)


async def _create(scope: Scope, tx: Tx, body: WorkPoolCreate) -> WorkPool:
    _refuse_reserved(body.name)
    if not body.name.strip("'\" "):
        raise Invalid("name cannot be an empty string, nor spaces and quotes alone", field="name", value=body.name)
    now = scope.now
    queue_id = uuid7(now)
    pool = WorkPool(
        id=uuid7(now),
        created=now,
        updated=now,
        name=body.name,
        description=body.description,
        type=body.type,
        base_job_template=body.base_job_template,
        is_paused=body.is_paused,
        concurrency_limit=body.concurrency_limit,
        default_queue_id=queue_id,
        storage_configuration=body.storage_configuration,
        pause=pause_after(None, body, was_paused=False, is_paused=body.is_paused, now=now),
        launch_rate=body.launch_rate,
        launch_limit=body.launch_limit,
        fair_share=body.fair_share,
    )
    if not await rows.insert(tx, pool):
        raise Conflict("A work pool with this name already exists.")
    queue = WorkQueue(
        id=queue_id,
        created=now,
        updated=now,
        name=DEFAULT,
        description="The work pool's default queue.",
        work_pool_id=pool.id,
    )
    await queue_rows.insert(tx, queue)
    queue.work_pool_name = pool.name
    made = _found(await rows.get(tx, body.name, now=now), body.name)
    subjects = of_queue(queue, pool_type=pool.type), of_pool(made)
    await resource_events.keep(scope, tx, *(subject.was("created") for subject in subjects))
    return made


def _refuse_reserved(name: str) -> None:
    if name.lower().startswith(RESERVED):
        raise Forbidden("Work pools starting with 'Prefect' are reserved for internal use.")


async def ensure_default(scope: Scope, tx: Tx) -> LockedPool:
    """The pool of queues that are named without one, locked; made if there is none."""
    return await ensure(scope, tx, DEFAULT_POOL)


async def ensure(scope: Scope, tx: Tx, name: str, body: WorkPoolCreate | None = None) -> LockedPool:
    """The pool of that name, locked; made as `body` says, or without a type, if there is none."""
    pool = await rows.lock(tx, name)
    if pool is None:
        with suppress(Conflict):  # another server made it meanwhile
            await _create(scope, tx, body or WorkPoolCreate(name=name))
        pool = await rows.lock(tx, name)
    assert pool is not None
    return pool


async def create_queue(scope: Scope, body: WorkQueueCreate) -> WorkQueue:
    """Create a queue that is named without a pool: in the default pool; `Conflict` when that has one of the name.

    The queue that comes with a new pool is not in the way of one that is asked for under its name.
    """

    async def unit(tx: Tx) -> WorkQueue:
        is_new = await rows.lock(tx, DEFAULT_POOL) is None
        pool = await ensure_default(scope, tx)
        if is_new and body.name == DEFAULT:
            given = {name: value for name, value in asdict(body).items() if value not in (None, "")}
            return await work_queues.change(scope, tx, pool.default_queue_id, WorkQueueUpdate(**given))
        return await work_queues.insert(scope, tx, pool, body)

    queue = await scope.store.write(unit)
    work_queues.wake(scope, queue.work_pool_id)
    return queue


async def get(scope: Scope, name: str) -> WorkPool:
    """One pool."""
    return _found(await scope.store.read(lambda tx: rows.get(tx, name, now=scope.now)), name)


async def list_page(scope: Scope, query: WorkPoolQuery) -> list[WorkPool]:
    """A page of those that match."""
    return await scope.store.read(lambda tx: rows.list_page(tx, query, now=scope.now))


async def count(scope: Scope, query: WorkPoolQuery) -> int:
    """How many match."""
    return await scope.store.read(lambda tx: rows.count(tx, query))


async def update(scope: Scope, name: str, body: WorkPoolUpdate) -> None:
    """Change a pool; those who wait for it look again. A reserved one is paused, resumed and limited, and no more."""
    if any(getattr(body, field) is not UNSET for field in body.__struct_fields__ if field not in _OF_RESERVED):
        _refuse_reserved(name)
    if body.base_job_template:
        templates.check(body.base_job_template)

    async def unit(tx: Tx) -> WorkPool:
        await rows.lock(tx, name)
        pool = _found(await rows.get(tx, name, now=scope.now), name)
        await template_blocks.check(scope, tx, body.base_job_template or {})
        before, was, was_paused = told(pool), pool.status, pool.is_paused
        pool.updated = scope.now
        _apply(body, pool)
        pool.pause = pause_after(pool.pause, body, was_paused=was_paused, is_paused=pool.is_paused, now=scope.now)
        await rows.update(tx, pool)
        changed = _found(await rows.get(tx, name, now=scope.now), name)
        subject = of_pool(changed)
        events = subject.changed(before, told(changed))
        await resource_events.keep(scope, tx, *events, *subject.became(changed.status, before=was))
        return changed

    pool = await scope.store.write(unit)
    scope.wakeups.wake([pool.id, changes_of(pool.id)])


def _apply(body: WorkPoolUpdate, pool: WorkPool) -> None:
    for field in ("description", "concurrency_limit", "launch_rate", "launch_limit", "fair_share"):
        if (value := getattr(body, field)) is not UNSET:
            setattr(pool, field, value)
    if body.is_paused is not UNSET:
        pool.is_paused = bool(body.is_paused)
    if body.base_job_template is not UNSET:
        pool.base_job_template = body.base_job_template or {}
    if body.storage_configuration is not UNSET:
        pool.storage_configuration = body.storage_configuration or StorageConfiguration()


async def delete(scope: Scope, name: str) -> None:
    """Delete, with its queues and workers; its deployments stay, without a pool."""
    _refuse_reserved(name)

    async def unit(tx: Tx) -> WorkPool:
        await rows.lock(tx, name)
        pool = _found(await rows.get(tx, name, now=scope.now), name)
        queues = await queue_rows.of_pool(tx, pool.id, now=scope.now)
        subjects = [*(of_queue(queue, pool_type=pool.type) for queue in queues), of_pool(pool)]
        await rows.delete(tx, pool.id)
        await resource_events.keep(scope, tx, *(subject.was("deleted") for subject in subjects))
        return pool

    pool = await scope.store.write(unit)
    scope.wakeups.wake([pool.id, changes_of(pool.id)])


def _found(pool: WorkPool | None, name: str) -> WorkPool:
    if pool is None:
        raise missing_pool(name)
    return pool
