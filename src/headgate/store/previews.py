"""What previews read: runs that wait, and the schedules that make more."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from heapq import merge
from itertools import islice
from uuid import UUID

from msgspec import convert

from headgate.core.projection import Plan
from headgate.schema.schedules import Schedule
from headgate.store.claims import priorities
from headgate.store.database import Tx
from headgate.store.statements import load_statements

_SQL = load_statements("previews")


@dataclass(frozen=True, slots=True)
class Waiting:
    """A run that waits in a queue."""

    id: UUID
    work_queue_id: UUID
    due_at: datetime
    deployment_id: UUID | None
    schedule_id: UUID | None


async def waiting(tx: Tx, queue_ids: Iterable[UUID], *, until: datetime, limit: int) -> list[Waiting]:
    """The first runs of these queues that fall due until a moment, ends included, by due time.

    Its cost does not grow with the backlog: every priority of every queue is read in the order of its index.
    """
    found = []
    for queue_id in queue_ids:
        for priority in await priorities(tx, queue_id):
            params = {"work_queue_id": queue_id, "priority": priority, "until": until, "limit": limit}
            found.append([Waiting(**row) for row in await tx.fetch(_SQL["waiting"], params)])
    return [*islice(merge(*found, key=lambda run: (run.due_at, run.id)), limit)]


async def plans(tx: Tx, queue_ids: Iterable[UUID]) -> list[Plan]:
    """Active schedules of the deployments of these queues, without those that are paused."""
    rows = await tx.fetch(_SQL["plans"], {"queue_ids": [*queue_ids]})
    return [
        Plan(
            row["schedule_id"],
            row["deployment_id"],
            row["flow_id"],
            row["work_queue_id"],
            convert(row["schedule"], Schedule),
            row["deployment_parameters"] | row["parameters"],
        )
        for row in rows
    ]
