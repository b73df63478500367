"""Previews: the runs that wait and those that schedules will make, exactly, and nothing is taken or touched by looking."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from world import World, cron, every

from headgate.errors import Invalid, NotFound
from headgate.schema.deployments import Deployment, DeploymentScheduleCreate, DeploymentScheduleUpdate, DeploymentUpdate
from headgate.schema.previews import Preview, PreviewEntry, PreviewRequest
from headgate.schema.schedules import Schedule
from headgate.schema.work_queues import WorkQueueUpdate
from headgate.services import deployment_schedules, deployments, flow_runs, previews, work_queues
from headgate.services.loops import scheduler

HOUR = 3600.0


@pytest.fixture(autouse=True)
async def pool(world: World) -> None:
    await world.pool()


async def preview(world: World, **fields: Any) -> Preview:
    return await previews.preview(world.scope, "local", PreviewRequest(**fields))


async def entries(world: World, **fields: Any) -> list[PreviewEntry]:
    return (await preview(world, **fields)).entries


async def deploy(world: World, *schedules: Schedule | DeploymentScheduleCreate, **fields: Any) -> Deployment:
    wanted = [
        each if isinstance(each, DeploymentScheduleCreate) else DeploymentScheduleCreate(schedule=each) for each in schedules
    ]
    return await world.deploy(schedules=wanted, **fields)


def hours_ahead(world: World, found: list[PreviewEntry]) -> list[tuple[float, bool]]:
    return [((each.scheduled_time - world.now).total_seconds() / HOUR, each.projected) for each in found]


# --- runs that wait, and beyond them schedules


async def test_waiting_runs_come_first_and_fire_times_go_on_where_they_end(world: World) -> None:
    """Three runs of an hourly schedule exist; the others up to the end are projected."""
    await deploy(world, every(HOUR, world.now))
    found = await entries(world, hours=6)
    assert hours_ahead(world, found) == [(1, False), (2, False), (3, False), (4, True), (5, True), (6, True)]


async def test_an_entry_says_what_it_is_a_run_of(world: World) -> None:
    wanted = DeploymentScheduleCreate(schedule=every(HOUR, world.now), parameters={"x": 2}, max_scheduled_runs=1)
    it = await deploy(world, wanted, work_queue_name="urgent", parameters={"x": 1, "y": 1})
    made, projected = await entries(world, hours=2)
    assert made.flow_run is not None
    assert made.flow_run.id == (await world.runs_of(it))[0].id
    assert projected.flow_run is None
    for entry in (made, projected):
        assert (entry.deployment_id, entry.deployment_name) == (it.id, "nightly")
        assert (entry.flow_id, entry.flow_name) == (it.flow_id, "etl")
        assert (entry.work_queue_id, entry.work_queue_name) == (it.work_queue_id, "urgent")
        assert (entry.schedule_id, entry.parameters) == (it.schedules[0].id, {"x": 2, "y": 1})
        assert (entry.late_by_seconds, entry.held) == (0.0, [])


async def test_a_run_that_is_past_its_time_says_by_how_much(world: World) -> None:
    run = await world.run(await world.deploy(), due=-90)
    (entry,) = await entries(world)
    assert entry.flow_run is not None
    assert (entry.flow_run.id, entry.late_by_seconds, entry.schedule_id) == (run.id, 90.0, None)


async def test_scheduled_of_any_name_counts_and_what_somebody_holds_does_not(world: World) -> None:
    it = await world.deploy()
    runs = await world.runs(it, 3)
    await world.accepted(runs[0], "SCHEDULED", name="AwaitingRetry", due=world.now + timedelta(minutes=5))
    await world.accepted(runs[1], "PENDING")
    found = await entries(world)
    assert [each.flow_run and each.flow_run.id for each in found] == [runs[2].id, runs[0].id]


@pytest.mark.parametrize("fate", ["COMPLETED", "CANCELLED", "RUNNING", "deleted"])
async def test_a_fire_time_whose_run_exists_is_not_projected(world: World, fate: str) -> None:
    """In whatever state; one whose run was deleted will be made again."""
    it = await deploy(world, every(HOUR, world.now))
    first = (await world.runs_of(it))[0]
    if fate == "deleted":
        await flow_runs.delete(world.scope, first.id)
    else:
        await world.propose(first, fate, force=True)
    found = await entries(world, hours=4)
    again = [(1, True)] if fate == "deleted" else []
    assert hours_ahead(world, found) == [*again, (2, False), (3, False), (4, True)]


async def test_paused_deployments_and_schedules_project_nothing(world: World) -> None:
    """The scheduler makes nothing of them; what they have due already waits, and says why."""
    paused = await deploy(world, every(HOUR, world.now), name="paused")
    late = await world.run(paused)
    await deployments.pause(world.scope, paused.id, paused=True)
    off = await deploy(world, every(HOUR, world.now), name="off")
    await deployment_schedules.update(world.scope, off.id, off.schedules[0].id, DeploymentScheduleUpdate(active=False))
    (entry,) = await entries(world, hours=12)
    assert entry.flow_run is not None
    assert (entry.flow_run.id, entry.held) == (late.id, ["deployment paused"])


async def test_how_many_runs_are_made_ahead_is_no_limit_to_the_future(world: World) -> None:
    await deploy(world, DeploymentScheduleCreate(schedule=every(HOUR, world.now), max_scheduled_runs=1))
    assert hours_ahead(world, await entries(world, hours=3)) == [(1, False), (2, True), (3, True)]


# --- what holds it back


async def test_everything_that_stands_in_the_way_is_named(world: World) -> None:
    """Outermost first; slots that are merely taken are none of it."""
    it = await deploy(world, every(HOUR, world.now), work_queue_name="urgent", concurrency_limit=0)
    urgent = await work_queues.get_by_name(world.scope, "local", "urgent")
    await world.change_pool(is_paused=True, concurrency_limit=1)
    await work_queues.update(world.scope, urgent.id, WorkQueueUpdate(is_paused=True, concurrency_limit=0))
    busy = await world.deploy("busy")
    await world.propose(await world.run(busy), "RUNNING", force=True)
    await world.run(busy)
    expected = ["work pool paused", "work queue paused", "work queue limit 0", "deployment limit 0"]
    found = await entries(world, hours=4)
    assert [each.held for each in found if each.deployment_id == it.id] == [expected] * 4
    assert [each.held for each in found if each.deployment_id == busy.id] == [["work pool paused"]]


# --- which part of the pool, and how much


async def test_queues_are_chosen_by_name(world: World) -> None:
    await deploy(world, every(HOUR, world.now), name="a", work_queue_name="a")
    await deploy(world, every(HOUR, world.now), name="b", work_queue_name="b")
    found = await entries(world, work_queue_names=["a"], hours=5)
    assert [each.deployment_name for each in found] == ["a"] * 5
    with pytest.raises(NotFound, match="'local/c' not found"):
        await preview(world, work_queue_names=["a", "c"])


async def test_a_pool_that_is_not_there_is_named(world: World) -> None:
    with pytest.raises(NotFound, match='"nowhere" not found'):
        await previews.preview(world.scope, "nowhere", PreviewRequest())


async def test_an_hour_unless_told_and_one_end_only(world: World) -> None:
    end = world.now + timedelta(minutes=90)
    assert (await preview(world)).until == world.now + timedelta(hours=1)
    assert (await preview(world, until=end)).until == end
    with pytest.raises(Invalid, match="`hours` or `until`"):
        await preview(world, hours=1, until=end)


async def test_another_pools_runs_are_not_in_it(world: World) -> None:
    await world.pool("other")
    await deploy(world, every(HOUR, world.now), work_pool_name="other")
    assert await entries(world, hours=9) == []


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 8])
async def test_a_preview_that_is_cut_has_the_first_and_says_so(world: World, limit: int) -> None:
    """Of the runs that wait and of those to come alike, at run priorities high and low."""
    it = await deploy(world, every(HOUR, world.now))
    await world.run(it, due=30, priority=5)
    await world.run(it, due=20, priority=-5)
    whole = await preview(world, hours=6)
    assert (len(whole.entries), whole.cut) == (8, False)
    part = await preview(world, hours=6, limit=limit)
    assert part.entries == whole.entries[:limit]
    assert part.cut is (limit < 8)


async def test_it_does_not_count_as_a_poll(world: World) -> None:
    it = await deploy(world, every(HOUR, world.now))
    await entries(world, hours=9)
    queue = await work_queues.get_by_name(world.scope, "local", "default")
    assert queue.last_polled is None
    assert (await deployments.get(world.scope, it.id)).last_polled is None
    assert len(await world.runs_of(it)) == 3


# --- the promise: what is previewed is what then comes

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]


def a_schedule(random: random.Random, now: datetime) -> Schedule:
    zone = random.choice(ZONES)
    match random.randrange(4):
        case 0:
            return Schedule(interval=float(random.choice([1700, 3600, 86_400])), anchor_date=now, timezone=zone)
        case 1:
            start = f"{now - timedelta(hours=random.randrange(48)):%Y%m%dT%H%M%S}"
            rule = random.choice(
                ["FREQ=HOURLY;COUNT=60", "FREQ=DAILY;BYHOUR=2,3;BYMINUTE=30;BYSECOND=0", "FREQ=MINUTELY;INTERVAL=95"]
            )
            return Schedule(rrule=f"DTSTART:{start}\nRRULE:{rule}", timezone=zone)
        case 2:
            return cron(random.choice(["*/25 * * * *", "7 * * * *"]), zone)
        case _:
            return cron(random.choice(["30 2 * * *", "0 3 * * sun", "15,45 1-3 * * *"]), zone)


@pytest.mark.parametrize(
    ("seed", "start"),
    [
        (1, datetime(2026, 3, 28, 20, 0, tzinfo=UTC)),  # Berlin goes forward in the night
        (2, datetime(2026, 10, 24, 20, 0, tzinfo=UTC)),  # and back
        (3, datetime(2026, 3, 8, 0, 30, tzinfo=UTC)),  # New York goes forward
        (4, datetime(2026, 4, 4, 10, 0, tzinfo=UTC)),  # Lord Howe goes back by half an hour
    ],
)
async def test_a_preview_is_exactly_what_the_scheduler_then_makes(world: World, seed: int, start: datetime) -> None:
    """Across changes of the clock, for every kind of schedule, though some runs are over before their time."""
    world.clock.time = start
    chance = random.Random(seed)
    owners = []
    for n in range(3):
        wanted = [
            DeploymentScheduleCreate(schedule=a_schedule(chance, start), max_scheduled_runs=chance.choice([None, 3]))
            for _ in range(2)
        ]
        owners.append(await deploy(world, *wanted, name=f"d{n}", parameters={"n": n}))
    for owner in owners:
        for run in chance.sample(await world.runs_of(owner), 2):
            await world.accepted(run, chance.choice(["CANCELLED", "PENDING"]))
    await deployments.update(world.scope, owners[0].id, DeploymentUpdate(parameters={"n": 9}))
    gone = {run.id for owner in owners for run in await world.runs_of(owner) if run.state_type != "SCHEDULED"}

    found = await preview(world, hours=30, limit=1000)
    assert not found.cut
    assert any(each.projected for each in found.entries)
    while world.now < found.until:
        await scheduler.tick(world.scope)
        world.clock.advance(minutes=20)

    made = [
        (run.expected_start_time, owner.id, run.created_by.id if run.created_by else None, run.parameters)
        for owner in owners
        for run in await world.runs_of(owner)
        if run.expected_start_time and run.expected_start_time <= found.until and run.id not in gone
    ]
    seen = [(each.scheduled_time, each.deployment_id, each.schedule_id, each.parameters) for each in found.entries]
    assert sorted(map(str, seen)) == sorted(map(str, made))
