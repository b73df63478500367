"""Rows of work queues."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from msgspec import convert

from headgate.core.liveness import polled_status
from headgate.schema.filters import WorkQueueQuery
from headgate.schema.pauses import Pause
from headgate.schema.work_queues import WorkQueue
from headgate.store.database import Row, Tx
from headgate.store.filters import Params, work_queue_condition
from headgate.store.paging import page
from headgate.store.statements import load_statements

_SQL = load_statements("work_queues")
_SELECT = _SQL["select"].sqlite
_DERIVED = {"status", "active_slots", "work_pool_name"}
_TOUCHED_EVERY = timedelta(seconds=5)


def _work_queue(row: Row, now: datetime) -> WorkQueue:
    queue = WorkQueue(**{**row, "pause": convert(row["pause"], Pause | None)})
    queue.status = polled_status(queue.last_polled, is_paused=queue.is_paused, now=now)
    return queue


async def insert(tx: Tx, queue: WorkQueue) -> bool:
    """Insert; False when the pool has a queue of that name."""
    return await tx.execute(_SQL["insert"], _values(queue)) > 0


async def get(tx: Tx, id: UUID, *, now: datetime) -> WorkQueue | None:
    """By id."""
    row = await tx.fetch_one(f"{_SELECT} WHERE q.id = :id", {"id": id})
    return _work_queue(row, now) if row else None


async def get_many(tx: Tx, ids: Sequence[UUID], *, now: datetime) -> list[WorkQueue]:
    """By ids."""
    return [_work_queue(row, now) for row in await tx.fetch(f"{_SELECT} WHERE q.id IN :ids::uuid[]", {"ids": [*ids]})]


async def get_by_name(tx: Tx, pool: str, name: str, *, now: datetime) -> WorkQueue | None:
    """By its pool's name and its own."""
    row = await tx.fetch_one(f"{_SELECT} WHERE p.name = :pool AND q.name = :name", {"pool": pool, "name": name})
    return _work_queue(row, now) if row else None


async def list_page(tx: Tx, query: WorkQueueQuery, *, now: datetime, pool: str | None = None) -> list[WorkQueue]:
    """A page of those that match, by pool and priority; `pool` is a name."""
    p = Params(tx.dialect)
    where = work_queue_condition(query.work_queues, p)
    if pool is not None:
        where += f" AND p.name = {p.one(pool)}"
    rows = await tx.fetch(f"{_SELECT} WHERE {where} ORDER BY p.name, q.priority, q.id {page(query, p)}", p.values)
    return [_work_queue(row, now) for row in rows]


async def of_pool(tx: Tx, pool_id: UUID, *, now: datetime) -> list[WorkQueue]:
    """All queues of a pool, by priority."""
    rows = await tx.fetch(f"{_SELECT} WHERE q.work_pool_id = :id ORDER BY q.priority, q.id", {"id": pool_id})
    return [_work_queue(row, now) for row in rows]


async def names(tx: Tx, pool_ids: Sequence[UUID]) -> dict[UUID, str]:
    """The names of the queues of pools, by id: each pool's best first."""
    return {row["id"]: row["name"] for row in await tx.fetch(_SQL["names"], {"pool_ids": [*pool_ids]})}


async def count(tx: Tx, query: WorkQueueQuery, *, pool: str | None = None) -> int:
    """How many match."""
    p = Params(tx.dialect)
    where = work_queue_condition(query.work_queues, p)
    if pool is not None:
        where += f" AND p.name = {p.one(pool)}"
    sql = f"SELECT count(*) FROM work_queue q JOIN work_pool p ON p.id = q.work_pool_id WHERE {where}"
    found: int = await tx.fetch_value(sql, p.values)
    return found


async def update(tx: Tx, queue: WorkQueue) -> None:
    """Write what may be changed, but for the priority."""
    await tx.execute(_SQL["update"], _values(queue))


async def rank(tx: Tx, queues: list[WorkQueue], *, now: datetime) -> None:
    """Write the priorities of these queues."""
    rows = [{"id": queue.id, "updated": now, "priority": queue.priority} for queue in queues]
    await tx.execute_many(_SQL["rank"], rows)


def untouched(polled: Mapping[UUID, datetime | None], *, now: datetime) -> list[UUID]:
    """Queues of which it is to be noted that they are polled, given when that was last noted of each: every few seconds."""
    stale = now - _TOUCHED_EVERY
    return [id for id, last in polled.items() if last is None or last < stale]


async def touch(tx: Tx, ids: Sequence[UUID], *, now: datetime) -> None:
    """Note that queues were polled, unless somebody noted it of late."""
    if ids:
        await tx.execute(_SQL["touch"], {"ids": ids, "now": now, "stale": now - _TOUCHED_EVERY})


async def late_count(tx: Tx, id: UUID) -> int:
    """How many of its runs are Late."""
    found: int = await tx.fetch_value(_SQL["late_count"], {"id": id})
    return found


async def delete(tx: Tx, queue: WorkQueue, *, heir: WorkQueue) -> None:
    """Delete; its deployments and the runs that are not final go to `heir`."""
    await tx.execute(_SQL["move_runs"], {"from": queue.id, "to": heir.id, "pool": queue.work_pool_id})
    await tx.execute(_SQL["move_deployments"], {"from": queue.id, "to": heir.id, "name": heir.name})
    await tx.execute(_SQL["delete"], {"id": queue.id})


def _values(queue: WorkQueue) -> dict[str, Any]:
    return {name: getattr(queue, name) for name in queue.__struct_fields__ if name not in _DERIVED}
