"""The likely start of a run that waits for a slot, by how long the holders' kind took lately."""

from datetime import timedelta

import pytest
from world import World

from headgate.schema.claims import Grant
from headgate.schema.concurrency_limits import GlobalConcurrencyLimitCreate, GlobalConcurrencyLimitUpdate, TakeSlots
from headgate.schema.deployments import ConcurrencyKey, Deployment
from headgate.schema.explanations import Estimate
from headgate.schema.flow_runs import FlowRun
from headgate.services import concurrency_limits, estimates, slots
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


HELD = ["queue", "deployment", "key", "shared"]


async def hold(world: World, it: Deployment, gate: str) -> Deployment:
    """Another deployment with a history of 30 s, a run under way, and 40 due runs that a limit of its own holds."""
    fields: dict[str, object] = {}
    match gate:
        case "queue":
            queue = await world.queue("narrow", priority=1, concurrency_limit=1)
            fields = {"work_queue_name": queue.name}
        case "deployment":
            fields = {"concurrency_limit": 1}
        case "key":
            fields = {"concurrency_key": ConcurrencyKey(expression="one", limit=1)}
        case "shared":
            named = await concurrency_limits.create(world.scope, GlobalConcurrencyLimitCreate(name="db", limit=1))
            fields = {"global_concurrency_limit_id": named.id}
    other = await world.deploy("other", **fields)
    await world.run(other)
    await finish(world, await start(world), 30)
    await world.run(other)
    await start(world)
    await world.runs(other, 40)
    return other


@pytest.mark.parametrize("gate", HELD)
async def test_runs_that_another_limit_holds_do_not_go_before_it(world: World, it: Deployment, gate: str) -> None:
    """Forty of them wait in front for a slot of their own: nothing blocks it, and none of them is counted."""
    await hold(world, it, gate)
    waiting = await world.run(it, due=0)
    found = await explain(world.scope, waiting.id)
    assert found.position is not None
    assert (found.gates, found.position.ahead, found.position.starting) == ([], 0, 0)
    assert await world.granted(1) == [waiting.id]


@pytest.mark.parametrize("gate", HELD)
async def test_it_does_not_wait_for_slots_that_they_cannot_take(world: World, it: Deployment, gate: str) -> None:
    """In a full pool they get the slot of who holds theirs; the slot of the others goes to it."""
    await hold(world, it, gate)
    await limit(world, it, "pool", 2)
    await world.run(it, due=-60)
    await start(world)
    waiting = await world.run(it, due=0)
    assert (found := await told(world, waiting)) is not None
    assert (found.start_time - world.now, found.ahead) == (timedelta(seconds=90), 0)
    behind = await world.run(it, due=0)
    assert (found := await told(world, behind)) is not None
    assert (found.start_time - world.now).total_seconds() > 90
    assert found.ahead == 1


async def test_those_that_find_a_slot_count(world: World, it: Deployment) -> None:
    """Of a limit with two slots, one of which is free, one run goes before it."""
    other = await hold(world, it, "deployment")
    await world.change_deployment(other, concurrency_limit=2)
    found = await explain(world.scope, (await world.run(it, due=0)).id)
    assert found.position is not None
    assert (found.position.ahead, found.position.starting) == (1, 1)


async def test_it_waits_for_a_slot_of_a_shared_limit(world: World, it: Deployment) -> None:
    """As long as the holder's kind takes; for one that is taken by name nobody knows how long."""
    named = await concurrency_limits.create(world.scope, GlobalConcurrencyLimitCreate(name="db", limit=2))
    await world.change_deployment(it, global_concurrency_limit_id=named.id)
    await slots.take(world.scope, TakeSlots(names=["db"], slots=1))
    await world.run(it)
    await start(world)
    assert await seconds(world, await world.run(it)) == 90
    assert await seconds(world, await world.run(it, due=0)) == 180
    await concurrency_limits.update(world.scope, "db", GlobalConcurrencyLimitUpdate(limit=1))
    assert await seconds(world, await world.run(it, due=0)) is None
