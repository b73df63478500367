"""What waits at the front of a queue, and in front of it."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from headgate.store.claims import Aisle, Capped, Closed, capped
from headgate.store.database import Tx
from headgate.store.statements import load_statements
from headgate.store.times import as_time

_SQL = load_statements("fronts")

_LOWEST, _HIGHEST = -(2**40), 2**40
"""Beyond all run priorities."""


async def first_due(tx: Tx, queue_id: UUID, priority: int, *, since: datetime) -> tuple[datetime | None, int]:
    """The due time of the first run that waits in a queue under a run priority, from a time on, held or not; and how many
    index entries had to be gone through to find it, dead ones among them. To be asked in a transaction."""
    before = await tx.fetch_value(_SQL["passed"])
    params = {"work_queue_id": queue_id, "priority": priority, "since": since}
    found = as_time(await tx.fetch_value(_SQL["first_due"], params))
    return found, await tx.fetch_value(_SQL["passed"]) - before


async def belated(tx: Tx, aisle: Aisle, closed: Closed, *, before: datetime, limit: int) -> list[Capped]:
    """The first belated runs of an aisle that are due before a time, without what has no slot, as of `candidates`."""
    params = aisle.params | {"before": before, "limit": limit}
    params |= {"full": [*closed.deployments], "full_keys": [*closed.keys]}
    return capped(await tx.fetch(_SQL["belated"], params))


async def priorities_beside(tx: Tx, queue_id: UUID, known: Sequence[int]) -> set[int]:
    """Run priorities that wait in a queue other than known ones: perhaps not all, but one at least if there are any. What
    is known is not gone through."""
    ends = [_HIGHEST, *sorted(known, reverse=True), _LOWEST]
    params = {"work_queue_id": queue_id, "lows": ends[1:], "highs": ends[:-1]}
    rows = await tx.fetch(_SQL["priorities_between"], params)
    return {row["priority"] for row in rows if row["priority"] is not None}


async def next_due(tx: Tx, queue_id: UUID, priority: int, *, after: datetime) -> datetime | None:
    """When the next run of a queue and a run priority falls due."""
    params = {"work_queue_id": queue_id, "priority": priority, "after": after}
    return as_time(await tx.fetch_value(_SQL["next_due"], params))
