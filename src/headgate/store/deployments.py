"""Rows of deployments; their schedules are in `deployment_schedules`."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import convert

from headgate.core.liveness import polled_status
from headgate.schema.concurrency_limits import GlobalConcurrencyLimit
from headgate.schema.deployments import (
    CollisionStrategy,
    ConcurrencyKey,
    ConcurrencyOptions,
    Deployment,
    InfraRetries,
    KeyStrategy,
)
from headgate.schema.filters import DeploymentQuery, DeploymentSort
from headgate.schema.pauses import Pause
from headgate.store import concurrency_limits, deployment_schedules
from headgate.store.database import Row, Tx
from headgate.store.filters import Params
from headgate.store.paging import page
from headgate.store.selections import selection_condition
from headgate.store.statements import load_statements
from headgate.store.times import as_time

_SQL = load_statements("deployments")
_SELECT = _SQL["select"].sqlite
_COLUMNS, _FROM, _JOINS = _SELECT.partition("\nFROM deployment e\n")
_WHOLE = f"{_COLUMNS},\n       {deployment_schedules.AS_JSON} AS schedules{_FROM}{_JOINS}"
AS_JSON = f"(SELECT row_to_json(it) FROM ({_WHOLE} WHERE e.id = r.deployment_id) AS it)"
"""For PostgreSQL, beside a run r: its deployment as `from_json` takes it."""
_IDS = (
    "id",
    "flow_id",
    "work_queue_id",
    "work_pool_id",
    "storage_document_id",
    "infrastructure_document_id",
    "shared_limit_id",
)
_TIMES = ("created", "updated", "last_polled", "queue_polled")
_ORDER = {
    DeploymentSort.CREATED_DESC: "e.created DESC, e.id DESC",
    DeploymentSort.UPDATED_DESC: "e.updated DESC, e.id DESC",
    DeploymentSort.NAME_ASC: "e.name, e.id",
    DeploymentSort.NAME_DESC: "e.name DESC, e.id DESC",
}
_DERIVED = {
    "schedules",
    "global_concurrency_limit",
    "created_by",
    "updated_by",
    "work_pool_name",
    "work_pool_id",
    "status",
    "last_polled",
    "schedule",
    "is_schedule_active",
}


def _deployment(row: Row, now: datetime) -> Deployment:
    values = dict(row)
    queue_polled, active_slots = values.pop("queue_polled"), values.pop("active_slots")
    slots = values.pop("concurrency_limit")
    del values["shared_limit_id"]
    values.pop("schedules", None)
    if values["concurrency_options"] is not None:
        values["concurrency_options"] = convert(values["concurrency_options"], ConcurrencyOptions)
    if values["infra_retries"] is not None:
        values["infra_retries"] = convert(values["infra_retries"], InfraRetries)
    if values["concurrency_key"] is not None:
        values["concurrency_key"] = convert(values["concurrency_key"], ConcurrencyKey)
    # Clients of 2.x look into it without looking whether there is one.
    values["parameter_openapi_schema"] = values["parameter_openapi_schema"] or {}
    values["pause"] = convert(values["pause"], Pause | None)
    deployment = Deployment(**values)
    deployment.last_polled = max((time for time in (deployment.last_polled, queue_polled) if time), default=None)
    deployment.status = polled_status(deployment.last_polled, is_paused=False, now=now)
    deployment.global_concurrency_limit = limit(deployment, slots, active_slots=active_slots)
    return deployment


def limit(deployment: Deployment, slots: int | None, *, active_slots: int = 0) -> GlobalConcurrencyLimit | None:
    """The deployment's limit of so many slots as a record of its own, which it is for 3.x clients."""
    if slots is None:
        return None
    return GlobalConcurrencyLimit(
        id=deployment.id,
        created=deployment.created,
        updated=deployment.updated,
        name=f"deployment:{deployment.id}",
        limit=slots,
        active_slots=active_slots,
    )


async def _with_limits(tx: Tx, rows: Sequence[Row], now: datetime) -> list[Deployment]:
    """The deployments, with the limits that they share as they are now."""
    found = [_deployment(row, now) for row in rows]
    shared = {row["id"]: row["shared_limit_id"] for row in rows if row["shared_limit_id"]}
    limits = {limit.id: limit for limit in await concurrency_limits.by_ids(tx, shared.values())} if shared else {}
    for deployment in found:
        if (limit := limits.get(shared.get(deployment.id, deployment.id))) is not None:
            deployment.global_concurrency_limit = limit.record(now)
    return found


def _whole(tx: Tx) -> str:
    """What is selected of those whose schedules are wanted, too: on PostgreSQL at once, to save a round trip."""
    return _WHOLE if tx.dialect == "postgresql" else _SELECT


async def _with_schedules(tx: Tx, rows: Sequence[Row], now: datetime) -> list[Deployment]:
    found = await _with_limits(tx, rows, now)
    if tx.dialect == "postgresql":
        schedules = {row["id"]: deployment_schedules.from_json(row["schedules"] or []) for row in rows}
    else:
        schedules = await deployment_schedules.of_deployments(tx, [deployment.id for deployment in found])
    for deployment in found:
        deployment.schedules = schedules.get(deployment.id, [])
        deployment.schedule = deployment.schedules[0].schedule if deployment.schedules else None
        deployment.is_schedule_active = not deployment.paused
    return found


async def insert(tx: Tx, deployment: Deployment) -> bool:
    """Insert, without its schedules; False when its flow has a deployment of that name."""
    return await tx.execute(_SQL["insert"], _values(deployment)) > 0


async def get(tx: Tx, id: UUID, *, now: datetime) -> Deployment | None:
    """By id."""
    found = await get_many(tx, [id], now=now)
    return found.get(id)


async def get_many(tx: Tx, ids: Collection[UUID], *, now: datetime, with_schedules: bool = True) -> dict[UUID, Deployment]:
    """By ids; what makes runs of them need not know their schedules."""
    select = _whole(tx) if with_schedules else _SELECT
    rows = await tx.fetch(f"{select} WHERE e.id IN :ids::uuid[]", {"ids": [*ids]}) if ids else []
    found = await (_with_schedules if with_schedules else _with_limits)(tx, rows, now)
    return {deployment.id: deployment for deployment in found}


async def from_json(tx: Tx, found: Sequence[Row], *, now: datetime) -> dict[UUID, Deployment]:
    """By ids, of rows that came as JSON."""
    rows = [
        {**row, **{name: row[name] and UUID(row[name]) for name in _IDS}, **{name: as_time(row[name]) for name in _TIMES}}
        for row in found
    ]
    return {deployment.id: deployment for deployment in await _with_schedules(tx, rows, now)}


async def get_by_name(tx: Tx, flow_name: str, name: str, *, now: datetime) -> Deployment | None:
    """By its flow's name and its own."""
    sql = f"{_whole(tx)} JOIN flow f ON f.id = e.flow_id WHERE f.name = :flow_name AND e.name = :name"
    rows = await tx.fetch(sql, {"flow_name": flow_name, "name": name})
    return next(iter(await _with_schedules(tx, rows, now)), None)


async def get_of_flow(tx: Tx, flow_id: UUID, name: str, *, now: datetime) -> Deployment | None:
    """By its flow's id and its name."""
    sql = f"{_whole(tx)} WHERE e.flow_id = :flow_id AND e.name = :name"
    rows = await tx.fetch(sql, {"flow_id": flow_id, "name": name})
    return next(iter(await _with_schedules(tx, rows, now)), None)


async def list_page(tx: Tx, query: DeploymentQuery, *, now: datetime) -> list[Deployment]:
    """A page of those that match."""
    p = Params(tx.dialect)
    where = selection_condition("deployments", query, p)
    order = _ORDER[query.sort or DeploymentSort.NAME_ASC]
    rows = await tx.fetch(f"{_whole(tx)} WHERE {where} ORDER BY {order} {page(query, p)}", p.values)
    return await _with_schedules(tx, rows, now)


async def count(tx: Tx, query: DeploymentQuery) -> int:
    """How many match."""
    p = Params(tx.dialect)
    where = selection_condition("deployments", query, p)
    sql = f"SELECT count(*) FROM deployment e LEFT JOIN work_queue q ON q.id = e.work_queue_id WHERE {where}"
    found: int = await tx.fetch_value(sql, p.values)
    return found


async def update(tx: Tx, deployment: Deployment) -> None:
    """Write what may be changed, without its schedules."""
    await tx.execute(_SQL["update"], _values(deployment))


async def move_runs(tx: Tx, id: UUID, *, queue_id: UUID | None, pool_id: UUID | None) -> None:
    """Have its waiting runs follow it to another queue."""
    await tx.execute(_SQL["move_runs"], {"id": id, "work_queue_id": queue_id, "work_pool_id": pool_id})


async def lock(tx: Tx, ids: Sequence[UUID]) -> None:
    """Hold their rows until the transaction ends; what is to be changed is read after that."""
    await tx.fetch(_SQL["lock"], {"ids": sorted(set(ids))})


async def touch(tx: Tx, ids: list[UUID], *, now: datetime) -> None:
    """Note that the process that serves these deployments polled them."""
    await tx.execute(_SQL["touch"], {"ids": ids, "now": now})


async def delete(tx: Tx, id: UUID) -> bool:
    """Delete, with its schedules; False when there is none."""
    return await tx.execute(_SQL["delete"], {"id": id}) > 0


def _values(deployment: Deployment) -> dict[str, Any]:
    values = {name: getattr(deployment, name) for name in deployment.__struct_fields__ if name not in _DERIVED}
    options = deployment.concurrency_options
    cancels_new = options is not None and options.collision_strategy is CollisionStrategy.CANCEL_NEW
    key = deployment.concurrency_key
    collides = key is not None and key.collision_strategy is not KeyStrategy.ENQUEUE
    return values | {
        "concurrency_limit": deployment.limit,
        "cancels_new": cancels_new and deployment.global_concurrency_limit is not None,
        "shared_limit_id": deployment.shared_limit_id,
        "key_limit": key.limit if key else None,
        "key_strategy": key.collision_strategy if key and collides else None,
    }
