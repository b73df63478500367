"""Launch rates of pools: exact whoever launches, told with the time, and looked for again at that time."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from sleepers import Sleepers, woken
from world import World, ids

from headgate.schema.work_pools import LaunchRate
from headgate.services import explanations
from headgate.store.database import Database

THREE = LaunchRate(limit=3, seconds=10)


async def test_so_many_are_launched_in_any_stretch_of_the_time(world: World) -> None:
    """The limit of slots is another matter: those that have ended count as launched."""
    await world.pool(launch_rate=THREE)
    await world.runs(await world.deploy(), 8)
    assert len(await world.granted(2)) == 2
    world.clock.advance(seconds=4)
    [third] = await world.grants()
    await world.accepted(third, "RUNNING", "COMPLETED")
    assert await world.granted() == []
    world.clock.advance(seconds=6)
    assert len(await world.granted()) == 2
    world.clock.advance(seconds=4)
    assert len(await world.granted()) == 1


async def test_the_best_go_first(world: World) -> None:
    await world.pool(launch_rate=LaunchRate(limit=1, seconds=5))
    it = await world.deploy()
    await world.run(it, due=-9)
    urgent = await world.run(it, priority=3)
    assert await world.granted() == [urgent.id]


async def test_clients_that_poll_are_counted(world: World) -> None:
    """A poll shows as many as may be launched; of those that are proposed at once the rest waits until its turn."""
    await world.pool(launch_rate=THREE)
    runs = await world.runs(await world.deploy(), 5)
    assert len(await world.poll()) == 3
    assert len(await world.poll()) == 3
    for run in runs[:3]:
        await world.accepted(run, "PENDING")
    assert await world.poll() == []
    refused = await world.propose(runs[3], "PENDING")
    assert (refused.status, refused.details.reason) == ("REJECT", "Work pool launch rate reached.")
    assert refused.state
    assert refused.state.name == "AwaitingConcurrencySlot"
    assert await world.granted() == []


async def test_claims_of_one_transaction_are_counted_together(world: World) -> None:
    """Many claims that arrive at once share the commit, and the rate."""
    await world.pool(launch_rate=THREE)
    await world.runs(await world.deploy(), 20)
    found = await asyncio.gather(*(world.granted(2, worker=f"w{number}") for number in range(8)))
    assert sum(map(len, found)) == 3


@pytest.mark.parametrize("bound", [{"launch_rate": LaunchRate(limit=7, seconds=60)}, {"launch_limit": 7}], ids=" ".join)
async def test_two_servers_share_what_bounds_launches(
    world: World, database_url: str, open_url: Callable[[str], Awaitable[Database]], bound: dict[str, Any]
) -> None:
    """A rate, or a limit: of claims and proposals at once as many are accepted as may be, and no more."""
    other = world.beside(await open_url(database_url))
    await world.pool(**bound)
    runs = await world.runs(await world.deploy(), 30)
    claims = [server.granted(2, worker=f"w{number}") for number, server in enumerate([world, other] * 4)]
    proposals = [server.propose(run, "PENDING") for server, run in zip([world, other] * 4, runs[20:], strict=False)]
    found, answers = await asyncio.gather(asyncio.gather(*claims), asyncio.gather(*proposals))
    assert sum(map(len, found)) + sum(answer.status == "ACCEPT" for answer in answers) == 7
    assert await world.slots() == 7


async def test_a_claim_looks_again_when_the_rate_lets_something_through(world: World, sleepers: Sleepers) -> None:
    """By itself: nothing else is going to wake it."""
    await world.pool(launch_rate=LaunchRate(limit=1, seconds=0.05))
    first, second = await world.runs(await world.deploy(), 2)
    assert await world.granted() == [first.id]
    task = asyncio.create_task(world.claim(wait_seconds=30.0))
    assert await sleepers.next() == pytest.approx(0.05)
    world.clock.advance(seconds=0.05)
    assert ids(grant.flow_run for grant in (await woken(task)).grants) == [second.id]


async def test_a_changed_rate_counts_at_once(world: World) -> None:
    """Raised, what it holds back goes; taken away, everything does."""
    await world.pool(launch_rate=THREE)
    await world.runs(await world.deploy(), 9)
    assert len(await world.granted()) == 3
    await world.change_pool(launch_rate=LaunchRate(limit=5, seconds=10))
    assert len(await world.granted()) == 2
    await world.change_pool(launch_rate=None)
    assert len(await world.granted()) == 4


async def test_an_explanation_says_when_its_turn_is(world: World) -> None:
    await world.pool(launch_rate=LaunchRate(limit=1, seconds=10))
    it = await world.deploy()
    first, second, third = [await world.run(it, due=due) for due in (-3, -2, -1)]
    assert await world.granted() == [first.id]
    world.clock.advance(seconds=4)
    await world.claim(0)
    found = [await explanations.explain(world.scope, run.id) for run in (second, third)]
    [gate], [other] = [each.gates for each in found]
    assert (gate.kind, gate.limit, gate.used, gate.holders) == ("launch rate", 1, 1, [])
    assert gate.until == world.now + timedelta(seconds=6)
    when = (world.now + timedelta(seconds=6)).strftime("%Y-%m-%d %H:%M:%S")
    assert found[0].summary == f"Work pool 'local' launches no more than 1 run in 10 s; its turn is at {when} UTC."
    assert other.until == gate.until


async def test_a_run_behind_others_is_told_its_own_turn(world: World) -> None:
    """Where launches are left they go to the runs ahead of it."""
    await world.pool(launch_rate=THREE)
    it = await world.deploy()
    await world.claim(0)
    runs = [await world.run(it, due=number - 9) for number in range(8)]
    gates = [(await explanations.explain(world.scope, run.id)).gates for run in runs]
    assert gates[:3] == [[], [], []]
    [gate] = gates[3]
    assert (gate.used, gate.ahead, gate.until) == (3, 3, world.now + timedelta(seconds=10))
