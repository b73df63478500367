"""Rows of leaders: which server runs a background job, since when, and until when unless it renews its lease."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from headgate.store.database import Tx
from headgate.store.statements import load_statements

_SQL = load_statements("leaders")


@dataclass(frozen=True, slots=True)
class Lease:
    """A server's turn at a job; `place` tells people where it is."""

    name: str
    holder_id: UUID
    place: str
    since: datetime
    expires_at: datetime


async def list_all(tx: Tx) -> list[Lease]:
    """Every lease, ended ones among them, by the job's name."""
    return [Lease(**row) for row in await tx.fetch(_SQL["list"])]


async def renew(tx: Tx, holder_id: UUID, names: Collection[str], *, expires_at: datetime) -> set[str]:
    """Which of these the holder still has, from now on until then."""
    params = {"holder_id": holder_id, "names": [*names], "expires_at": expires_at}
    return {row["name"] for row in await tx.fetch(_SQL["renew"], params)}


async def take(tx: Tx, lease: Lease, *, now: datetime) -> bool:
    """Begin a turn, if nobody has one that lasts at `now`."""
    params = {name: getattr(lease, name) for name in Lease.__slots__}
    return await tx.fetch_value(_SQL["take"], params | {"now": now}) is not None


async def give_back(tx: Tx, holder_id: UUID) -> None:
    """End all turns of a holder."""
    await tx.execute(_SQL["give_back"], {"holder_id": holder_id})
