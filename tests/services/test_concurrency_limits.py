"""Concurrency limits on both databases: exact under concurrency, given back when a lease lapses, and found again."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any
from uuid import UUID, uuid4

import pytest
from world import World

from headgate.errors import Conflict, Gone, Locked, NotFound, Unprocessable
from headgate.schema.concurrency_limits import (
    ConcurrencyLimitCreate,
    ConcurrencyLimitQuery,
    GiveSlotsBack,
    GlobalConcurrencyLimitCreate,
    GlobalConcurrencyLimitUpdate,
    Holder,
    HolderType,
    Mode,
    TakeSlots,
    TakeSlotsWithLease,
    TaskRunSlots,
)
from headgate.services import concurrency_limits, slots, tag_limits
from headgate.store.database import Database


async def make(world: World, name: str = "db", limit: int = 2, **fields: Any) -> UUID:
    body = GlobalConcurrencyLimitCreate(name=name, limit=limit, **fields)
    return (await concurrency_limits.create(world.scope, body)).id


async def active(world: World, name: str = "db") -> int:
    return (await concurrency_limits.get(world.scope, name)).active_slots


async def lease(world: World, *names: str, count: int = 1, seconds: float = 60.0) -> UUID:
    body = TakeSlotsWithLease(
        names=list(names) or ["db"],
        slots=count,
        lease_duration=seconds,
        holder=Holder(type=HolderType.TASK_RUN, id=uuid4()),
    )
    return (await slots.take_with_lease(world.scope, body)).lease_id


def take(world: World, *names: str, count: int = 1, mode: Mode = Mode.CONCURRENCY) -> Coroutine[Any, Any, Any]:
    return slots.take(world.scope, TakeSlots(names=list(names) or ["db"], slots=count, mode=mode))


def give(world: World, *names: str, count: int = 1, seconds: float | None = None) -> Coroutine[Any, Any, Any]:
    body = GiveSlotsBack(names=list(names) or ["db"], slots=count, occupancy_seconds=seconds)
    return slots.give_back(world.scope, body)


async def test_all_slots_are_taken_or_none(world: World) -> None:
    await make(world, "a", 2)
    await make(world, "b", 1)
    assert {each.name for each in await take(world, "a", "b", "unknown")} == {"a", "b"}
    with pytest.raises(Locked) as refused:
        await take(world, "a", "b")
    assert refused.value.retry_after == pytest.approx(2.0)
    assert (await active(world, "a"), await active(world, "b")) == (1, 1)
    assert (await concurrency_limits.get(world.scope, "b")).denied_slots == 1
    await give(world, "a", "b", "unknown", seconds=10.0)
    assert (await active(world, "a"), await active(world, "b")) == (0, 0)
    assert (await concurrency_limits.get(world.scope, "b")).avg_slot_occupancy_seconds == pytest.approx(6.0)


async def test_what_can_never_be_is_said(world: World) -> None:
    await make(world)
    with pytest.raises(Unprocessable, match="Slots requested is greater than the limit"):
        await take(world, count=3)
    with pytest.raises(Unprocessable, match="do not have a decay configured: 'db'"):
        await take(world, mode=Mode.RATE_LIMIT)
    assert await active(world) == 0


async def test_an_inactive_limit_lets_everything_pass_and_counts_nothing(world: World) -> None:
    await make(world, active=False)
    assert [each.name for each in await take(world, count=50)] == ["db"]
    held = await lease(world, count=50)
    await slots.renew_lease(world.scope, held, seconds=60)
    await slots.end_lease(world.scope, held)
    assert await active(world) == 0


async def test_a_rate_limit_gives_its_slots_back_by_itself(world: World) -> None:
    await make(world, limit=2, slot_decay_per_second=0.5)
    await take(world, count=2, mode=Mode.RATE_LIMIT)
    with pytest.raises(Locked) as refused:
        await take(world, mode=Mode.RATE_LIMIT)
    assert refused.value.retry_after == pytest.approx(2.0)
    world.clock.advance(seconds=2)
    assert await active(world) == 1
    await take(world, mode=Mode.RATE_LIMIT)
    world.clock.advance(seconds=60)
    assert await active(world) == 0


async def test_a_lease_that_lapses_gives_its_slots_back_at_once(world: World) -> None:
    await make(world, limit=1)
    held = await lease(world, seconds=60)
    world.clock.advance(seconds=50)
    await slots.renew_lease(world.scope, held, seconds=60)
    world.clock.advance(seconds=59)
    with pytest.raises(Locked):
        await lease(world)
    world.clock.advance(seconds=1)
    assert await active(world) == 0
    with pytest.raises(Gone):
        await slots.renew_lease(world.scope, held, seconds=60)
    other = await lease(world)
    assert await active(world) == 1
    await slots.end_lease(world.scope, held)
    assert await active(world) == 1
    await slots.end_lease(world.scope, other)
    await slots.end_lease(world.scope, other)
    assert await active(world) == 0


async def test_what_lapsed_is_cleared_away(world: World) -> None:
    id = await make(world, limit=5)
    await lease(world, count=2)
    gone = await make(world, "gone")
    await lease(world, "gone")
    kept = await lease(world, seconds=600)
    await concurrency_limits.delete(world.scope, str(gone))
    world.clock.advance(seconds=60)
    assert await slots.end_lapsed(world.scope) == 2
    assert await slots.end_lapsed(world.scope) == 0
    assert (await concurrency_limits.get(world.scope, str(id))).active_slots == 1
    await slots.renew_lease(world.scope, kept, seconds=60)


async def test_a_lease_outlives_its_limit_and_a_change_of_it(world: World) -> None:
    await make(world, limit=5)
    held = await lease(world, count=2)
    await concurrency_limits.update(world.scope, "db", GlobalConcurrencyLimitUpdate(name="base", limit=2, active_slots=2))
    await slots.end_lease(world.scope, held)
    assert await active(world, "base") == 0
    held = await lease(world, "base")
    await concurrency_limits.delete(world.scope, "base")
    await slots.renew_lease(world.scope, held, seconds=60)
    await slots.end_lease(world.scope, held)


async def test_older_clients_make_inactive_limits_of_unknown_names(world: World) -> None:
    body = TakeSlots(names=["new", "new"], slots=7, create_if_missing=True)
    assert [each.name for each in await slots.take(world.scope, body)] == ["new"]
    made = await concurrency_limits.get(world.scope, "new")
    assert (made.active, made.active_slots) == (False, 0)


async def test_limits_are_found_by_id_and_name_and_changed_in_part(world: World) -> None:
    id = await make(world, limit=3, active_slots=1, slot_decay_per_second=0.0)
    with pytest.raises(Conflict):
        await make(world)
    world.clock.advance(seconds=5)
    await concurrency_limits.update(world.scope, str(id), GlobalConcurrencyLimitUpdate(active=False, limit=None))
    found = await concurrency_limits.get(world.scope, "db")
    assert (found.id, found.active, found.limit, found.active_slots, found.updated) == (id, False, 3, 1, world.now)
    await make(world, "other")
    with pytest.raises(Conflict):
        await concurrency_limits.update(world.scope, "db", GlobalConcurrencyLimitUpdate(name="other"))
    await concurrency_limits.delete(world.scope, "db")
    for missing in ("db", str(id), str(uuid4()), "deployment:x"):
        with pytest.raises(NotFound):
            await concurrency_limits.get(world.scope, missing)
        with pytest.raises(NotFound):
            await concurrency_limits.update(world.scope, missing, GlobalConcurrencyLimitUpdate(limit=1))
        with pytest.raises(NotFound):
            await concurrency_limits.delete(world.scope, missing)


async def test_a_deployments_limit_is_one_of_them(world: World) -> None:
    await world.pool()
    limited = await world.deploy("limited", concurrency_limit=3)
    await world.deploy("free")
    await make(world, "a")
    await make(world, "z")
    name = f"deployment:{limited.id}"
    page = await concurrency_limits.list_page(world.scope, ConcurrencyLimitQuery())
    assert [(each.name, each.limit) for each in page] == [("a", 2), (name, 3), ("z", 2)]
    second = await concurrency_limits.list_page(world.scope, ConcurrencyLimitQuery(limit=1, offset=1))
    assert second == page[1:2]
    assert await concurrency_limits.get(world.scope, str(limited.id)) == page[1]
    await concurrency_limits.update(world.scope, name, GlobalConcurrencyLimitUpdate(limit=7))
    assert (await concurrency_limits.get(world.scope, name)).limit == 7
    await concurrency_limits.delete(world.scope, name)
    with pytest.raises(NotFound):
        await concurrency_limits.get(world.scope, name)


async def test_a_task_run_holds_a_slot_of_each_tag_once(world: World) -> None:
    made, is_new = await tag_limits.create(world.scope, ConcurrencyLimitCreate(tag="db", concurrency_limit=1))
    assert is_new
    first, second = uuid4(), uuid4()
    body = TaskRunSlots(names=["db", "unlimited"], task_run_id=first)
    for _ in range(2):
        assert [each.name for each in await tag_limits.take(world.scope, body)] == ["db"]
    with pytest.raises(Locked, match="Concurrency limit for the db tag has been reached"):
        await tag_limits.take(world.scope, TaskRunSlots(names=["db"], task_run_id=second))
    assert (await tag_limits.get(world.scope, made.id)).active_slots == [first]
    assert (await concurrency_limits.get(world.scope, "tag:db")).active_slots == 1
    changed, is_new = await tag_limits.create(world.scope, ConcurrencyLimitCreate(tag="db", concurrency_limit=2))
    assert (changed.id, changed.concurrency_limit, changed.active_slots, is_new) == (made.id, 2, [first], False)
    await tag_limits.take(world.scope, TaskRunSlots(names=["db"], task_run_id=second))
    assert [each.name for each in await tag_limits.give_back(world.scope, body)] == ["tag:db"]
    await tag_limits.give_back(world.scope, body)
    assert (await tag_limits.get_by_tag(world.scope, "db")).active_slots == [second]
    await tag_limits.reset(world.scope, "db", holders=[first])
    (listed,) = await tag_limits.list_page(world.scope, ConcurrencyLimitQuery())
    assert listed.active_slots == [first]
    await tag_limits.delete(world.scope, made.id)
    for call in (
        tag_limits.get(world.scope, made.id),
        tag_limits.get_by_tag(world.scope, "db"),
        tag_limits.reset(world.scope, "db"),
        tag_limits.delete(world.scope, made.id),
        tag_limits.delete_by_tag(world.scope, "db"),
    ):
        with pytest.raises(NotFound, match="Concurrency limit not found"):
            await call


async def test_a_tags_limit_of_zero_never_opens(world: World) -> None:
    await tag_limits.create(world.scope, ConcurrencyLimitCreate(tag="db", concurrency_limit=0))
    with pytest.raises(Locked, match="is 0 and will deadlock") as refused:
        await tag_limits.take(world.scope, TaskRunSlots(names=["db"], task_run_id=uuid4()))
    assert refused.value.retry_after is None


async def test_no_limit_is_exceeded_by_many_at_once(
    world: World, database_url: str, open_url: Callable[[str], Awaitable[Database]]
) -> None:
    """Two servers, and callers who want overlapping sets in different orders: exact, and no deadlock."""
    servers = [world, world.beside(await open_url(database_url))]
    for name, limit in (("a", 3), ("b", 2), ("c", 4)):
        await make(world, name, limit)
    sets = (("a", "b"), ("b", "a"), ("c", "b", "a"), ("b", "c"))
    holding = {"a": 0, "b": 0, "c": 0}
    most = dict(holding)
    passed = 0

    async def work(number: int) -> None:
        nonlocal passed
        server, names = servers[number % 2], sets[number % 4]
        done = 0
        while done < 4:
            try:
                held = await lease(server, *names)
            except Locked:
                await asyncio.sleep(0.002)
                continue
            for name in names:
                holding[name] += 1
                most[name] = max(most[name], holding[name])
            await asyncio.sleep(0)
            for name in names:
                holding[name] -= 1
            await slots.end_lease(server.scope, held)
            done += 1
            passed += 1

    async with asyncio.timeout(60):
        await asyncio.gather(*(work(number) for number in range(12)))
    assert passed == 48
    assert most["a"] <= 3
    assert most["b"] <= 2
    assert most["c"] <= 4
    assert [await active(world, name) for name in "abc"] == [0, 0, 0]
