"""Launch limits of pools: no more runs on the way from a claim to Running than may be, whoever starts them."""

import asyncio

import pytest
from sleepers import Sleepers, woken
from world import World, ids

from headgate.schema.work_pools import LaunchRate
from headgate.services import explanations


async def test_a_launch_ends_when_the_run_is_running(world: World) -> None:
    """Those that run do not count, however many they are."""
    await world.pool(launch_limit=3)
    await world.runs(await world.deploy(), 9)
    grants = await world.grants()
    assert len(grants) == 3
    assert await world.granted() == []
    await world.accepted(grants[0], "RUNNING")
    await world.accepted(grants[1], "RUNNING", "COMPLETED")
    assert len(await world.granted()) == 2
    assert await world.granted() == []


async def test_whatever_else_ends_a_launch_makes_room(world: World) -> None:
    """Given back, cancelled, or crashed before it ran."""
    await world.pool(launch_limit=2)
    await world.runs(await world.deploy(), 8)
    first, second = await world.grants()
    await world.accepted(first, "CRASHED")
    assert len(await world.granted()) == 1
    await world.accepted(second, "CANCELLING")
    assert len(await world.granted()) == 1
    assert await world.granted() == []


async def test_a_run_that_began_wakes_who_waits_to_launch_the_next(world: World, sleepers: Sleepers) -> None:
    await world.pool(launch_limit=1)
    first, second = await world.runs(await world.deploy(), 2)
    [grant] = await world.grants()
    assert grant.flow_run.id == first.id
    task = await sleepers.claim(world)
    await world.accepted(grant, "RUNNING")
    assert ids(grant.flow_run for grant in (await woken(task)).grants) == [second.id]


@pytest.mark.parametrize(("limits", "wakes"), [({"launch_limit": 5}, True), ({"concurrency_limit": 5}, False)])
async def test_a_run_that_began_wakes_others_only_where_launches_are_limited(
    world: World, limits: dict[str, int], wakes: bool
) -> None:
    pool = await world.pool(**limits)
    await world.runs(await world.deploy(), 2)
    [grant] = await world.grants(1)
    with world.scope.wakeups.waiting({pool.id, pool.default_queue_id}) as event:
        await world.accepted(grant, "RUNNING")
        assert event.is_set() is wakes


async def test_clients_that_poll_are_counted(world: World) -> None:
    """A poll shows as many as may be launched; of those that are proposed at once the rest waits."""
    await world.pool(launch_limit=2)
    runs = await world.runs(await world.deploy(), 4)
    assert len(await world.poll()) == 2
    for run in runs[:2]:
        await world.accepted(run, "PENDING")
    assert await world.poll() == []
    refused = await world.propose(runs[2], "PENDING")
    assert (refused.status, refused.details.reason) == ("REJECT", "Work pool launch limit reached.")
    assert refused.state
    assert refused.state.name == "AwaitingConcurrencySlot"
    assert await world.granted() == []
    await world.accepted(runs[0], "RUNNING")
    assert len(await world.poll()) == 1


async def test_a_launch_that_ends_and_one_that_begins_share_a_commit(world: World) -> None:
    """Whatever their order in it; never more than may be."""
    await world.pool(launch_limit=1)
    first, second, third = await world.runs(await world.deploy(), 3)
    await world.accepted(first, "PENDING")
    answers = await asyncio.gather(
        world.propose(first, "RUNNING"), world.propose(second, "PENDING"), world.propose(third, "PENDING")
    )
    assert sorted(answer.status for answer in answers) == ["ACCEPT", "ACCEPT", "REJECT"]


async def test_a_process_that_runs_its_own_run_launches_nothing(world: World) -> None:
    """It is Running at once."""
    await world.pool(launch_limit=1)
    first, second = await world.runs(await world.deploy(), 2)
    await world.accepted(first, "PENDING")
    await world.accepted(second, "RUNNING")


async def test_a_changed_limit_counts_at_once(world: World, sleepers: Sleepers) -> None:
    await world.pool(launch_limit=1)
    await world.runs(await world.deploy(), 9)
    assert len(await world.granted()) == 1
    task = await sleepers.claim(world, room=100)
    await world.change_pool(launch_limit=3)
    assert len((await woken(task)).grants) == 2
    await world.change_pool(launch_limit=None)
    assert len(await world.granted()) == 6


async def test_an_explanation_names_those_on_the_way(world: World) -> None:
    await world.pool(launch_limit=2)
    it = await world.deploy()
    waiting = [await world.run(it, due=due) for due in (-5, -4, -3, -2)]
    running, launching = await world.grants()
    await world.accepted(running, "RUNNING")
    found = [await explanations.explain(world.scope, run.id) for run in waiting[2:]]
    assert found[0].gates == []
    [gate] = found[1].gates
    assert (gate.kind, gate.limit, gate.used, gate.ahead) == ("launch limit", 2, 2, 1)
    assert [holder.flow_run_id for holder in gate.holders] == [launching.flow_run.id]
    assert found[1].summary == (
        "Work pool 'local' launches no more than 2 runs at the same time, and 1 is on the way; 1 goes ahead of it."
    )


async def test_gates_add_up(world: World) -> None:
    """With a full pool and a spent rate, all three are told, and each holds by itself."""
    await world.pool(launch_limit=1, concurrency_limit=1, launch_rate=LaunchRate(limit=1, seconds=60))
    first, second = await world.runs(await world.deploy(), 2)
    assert await world.granted() == [first.id]
    kinds = [gate.kind for gate in (await explanations.explain(world.scope, second.id)).gates]
    assert kinds == ["pool limit", "launch rate", "launch limit"]
    await world.change_pool(concurrency_limit=None, launch_rate=None)
    assert await world.granted() == []
    await world.change_pool(launch_limit=None)
    assert await world.granted() == [second.id]
