"""Rows of workers."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from headgate.core.liveness import worker_status
from headgate.schema.filters import WorkerQuery
from headgate.schema.workers import Worker, WorkerStatus
from headgate.store.database import Row, Tx
from headgate.store.filters import Params, worker_condition
from headgate.store.paging import page
from headgate.store.statements import load_statements

_SQL = load_statements("workers")
_SELECT = _SQL["select"].sqlite
BEAT = _SQL["beat"]


@dataclass(frozen=True, slots=True)
class Beat:
    """A heartbeat; `id` is used when the worker is new, or when it `joins`: then the process is of that id."""

    id: UUID
    work_pool_id: UUID
    name: str
    type: str | None
    interval: float | None
    now: datetime
    joins: bool = False
    site: str | None = None

    @property
    def params(self) -> dict[str, Any]:
        """What its statement takes."""
        return {name: getattr(self, name) for name in Beat.__slots__}


@dataclass(frozen=True, slots=True)
class Alive:
    """Who was just heard of: whether it is to drain, and whether there is something for `claims.to_attend` to find."""

    id: UUID
    drain: bool
    attends: bool


def _worker(row: Row, now: datetime) -> Worker:
    values = dict(row)
    worker = Worker(draining=values.pop("drain_requested") is not None, **values)
    worker.status = worker_status(worker.last_heartbeat_time, worker.heartbeat_interval_seconds, now=now)
    return worker


async def beat(tx: Tx, beat: Beat) -> Alive:
    """Note a heartbeat."""
    return alive(await tx.fetch_one(BEAT, beat.params))


def alive(row: Row | None) -> Alive:
    """What a heartbeat is answered with, a worker's or an agent's."""
    assert row is not None
    id = row["id"]  # text in what SQLite returns of a change
    return Alive(id if isinstance(id, UUID) else UUID(id), row["drain_requested"] is not None, bool(row["attends"]))


async def list_page(tx: Tx, pool_id: UUID, query: WorkerQuery, *, now: datetime) -> list[Worker]:
    """A page of a pool's workers that match, the last alive first."""
    p = Params(tx.dialect)
    where = f"{worker_condition(query.workers, p, now)} AND w.work_pool_id = {p.one(pool_id)}"
    rows = await tx.fetch(f"{_SELECT} WHERE {where} ORDER BY w.last_heartbeat_time DESC, w.id {page(query, p)}", p.values)
    return [_worker(row, now) for row in rows]


@dataclass(frozen=True, slots=True)
class Keeper:
    """A worker that is online and can find infrastructure again on its site."""

    id: UUID
    work_pool_id: UUID
    name: str
    site: str


async def keepers(tx: Tx, *, pools: Iterable[UUID], sites: Iterable[str], now: datetime) -> list[Keeper]:
    """Those of pools on sites, the last alive first, without those that are to leave."""
    rows = await tx.fetch(_SQL["on_sites"], {"pool_ids": [*pools], "sites": [*sites]})
    return [
        Keeper(row["id"], row["work_pool_id"], row["name"], row["site"])
        for row in rows
        if worker_status(row["last_heartbeat_time"], row["heartbeat_interval_seconds"], now=now) is WorkerStatus.ONLINE
    ]


async def drain(tx: Tx, pool_id: UUID, name: str, *, now: datetime) -> bool:
    """Note that a worker is to drain; False when there is none."""
    return await tx.execute(_SQL["drain"], {"work_pool_id": pool_id, "name": name, "now": now}) > 0


async def delete(tx: Tx, pool_id: UUID, name: str) -> bool:
    """Delete; False when there is none."""
    return await tx.execute(_SQL["delete"], {"work_pool_id": pool_id, "name": name}) > 0
