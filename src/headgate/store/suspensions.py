"""Flow runs that paused or suspended themselves."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from msgspec import convert

from headgate.schema.states import StateDetails
from headgate.store.database import Row, Tx
from headgate.store.statements import load_statements

_SQL = load_statements("suspensions")


@dataclass(frozen=True, slots=True)
class PausedRun:
    """A run, the state in which it pauses, and until when it may be resumed."""

    id: UUID
    state_id: UUID
    until: datetime | None


async def paused(tx: Tx, *, after: UUID, limit: int) -> list[PausedRun]:
    """Paused runs, by id."""
    rows = await tx.fetch(_SQL["paused"], {"after_id": after, "limit": limit})
    return [PausedRun(row["id"], row["state_id"], _until(row)) for row in rows]


def _until(row: Row) -> datetime | None:
    return convert(row["state_details"] or {}, StateDetails).pause_timeout
