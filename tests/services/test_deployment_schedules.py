"""Schedules of a deployment, one by one: added, changed field by field, deleted, and each found under its own."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from world import World, every

from headgate.errors import Conflict, Invalid, NotFound
from headgate.schema.deployments import (
    Deployment,
    DeploymentPatch,
    DeploymentScheduleChange,
    DeploymentScheduleCreate,
    DeploymentScheduleUpdate,
)
from headgate.schema.schedules import Schedule
from headgate.services import deployment_schedules as schedules
from headgate.services import deployments


@pytest.fixture
async def it(world: World) -> Deployment:
    """A deployment with one schedule, of the slug `first`."""
    wanted = DeploymentScheduleCreate(
        schedule=every(1200.0, world.now), slug="first", max_scheduled_runs=5, parameters={"x": 1}
    )
    return await world.deploy(work_pool_name=None, schedules=[wanted])


async def changed(world: World, it: Deployment, **fields: Any) -> Any:
    await schedules.update(world.scope, it.id, it.schedules[0].id, DeploymentScheduleUpdate(**fields))
    return next(each for each in await schedules.of_deployment(world.scope, it.id) if each.id == it.schedules[0].id)


async def test_added_schedules_make_their_runs_at_once(world: World, it: Deployment) -> None:
    """With every default written out: the zone, the anchor, the switch."""
    wanted = [
        DeploymentScheduleCreate(schedule=Schedule(interval=1800.0)),
        DeploymentScheduleCreate(schedule=Schedule(cron="0 9 * * *")),
    ]
    made = await schedules.create(world.scope, it.id, wanted)
    assert [each.active for each in made] == [True, True]
    assert (made[0].schedule.timezone, made[0].schedule.anchor_date) == ("UTC", world.now)
    assert made[1].schedule.day_or is True
    found = await schedules.of_deployment(world.scope, it.id)
    assert [each.id for each in found] == [made[1].id, made[0].id, it.schedules[0].id]  # the latest first
    makers = [run.created_by.id for run in await world.runs_of(it) if run.created_by]
    assert [makers.count(each.id) for each in made] == [3, 3]


async def test_an_update_changes_what_it_names(world: World, it: Deployment) -> None:
    """What is left out stays; null clears a limit or a slug, and says nothing about the switch."""
    (before,) = it.schedules
    world.clock.advance(seconds=1)
    after = await changed(world, it, parameters={"x": 2})
    assert (after.id, after.schedule, after.slug, after.max_scheduled_runs) == (before.id, before.schedule, "first", 5)
    assert (after.parameters, after.updated) == ({"x": 2}, world.now)
    after = await changed(world, it, max_scheduled_runs=None, slug=None, active=None)
    assert (after.max_scheduled_runs, after.slug, after.active) == (None, None, True)
    after = await changed(world, it, schedule=Schedule(cron="0 9 * * *", timezone="Europe/Berlin"), job_variables={"a": 1})
    assert (after.schedule.cron, after.schedule.timezone, after.job_variables) == ("0 9 * * *", "Europe/Berlin", {"a": 1})


async def test_two_who_change_schedules_at_once_each_keep_what_the_other_changed(world: World, neighbour: World) -> None:
    """Each names one schedule by its slug and leaves the others as they are when its turn comes."""
    slugs = [f"s{number}" for number in range(6)]
    wanted = [DeploymentScheduleCreate(schedule=every(1200.0, world.now), slug=slug) for slug in slugs]
    it = await world.deploy(work_pool_name=None, schedules=wanted)
    changes = {slug: DeploymentScheduleChange(slug=slug, parameters={"of": slug}) for slug in slugs}
    scopes = (world.scope, neighbour.scope) * 3
    await asyncio.gather(
        *(
            deployments.patch(scope, it.id, DeploymentPatch(schedules=[change]))
            for scope, change in zip(scopes, changes.values(), strict=True)
        )
    )
    found = await schedules.of_deployment(world.scope, it.id)
    assert {each.slug: each.parameters for each in found} == {slug: {"of": slug} for slug in slugs}


async def test_a_slug_is_one_schedules(world: World, it: Deployment) -> None:
    """Among those of its deployment, when it is added and when it is changed."""
    same = DeploymentScheduleCreate(schedule=every(60.0, world.now), slug="first")
    with pytest.raises(Conflict, match="'first'"):
        await schedules.create(world.scope, it.id, [same])
    second = DeploymentScheduleCreate(schedule=every(60.0, world.now), slug="second")
    await schedules.create(world.scope, it.id, [second])
    with pytest.raises(Conflict, match="'second'"):
        await changed(world, it, slug="second")
    assert (await changed(world, it, slug="first")).slug == "first"


async def test_a_schedule_that_cannot_fire_is_refused(world: World, it: Deployment) -> None:
    """And the one that it was to replace stays."""
    for wrong in (Schedule(cron="0 99 * * *"), Schedule(interval=-1.0), Schedule(rrule="FREQ=NEVER")):
        with pytest.raises(Invalid):
            await changed(world, it, schedule=wrong)
        with pytest.raises(Invalid):
            await schedules.create(world.scope, it.id, [DeploymentScheduleCreate(schedule=wrong)])
    assert await schedules.of_deployment(world.scope, it.id) == it.schedules


async def test_a_schedule_is_found_under_its_own_deployment(world: World, it: Deployment, some_id: UUID) -> None:
    """By that of another it is as unknown as one that does not exist."""
    other = await world.deploy("other", work_pool_name=None)
    (schedule,) = it.schedules
    for deployment_id, id, named in (
        (other.id, schedule.id, "Schedule not found"),
        (it.id, some_id, "Schedule not found"),
        (some_id, schedule.id, "Deployment not found"),
    ):
        with pytest.raises(NotFound, match=named):
            await schedules.update(world.scope, deployment_id, id, DeploymentScheduleUpdate(active=False))
        with pytest.raises(NotFound, match=named):
            await schedules.delete(world.scope, deployment_id, id)
    with pytest.raises(NotFound):
        await schedules.of_deployment(world.scope, some_id)
    assert await schedules.of_deployment(world.scope, it.id) == it.schedules
