"""Use cases of slots: taking them of several limits at once, giving them back, holding them by a lease.

Limits are locked in the order of their ids, so that callers who want the same ones do not deadlock, and figures are exact.
What a lapsed lease held is given back by whoever locks its limit next, or by a background job.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from headgate.core import slots as rules
from headgate.core.dispatch import Lane
from headgate.errors import Gone, Locked, Unprocessable
from headgate.ids import uuid7
from headgate.schema.concurrency_limits import (
    GiveSlotsBack,
    Holder,
    LeasedSlots,
    Mode,
    TakenLimit,
    TakeSlots,
    TakeSlotsWithLease,
)
from headgate.services.scope import Scope
from headgate.store import concurrency_keys as key_rows
from headgate.store import concurrency_limits as rows
from headgate.store.concurrency_limits import FIRST_OCCUPANCY, Held, Limit
from headgate.store.database import Tx

_PAGE = 500


@dataclass(frozen=True, slots=True)
class Denied:
    """Not all slots were free; none was taken."""

    wait_seconds: float


async def take(scope: Scope, body: TakeSlots) -> list[TakenLimit]:
    """Take slots of all the named limits; `Locked` says when to ask again, `Unprocessable` what can never be."""

    async def unit(tx: Tx) -> list[Limit] | Denied:
        if body.create_if_missing:
            await _make_missing(scope, tx, body.names)
        return await _take(scope, tx, body.names, body.slots, body.mode)

    return _taken(_admitted(await scope.store.write(unit)))


async def take_with_lease(scope: Scope, body: TakeSlotsWithLease) -> LeasedSlots:
    """The same, until the lease is given back or lapses."""
    lease_id = uuid7(scope.now)

    async def unit(tx: Tx) -> list[Limit] | Denied:
        taken = await _take(scope, tx, body.names, body.slots, body.mode)
        if not isinstance(taken, Denied):
            until = scope.now + timedelta(seconds=body.lease_duration)
            await hold(scope, tx, taken, lease_id=lease_id, slots=body.slots, until=until, holder=body.holder)
        return taken

    return LeasedSlots(lease_id=lease_id, limits=_taken(_admitted(await scope.store.write(unit))))


async def give_back(scope: Scope, body: GiveSlotsBack) -> list[TakenLimit]:
    """Give slots of all the named limits back."""

    async def unit(tx: Tx) -> tuple[list[Limit], set[UUID]]:
        found = await locked(scope, tx, body.names)
        for limit in found:
            if limit.active:
                limit.meter = rules.with_given_back(limit.meter, body.slots, body.occupancy_seconds)
                await rows.update(tx, limit)
        return found, await waiting(tx, found)

    found, pools = await scope.store.write(unit)
    scope.wakeups.wake(pools)
    return _taken(found)


async def end_lease(scope: Scope, id: UUID) -> None:
    """Give back what a lease holds; one that is not known, or has ended already, holds nothing."""

    async def unit(tx: Tx) -> set[UUID]:
        limit_ids = [each.limit_id for each in await rows.of_lease(tx, id)]
        if not limit_ids:
            return set()
        limits = {limit.id: limit for limit in await rows.by_ids(tx, limit_ids, lock=True)}
        # Once the limits are locked: another call may have ended it meanwhile.
        await release(scope, tx, limits.values(), await rows.of_lease(tx, id))
        return await waiting(tx, limits.values())

    scope.wakeups.wake(await scope.store.write(unit))


async def renew_lease(scope: Scope, id: UUID, *, seconds: float) -> None:
    """Prolong a lease from now on; `Gone` when it has ended."""
    now = scope.now
    if not await scope.store.write(lambda tx: rows.renew(tx, id, until=now + timedelta(seconds=seconds), now=now)):
        raise Gone("Lease not found - it may have expired or been revoked")


async def end_lapsed(scope: Scope) -> int:
    """Give back what lapsed leases hold; answers of how many."""
    ended = 0
    while found := await scope.store.read(lambda tx: rows.lapsed(tx, now=scope.now, limit=_PAGE)):

        async def unit(tx: Tx, found: Sequence[Held] = found) -> set[UUID]:
            ids = sorted({each.limit_id for each in found})
            limits = await rows.by_ids(tx, ids, lock=True)
            await release(scope, tx, limits, await rows.held_of(tx, ids, lapsed_by=scope.now))
            return await waiting(tx, limits)

        scope.wakeups.wake(await scope.store.write(unit))
        ended += len({each.id for each in found})
    return ended


# --- inside a transaction


async def locked(scope: Scope, tx: Tx, names: Sequence[str]) -> list[Limit]:
    """The limits of these names, held until the transaction ends, as they are now that lapsed leases hold nothing."""
    found = await rows.by_names(tx, names, lock=True)
    if found:
        await release(scope, tx, found, await rows.held_of(tx, [limit.id for limit in found], lapsed_by=scope.now))
    return found


async def waiting(tx: Tx, limits: Iterable[Limit]) -> set[UUID]:
    """Who is to hear that slots of limits are free: the pools of the deployments that share them, and these."""
    users = {id for limit in limits for id in limit.users}
    return users | await key_rows.pools(tx, deployments=users) if users else set()


async def shared(tx: Tx, ids: Iterable[UUID], *, now: datetime) -> dict[UUID, Limit]:
    """Limits that deployments share, as they are now, by id."""
    return await _as_now(tx, await rows.by_ids(tx, ids), now)


async def hold_shared(tx: Tx, ids: Iterable[UUID], *, now: datetime) -> dict[UUID, Limit]:
    """The same, held until the transaction ends."""
    return await _as_now(tx, await rows.by_ids(tx, ids, lock=True), now)


async def try_shared(tx: Tx, ids: Iterable[UUID], *, now: datetime) -> dict[UUID, Limit]:
    """The same, of those with which nobody else is busy."""
    return await _as_now(tx, await rows.try_ids(tx, ids), now)


async def _as_now(tx: Tx, found: Sequence[Limit], now: datetime) -> dict[UUID, Limit]:
    lapsed = await rows.held_of(tx, [limit.id for limit in found], lapsed_by=now) if found else []
    return {limit.id: as_now(limit, lapsed, now) for limit in found}


def lane_of(limit: Limit) -> Lane | None:
    """A limit as dispatch sees it; one that is not active constrains nobody."""
    return Lane(limit.id, limit=limit.meter.limit, used=rules.occupied(limit.counted)) if limit.active else None


async def release(scope: Scope, tx: Tx, limits: Iterable[Limit], held: Sequence[Held]) -> None:
    """Give back what was held of limits that the caller has locked, and forget it."""
    for limit in limits:
        own = [each for each in held if each.limit_id == limit.id]
        limit.meter = without(rules.settled(limit.meter, scope.now), own, now=scope.now)
        if own:
            await rows.update(tx, limit)
    if held:
        await rows.delete_held(tx, held)


async def hold(
    scope: Scope,
    tx: Tx,
    taken: Sequence[Limit],
    *,
    lease_id: UUID,
    slots: int,
    until: datetime,
    holder: Holder | None,
) -> None:
    """Note that a lease holds what was just taken; of a limit that is not active it holds nothing."""
    now = scope.now
    held = [Held(lease_id, limit.id, now, until, slots if limit.active else 0, holder) for limit in taken]
    await rows.insert_leases(tx, held)


async def take_one_each(scope: Scope, tx: Tx, limits: Sequence[Limit]) -> list[Limit]:
    """Take a slot of each limit that the caller has locked; answers those that are full, when nothing is taken."""
    active = [limit for limit in limits if limit.active]
    if full := [limit for limit in active if not rules.fits(limit.counted, 1)]:
        return full
    await _count(tx, active, 1)
    return []


def without(meter: rules.Meter, held: Iterable[Held], *, now: datetime) -> rules.Meter:
    """The figures once what was held is given back."""
    for each in held:
        seconds = (min(now, each.expires_at) - each.created).total_seconds()
        meter = rules.with_given_back(meter, each.slots, seconds)
    return meter


async def _take(scope: Scope, tx: Tx, names: Sequence[str], slots: int, mode: Mode) -> list[Limit] | Denied:
    found = await locked(scope, tx, names)
    active = [limit for limit in found if limit.active]
    _check(active, slots, mode)
    if all(rules.fits(limit.counted, slots) for limit in active):
        await _count(tx, active, slots)
        return found
    wait = rules.wait_seconds([limit.counted for limit in active if not rules.fits(limit.counted, slots)], slots)
    for limit in active:
        limit.meter = rules.with_denied(limit.meter, slots)
        await rows.update(tx, limit)
    return Denied(wait)


async def _count(tx: Tx, limits: Sequence[Limit], slots: int) -> None:
    for limit in limits:
        limit.meter = rules.with_taken(limit.meter, slots)
        await rows.update(tx, limit)


def _check(active: Sequence[Limit], slots: int, mode: Mode) -> None:
    if any(limit.meter.limit < slots for limit in active):
        raise Unprocessable("Slots requested is greater than the limit", field="slots", value=slots)
    if mode is Mode.RATE_LIMIT and (lasting := [limit.name for limit in active if not limit.meter.decay]):
        raise Unprocessable(
            "Only concurrency limits with slot decay can be used for rate limiting. The following limits do not have a "
            f"decay configured: {','.join(lasting)!r}",
            field="names",
        )


def _admitted(answer: list[Limit] | Denied) -> list[Limit]:
    if isinstance(answer, Denied):
        raise Locked("Locked", retry_after=answer.wait_seconds)
    return answer


def _taken(limits: Iterable[Limit]) -> list[TakenLimit]:
    return [TakenLimit(id=limit.id, name=limit.name, limit=limit.meter.limit) for limit in limits]


async def _make_missing(scope: Scope, tx: Tx, names: Sequence[str]) -> None:
    """Inactive limits under the names that have none: they can be found and set later."""
    present = {limit.name for limit in await rows.by_names(tx, names)}
    for name in dict.fromkeys(names):
        if name not in present:
            await rows.insert(tx, new_limit(scope, name, 1, active=False))


def new_limit(scope: Scope, name: str, limit: int, *, active: bool = True) -> Limit:
    """A limit that nobody has taken slots of."""
    now = scope.now
    meter = rules.Meter(limit=limit, active=0.0, denied=0.0, decay=0.0, occupancy=FIRST_OCCUPANCY, at=now)
    return Limit(uuid7(now), now, now, name, active, meter)


def as_now(limit: Limit, held: Sequence[Held], now: datetime) -> Limit:
    """A limit that was only read, as it is now; `held` are lapsed leases."""
    own = [each for each in held if each.limit_id == limit.id]
    return replace(limit, meter=without(rules.settled(limit.meter, now), own, now=now))
