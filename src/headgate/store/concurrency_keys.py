"""Runs by their concurrency keys: which keys have more of them than may be, and where those of a key wait."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from headgate.core.collisions import Contender
from headgate.schema.deployments import KeyStrategy
from headgate.schema.states import StateType
from headgate.store.database import Tx
from headgate.store.statements import load_statements

_SQL = load_statements("concurrency_keys")


@dataclass(frozen=True, slots=True)
class CollidingKey:
    """A key that may have runs too many, and by which rule they give way. `text` is what people know it by."""

    id: UUID
    text: str
    limit: int
    strategy: KeyStrategy


async def colliding(tx: Tx, ids: Sequence[UUID] | None, *, after: UUID, now: datetime, limit: int) -> list[CollidingKey]:
    """Keys with due runs beyond what may be, by id from behind one of them on; of these ids, or all."""
    params = {"now": now, "after_id": after, "limit": limit}
    if ids is None:
        rows = await tx.fetch(_SQL["colliding"], params)
    else:
        rows = await tx.fetch(_SQL["colliding_of"], params | {"ids": [*ids]})
    return [
        CollidingKey(row["key_id"], row["text"] or "", row["key_limit"], KeyStrategy(row["key_strategy"])) for row in rows
    ]


async def contenders(tx: Tx, ids: Sequence[UUID], *, now: datetime) -> dict[UUID, list[Contender]]:
    """The runs of keys that are due and not paused, or in progress, by key."""
    found: dict[UUID, list[Contender]] = {}
    for row in await tx.fetch(_SQL["contenders"], {"ids": [*ids], "now": now}):
        contender = Contender(
            row["id"],
            StateType(row["state_type"]),
            row["state_name"],
            row["since"],
            row["due_at"],
            row["priority"],
            row["holds_slot"],
            row["run_count"] > 0,
        )
        found.setdefault(row["key_id"], []).append(contender)
    return found


async def pools(
    tx: Tx, *, deployments: Iterable[UUID] = (), keys: Iterable[UUID] = (), shared: Iterable[UUID] = ()
) -> set[UUID]:
    """The pools in which runs of these deployments and keys wait, and those of deployments that share these limits; but for
    some that were sent elsewhere by hand."""
    params = {"deployment_ids": [*deployments], "key_ids": [*keys], "shared_ids": [*shared]}
    return {row["work_pool_id"] for row in await tx.fetch(_SQL["pools"], params)}
