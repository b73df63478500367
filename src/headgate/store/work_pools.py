"""Rows of work pools."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import convert

from headgate.core.dispatch import Lane
from headgate.core.fair_share import Party, Share, after_turns
from headgate.core.launch_rates import Pace
from headgate.core.liveness import pool_status
from headgate.schema.filters import WorkPoolQuery
from headgate.schema.pauses import Pause
from headgate.schema.work_pools import UNTYPED, LaunchRate, StorageConfiguration, WorkPool
from headgate.schema.work_queues import ReadyStatus
from headgate.store.database import Row, Tx
from headgate.store.filters import Params, work_pool_condition
from headgate.store.paging import page
from headgate.store.statements import load_statements
from headgate.store.times import as_time

_SQL = load_statements("work_pools")
_DERIVED = {"status", "active_slots"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenPool:
    """What of a pool decides how many of its runs start."""

    id: UUID
    is_paused: bool
    concurrency_limit: int | None
    launch_rate: LaunchRate | None = None
    launch_limit: int | None = None
    fair_share: bool = False
    launches: list[tuple[int, int]] = field(default_factory=list)
    """Kept up to date by `launch`, because several claims of one transaction may share the record."""
    turns: list[Party] = field(default_factory=list)
    """Where it is shared fairly; kept up to date by `serve` likewise."""

    def pace(self, now: datetime) -> Pace | None:
        """What its launch rate lets through at `now`; None without one."""
        return Pace(self.launch_rate, self.launches, now) if self.launch_rate else None


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedPool(SeenPool):
    """What a transaction knows of a pool, which holds its lock unless it decides nothing."""

    name: str
    type: str
    base_job_template: dict[str, Any]
    default_queue_id: UUID


def _locked(row: Row) -> LockedPool:
    return LockedPool(**_values_of(row))


def _values_of(row: Row) -> dict[str, Any]:
    values: dict[str, Any] = {**row, "launches": [], "turns": []}
    if row["launch_rate"] is not None:
        values |= {"launch_rate": convert(row["launch_rate"], LaunchRate), "launches": row["launches"] or []}
    if row["fair_share"]:
        values["turns"] = convert(row["turns"] or [], list[Party])
    return values


_SEEN = ("id", "is_paused", "concurrency_limit", "launch_rate", "launches", "launch_limit", "fair_share", "turns")
SEEN = ", ".join(f"p.{name} AS pool_{name}" for name in _SEEN)
"""Beside other columns, of a pool p: what `seen` reads."""


def seen(row: Row) -> SeenPool:
    """Of a row that has `SEEN` among its columns."""
    return SeenPool(**_values_of({name: row[f"pool_{name}"] for name in _SEEN}))


async def launch(tx: Tx, pool: LockedPool, count: int, *, now: datetime) -> None:
    """Note that so many runs of a locked pool are launched; nothing to do without a launch rate."""
    if (pace := pool.pace(now)) is not None and count:
        pool.launches[:] = pace.after(count)
        await tx.execute(_SQL["set_launches"], {"id": pool.id, "launches": pool.launches})


async def serve(tx: Tx, pool: LockedPool, parties: Sequence[Party]) -> None:
    """Note whose runs of a locked pool are launched, one after the other; nothing to do where it is not shared fairly."""
    if pool.fair_share and parties:
        pool.turns[:] = after_turns(pool.turns, parties)
        await tx.execute(_SQL["set_turns"], {"id": pool.id, "turns": pool.turns})


async def share(tx: Tx, id: UUID, turns: Sequence[Party]) -> Share:
    """Who has how much of a pool under way; `turns` are those that its row tells of."""
    rows = await tx.fetch(_SQL["under_way"], {"id": id})
    return Share({(row["deployment_id"], row["key_id"]): row["used"] for row in rows}, turns)


def _select(tx: Tx) -> str:
    return _SQL["select"].sqlite if tx.dialect == "sqlite" else _SQL["select"].postgresql


def _work_pool(row: Row, now: datetime) -> WorkPool:
    values = dict(row)
    online_until = as_time(values.pop("online_until"))
    values["storage_configuration"] = convert(values["storage_configuration"], StorageConfiguration)
    values["pause"] = convert(values["pause"], Pause | None)
    values["launch_rate"] = convert(values["launch_rate"], LaunchRate | None)
    pool = WorkPool(**values)
    pool.status = pool_status(pool.type, is_paused=pool.is_paused, online_until=online_until, now=now)
    return pool


async def insert(tx: Tx, pool: WorkPool) -> bool:
    """Insert; False when the name is taken."""
    return await tx.execute(_SQL["insert"], _values(pool)) > 0


async def get(tx: Tx, name: str, *, now: datetime) -> WorkPool | None:
    """By name."""
    row = await tx.fetch_one(f"{_select(tx)} WHERE p.name = :name", {"name": name})
    return _work_pool(row, now) if row else None


async def get_many(tx: Tx, ids: Sequence[UUID], *, now: datetime) -> list[WorkPool]:
    """By ids."""
    return [_work_pool(row, now) for row in await tx.fetch(f"{_select(tx)} WHERE p.id IN :ids::uuid[]", {"ids": [*ids]})]


async def lock(tx: Tx, name: str) -> LockedPool | None:
    """By name, holding its row until the transaction ends, unless that only reads."""
    row = await tx.fetch_one(_SQL["lock"], {"name": name})
    return _locked(row) if row else None


async def lock_many(tx: Tx, ids: set[UUID]) -> dict[UUID, LockedPool]:
    """By ids, holding their rows until the transaction ends."""
    rows = await tx.fetch(_SQL["lock_many"], {"ids": sorted(ids)})
    return {row["id"]: _locked(row) for row in rows}


async def demanding(tx: Tx, ids: set[UUID]) -> set[UUID]:
    """Those whose template requires variables; the others take a job without any."""
    return {row["id"] for row in await tx.fetch(_SQL["demanding"], {"ids": sorted(ids)})} if ids else set()


async def id_of(tx: Tx, name: str) -> UUID | None:
    """The id of a pool; None when there is none. For those who ask every few seconds and need no more."""
    row = await tx.fetch_one(_SQL["id_of"], {"name": name})
    return row["id"] if row else None


async def launching(tx: Tx, pools: Iterable[SeenPool]) -> dict[UUID, Lane]:
    """Those of these pools that limit how many of their runs are launched at the same time, with how many are."""
    limits = {pool.id: pool.launch_limit for pool in pools if pool.launch_limit is not None}
    rows = await tx.fetch(_SQL["launching"], {"ids": [*limits]}) if limits else []
    used = {row["id"]: row["used"] for row in rows}
    return {id: Lane(id, limit=limit, used=used.get(id, 0)) for id, limit in limits.items()}


async def type_of(tx: Tx, id: UUID) -> str | None:
    """What type a pool is of; None when there is none."""
    found: str | None = await tx.fetch_value(_SQL["type_of"], {"id": id})
    return found


async def status_of(tx: Tx, pool: LockedPool, *, now: datetime) -> ReadyStatus | None:
    """The status of a locked pool."""
    online_until = as_time(await tx.fetch_value(_SQL["online_until"], {"id": pool.id}))
    return pool_status(pool.type, is_paused=pool.is_paused, online_until=online_until, now=now)


@dataclass(frozen=True, slots=True)
class UntypedPool:
    """A pool of agents; `matches` when one of its queues begins with the prefix that was asked for."""

    id: UUID
    name: str
    matches: bool


async def untyped(tx: Tx, *, prefix: str) -> list[UntypedPool]:
    """All pools without a type."""
    rows = await tx.fetch(_SQL["untyped"], {"prefix": prefix, "type": UNTYPED})
    return [UntypedPool(row["id"], row["name"], bool(row["matches"])) for row in rows]


async def list_page(tx: Tx, query: WorkPoolQuery, *, now: datetime) -> list[WorkPool]:
    """A page of those that match, by name."""
    p = Params(tx.dialect)
    where = work_pool_condition(query.work_pools, p)
    rows = await tx.fetch(f"{_select(tx)} WHERE {where} ORDER BY p.name {page(query, p)}", p.values)
    return [_work_pool(row, now) for row in rows]


async def count(tx: Tx, query: WorkPoolQuery) -> int:
    """How many match."""
    p = Params(tx.dialect)
    where = work_pool_condition(query.work_pools, p)
    found: int = await tx.fetch_value(f"SELECT count(*) FROM work_pool p WHERE {where}", p.values)
    return found


async def update(tx: Tx, pool: WorkPool) -> None:
    """Write what may be changed."""
    await tx.execute(_SQL["update"], _values(pool))


async def delete(tx: Tx, id: UUID) -> None:
    """Delete, with its queues and workers; its waiting runs are left without a pool."""
    await tx.execute(_SQL["orphan_runs"], {"id": id})
    await tx.execute(_SQL["delete"], {"id": id})


def _values(pool: WorkPool) -> dict[str, Any]:
    return {name: getattr(pool, name) for name in pool.__struct_fields__ if name not in _DERIVED}
