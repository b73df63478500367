"""What users of work pools reported about the release of runs, reproduced; numbers are those of the reports."""

import asyncio
from statistics import median

import pytest
from world import World, every, ids

from headgate.schema.deployments import CollisionStrategy, ConcurrencyOptions
from headgate.schema.flow_runs import FlowRun
from headgate.services.loops import collisions, scheduler


@pytest.mark.parametrize("where", ["deployment", "queue"])
async def test_19403_runs_that_a_limit_holds_back_do_not_hide_the_others(world: World, where: str) -> None:
    """More than 200 runs of one limit, due first, stand before a run that nothing holds back: pages are not full of them."""
    await world.pool()
    await world.queue("narrow", concurrency_limit=1 if where == "queue" else None)
    full = await world.deploy("full", work_queue_name="narrow", concurrency_limit=1 if where == "deployment" else None)
    await world.run(full)
    assert len(await world.granted(1)) == 1
    await world.runs(full, 250, due=-60)
    other = await world.run(await world.deploy("other"))
    assert [each.flow_run.id for each in await world.poll(limit=10)] == [other.id]
    assert await world.granted(10) == [other.id]


@pytest.mark.parametrize("where", ["deployment", "pool"])
async def test_23183_a_slot_that_was_held_shortly_is_used_again_at_once(world: World, where: str) -> None:
    """Hundreds of short runs, and clients that race for the slots: whoever was refused waits for a slot and for no time.

    The clock stands still, so that nothing waits for it.
    """
    limit = {"concurrency_limit": 3}
    await world.pool(**limit if where == "pool" else {})
    it = await world.deploy(**limit if where == "deployment" else {})
    await world.runs(it, 77)
    refused = 0

    async def client() -> int:
        count = 0
        for each in await world.poll():
            if (await world.propose(each.flow_run, "PENDING")).status == "ACCEPT":
                await world.accepted(each.flow_run, "RUNNING", "COMPLETED")
                count += 1
            else:
                nonlocal refused
                refused += 1
        return count

    done = 0
    for _ in range(100):
        if done == 77:
            break
        done += sum(await asyncio.gather(*(client() for _ in range(3))))
    assert done == 77


async def test_23183_who_was_refused_keeps_its_place(world: World) -> None:
    """It is not sent to the end of those that wait for the slot."""
    await world.pool()
    it = await world.deploy(concurrency_limit=1)
    first, second, third = [await world.run(it, due=due) for due in (-30, -20, -10)]
    await world.accepted(first, "PENDING")
    assert (await world.propose(second, "PENDING")).status == "REJECT"
    await world.accepted(first, "RUNNING", "COMPLETED")
    assert await world.granted(1) == [second.id]
    assert third.state_name == "Scheduled"


@pytest.mark.parametrize("where", ["deployment", "queue", "pool"])
async def test_10314_a_job_of_70_seconds_every_60_runs_one_at_a_time(world: World, where: str) -> None:
    """With a limit of 1 a backlog builds up; there is never a second run beside the first, and the slot is never idle."""
    limits = {lane: {"concurrency_limit": 1} if lane == where else {} for lane in ("deployment", "queue", "pool")}
    await world.pool(**limits["pool"])
    await world.queue("q", **limits["queue"])
    await world.deploy(work_queue_name="q", schedule=every(60, world.now), **limits["deployment"])
    running: list[tuple[FlowRun, float]] = []
    done = 0
    for second in range(0, 3600, 10):
        if second % 60 == 0:
            await scheduler.tick(world.scope)
        if running and second - running[0][1] >= 70:
            await world.accepted(running.pop()[0], "COMPLETED")
            done += 1
        for _ in range(2):  # two workers
            for grant in await world.grants(5):
                await world.accepted(grant, "RUNNING")
                running.append((grant.flow_run, second))
        assert len(running) == 1 or second < 60
        world.clock.advance(seconds=10)
    assert done >= 50


async def test_14950_a_backlog_of_low_priority_does_not_go_before_what_is_urgent(world: World) -> None:
    """By claims, and by polls: clients that sort by time get the urgent alone while it fills the room."""
    await world.pool()
    await world.queue("low", priority=9)
    low = await world.deploy("low", work_queue_name="low")
    await world.runs(low, 120, due=-3600)
    urgent = await world.runs(await world.deploy("urgent"), 5)
    assert {each.flow_run.id for each in await world.poll(limit=5)} == {run.id for run in urgent}
    assert set(await world.granted(5)) == {run.id for run in urgent}
    assert len(await world.granted(5)) == 5
    special = await world.run(low, priority=10)
    assert await world.granted(1) == [special.id]


async def test_16984_runs_that_are_not_to_wait_do_not_pile_up_behind_a_full_pool(world: World) -> None:
    """CANCEL_NEW and a limit of the pool: the deployment's strategy goes by its own limit, whatever the pool does."""
    await world.pool(concurrency_limit=2)
    await world.runs(await world.deploy("other"), 2)
    assert len(await world.granted()) == 2
    cancels = ConcurrencyOptions(collision_strategy=CollisionStrategy.CANCEL_NEW)
    it = await world.deploy("single", concurrency_limit=1, concurrency_options=cancels)
    first, *rest = await world.runs(it, 6)
    assert await collisions.tick(world.scope) == 5
    assert {(await world.get(run)).state_name for run in rest} == {"Cancelled"}
    assert (await world.get(first)).state_name == "Scheduled"


async def test_a_flood_of_10_000_runs_does_not_make_ten_others_wait(world: World) -> None:
    """One tenant floods a pool that is shared fairly, another submits ten: half of these wait for two runs at most."""
    waits = await waits_behind_a_flood(world, fair_share=True)
    assert len(waits) == 10
    assert median(waits) <= 2


async def test_without_a_fair_share_who_is_due_first_goes_first_whoever_it_is(world: World) -> None:
    """The default order, as it is documented: in all that time none of the ten starts."""
    assert await waits_behind_a_flood(world) == []


async def waits_behind_a_flood(world: World, **pool: bool) -> list[int]:
    """Ten slots, all taken by the flood when the second tenant comes; every run takes a minute. For how many minutes the
    second one's waited, of those that started in the first six."""
    await world.pool(concurrency_limit=10, **pool)
    await world.runs(await world.deploy("flood"), 10_000, due=-60)
    running = await world.grants(20)
    second = ids(await world.runs(await world.deploy("second"), 10))
    waits = []
    for minute in range(7):
        for grant in running if minute else ():
            await world.accepted(grant, "COMPLETED")
        started = await world.grants(20)
        assert len(started) == (10 if minute else 0)  # no slot is idle
        waits += [minute for grant in started if grant.flow_run.id in second]
        running = started or running
        for grant in running:
            await world.accepted(grant, "RUNNING")
        world.clock.advance(seconds=60)
        await world.renew(*running)
    return waits
