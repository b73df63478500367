"""Use cases of the channel of 3.x workers: a worker joins its pool, lives, and is told what changes there."""

from dataclasses import dataclass, replace
from typing import Any

from headgate.core import templates
from headgate.core.resource_events import of_pool, told
from headgate.errors import HeadgateError
from headgate.ids import uuid7
from headgate.schema.work_pools import WorkPool, WorkPoolCreate
from headgate.schema.work_queues import WorkQueue
from headgate.schema.worker_channel import Hello
from headgate.services import resource_events, work_pools, workers
from headgate.services.scope import Scope
from headgate.services.wakeups import changes_of
from headgate.store import work_pools as rows
from headgate.store import work_queues as queue_rows
from headgate.store import workers as worker_rows
from headgate.store.database import Tx
from headgate.store.workers import Beat


class Refused(HeadgateError):
    """The worker may not have the channel: there is no such pool or queue, and none is made."""


@dataclass(frozen=True, slots=True)
class Joined:
    """The pool as it is now, and the queues that the worker polls."""

    pool: WorkPool
    queues: list[WorkQueue]


def change_of(before: Joined, after: Joined) -> str | None:
    """What a worker is to be told of: its pool was changed, or one of its queues was made, changed or deleted."""
    if _pool_told(before.pool) != _pool_told(after.pool):
        return "work_pool_updated"
    was, now = ({queue.id: _queue_told(queue) for queue in each.queues} for each in (before, after))
    if now.keys() - was.keys():
        return "work_queue_created"
    if was.keys() - now.keys():
        return "work_queue_deleted"
    return "work_queue_updated" if was != now else None


def _pool_told(pool: WorkPool) -> tuple[Any, ...]:
    return pool.is_paused, pool.concurrency_limit, pool.base_job_template, pool.storage_configuration


def _queue_told(queue: WorkQueue) -> tuple[Any, ...]:
    return queue.name, queue.description, queue.is_paused, queue.concurrency_limit, queue.priority


async def join(scope: Scope, pool_name: str, hello: Hello) -> Joined:
    """Have the worker join, its pool made if it asks for that; `Refused` when there is nothing to join."""
    if hello.default_base_job_template:
        templates.check(hello.default_base_job_template)

    async def unit(tx: Tx) -> tuple[Joined, bool]:
        filled = await _ready_pool(scope, tx, pool_name, hello)
        queues = await _queues(scope, tx, pool_name, hello)
        await _beat(scope, tx, pool_name, hello)
        pool = await rows.get(tx, pool_name, now=scope.now)
        assert pool is not None
        return Joined(pool, queues), filled

    joined, filled = await scope.store.write(unit)
    if filled:
        scope.wakeups.wake([changes_of(joined.pool.id)])
    return joined


async def _ready_pool(scope: Scope, tx: Tx, name: str, hello: Hello) -> bool:
    """Have the pool there, with the worker's template where it has none; whether one that was there got it."""
    pool = await rows.lock(tx, name)
    if pool is None:
        if not hello.create_pool_if_not_found or name.lower().startswith(work_pools.RESERVED):
            raise Refused(f'Work pool "{name}" not found.')
        template = hello.default_base_job_template
        await work_pools.ensure(
            scope, tx, name, WorkPoolCreate(name=name, type=hello.worker_type, base_job_template=template)
        )
        return False
    if pool.base_job_template or not hello.default_base_job_template:
        return False
    whole = await rows.get(tx, name, now=scope.now)
    assert whole is not None
    before = told(whole)
    whole.updated, whole.base_job_template = scope.now, hello.default_base_job_template
    await rows.update(tx, whole)
    await resource_events.keep(scope, tx, *of_pool(whole).changed(before, told(whole)))
    return True


async def _queues(scope: Scope, tx: Tx, pool_name: str, hello: Hello) -> list[WorkQueue]:
    if not hello.work_queue_names:
        pool = await rows.get(tx, pool_name, now=scope.now)
        assert pool is not None
        return await queue_rows.of_pool(tx, pool.id, now=scope.now)
    queues = []
    for name in dict.fromkeys(hello.work_queue_names):
        queue = await queue_rows.get_by_name(tx, pool_name, name, now=scope.now)
        if queue is None:
            raise Refused(f"Work queue {name!r} not found in pool {pool_name!r}.")
        queues.append(queue)
    return queues


async def beat(scope: Scope, pool_name: str, hello: Hello) -> WorkPool:
    """Note that the worker lives; answers its pool as it is now, `Refused` when that is gone."""

    async def unit(tx: Tx) -> WorkPool:
        await _beat(scope, tx, pool_name, hello)
        pool = await rows.get(tx, pool_name, now=scope.now)
        assert pool is not None
        return pool

    return await scope.store.write(unit)


async def _beat(scope: Scope, tx: Tx, pool_name: str, hello: Hello) -> None:
    pool = await rows.lock(tx, pool_name)
    if pool is None:
        raise Refused(f'Work pool "{pool_name}" not found.')
    interval, now = hello.heartbeat_interval_seconds, scope.now
    was = await rows.status_of(tx, pool, now=now)
    await worker_rows.beat(tx, Beat(uuid7(now), pool.id, hello.worker_name, hello.worker_type, interval, now))
    await workers.tell_ready(scope, tx, pool, was=was)


async def look(scope: Scope, joined: Joined, hello: Hello) -> Joined | None:
    """The pool and the worker's queues as they are now; None when the pool is gone."""

    async def unit(tx: Tx) -> Joined | None:
        pool = await rows.get(tx, joined.pool.name, now=scope.now)
        if pool is None or pool.id != joined.pool.id:
            return None
        polled = {queue.id for queue in joined.queues}
        queues = await queue_rows.of_pool(tx, pool.id, now=scope.now)
        kept = [queue for queue in queues if not hello.work_queue_names or queue.id in polled]
        return replace(joined, pool=pool, queues=kept)

    return await scope.store.read(unit)
