"""Use cases of limits on tags, as clients of old know them: limits called `tag:<tag>`, whose slots task runs hold."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar
from uuid import UUID

from headgate.core.document_events import CREATED, DELETED, UPDATED, of_limit
from headgate.core.slots import LONGEST_WAIT
from headgate.errors import Locked, NotFound
from headgate.ids import uuid7
from headgate.schema.concurrency_limits import (
    ConcurrencyLimit,
    ConcurrencyLimitCreate,
    ConcurrencyLimitQuery,
    Holder,
    HolderType,
    TakenLimit,
    TaskRunSlots,
)
from headgate.services import slots
from headgate.services.resource_events import keep
from headgate.services.scope import Scope
from headgate.store import concurrency_limits as rows
from headgate.store.concurrency_limits import Held, Limit
from headgate.store.database import Tx

T = TypeVar("T")

PREFIX = rows.TAGS

_FOR_GOOD = timedelta(days=365 * 100)
"""These clients cannot renew a lease; a reset frees what was never given back."""


async def create(scope: Scope, body: ConcurrencyLimitCreate) -> tuple[ConcurrencyLimit, bool]:
    """Create a tag's limit, or change it; and whether it is new."""
    made = slots.new_limit(scope, PREFIX + body.tag, body.concurrency_limit)

    async def unit(tx: Tx) -> tuple[ConcurrencyLimit, bool]:
        if await rows.insert(tx, made):
            await keep(scope, tx, of_limit(made.record(scope.now), CREATED))
            return _record(made, []), True
        limit = await _locked(scope, tx, body.tag)
        limit.meter = replace(limit.meter, limit=body.concurrency_limit)
        limit.updated = scope.now
        await rows.update(tx, limit)
        await keep(scope, tx, of_limit(limit.record(scope.now), UPDATED))
        return _record(limit, await rows.held_of(tx, [limit.id])), False

    return await scope.store.write(unit)


async def get(scope: Scope, id: UUID) -> ConcurrencyLimit:
    """One, by its id."""
    return await scope.store.read(lambda tx: _by_id(scope, tx, id))


async def get_by_tag(scope: Scope, tag: str) -> ConcurrencyLimit:
    """One, by its tag."""

    async def unit(tx: Tx) -> ConcurrencyLimit:
        return _one(await _records(scope, tx, await rows.by_names(tx, [PREFIX + tag])))

    return await scope.store.read(unit)


async def list_page(scope: Scope, query: ConcurrencyLimitQuery) -> list[ConcurrencyLimit]:
    """A page of all, by tag."""

    async def unit(tx: Tx) -> list[ConcurrencyLimit]:
        return await _records(scope, tx, await rows.tags_page(tx, query, prefix=PREFIX))

    return await scope.store.read(unit)


async def reset(scope: Scope, tag: str, *, holders: Sequence[UUID] = ()) -> None:
    """Free all slots of a tag's limit, and let these task runs hold one each, even above the limit."""

    async def unit(tx: Tx) -> None:
        limit = await _locked(scope, tx, tag)
        await rows.delete_held(tx, await rows.held_of(tx, [limit.id]))
        limit.meter = replace(limit.meter, active=float(len(holders)))
        await rows.update(tx, limit)
        for holder in holders:
            await _hold(scope, tx, [limit], holder)

    await scope.store.write(unit)


async def delete(scope: Scope, id: UUID) -> None:
    """Delete one with all that is held of it."""
    tag = (await get(scope, id)).tag
    await delete_by_tag(scope, tag)


async def delete_by_tag(scope: Scope, tag: str) -> None:
    """Delete one with all that is held of it."""

    async def unit(tx: Tx) -> None:
        limit = await _locked(scope, tx, tag)
        await rows.delete_held(tx, await rows.held_of(tx, [limit.id]))
        await rows.delete(tx, limit.id)
        await keep(scope, tx, of_limit(limit.record(scope.now), DELETED))

    await scope.store.write(unit)


async def take(scope: Scope, body: TaskRunSlots) -> list[TakenLimit]:
    """Have a task run hold a slot of each of its tags that has a limit, or of none: `Locked`. It holds each once."""
    return await scope.store.write(lambda tx: take_in(scope, tx, body.names, body.task_run_id))


async def take_in(scope: Scope, tx: Tx, tags: Sequence[str], task_run_id: UUID) -> list[TakenLimit]:
    """The same, inside a transaction."""
    found = await slots.locked(scope, tx, [PREFIX + tag for tag in tags])
    active = [limit for limit in found if limit.active]
    for limit in active:
        if limit.meter.limit == 0:
            raise Locked(
                f'The concurrency limit on tag "{_tag(limit)}" is 0 and will deadlock if the task tries to run again.'
            )
    held = await rows.held_of(tx, [limit.id for limit in active]) if active else []
    own = {each.limit_id for each in held if each.holder and each.holder.id == task_run_id}
    wanted = [limit for limit in active if limit.id not in own]
    if full := await slots.take_one_each(scope, tx, wanted):
        raise Locked(f"Concurrency limit for the {_tag(full[0])} tag has been reached", retry_after=LONGEST_WAIT)
    await _hold(scope, tx, wanted, task_run_id)
    return [TakenLimit(id=limit.id, name=_tag(limit), limit=limit.meter.limit) for limit in active]


async def give_back(scope: Scope, body: TaskRunSlots) -> list[TakenLimit]:
    """Give back the slots of these tags that a task run holds."""
    return await scope.store.write(lambda tx: give_back_in(scope, tx, body.names, body.task_run_id))


async def give_back_in(scope: Scope, tx: Tx, tags: Sequence[str], task_run_id: UUID) -> list[TakenLimit]:
    """The same, inside a transaction."""
    found = await slots.locked(scope, tx, [PREFIX + tag for tag in tags])
    held = await rows.held_of(tx, [limit.id for limit in found]) if found else []
    await slots.release(scope, tx, found, [each for each in held if each.holder and each.holder.id == task_run_id])
    return [TakenLimit(id=limit.id, name=limit.name, limit=limit.meter.limit) for limit in found]


async def _hold(scope: Scope, tx: Tx, limits: Sequence[Limit], task_run_id: UUID) -> None:
    holder = Holder(type=HolderType.TASK_RUN, id=task_run_id)
    until = scope.now + _FOR_GOOD
    await slots.hold(scope, tx, limits, lease_id=uuid7(scope.now), slots=1, until=until, holder=holder)


async def _locked(scope: Scope, tx: Tx, tag: str) -> Limit:
    return _one(await slots.locked(scope, tx, [PREFIX + tag]))


async def _by_id(scope: Scope, tx: Tx, id: UUID) -> ConcurrencyLimit:
    found = [limit for limit in await rows.by_ids(tx, [id]) if limit.name.startswith(PREFIX)]
    return _one(await _records(scope, tx, found))


async def _records(scope: Scope, tx: Tx, limits: Sequence[Limit]) -> list[ConcurrencyLimit]:
    held = await rows.held_of(tx, [limit.id for limit in limits]) if limits else []
    live = [each for each in held if each.expires_at > scope.now]
    return [_record(limit, live) for limit in limits]


def _record(limit: Limit, held: Sequence[Held]) -> ConcurrencyLimit:
    runs = [each.holder.id for each in held if each.limit_id == limit.id and each.holder and _is_task(each.holder)]
    return ConcurrencyLimit(
        id=limit.id,
        created=limit.created,
        updated=limit.updated,
        tag=_tag(limit),
        concurrency_limit=limit.meter.limit,
        active_slots=runs,
    )


def _is_task(holder: Holder) -> bool:
    return holder.type is HolderType.TASK_RUN


def _tag(limit: Limit) -> str:
    return limit.name.removeprefix(PREFIX)


def _one(found: Sequence[T]) -> T:
    if not found:
        raise NotFound("Concurrency limit not found")
    return found[0]
