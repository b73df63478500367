"""What cancelled flow runs left behind, and flow runs whose cancellation does not end."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from headgate.store.database import Tx
from headgate.store.statements import load_statements

_SQL = load_statements("cancellations")


@dataclass(frozen=True, slots=True)
class LiveRun:
    """A flow run, and the state that it was seen in; `deployed`: it has a deployment."""

    id: UUID
    state_id: UUID
    deployed: bool = False


async def live_children(tx: Tx, *, since: datetime, limit: int) -> list[LiveRun]:
    """Flow runs that go on within runs that ended as cancelled since a moment."""
    rows = await tx.fetch(_SQL["live_children"], {"since": since, "limit": limit})
    return [LiveRun(row["id"], row["state_id"], bool(row["deployed"])) for row in rows]


async def live_tasks(tx: Tx, *, since: datetime, limit: int) -> list[UUID]:
    """Task runs that go on within such runs and stand for no flow run."""
    return [row["id"] for row in await tx.fetch(_SQL["live_tasks"], {"since": since, "limit": limit})]


async def overdue(tx: Tx, *, before: datetime, limit: int) -> list[LiveRun]:
    """Runs that are being cancelled since before a moment, held by nobody."""
    rows = await tx.fetch(_SQL["overdue"], {"before": before, "limit": limit})
    return [LiveRun(row["id"], row["state_id"]) for row in rows]
