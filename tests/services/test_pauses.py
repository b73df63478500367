"""Pools, queues, deployments and schedules alike: a pause is kept with why and who, until the resume."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from world import World, every

from headgate.schema.deployments import DeploymentScheduleCreate, DeploymentScheduleUpdate, DeploymentUpdate
from headgate.schema.pauses import Pause, PauseNote
from headgate.schema.work_queues import WorkQueueUpdate
from headgate.services import deployment_schedules, deployments, work_pools, work_queues

NOTE = {"pause_reason": "db upgrade", "paused_by": "ann"}


@dataclass(frozen=True)
class Paused:
    """Something that can be paused: `switch(True, **note)` pauses it, `read` answers what is kept of its pause."""

    switch: Callable[..., Awaitable[Any]]
    read: Callable[[], Awaitable[Pause | None]]


@pytest.fixture(params=["pool", "queue", "deployment", "schedule"])
async def it(world: World, request: pytest.FixtureRequest) -> Paused:
    """Each of the four in turn, not paused yet."""
    scope = world.scope
    pool = await world.pool()
    deployment = await world.deploy(schedule=every(60, world.now))
    schedule_id = deployment.schedules[0].id
    match request.param:
        case "pool":
            return Paused(
                lambda paused, **note: world.change_pool(is_paused=paused, **note),
                lambda: _pause(work_pools.get(scope, "local")),
            )
        case "queue":
            return Paused(
                lambda paused, **note: work_queues.update(
                    scope, pool.default_queue_id, WorkQueueUpdate(is_paused=paused, **note)
                ),
                lambda: _pause(work_queues.get(scope, pool.default_queue_id)),
            )
        case "deployment":
            return Paused(
                lambda paused, **note: deployments.update(scope, deployment.id, DeploymentUpdate(paused=paused, **note)),
                lambda: _pause(deployments.get(scope, deployment.id)),
            )
        case _:

            async def read() -> Pause | None:
                return (await deployment_schedules.of_deployment(scope, deployment.id))[0].pause

            return Paused(
                lambda paused, **note: deployment_schedules.update(
                    scope, deployment.id, schedule_id, DeploymentScheduleUpdate(active=not paused, **note)
                ),
                read,
            )


async def _pause(record: Awaitable[Any]) -> Pause | None:
    found: Pause | None = (await record).pause
    return found


async def test_a_pause_is_kept_until_the_resume(world: World, it: Paused) -> None:
    assert await it.read() is None
    await it.switch(True, **NOTE)
    since = world.now
    assert await it.read() == Pause(at=since, reason="db upgrade", by="ann")
    world.clock.advance(minutes=2)
    await it.switch(True)
    assert await it.read() == Pause(at=since, reason="db upgrade", by="ann")
    await it.switch(True, pause_reason="still going")
    assert await it.read() == Pause(at=since, reason="still going", by="ann")
    await it.switch(False)
    assert await it.read() is None
    await it.switch(True)
    assert await it.read() == Pause(at=world.now)


async def test_a_pool_and_a_queue_may_be_born_paused(world: World) -> None:
    assert (await world.pool(is_paused=True, **NOTE)).pause == Pause(at=world.now, reason="db upgrade", by="ann")
    assert (await world.queue("night", is_paused=True, **NOTE)).pause == Pause(at=world.now, reason="db upgrade", by="ann")
    assert (await world.queue("day", **NOTE)).pause is None


async def test_a_deploy_may_pause_and_keeps_a_pause_that_it_does_not_name(world: World) -> None:
    await world.pool()
    first = await world.deploy(paused=True, **NOTE)
    assert first.pause == Pause(at=world.now, reason="db upgrade", by="ann")
    world.clock.advance(minutes=1)
    assert (await world.deploy(description="new")).pause == first.pause
    assert (await world.deploy(paused=False)).pause is None


async def test_a_deploy_that_switches_a_schedule_off_and_on(world: World) -> None:
    await world.pool()
    timing = every(60, world.now)

    async def deployed(active: bool | None) -> Pause | None:
        wanted = DeploymentScheduleCreate(schedule=timing, active=active)
        return (await world.deploy(schedules=[wanted])).schedules[0].pause

    off = await deployed(False)
    assert off == Pause(at=world.now)
    world.clock.advance(minutes=1)
    assert await deployed(None) == off
    assert await deployed(False) == off
    assert await deployed(True) is None


async def test_the_call_that_pauses_a_deployment_takes_a_note(world: World) -> None:
    await world.pool()
    it = await world.deploy()
    await deployments.pause(world.scope, it.id, paused=True, note=PauseNote(pause_reason="db upgrade", paused_by="ann"))
    assert (await deployments.get(world.scope, it.id)).pause == Pause(at=world.now, reason="db upgrade", by="ann")
    await deployments.pause(world.scope, it.id, paused=False)
    assert (await deployments.get(world.scope, it.id)).pause is None
