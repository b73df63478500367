"""What a claim that found nothing says about the runs that are due: which limit or pause holds them back."""

import pytest
from world import World

from headgate.schema.deployments import Deployment, DeploymentUpdate
from headgate.services import deployments, work_queues


@pytest.fixture
async def it(world: World) -> Deployment:
    await world.pool()
    return await world.deploy()


async def held(world: World, room: int = 5, **fields: object) -> list[str]:
    answer = await world.claim(room, **fields)  # type: ignore[arg-type]
    assert answer.grants == []
    return answer.held


async def test_nothing_is_due_and_nothing_is_said(world: World, it: Deployment) -> None:
    await world.run(it, due=60)
    assert await held(world) == []


async def test_what_was_given_out_needs_no_word(world: World, it: Deployment) -> None:
    """Though more is due than there is room for."""
    await world.runs(it, 3)
    answer = await world.claim(1)
    assert (len(answer.grants), answer.held) == (1, [])


async def test_who_only_listens_is_told_nothing(world: World, it: Deployment) -> None:
    await world.change_pool(concurrency_limit=0)
    await world.run(it)
    assert await held(world, 0) == []


async def test_a_limit(world: World, it: Deployment) -> None:
    await world.change_pool(concurrency_limit=2)
    await world.runs(it, 3)
    assert len(await world.granted()) == 2
    assert await held(world) == ["A run is due, but work pool 'local' has all of its 2 slots in use."]


async def test_a_limit_of_nothing(world: World, it: Deployment) -> None:
    await world.change_pool(concurrency_limit=0)
    await world.run(it)
    assert await held(world) == ["A run is due, but work pool 'local' has a concurrency limit of 0."]


async def test_each_queue_has_a_reason_of_its_own(world: World, it: Deployment) -> None:
    """The oldest due run of each speaks for it; the same reason is given once."""
    slow = await world.deploy("slow", work_queue_name="slow", concurrency_limit=1)
    await world.queue("shut", is_paused=True)
    shut = await world.deploy("shut", work_queue_name="shut")
    await world.runs(slow, 2)
    assert len(await world.granted()) == 1
    await world.run(shut)
    assert await held(world) == [
        "A run is due, but deployment 'etl/slow' has its only slot in use.",
        "A run is due, but work queue 'shut' is paused since 2026-03-02 09:00:00 UTC.",
    ]
    assert await held(world, queues=["shut"]) == [
        "A run is due, but work queue 'shut' is paused since 2026-03-02 09:00:00 UTC."
    ]
    assert await held(world, queues=["default"]) == []


async def test_a_paused_pool_is_told_as_such(world: World, it: Deployment) -> None:
    """By the answer itself."""
    await world.change_pool(is_paused=True)
    await world.run(it)
    answer = await world.claim()
    assert (answer.paused, answer.held) == (True, [])


async def test_a_paused_deployment(world: World, it: Deployment) -> None:
    await world.run(it)
    await deployments.update(world.scope, it.id, DeploymentUpdate(paused=True, paused_by="ann", pause_reason="Bad data."))
    assert await held(world) == [
        "A run is due, but deployment 'etl/nightly' is paused since 2026-03-02 09:00:00 UTC by ann: Bad data."
    ]


async def test_when_it_moves_again_nothing_is_said(world: World, it: Deployment) -> None:
    queue = await work_queues.get_by_name(world.scope, "local", "default")
    await world.change_queue(queue.id, concurrency_limit=0)
    await world.run(it)
    assert len(await held(world)) == 1
    await world.change_queue(queue.id, concurrency_limit=None)
    assert len(await world.granted()) == 1
    assert await held(world) == []
