"""The scheduler: runs ahead of every active schedule, one for each fire time, whoever makes them and how often."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import msgspec
import pytest
from msgspec import structs
from world import World, cron, every

from headgate.schema.deployments import Deployment, DeploymentScheduleCreate, DeploymentScheduleUpdate, DeploymentUpdate
from headgate.schema.flow_runs import FlowRun
from headgate.schema.schedules import Schedule
from headgate.services import deployment_schedules, deployments
from headgate.services.loops import late, scheduler
from headgate.telemetry import Event, ScheduleUnreadable

MINUTE = 60.0
HOUR = 3600.0


async def times(world: World, deployment: Deployment) -> list[datetime]:
    """When the runs of a deployment fall that wait."""
    found = await world.runs_of(deployment)
    return [run.next_scheduled_start_time for run in found if run.next_scheduled_start_time]


def minutes(world: World, *numbers: int) -> list[datetime]:
    return [world.now + timedelta(minutes=number) for number in numbers]


async def deploy(world: World, *schedules: Schedule | DeploymentScheduleCreate, **fields: Any) -> Deployment:
    """A deployment with these schedules, on a pool of its own; its runs are made with it."""
    wanted = [
        each if isinstance(each, DeploymentScheduleCreate) else DeploymentScheduleCreate(schedule=each) for each in schedules
    ]
    return await world.deploy(schedules=wanted, **fields)


@pytest.fixture(autouse=True)
async def pool(world: World) -> None:
    await world.pool()


# --- how many


async def test_at_least_three_runs_are_made_ahead(world: World) -> None:
    """However far ahead they lie."""
    deployment = await deploy(world, every(24 * HOUR, world.now))
    assert await times(world, deployment) == [world.now + timedelta(days=day) for day in (1, 2, 3)]


async def test_runs_of_the_next_hour_are_made_ahead(world: World) -> None:
    deployment = await deploy(world, every(5 * MINUTE, world.now))
    assert await times(world, deployment) == minutes(world, *range(5, 61, 5))


async def test_at_most_a_hundred_runs_are_made_ahead(world: World) -> None:
    deployment = await deploy(world, every(5.0, world.now))
    found = await times(world, deployment)
    assert len(found) == 100
    assert found[-1] == world.now + timedelta(seconds=500)
    world.clock.advance(seconds=100)
    assert await scheduler.tick(world.scope) == 20


async def test_a_schedule_may_limit_its_runs_ahead(world: World) -> None:
    """Also below what is made ahead at least."""
    deployment = await deploy(world, DeploymentScheduleCreate(schedule=every(MINUTE, world.now), max_scheduled_runs=2))
    assert await times(world, deployment) == minutes(world, 1, 2)
    assert await scheduler.tick(world.scope) == 0


async def test_a_schedule_that_ends_makes_no_more(world: World) -> None:
    rule = Schedule(rrule="DTSTART:20260302T090000\nRRULE:FREQ=MINUTELY;COUNT=3", timezone="UTC")
    deployment = await deploy(world, rule)
    assert await times(world, deployment) == minutes(world, 1, 2)
    world.clock.advance(hours=1)
    assert await scheduler.tick(world.scope) == 0


async def test_the_settings_say_how_many(world: World) -> None:
    settings = structs.replace(
        world.scope.settings,
        server_services_scheduler_min_runs=2,
        server_services_scheduler_max_runs=4,
        server_services_scheduler_min_scheduled_time=180.0,
        server_services_scheduler_max_scheduled_time=6 * HOUR,
    )
    world.scope = replace(world.scope, settings=settings)
    for seconds, count in ((MINUTE, 3), (40.0, 4), (HOUR, 2), (4 * HOUR, 1), (7 * HOUR, 0)):
        deployment = await deploy(world, every(seconds, world.now), name=f"every {seconds}")
        assert len(await times(world, deployment)) == count


async def test_a_tick_adds_what_time_uncovered(world: World) -> None:
    """And nothing when nothing is missing."""
    deployment = await deploy(world, every(20 * MINUTE, world.now))
    assert await scheduler.tick(world.scope) == 0
    world.clock.advance(minutes=45)
    assert await scheduler.tick(world.scope) == 2
    start = world.now - timedelta(minutes=45)
    assert await times(world, deployment) == [start + timedelta(minutes=number) for number in (20, 40, 60, 80, 100)]


async def test_missed_fire_times_are_not_made_up_for(world: World) -> None:
    """After an outage the schedule goes on from now: what was not made ahead before it is not run in a burst."""
    deployment = await deploy(world, every(HOUR, world.now))
    world.clock.advance(days=2)
    assert await scheduler.tick(world.scope) == 3
    assert sorted(await times(world, deployment))[3] > world.now


# --- one run for each fire time


async def test_two_schedulers_make_each_run_once(world: World, neighbour: World) -> None:
    """Of two servers, at the same moment, again and again."""
    found = [await deploy(world, every(MINUTE * (n + 1), world.now), name=f"d{n}") for n in range(5)]
    made = 0
    for _ in range(3):
        world.clock.advance(minutes=17)
        made += sum(await asyncio.gather(*(scheduler.tick(each.scope) for each in (world, neighbour, world, neighbour))))
    assert made > 0
    for deployment in found:
        runs = await world.runs_of(deployment)
        assert len({run.expected_start_time for run in runs}) == len(runs)
    await assert_nothing_is_half_made(world)


async def assert_nothing_is_half_made(world: World) -> None:
    """Every run has its detail and its state, and none of these is left without a run."""
    counts = [
        await world.value(f"SELECT count(*) FROM {table}") for table in ("flow_run", "flow_run_detail", "flow_run_state")
    ]
    assert counts[0] == counts[1] == counts[2]


@pytest.mark.parametrize("fate", ["COMPLETED", "CANCELLED"])
async def test_a_fire_time_that_was_executed_is_not_made_again(world: World, fate: str) -> None:
    """Even when its run was claimed ahead of its time, and is over before it; nor when it was cancelled."""
    deployment = await deploy(world, every(10 * MINUTE, world.now))
    if fate == "CANCELLED":
        first = (await world.runs_of(deployment))[0]
        await world.accepted(first, "CANCELLED")
    else:
        (grant,) = await world.grants(1, prefetch_seconds=600)
        await world.accepted(grant, "COMPLETED")
    assert await scheduler.tick(world.scope) == 0
    await deployments.update(world.scope, deployment.id, DeploymentUpdate(parameters={"x": 1}))
    runs = await world.runs_of(deployment)
    assert len(runs) == len({run.expected_start_time for run in runs}) == 6
    assert [run.state_type for run in runs].count(fate) == 1  # type: ignore[arg-type]


async def test_a_run_keeps_the_facts_of_its_schedule(world: World) -> None:
    """Parameters and job variables of the schedule over the deployment's; tags, key and maker as the wire has them."""
    wanted = DeploymentScheduleCreate(
        schedule=every(HOUR, world.now),
        slug="hourly",
        parameters={"x": 2},
        job_variables={"env": {"A": "1"}},
        max_scheduled_runs=1,
    )
    fields: dict[str, Any] = {
        "parameters": {"x": 1, "y": 1},
        "job_variables": {"env": {}, "name": "n"},
        "tags": ["t"],
        "version": "3",
    }
    deployment = await deploy(world, wanted, **fields)
    (run,) = await world.runs_of(deployment)
    (schedule,) = deployment.schedules
    fire_time = world.now + timedelta(hours=1)
    assert (run.parameters, run.job_variables) == ({"x": 2, "y": 1}, {"env": {"A": "1"}})
    assert (run.tags, run.auto_scheduled, run.deployment_version) == (["t", "auto-scheduled"], True, "3")
    assert run.idempotency_key == f"scheduled {deployment.id} {schedule.id} {fire_time}"
    assert run.created_by is not None
    assert (run.created_by.id, run.created_by.type, run.created_by.display_value) == (schedule.id, "SCHEDULE", "hourly")
    assert (run.expected_start_time, run.next_scheduled_start_time) == (fire_time, fire_time)
    world.clock.advance(hours=1)
    (grant,) = await world.grants()
    assert grant.flow_run.id == run.id
    assert grant.job_variables == {"env": {"A": "1"}, "name": "n"}


async def test_schedules_of_one_deployment_are_independent(world: World) -> None:
    """The same fire time of two schedules is two runs, each with its parameters."""
    wanted = [
        DeploymentScheduleCreate(
            schedule=every(HOUR, world.now), parameters={"n": number}, max_scheduled_runs=1, slug=f"s{number}"
        )
        for number in (1, 2)
    ]
    found = await world.runs_of(await deploy(world, *wanted))
    assert sorted(run.parameters["n"] for run in found) == [1, 2]
    assert len({run.expected_start_time for run in found}) == 1


# --- clocks that change


async def test_a_day_on_which_clocks_change(world: World) -> None:
    """Berlin, 2026-03-29: 02:30 does not exist and fires at 03:00; 09:00 stays 09:00 and is an hour earlier in UTC."""
    world.clock.time = datetime(2026, 3, 27, 12, tzinfo=UTC)
    morning = await deploy(world, cron("0 9 * * *", "Europe/Berlin"), name="morning")
    night = await deploy(world, cron("30 2 * * *", "Europe/Berlin"), name="night")
    days = every(24 * HOUR, datetime(2026, 1, 1, 8, tzinfo=UTC))
    days.timezone = "Europe/Berlin"
    daily = await deploy(world, days, name="daily")
    hours = await deploy(world, cron("0 */6 * * *", "Europe/Berlin"), name="hours")

    def at(*stamps: str) -> list[datetime]:
        return [datetime.fromisoformat(f"2026-03-{stamp}:00+00:00") for stamp in stamps]

    assert await times(world, morning) == at("28T08:00", "29T07:00", "30T07:00")
    assert await times(world, night) == at("28T01:30", "29T01:00", "30T00:30")
    assert await times(world, daily) == at("28T08:00", "29T07:00", "30T07:00")
    world.clock.time = datetime(2026, 3, 28, 22, tzinfo=UTC)
    await scheduler.tick(world.scope)
    assert [time for time in await times(world, hours) if time > world.now] == at("28T23:00", "29T04:00", "29T10:00")


async def test_a_repeated_hour_is_made_once_or_twice_as_meant(world: World) -> None:
    """Berlin, 2026-10-25: 02:30 is shown twice; a daily job runs once, a half-hourly one in both."""
    world.clock.time = datetime(2026, 10, 24, 23, 45, tzinfo=UTC)
    daily = await deploy(world, cron("30 2 * * *", "Europe/Berlin"), name="daily")
    often = await deploy(world, cron("*/30 * * * *", "Europe/Berlin"), name="often")
    world.clock.advance(hours=1)
    await scheduler.tick(world.scope)
    assert (await times(world, daily))[:2] == [
        datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
        datetime(2026, 10, 26, 1, 30, tzinfo=UTC),
    ]
    found = await times(world, often)
    assert {later - earlier for earlier, later in pairwise(found)} == {timedelta(minutes=30)}


# --- switches

Switch = Callable[[World, Deployment, bool], Awaitable[None]]


async def switch_schedule(world: World, deployment: Deployment, on: bool) -> None:
    (schedule,) = deployment.schedules
    await deployment_schedules.update(world.scope, deployment.id, schedule.id, DeploymentScheduleUpdate(active=on))


async def switch_deployment(world: World, deployment: Deployment, on: bool) -> None:
    await deployments.pause(world.scope, deployment.id, paused=not on)


async def redeploy_schedule(world: World, deployment: Deployment, on: bool) -> None:
    (schedule,) = deployment.schedules
    await deploy(world, DeploymentScheduleCreate(schedule=schedule.schedule, active=on))


@pytest.mark.parametrize("switch", [switch_schedule, switch_deployment, redeploy_schedule])
async def test_what_is_paused_withdraws_its_runs_ahead_and_keeps_the_late_ones(world: World, switch: Switch) -> None:
    """What is due already is work; what is not comes back when it is resumed."""
    deployment = await deploy(world, every(20 * MINUTE, world.now))
    world.clock.advance(minutes=25)
    await late.tick(world.scope)
    await switch(world, deployment, False)
    (run,) = await world.runs_of(deployment)
    assert (run.state_name, run.expected_start_time) == ("Late", world.now - timedelta(minutes=5))
    assert await scheduler.tick(world.scope) == 0
    world.clock.advance(minutes=30)
    await switch(world, deployment, True)
    found = await times(world, deployment)
    assert found[0] == run.expected_start_time
    assert [time - world.now for time in found[1:]] == [timedelta(minutes=number) for number in (5, 25, 45)]


async def test_a_claimed_run_is_not_withdrawn(world: World) -> None:
    """It has its infrastructure by then, though its time is to come."""
    deployment = await deploy(world, every(10.0, world.now))
    (grant,) = await world.grants(1, prefetch_seconds=10)
    await deployments.pause(world.scope, deployment.id, paused=True)
    (run,) = await world.runs_of(deployment)
    assert (run.id, run.state_type) == (grant.flow_run.id, "PENDING")


async def test_runs_claimed_at_the_very_moment_of_a_pause_are_kept(world: World, neighbour: World) -> None:
    """Whoever comes first: a run is either withdrawn before anyone has it, or it is its holder's."""
    deployment = await deploy(world, every(1.0, world.now))
    for _ in range(8):
        answers = await asyncio.gather(
            *(each.grants(7, prefetch_seconds=3600) for each in (world, neighbour)),
            deployments.pause(neighbour.scope, deployment.id, paused=True),
        )
        for grant in [grant for granted in answers[:2] if granted for grant in granted]:
            assert (await world.get(grant)).state_type == "PENDING"
            await world.accepted(grant, "COMPLETED")
        await deployments.pause(world.scope, deployment.id, paused=False)
    await assert_nothing_is_lost(world)


async def assert_nothing_is_lost(world: World) -> None:
    details, runs = [await world.value(f"SELECT count(*) FROM {table}") for table in ("flow_run_detail", "flow_run")]
    assert details == runs


async def test_a_deleted_schedule_takes_its_runs_ahead_with_it(world: World) -> None:
    deployment = await deploy(world, every(20 * MINUTE, world.now), every(30 * MINUTE, world.now))
    first, second = deployment.schedules
    await deployment_schedules.delete(world.scope, deployment.id, first.id)
    assert {run.created_by.id for run in await world.runs_of(deployment) if run.created_by} == {second.id}


async def test_a_changed_schedule_makes_its_runs_anew(world: World) -> None:
    deployment = await deploy(world, every(20 * MINUTE, world.now))
    (schedule,) = deployment.schedules
    body = DeploymentScheduleUpdate(schedule=every(30 * MINUTE, world.now), parameters={"x": 1})
    await deployment_schedules.update(world.scope, deployment.id, schedule.id, body)
    assert await times(world, deployment) == minutes(world, 30, 60, 90)
    assert {run.parameters["x"] for run in await world.runs_of(deployment)} == {1}


# --- redeploys


async def redeploy(world: World, deployment: Deployment, how: str, **fields: Any) -> Deployment:
    if how == "POST":
        return await world.deploy(**fields)
    await deployments.update(world.scope, deployment.id, DeploymentUpdate(**fields))
    return await deployments.get(world.scope, deployment.id)


@pytest.mark.parametrize("how", ["POST", "PATCH"])
async def test_a_redeploy_keeps_schedules_switches_and_late_runs(world: World, how: str) -> None:
    """The same schedules again: their ids, what was paused, the runs ahead and those that are late stay as they are."""
    wanted = [
        DeploymentScheduleCreate(schedule=every(20 * MINUTE, world.now), slug="often"),
        DeploymentScheduleCreate(schedule=cron("0 9 * * *", "Europe/Berlin")),
        DeploymentScheduleCreate(schedule=Schedule(interval=HOUR)),
    ]
    before = await deploy(world, *wanted)
    paused = before.schedules[1]
    await deployment_schedules.update(world.scope, before.id, paused.id, DeploymentScheduleUpdate(active=False))
    world.clock.advance(minutes=21)
    await late.tick(world.scope)
    runs = await world.runs_of(before)
    after = await redeploy(world, before, how, schedules=wanted, description="again")
    assert after.id == before.id
    assert [each.id for each in after.schedules] == [each.id for each in before.schedules]
    assert [each.active for each in after.schedules] == [True, False, True]
    assert [each.schedule for each in after.schedules] == [each.schedule for each in before.schedules]
    again = await world.runs_of(before)
    assert {run.id for run in runs} <= {run.id for run in again}
    assert [run.state_name for run in again].count("Late") == 1


@pytest.mark.parametrize("how", ["POST", "PATCH"])
@pytest.mark.parametrize("changed", [{"parameters": {"x": 2}}, {"tags": ["new"]}, {"version": "2"}])
async def test_a_redeploy_makes_runs_ahead_anew_when_their_source_changed(
    world: World, how: str, changed: dict[str, Any]
) -> None:
    """What they took from the deployment; a run that is late keeps what it was made with."""
    given: dict[str, Any] = {"parameters": {"x": 1}, "tags": ["old"], "version": "1"}
    before = await deploy(world, every(20 * MINUTE, world.now), **given)
    world.clock.advance(minutes=25)
    await late.tick(world.scope)
    await redeploy(world, before, how, **changed)
    first, *ahead = await world.runs_of(before)
    old, new = facts(given), facts(given | changed)
    assert facts_of(first) == old
    assert len(ahead) == 3
    assert [facts_of(run) for run in ahead] == [new] * 3


def facts(given: dict[str, Any]) -> tuple[Any, ...]:
    return given["parameters"], [*given["tags"], "auto-scheduled"], given["version"]


def facts_of(run: FlowRun) -> tuple[Any, ...]:
    return run.parameters, run.tags, run.deployment_version


@pytest.mark.parametrize("how", ["POST", "PATCH"])
async def test_a_redeploy_brings_schedules_to_the_new_list(world: World, how: str) -> None:
    """By slug with a new timing the id stays; what is no longer named goes with its runs ahead; what is new is added."""
    often = DeploymentScheduleCreate(schedule=every(20 * MINUTE, world.now), slug="often")
    dropped = DeploymentScheduleCreate(schedule=every(HOUR, world.now), slug="dropped")
    before = await deploy(world, often, dropped)
    seldom = DeploymentScheduleCreate(schedule=every(40 * MINUTE, world.now), slug="often")
    added = DeploymentScheduleCreate(schedule=every(50 * MINUTE, world.now))
    after = await redeploy(world, before, how, schedules=[seldom, added])
    [kept] = [each for each in after.schedules if each.slug == "often"]
    assert kept.id in [each.id for each in before.schedules if each.slug == "often"]
    assert sorted(each.schedule.interval or MINUTE for each in after.schedules) == [40 * MINUTE, 50 * MINUTE]
    assert await times(world, before) == minutes(world, 40, 50, 80, 100, 120, 150)
    assert (await redeploy(world, before, how, schedules=[])).schedules == []
    assert await times(world, before) == []


async def test_a_redeploy_that_names_no_schedules_keeps_them(world: World) -> None:
    before = await deploy(world, every(20 * MINUTE, world.now))
    after = await world.deploy(description="new")
    assert after.schedules == before.schedules
    assert len(await times(world, before)) == 3


# --- what may go wrong


async def test_a_schedule_that_cannot_be_read_does_not_stop_the_others(world: World) -> None:
    """It is told, it makes nothing, and the rest of its own deployment and of the others goes on."""
    events: list[Event] = []
    world.scope.telemetry.subscribe(events.append)
    first = await deploy(world, every(20 * MINUTE, world.now), cron("0 * * * *"), name="first")
    second = await deploy(world, every(20 * MINUTE, world.now), name="second")
    [broken] = [each for each in first.schedules if each.schedule.cron]
    stored = msgspec.to_builtins(structs.replace(broken.schedule, cron="0 99 * * *"))
    await world.scope.store.write(
        lambda tx: tx.execute(
            "UPDATE deployment_schedule SET schedule = :it WHERE id = :id", {"it": stored, "id": broken.id}
        )
    )
    world.clock.advance(hours=1)
    assert await scheduler.tick(world.scope) == 6
    assert len(await times(world, second)) == 6
    told = [event for event in events if isinstance(event, ScheduleUnreadable)]
    assert [(event.schedule_id, event.deployment_id) for event in told] == [(broken.id, first.id)]


@pytest.mark.parametrize("change", ["schedule", "parameters", "paused", "deleted", "deployment deleted"])
async def test_what_changed_since_the_scheduler_looked_makes_no_run_of_the_old_kind(world: World, change: str) -> None:
    """Between its look for active schedules and its writing, somebody changes one."""
    deployment = await deploy(world, every(20 * MINUTE, world.now))
    (schedule,) = deployment.schedules
    page = await world.scope.store.read(lambda tx: scheduler.rows.active(tx, after=UUID(int=0), limit=10))
    update: dict[str, Any] = {
        "schedule": DeploymentScheduleUpdate(schedule=every(30 * MINUTE, world.now)),
        "parameters": DeploymentScheduleUpdate(parameters={"x": 1}),
        "paused": DeploymentScheduleUpdate(active=False),
    }
    if change == "deleted":
        await deployment_schedules.delete(world.scope, deployment.id, schedule.id)
    elif change == "deployment deleted":
        await deployments.delete(world.scope, deployment.id)
    else:
        await deployment_schedules.update(world.scope, deployment.id, schedule.id, update[change])
    await scheduler._schedule(world.scope, page)
    runs = await world.runs_of(deployment)
    match change:
        case "schedule":
            assert await times(world, deployment) == [schedule.updated + timedelta(minutes=n) for n in (30, 60, 90)]
        case "parameters":
            assert [run.parameters for run in runs] == [{"x": 1}] * 3
        case _:
            assert runs == []
