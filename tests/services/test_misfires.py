"""Misfire policies: what becomes of a schedule's runs after an outage, a pause or a rush."""

from typing import Any

import pytest
from world import World, every

from headgate.schema.deployments import (
    Deployment,
    DeploymentScheduleCreate,
    DeploymentScheduleUpdate,
    Misfire,
    MisfirePolicy,
)
from headgate.services import deployment_schedules, deployments
from headgate.services.loops import misfires, scheduler


async def scheduled(world: World, policy: str | None, **fields: Any) -> Deployment:
    """A deployment with a run every ten minutes, the first in ten."""
    await world.pool()
    misfire = None if policy is None else Misfire(policy=MisfirePolicy(policy), **fields)
    schedule = DeploymentScheduleCreate(schedule=every(600, world.now), misfire=misfire)
    return await world.deploy(schedules=[schedule])


async def settle(world: World) -> int:
    return await misfires.tick(world.scope)


async def waiting(world: World, it: Deployment) -> list[float]:
    """Minutes from now to the times of the runs that wait."""
    runs = [run for run in await world.runs_of(it) if run.state_type == "SCHEDULED"]
    return [(run.expected_start_time - world.now).total_seconds() / 60 for run in runs if run.expected_start_time]


@pytest.mark.parametrize(
    ("policy", "fields", "kept"),
    [
        (None, {}, [-20, -10, 0]),
        ("run_all", {}, [-20, -10, 0]),
        ("run_all", {"start_deadline_seconds": 600}, [-10, 0]),
        ("latest", {}, [0]),
        ("skip", {}, [0]),
    ],
)
async def test_runs_that_nobody_started(world: World, policy: str | None, fields: Any, kept: list[float]) -> None:
    """Half an hour without a worker."""
    it = await scheduled(world, policy, **fields)
    world.clock.advance(minutes=30)
    assert await settle(world) == 3 - len(kept)
    assert [time for time in await waiting(world, it) if time <= 0] == kept
    assert await settle(world) == 0
    assert len(await world.granted()) == len(kept)


async def test_a_skipped_run_says_why(world: World) -> None:
    it = await scheduled(world, "latest")
    world.clock.advance(minutes=20)
    await settle(world)
    first = (await world.runs_of(it))[0]
    assert first.state
    assert (first.state_type, first.state_name) == ("CANCELLED", "Skipped")
    assert first.state.message == "Skipped: a later run of its schedule is due."


async def test_what_has_begun_is_not_skipped(world: World) -> None:
    """Nor what somebody holds, nor what goes back to its queue after it had run."""
    await scheduled(world, "skip")
    world.clock.advance(minutes=10)
    [held] = await world.grants(1)
    world.clock.advance(minutes=10)
    [begun] = await world.grants(1)
    await world.accepted(begun, "RUNNING")
    await world.accepted(begun.flow_run, "SCHEDULED", force=True)
    world.clock.advance(minutes=5)
    assert await settle(world) == 0
    assert await world.history(held) == ["Scheduled", "Pending"]


async def test_runs_made_by_hand_are_nobodys_misfire(world: World) -> None:
    it = await scheduled(world, "skip")
    await world.run(it, due=-3600)
    assert await settle(world) == 0


@pytest.mark.parametrize(
    ("policy", "fields", "made"),
    [
        (None, {}, 0),
        ("run_all", {}, 12),
        ("latest", {}, 1),
        ("skip", {}, 0),
        ("run_all", {"start_deadline_seconds": 1800}, 4),
    ],
)
async def test_times_that_passed_without_a_server(world: World, policy: str | None, fields: Any, made: int) -> None:
    """Runs exist for the hour to come; then the server is away for three. What it makes up for goes by the policy."""
    it = await scheduled(world, policy, **fields)
    world.clock.advance(hours=3)
    before = await waiting(world, it)
    assert max(before) == -120
    await scheduler.tick(world.scope)
    passed = [time for time in await waiting(world, it) if -120 < time <= 0]
    assert len(passed) == made
    await scheduler.tick(world.scope)
    assert [time for time in await waiting(world, it) if -120 < time <= 0] == passed


@pytest.mark.parametrize("what", ["deployment", "schedule"])
async def test_what_passes_during_a_pause_is_not_made_up_for(world: World, what: str) -> None:
    it = await scheduled(world, "run_all")
    [schedule] = it.schedules
    for paused in (True, False):
        if what == "deployment":
            await deployments.pause(world.scope, it.id, paused=paused)
        else:
            body = DeploymentScheduleUpdate(active=not paused)
            await deployment_schedules.update(world.scope, it.id, schedule.id, body)
        world.clock.advance(hours=3 if paused else 0)
    await scheduler.tick(world.scope)
    assert min(await waiting(world, it)) == 10


async def test_the_policy_is_kept_changed_and_taken_back(world: World) -> None:
    it = await scheduled(world, "latest", start_deadline_seconds=60)
    [schedule] = it.schedules
    assert schedule.misfire == Misfire(policy=MisfirePolicy.LATEST, start_deadline_seconds=60)
    for misfire in (Misfire(policy=MisfirePolicy.SKIP), None):
        await deployment_schedules.update(world.scope, it.id, schedule.id, DeploymentScheduleUpdate(misfire=misfire))
        [found] = await deployment_schedules.of_deployment(world.scope, it.id)
        assert found.misfire == misfire
    world.clock.advance(minutes=30)
    assert await settle(world) == 0


async def test_made_up_runs_carry_what_the_schedule_gives(world: World) -> None:
    await world.pool()
    schedule = DeploymentScheduleCreate(
        schedule=every(600, world.now), parameters={"n": 1}, misfire=Misfire(policy=MisfirePolicy.LATEST), slug="s"
    )
    it = await world.deploy(schedules=[schedule])
    world.clock.advance(hours=3)
    await scheduler.tick(world.scope)
    [run] = [run for run in await world.runs_of(it) if run.expected_start_time == world.now]
    assert (run.parameters, run.auto_scheduled) == ({"n": 1}, True)
    assert run.created_by
    assert run.created_by.display_value == "s"
