"""Rows of deployments' schedules."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import convert

from headgate.schema.deployments import DeploymentSchedule, Misfire
from headgate.schema.pauses import Pause
from headgate.schema.schedules import Schedule
from headgate.store.database import Row, Tx
from headgate.store.statements import load_statements
from headgate.store.times import as_time

_SQL = load_statements("deployment_schedules")
_SELECT = _SQL["select"].sqlite
_NAMES = DeploymentSchedule.__struct_fields__

AS_JSON = (
    """(SELECT json_agg(s ORDER BY s.updated DESC, s.id DESC) FROM deployment_schedule s WHERE s.deployment_id = e.id)"""
)
"""For PostgreSQL, beside a deployment e: its schedules as `from_json` takes them; null when it has none."""


@dataclass(frozen=True, slots=True)
class ActiveSchedule:
    """A schedule that the scheduler works on; `waiting` is how many runs it has made ahead."""

    id: UUID
    deployment_id: UUID
    schedule: Schedule
    max_scheduled_runs: int | None
    parameters: dict[str, Any]
    job_variables: dict[str, Any]
    slug: str | None
    misfire: Misfire | None
    made_until: datetime | None
    waiting: int


def _schedule(row: Row) -> DeploymentSchedule:
    found = {"schedule": convert(row["schedule"], Schedule), "pause": convert(row["pause"], Pause | None)}
    return DeploymentSchedule(**{**dict(row), **found, "misfire": convert(row["misfire"], Misfire | None)})


def _active(row: Row) -> ActiveSchedule:
    found = {"schedule": convert(row["schedule"], Schedule), "misfire": convert(row["misfire"], Misfire | None)}
    return ActiveSchedule(**{**dict(row), **found})


async def insert(tx: Tx, schedules: list[DeploymentSchedule]) -> None:
    """Insert."""
    await tx.execute_many(_SQL["insert"], [_values(schedule) for schedule in schedules])


async def get(tx: Tx, id: UUID) -> DeploymentSchedule | None:
    """By id."""
    row = await tx.fetch_one(f"{_SELECT} WHERE s.id = :id", {"id": id})
    return _schedule(row) if row else None


async def of_deployments(tx: Tx, ids: list[UUID]) -> dict[UUID, list[DeploymentSchedule]]:
    """Schedules by deployment, the one that was changed last first."""
    if not ids:
        return {}
    where = "s.deployment_id IN :ids::uuid[] ORDER BY s.updated DESC, s.id DESC"
    rows = await tx.fetch(f"{_SELECT} WHERE {where}", {"ids": ids})
    found: dict[UUID, list[DeploymentSchedule]] = {}
    for row in rows:
        found.setdefault(row["deployment_id"], []).append(_schedule(row))
    return found


def from_json(rows: Sequence[Row]) -> list[DeploymentSchedule]:
    """Of rows that came as JSON."""
    ids, times = ("id", "deployment_id"), ("created", "updated")
    return [
        _schedule(
            {name: row[name] for name in _NAMES} | {id: UUID(row[id]) for id in ids} | {at: as_time(row[at]) for at in times}
        )
        for row in rows
    ]


async def active(tx: Tx, *, after: UUID, limit: int) -> list[ActiveSchedule]:
    """A page of active schedules, by id, of deployments that are not paused."""
    return [_active(row) for row in await tx.fetch(_SQL["active"], {"after": after, "limit": limit})]


async def active_of_deployment(tx: Tx, id: UUID) -> list[ActiveSchedule]:
    """The active schedules of one deployment, if it is not paused."""
    return [_active(row) for row in await tx.fetch(_SQL["active_of_deployment"], {"deployment_id": id})]


async def set_made_until(tx: Tx, ids: Sequence[UUID], made_until: datetime | None) -> None:
    """Note up to when runs are made; None: what passes from now on is not made up for."""
    await tx.execute(_SQL["set_made_until"], {"ids": [*ids], "made_until": made_until})


async def with_misfire(tx: Tx) -> dict[UUID, Misfire]:
    """The misfire policies of schedules that have one."""
    return {row["id"]: convert(row["misfire"], Misfire) for row in await tx.fetch(_SQL["with_misfire"])}


async def update(tx: Tx, schedule: DeploymentSchedule) -> None:
    """Write what may be changed."""
    await tx.execute(_SQL["update"], _values(schedule))


async def delete(tx: Tx, id: UUID) -> None:
    """Delete."""
    await tx.execute(_SQL["delete"], {"id": id})


def _values(schedule: DeploymentSchedule) -> dict[str, Any]:
    return {name: getattr(schedule, name) for name in schedule.__struct_fields__}
