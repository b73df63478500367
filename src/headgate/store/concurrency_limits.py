"""Rows of concurrency limits and of the leases by which slots are held.

Who changes a limit's figures holds its row (`lock`) until the transaction ends: that makes them exact.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from headgate.core.slots import Meter, occupied, refused, settled, with_taken
from headgate.schema.concurrency_limits import ConcurrencyLimitQuery, GlobalConcurrencyLimit, Holder, HolderType
from headgate.store.database import Row, Tx
from headgate.store.filters import Params
from headgate.store.paging import page
from headgate.store.statements import load_statements

_SQL = load_statements("concurrency_limits")
_SELECT, _LEASES, _NAMES = (_SQL[name].sqlite for name in ("select", "select_leases", "names"))
_HELD = {"sqlite": "", "postgresql": " FOR UPDATE"}
_FREE = {"sqlite": "", "postgresql": " FOR UPDATE SKIP LOCKED"}

TAGS = "tag:"
"""What the names of limits of task runs by a tag begin with; no deployment shares one."""

FIRST_OCCUPANCY = 2.0
"""Seconds that a slot is taken to be held for, as long as none has been given back."""


@dataclass(slots=True)
class Limit:
    """A limit with its figures as they were last written, which are those of the slots that are taken by name; and the
    deployments whose runs take slots of it, with how many they have."""

    id: UUID
    created: datetime
    updated: datetime
    name: str
    active: bool
    meter: Meter
    users: Mapping[UUID, int] = field(default_factory=dict)

    @property
    def counted(self) -> Meter:
        """The figures with the slots of runs among those taken. These do not decay: a run has its own until it ends."""
        return with_taken(self.meter, sum(self.users.values()))

    def record(self, now: datetime) -> GlobalConcurrencyLimit:
        """The limit as it is `now`, on the wire."""
        meter = settled(self.meter, now)
        return GlobalConcurrencyLimit(
            id=self.id,
            created=self.created,
            updated=self.updated,
            name=self.name,
            limit=meter.limit,
            active=self.active,
            active_slots=occupied(with_taken(meter, sum(self.users.values()))),
            denied_slots=refused(meter),
            slot_decay_per_second=meter.decay,
            avg_slot_occupancy_seconds=meter.occupancy,
        )


@dataclass(frozen=True, slots=True)
class Held:
    """What a lease holds of one limit."""

    id: UUID
    limit_id: UUID
    created: datetime
    expires_at: datetime
    slots: int
    holder: Holder | None


def _limit(row: Row) -> Limit:
    meter = Meter(
        limit=row["slot_limit"],
        active=row["active_slots"],
        denied=row["denied_slots"],
        decay=row["slot_decay_per_second"],
        occupancy=row["avg_slot_occupancy_seconds"],
        at=row["counted_at"],
    )
    return Limit(row["id"], row["created"], row["updated"], row["name"], row["active"], meter)


def _held(row: Row) -> Held:
    holder = Holder(type=HolderType(row["holder_type"]), id=row["holder_id"]) if row["holder_id"] else None
    return Held(row["id"], row["limit_id"], row["created"], row["expires_at"], row["slots"], holder)


async def insert(tx: Tx, limit: Limit) -> bool:
    """Insert; False when the name is taken."""
    return await tx.execute(_SQL["insert"], _values(limit)) > 0


async def by_ids(tx: Tx, ids: Iterable[UUID], *, lock: bool = False) -> list[Limit]:
    """Those that exist, in the order of their ids; with `lock` they are held until the transaction ends."""
    return await _fetch(tx, "c.id IN :ids::uuid[]", {"ids": sorted(set(ids))}, held=_HELD[tx.dialect] if lock else "")


async def try_ids(tx: Tx, ids: Iterable[UUID]) -> list[Limit]:
    """The same, held, of those with which nobody else is busy: nobody is waited for."""
    return await _fetch(tx, "c.id IN :ids::uuid[]", {"ids": sorted(set(ids))}, held=_FREE[tx.dialect])


async def by_names(tx: Tx, names: Sequence[str], *, lock: bool = False) -> list[Limit]:
    """The same, by their names."""
    held = _HELD[tx.dialect] if lock else ""
    return await _fetch(tx, "c.name IN :names::text[]", {"names": sorted(set(names))}, held=held)


async def _fetch(tx: Tx, where: str, params: dict[str, Any], *, held: str) -> list[Limit]:
    found = [_limit(row) for row in await tx.fetch(f"{_SELECT} WHERE {where} ORDER BY c.id{held}", params)]
    # Counted once the limits are held: a statement that had to wait for a row goes on with other tables as they were.
    users = await users_of(tx, [limit.id for limit in found if not limit.name.startswith(TAGS)])
    for limit in found:
        limit.users = users.get(limit.id, {})
    return found


async def users_of(tx: Tx, ids: Sequence[UUID]) -> dict[UUID, dict[UUID, int]]:
    """The deployments that share limits, by limit, each with how many slots its runs have."""
    users: dict[UUID, dict[UUID, int]] = {}
    for row in await tx.fetch(_SQL["users"], {"ids": [*ids]}) if ids else []:
        users.setdefault(row["limit_id"], {})[row["id"]] = row["used"]
    return users


async def names_page(tx: Tx, query: ConcurrencyLimitQuery) -> list[str]:
    """A page of all limits' names, those of deployments among them."""
    p = Params(tx.dialect)
    rows = await tx.fetch(f"{_NAMES} ORDER BY named.name {page(query, p)}", p.values)
    return [row["name"] for row in rows]


async def tags_page(tx: Tx, query: ConcurrencyLimitQuery, *, prefix: str) -> list[Limit]:
    """A page of the limits whose names begin with `prefix`."""
    p = Params(tx.dialect)
    starts = f"substr(c.name, 1, {len(prefix)}) = {p.one(prefix, 'text')}"
    rows = await tx.fetch(f"{_SELECT} WHERE {starts} ORDER BY c.name {page(query, p)}", p.values)
    return [_limit(row) for row in rows]


async def update(tx: Tx, limit: Limit) -> bool:
    """Write all of it; False when the name is another's."""
    return await tx.execute(_SQL["update"], _values(limit)) > 0


async def delete(tx: Tx, id: UUID) -> bool:
    """Delete; False when there is none. Leases stay until they lapse: their holders go on. Deployments have it no more."""
    deleted = await tx.execute(_SQL["delete"], {"id": id}) > 0
    await tx.execute(_SQL["forget"], {"id": id})
    return deleted


async def insert_leases(tx: Tx, held: Sequence[Held]) -> None:
    """Note what a lease holds."""
    await tx.execute_many(_SQL["insert_lease"], [_lease_values(each) for each in held])


async def renew(tx: Tx, id: UUID, *, until: datetime, now: datetime) -> bool:
    """Prolong a lease; False when it lapsed or there is none."""
    return await tx.execute(_SQL["renew_lease"], {"id": id, "expires_at": until, "now": now}) > 0


async def of_lease(tx: Tx, id: UUID) -> list[Held]:
    """What a lease holds."""
    return [_held(row) for row in await tx.fetch(f"{_LEASES} WHERE h.id = :id", {"id": id})]


async def held_of(tx: Tx, limit_ids: Sequence[UUID], *, lapsed_by: datetime | None = None) -> list[Held]:
    """What is held of limits, oldest first; with `lapsed_by` only by leases that lapsed until then."""
    where, params = "h.limit_id IN :ids::uuid[]", dict[str, Any](ids=list(limit_ids))
    if lapsed_by is not None:
        where, params["now"] = f"{where} AND h.expires_at <= :now", lapsed_by
    return [_held(row) for row in await tx.fetch(f"{_LEASES} WHERE {where} ORDER BY h.created, h.id", params)]


async def lapsed(tx: Tx, *, now: datetime, limit: int) -> list[Held]:
    """Up to `limit` of what leases that lapsed still hold."""
    sql = f"{_LEASES} WHERE h.expires_at <= :now ORDER BY h.expires_at LIMIT :limit"
    return [_held(row) for row in await tx.fetch(sql, {"now": now, "limit": limit})]


async def delete_held(tx: Tx, held: Sequence[Held]) -> None:
    """Forget what leases held."""
    await tx.execute_many(_SQL["delete_lease"], [{"id": each.id, "limit_id": each.limit_id} for each in held])


def _values(limit: Limit) -> dict[str, Any]:
    meter = limit.meter
    return {
        "id": limit.id,
        "created": limit.created,
        "updated": limit.updated,
        "name": limit.name,
        "active": limit.active,
        "slot_limit": meter.limit,
        "active_slots": float(meter.active),
        "denied_slots": float(meter.denied),
        "slot_decay_per_second": float(meter.decay),
        "avg_slot_occupancy_seconds": float(meter.occupancy),
        "counted_at": meter.at,
    }


def _lease_values(held: Held) -> dict[str, Any]:
    holder = held.holder
    return {
        "id": held.id,
        "limit_id": held.limit_id,
        "created": held.created,
        "expires_at": held.expires_at,
        "slots": held.slots,
        "holder_type": holder.type.value if holder else None,
        "holder_id": holder.id if holder else None,
    }
