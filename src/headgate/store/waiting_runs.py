"""Flow runs that wait for their time, or past it: those of deployments and of schedules."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from headgate.schema.filters import Page
from headgate.schema.flow_runs import FlowRun
from headgate.store import flow_runs
from headgate.store.database import Tx
from headgate.store.filters import Params
from headgate.store.paging import page
from headgate.store.statements import load_statements

_SQL = load_statements("waiting_runs")


@dataclass(frozen=True, slots=True)
class DueRun:
    """A run that waits past its time, and the name of the state that it was seen in."""

    id: UUID
    due_at: datetime
    state_name: str


async def waiting_of_deployment(tx: Tx, deployment_id: UUID) -> list[UUID]:
    """Runs of a deployment that have not been started."""
    return [row["id"] for row in await tx.fetch(_SQL["waiting_of_deployment"], {"deployment_id": deployment_id})]


async def due_of_deployments(
    tx: Tx, deployment_ids: Sequence[UUID], *, before: datetime, limit: int | None, now: datetime
) -> list[FlowRun]:
    """Runs of deployments that are not paused, due by a moment and held by nobody; the earliest first, a page of them."""
    p = Params(tx.dialect)
    sql = f"{_SQL['due_of_deployments'].sqlite} {page(Page(limit=limit), p)}"
    ids = [row["id"] for row in await tx.fetch(sql, {"ids": [*deployment_ids], "before": before} | p.values)]
    found = await flow_runs.get_many(tx, ids, now=now)
    return [found[id] for id in ids if id in found]


async def ahead_of_schedule(tx: Tx, schedule_id: UUID, *, now: datetime) -> list[UUID]:
    """Runs that a schedule made ahead and that are not due yet."""
    params = {"schedule_id": schedule_id, "now": now}
    return [row["id"] for row in await tx.fetch(_SQL["ahead_of_schedule"], params)]


async def due_of_schedule(tx: Tx, schedule_id: UUID, *, now: datetime) -> list[DueRun]:
    """A schedule's due runs that have not begun, the earliest first."""
    rows = await tx.fetch(_SQL["due_of_schedule"], {"schedule_id": schedule_id, "now": now})
    return [DueRun(row["id"], row["due_at"], row["state_name"]) for row in rows]


async def fire_times(tx: Tx, schedule_id: UUID) -> set[datetime]:
    """When a schedule's waiting runs fall."""
    return {row["due_at"] for row in await tx.fetch(_SQL["fire_times"], {"schedule_id": schedule_id})}


async def turned_late(tx: Tx, *, before: datetime, limit: int) -> list[UUID]:
    """Runs due before a moment that are not called Late yet, the oldest first."""
    return [row["id"] for row in await tx.fetch(_SQL["turned_late"], {"before": before, "limit": limit})]
