"""The likely start of a run that waits for a slot, by how long the holders' kind took lately."""

from datetime import timedelta

import pytest
from world import World

from headgate.schema.claims import Grant
from headgate.schema.deployments import ConcurrencyKey, Deployment
from headgate.schema.explanations import Estimate
from headgate.schema.flow_runs import FlowRun
from headgate.services import estimates
from headgate.services.explanations import explain


@pytest.fixture
async def it(world: World) -> Deployment:
    """A deployment whose last runs took 60, 90 and 120 seconds."""
    await world.pool()
    deployment = await world.deploy()
    for seconds in (60, 120, 90):
        await world.run(deployment)
        await finish(world, await start(world), seconds)
    await world.claim(0)
    return deployment


async def start(world: World) -> Grant:
    [grant] = await world.grants(1)
    await world.accepted(grant, "RUNNING")
    return grant


async def finish(world: World, grant: Grant, seconds: float) -> None:
    world.clock.advance(seconds=seconds)
    await world.accepted(grant, "COMPLETED")


async def told(world: World, run: FlowRun) -> Estimate | None:
    await world.claim(0)
    return (await explain(world.scope, run.id)).estimate


async def seconds(world: World, run: FlowRun) -> float | None:
    estimate = await told(world, run)
    return (estimate.start_time - world.now).total_seconds() if estimate else None


async def limit(world: World, it: Deployment, where: str, value: int) -> None:
    match where:
        case "pool":
            await world.change_pool(concurrency_limit=value)
        case "queue":
            assert it.work_queue_id is not None
            await world.change_queue(it.work_queue_id, concurrency_limit=value)
        case "deployment":
            await world.change_deployment(it, concurrency_limit=value)
        case _:
            await world.change_deployment(it, concurrency_key=ConcurrencyKey(expression="one", limit=value))


@pytest.mark.parametrize("where", ["pool", "queue", "deployment", "key"])
async def test_it_starts_when_the_holder_has_taken_as_long_as_half_of_its_kind(
    world: World, it: Deployment, where: str
) -> None:
    """And says on what that rests, whichever limit it is."""
    await limit(world, it, where, 1)
    await world.run(it)
    await start(world)
    world.clock.advance(seconds=20)
    waiting = await world.run(it)
    found = await told(world, waiting)
    assert found == Estimate(start_time=world.now + timedelta(seconds=70), runs=3, deployments=["etl/nightly"], ahead=0)
    behind = await world.run(it, due=0)
    assert (found := await told(world, behind)) is not None
    assert (found.start_time - world.now, found.ahead) == (timedelta(seconds=70 + 90), 1)


async def test_a_holder_that_has_gone_on_for_longer_is_compared_with_the_longer_ones(world: World, it: Deployment) -> None:
    """Once it has outlasted all of them, nothing is said."""
    await limit(world, it, "deployment", 1)
    await world.run(it)
    await start(world)
    waiting = await world.run(it)
    world.clock.advance(seconds=100)
    assert await seconds(world, waiting) == 20
    world.clock.advance(seconds=21)
    assert await seconds(world, waiting) is None


async def test_a_run_that_is_being_started_has_all_before_it(world: World, it: Deployment) -> None:
    await limit(world, it, "pool", 1)
    await world.run(it)
    await world.grants(1)
    world.clock.advance(seconds=5)
    assert await seconds(world, await world.run(it)) == 90


async def test_without_a_history_nothing_is_said(world: World, it: Deployment) -> None:
    other = await world.deploy("new", concurrency_limit=1)
    await world.run(other)
    await start(world)
    assert await told(world, await world.run(other)) is None


async def test_where_somebody_has_to_act_nothing_is_said(world: World, it: Deployment) -> None:
    """A pause, a limit of 0; and of a run that nothing blocks there is nothing to say."""
    waiting = await world.run(it)
    assert await told(world, waiting) is None
    await limit(world, it, "deployment", 0)
    assert await told(world, waiting) is None
    await limit(world, it, "deployment", 1)
    await start(world)
    waiting = await world.run(it)
    assert await seconds(world, waiting) == 90
    await world.change_pool(is_paused=True)
    assert await told(world, waiting) is None


async def test_only_runs_that_want_the_same_slot_count_as_ahead(world: World, it: Deployment) -> None:
    other = await world.deploy("other")
    await limit(world, it, "deployment", 1)
    await world.run(it)
    await start(world)
    await world.runs(other, 5)
    found = await told(world, await world.run(it))
    assert found is not None
    assert (found.start_time - world.now, found.ahead) == (timedelta(seconds=90), 0)


async def test_the_last_limit_to_open_counts(world: World, it: Deployment) -> None:
    slow = await world.deploy("slow", concurrency_limit=1)
    await world.run(slow)
    await finish(world, await start(world), 600)
    await world.claim(0)
    await limit(world, it, "pool", 2)
    await world.run(slow)
    await start(world)
    await world.run(it)
    await start(world)
    assert await seconds(world, await world.run(slow)) == 600


async def test_the_backlog_is_not_gone_through_for_the_history(
    world: World, it: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waiting runs stand behind the holders; and of the history only the last runs are asked."""
    monkeypatch.setattr(estimates, "HISTORY", 2)
    await limit(world, it, "deployment", 1)
    await world.run(it)
    await start(world)
    world.clock.advance(seconds=1)
    first, *_ = await world.runs(it, 40)
    found = await told(world, first)
    assert found is not None
    assert found.runs == 2
