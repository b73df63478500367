"""Limits that deployments share: their runs and all who take slots of them by name never have more than there are."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid4

import pytest
from sleepers import Sleepers, woken
from world import World

from headgate.errors import Invalid, Locked, NotFound
from headgate.schema.concurrency_limits import (
    ConcurrencyLimitCreate,
    GiveSlotsBack,
    GlobalConcurrencyLimitCreate,
    GlobalConcurrencyLimitUpdate,
    TakeSlots,
    TakeSlotsWithLease,
)
from headgate.schema.deployments import CollisionStrategy, ConcurrencyOptions, Deployment
from headgate.services import claims, concurrency_limits, deployments, explanations, slots, tag_limits
from headgate.services.loops import collisions
from headgate.store.database import Database

CANCEL_NEW = ConcurrencyOptions(collision_strategy=CollisionStrategy.CANCEL_NEW)
WITHIN = 60.0
PAUSE = 0.002
"""Seconds that who finds nothing leaves to those that have some."""

Free = Callable[[], Coroutine[Any, Any, Any]]


async def named(world: World, limit: int = 2, **fields: Any) -> UUID:
    return (await concurrency_limits.create(world.scope, GlobalConcurrencyLimitCreate(name="db", limit=limit, **fields))).id


async def change(world: World, **fields: Any) -> None:
    await concurrency_limits.update(world.scope, "db", GlobalConcurrencyLimitUpdate(**fields))


async def pair(world: World, limit_id: UUID, **fields: Any) -> tuple[Deployment, Deployment]:
    """Two deployments in a pool each, `local` and `other`, that share a limit."""
    await world.pool()
    await world.pool("other")
    first = await world.deploy("first", global_concurrency_limit_id=limit_id, **fields)
    return first, await world.deploy("second", work_pool_name="other", global_concurrency_limit_id=limit_id, **fields)


async def take(world: World, count: int = 1) -> None:
    await slots.take(world.scope, TakeSlots(names=["db"], slots=count))


async def give(world: World, count: int = 1) -> None:
    await slots.give_back(world.scope, GiveSlotsBack(names=["db"], slots=count))


async def active(world: World) -> int:
    return (await concurrency_limits.get(world.scope, "db")).active_slots


async def test_runs_of_all_deployments_take_slots_of_one_limit(world: World) -> None:
    """In native claims, whatever pool they wait in; an end frees a slot for either."""
    first, second = await pair(world, await named(world))
    await world.runs(first, 3)
    await world.runs(second, 3)
    [grant] = await world.grants(1)
    assert len(await world.granted(pool="other")) == 1
    assert await world.granted() == []
    assert await active(world) == 2
    await world.accepted(grant, "RUNNING", "COMPLETED")
    assert len(await world.granted(pool="other")) == 1
    assert await world.granted() == []


async def test_clients_that_poll_are_under_the_limit(world: World) -> None:
    """Their proposal is turned back while all slots are taken, and nothing is shown to them that could not start."""
    first, second = await pair(world, await named(world, 1))
    mine, other = await world.run(first), await world.run(second)
    assert [each.flow_run.id for each in await world.poll()] == [mine.id]
    await world.accepted(mine, "PENDING")
    refused = await world.propose(other, "PENDING")
    assert (refused.status, refused.state and refused.state.name) == ("REJECT", "AwaitingConcurrencySlot")
    assert await world.poll("other") == []
    await world.accepted(mine, "RUNNING", "COMPLETED")
    assert [each.flow_run.id for each in await world.poll("other")] == [other.id]
    await world.accepted(other, "PENDING")


async def test_slots_taken_by_name_count(world: World) -> None:
    """And those of runs count for who takes slots by name."""
    first, _ = await pair(world, await named(world, 3))
    await world.runs(first, 3)
    await take(world, 2)
    [grant] = await world.grants()
    assert await active(world) == 3
    with pytest.raises(Locked):
        await take(world)
    await world.accepted(grant, "RUNNING", "COMPLETED")
    await take(world)
    assert await world.granted() == []
    await give(world, 2)
    assert len(await world.granted()) == 2
    assert await active(world) == 3


async def test_what_a_lapsed_lease_held_is_free(world: World) -> None:
    first, _ = await pair(world, await named(world, 1))
    await world.run(first)
    await slots.take_with_lease(world.scope, TakeSlotsWithLease(names=["db"], slots=1, lease_duration=60.0))
    assert await world.granted() == []
    world.clock.advance(seconds=61)
    assert len(await world.granted()) == 1
    assert await slots.end_lapsed(world.scope) == 1
    assert await active(world) == 1


async def test_slots_of_runs_do_not_decay(world: World) -> None:
    """A run has its own until it ends; what was taken by name comes back by itself."""
    first, _ = await pair(world, await named(world, 2, slot_decay_per_second=1.0))
    await world.runs(first, 3)
    await take(world)
    assert len(await world.granted()) == 1
    world.clock.advance(seconds=1)
    assert len(await world.granted()) == 1
    world.clock.advance(seconds=10)
    assert await world.granted() == []


async def test_a_limit_that_is_not_active_constrains_nobody(world: World) -> None:
    first, second = await pair(world, await named(world, 1, active=False))
    await world.runs(first, 3)
    await world.run(second)
    assert len(await world.granted()) == 3
    assert len(await world.granted(pool="other")) == 1


async def hold_the_slot(world: World, by: str, deployment: Deployment) -> Free:
    """The only slot is taken, in one way or another; what gives it back, or makes that it need not be."""
    match by:
        case "name":
            await take(world)
            return lambda: give(world)
        case "lease":
            body = TakeSlotsWithLease(names=["db"], slots=1, lease_duration=600.0)
            lease = (await slots.take_with_lease(world.scope, body)).lease_id
            return lambda: slots.end_lease(world.scope, lease)
    await world.run(deployment)
    [grant] = await world.grants()
    await world.accepted(grant, "RUNNING")
    return {
        "run": lambda: world.accepted(grant, "COMPLETED"),
        "raised": lambda: change(world, limit=2),
        "deactivated": lambda: change(world, active=False),
        "deleted": lambda: concurrency_limits.delete(world.scope, "db"),
    }[by]


@pytest.mark.parametrize("by", ["name", "lease", "run", "raised", "deactivated", "deleted"])
async def test_who_waits_is_woken(world: World, sleepers: Sleepers, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    """A claim that waits in another pool hears of it; it does not look by itself."""
    monkeypatch.setattr(claims, "TRUTH_SECONDS", 600.0)
    first, second = await pair(world, await named(world, 1))
    free = await hold_the_slot(world, by, first)
    run = await world.run(second)
    task = await sleepers.claim(world, pool="other")
    await free()
    assert [grant.flow_run.id for grant in (await woken(task)).grants] == [run.id]


async def test_a_backlog_behind_a_full_limit_does_not_hold_others_back(world: World) -> None:
    first, second = await pair(world, await named(world, 1))
    await world.runs(second, 1)
    assert len(await world.granted(pool="other")) == 1
    await world.runs(first, 60)
    await world.change_deployment(second, work_pool_name="local")
    await world.runs(second, 60)
    free = await world.run(await world.deploy("free"))
    assert await world.granted(1) == [free.id]


async def test_runs_that_do_not_wait_are_cancelled(world: World) -> None:
    """Where a deployment says so: by the background job, and when they ask for a slot."""
    first, second = await pair(world, await named(world, 1), concurrency_options=CANCEL_NEW)
    await world.run(first)
    assert len(await world.granted()) == 1
    late, asks = await world.run(second), await world.run(second)
    assert (await world.propose(asks, "PENDING")).state.type == "CANCELLED"  # type: ignore[union-attr]
    assert await collisions.tick(world.scope) == 1
    assert await world.history(late) == ["Scheduled", "Cancelled"]
    await change(world, active=False)
    await world.runs(second, 2)
    assert await collisions.tick(world.scope) == 0


async def test_a_deployment_shows_its_limit(world: World) -> None:
    """It has a limit of its own or shares one; each takes the other's place, and the null of one takes that away."""
    id = await named(world)
    first, _ = await pair(world, id)
    assert first.global_concurrency_limit
    assert (first.global_concurrency_limit.id, first.global_concurrency_limit.name) == (id, "db")
    await world.change_deployment(first, concurrency_limit=5)
    own = (await deployments.get(world.scope, first.id)).global_concurrency_limit
    assert own
    assert (own.id, own.limit) == (first.id, 5)
    for how in ({"global_concurrency_limit_id": None}, {"global_concurrency_limit_id": None, "concurrency_limit": None}):
        await world.change_deployment(first, global_concurrency_limit_id=id)
        assert (await deployments.get(world.scope, first.id)).global_concurrency_limit
        await world.change_deployment(first, **how)
        assert (await deployments.get(world.scope, first.id)).global_concurrency_limit is None
    with pytest.raises(Invalid, match="cannot have both"):
        await world.change_deployment(first, global_concurrency_limit_id=id, concurrency_limit=1)
    with pytest.raises(NotFound, match="Concurrency limit not found"):
        await world.change_deployment(first, global_concurrency_limit_id=uuid4())
    tag, _ = await tag_limits.create(world.scope, ConcurrencyLimitCreate(tag="x", concurrency_limit=1))
    with pytest.raises(NotFound, match="Concurrency limit not found"):
        await world.change_deployment(first, global_concurrency_limit_id=tag.id)


async def test_a_deploy_that_leaves_it_out_keeps_it(world: World) -> None:
    """So does one of an existing client, which cannot name it and says of every deployment what limit of its own it has."""
    id = await named(world)
    first, _ = await pair(world, id, concurrency_options=CANCEL_NEW)
    for more in ({"description": "newer"}, {"concurrency_limit": None, "concurrency_options": None}):
        await world.change_deployment(first, **more)
        again = await world.deploy("first", **more)
        assert again.global_concurrency_limit
        assert again.global_concurrency_limit.id == id
        assert again.concurrency_options == CANCEL_NEW
    assert (await world.deploy("first", concurrency_limit=5)).limit == 5


async def test_a_deleted_limit_constrains_nobody(world: World) -> None:
    first, _ = await pair(world, await named(world, 0), concurrency_options=CANCEL_NEW)
    run = await world.run(first)
    assert await world.granted() == []
    await concurrency_limits.delete(world.scope, "db")
    assert (await deployments.get(world.scope, first.id)).global_concurrency_limit is None
    assert await collisions.tick(world.scope) == 0
    assert await world.granted() == [run.id]


async def test_an_explanation_names_it_and_its_holders(world: World) -> None:
    """With how many slots others than runs have; and it agrees with the decision about who goes before."""
    first, second = await pair(world, await named(world, 2))
    await take(world)
    holder = await world.run(first)
    assert await world.granted() == [holder.id]
    run = await world.run(second)
    gates = (await explanations.explain(world.scope, run.id)).gates
    gate = next(each for each in gates if each.kind == "shared limit")
    assert gate.message == (
        "concurrency limit 'db', which deployment 'etl/second' shares, has all of its 2 slots in use; "
        "1 of them by others than runs"
    )
    assert (gate.limit, gate.used, [each.flow_run_id for each in gate.holders]) == (2, 2, [holder.id])
    await give(world)
    await world.change_deployment(second, work_pool_name="local")
    ahead = await world.run(first, due=-5)
    gates = (await explanations.explain(world.scope, run.id)).gates
    assert [(each.kind, each.ahead) for each in gates if each.kind == "shared limit"] == [("shared limit", 1)]
    assert await world.granted() == [ahead.id]


class Crowd:
    """Holders of slots of one limit, on several servers, and the most that there were at a time."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.most = self.done = self.held = 0

    async def hold(self, finish: Awaitable[None], free: Awaitable[None]) -> None:
        """A slot was given out; it is held until after this count goes down."""
        self.held += 1
        self.most = max(self.most, self.held)
        await finish
        self.held -= 1
        await free

    async def work(self, server: World, pool: str) -> None:
        """A worker that claims."""
        while self.done < self.total:
            for grant in await server.grants(2, pool=pool):
                await self.hold(server.accepted(grant, "RUNNING"), server.accepted(grant, "COMPLETED"))
                self.done += 1
            await asyncio.sleep(PAUSE)

    async def poll(self, server: World, pool: str) -> None:
        """A client that polls and proposes."""
        while self.done < self.total:
            for run in [each.flow_run for each in await server.poll(pool)]:
                if (await server.propose(run, "PENDING")).status == "ACCEPT":
                    await self.hold(server.accepted(run, "RUNNING"), server.accepted(run, "COMPLETED"))
                    self.done += 1
            await asyncio.sleep(PAUSE)

    async def by_name(self, server: World) -> None:
        """Code that takes a slot for a moment."""
        while self.done < self.total:
            with suppress(Locked):
                await take(server)
                await self.hold(asyncio.sleep(0), give(server))
            await asyncio.sleep(PAUSE)

    async def watch(self, server: World) -> None:
        """The database's own figures, together."""
        sql = "SELECT (SELECT count(*) FROM flow_run WHERE holds_slot) + active_slots FROM concurrency_limit"
        while self.done < self.total:
            self.most = max(self.most, round(await server.value(sql)))
            await asyncio.sleep(PAUSE)


async def test_it_is_not_exceeded_at_any_instant(
    world: World, database_url: str, open_url: Callable[[str], Awaitable[Database]]
) -> None:
    """Two servers give out its slots by claims, to clients that poll, and by name: all are used, never one more."""
    servers = [world, world.beside(await open_url(database_url))]
    first, second = await pair(world, await named(world, 3))
    await world.runs(first, 30)
    await world.runs(second, 30)
    crowd = Crowd(60)
    async with asyncio.timeout(WITHIN), asyncio.TaskGroup() as group:
        group.create_task(crowd.watch(world))
        for server in servers:
            group.create_task(crowd.by_name(server))
            for pool in ("local", "other"):
                group.create_task(crowd.work(server, pool))
                group.create_task(crowd.poll(server, pool))
    assert crowd.most == 3
    assert await active(world) == 0
