"""Collision strategies: what becomes of a run that its deployment's limit does not admit, whoever asks for its slot."""

import pytest
from world import World

from headgate.schema.deployments import CollisionStrategy, ConcurrencyOptions, Deployment
from headgate.schema.states import StateCreate, StateType
from headgate.services import deployments
from headgate.services.loops import collisions

CANCEL_NEW = ConcurrencyOptions(collision_strategy=CollisionStrategy.CANCEL_NEW)


async def single(world: World, **fields: object) -> Deployment:
    """A deployment of which one run may be in progress, and none may wait for that."""
    return await world.deploy("single", **{"concurrency_limit": 1, "concurrency_options": CANCEL_NEW} | fields)


async def settle(world: World) -> int:
    return await collisions.tick(world.scope)


async def test_a_run_that_finds_its_deployment_full_is_cancelled(world: World) -> None:
    """With the reason; the one in progress is not touched."""
    await world.pool()
    it = await single(world)
    [grant] = await world.grants(1) if (await world.run(it)) else []
    new = await world.run(it)
    assert await settle(world) == 1
    assert await world.history(new) == ["Scheduled", "Cancelled"]
    state = (await world.get(new)).state
    assert state
    assert state.message == "Deployment concurrency limit reached: 1 of 1 runs are in progress."
    assert await world.history(grant) == ["Scheduled", "Pending"]
    assert await settle(world) == 0


async def test_a_run_waits_for_a_slot_unless_told_otherwise(world: World) -> None:
    """ENQUEUE is the default, and can be said."""
    await world.pool()
    for name, options in (("plain", None), ("said", ConcurrencyOptions())):
        it = await world.deploy(name, concurrency_limit=1, concurrency_options=options)
        first, second = await world.run(it), await world.run(it)
        assert await world.granted() == [first.id]
        assert await settle(world) == 0
        assert await world.history(second) == ["Scheduled"]


async def test_a_run_is_judged_at_its_time(world: World) -> None:
    """One that is to run later may find a slot then, however early workers may start it."""
    await world.pool()
    it = await single(world)
    await world.run(it)
    [grant] = await world.grants()
    later = await world.run(it, due=5)
    assert await world.granted(prefetch_seconds=10) == []
    assert await settle(world) == 0
    world.clock.advance(seconds=5)
    assert await settle(world) == 1
    assert await world.history(later) == ["Scheduled", "Cancelled"]
    await world.accepted(grant, "RUNNING", "COMPLETED")
    after = await world.run(it)
    assert await settle(world) == 0
    assert await world.granted() == [after.id]


async def test_runs_do_not_pile_up_behind_a_full_pool(world: World) -> None:
    """A free slot of the deployment is the first run's; those after it are cancelled, whatever keeps the first waiting."""
    await world.pool(concurrency_limit=1)
    await world.run(await world.deploy("other"))
    [busy] = await world.grants()
    it = await single(world)
    first, *rest = [await world.run(it, due=-number) for number in range(5, 0, -1)]
    assert await settle(world) == 4
    assert [await world.history(run) for run in rest] == [["Scheduled", "Cancelled"]] * 4
    await world.accepted(busy, "COMPLETED")
    assert await world.granted() == [first.id]


async def test_the_first_is_the_one_of_the_highest_priority(world: World) -> None:
    await world.pool()
    it = await single(world)
    plain = await world.run(it, due=-9)
    urgent = await world.run(it, priority=5)
    assert await settle(world) == 1
    assert await world.history(plain) == ["Scheduled", "Cancelled"]
    assert await world.granted() == [urgent.id]


@pytest.mark.parametrize("what", ["pool", "queue", "deployment"])
async def test_what_is_paused_loses_nothing(world: World, what: str) -> None:
    """Runs of a paused pool, queue or deployment are judged when it is resumed."""
    await world.pool()
    queue = await world.queue("q")
    it = await single(world, work_queue_name="q")
    runs = await world.runs(it, 3)
    await pause(world, what, queue.id, it, paused=True)
    assert await settle(world) == 0
    assert [await world.history(run) for run in runs] == [["Scheduled"]] * 3
    await pause(world, what, queue.id, it, paused=False)
    assert await settle(world) == 2


async def pause(world: World, what: str, queue_id: object, it: Deployment, *, paused: bool) -> None:
    match what:
        case "pool":
            await world.change_pool(is_paused=paused)
        case "queue":
            await world.change_queue(queue_id, is_paused=paused)
        case _:
            await deployments.pause(world.scope, it.id, paused=paused)


async def test_a_run_that_had_begun_is_not_new(world: World) -> None:
    """One that goes back to its queue waits for a slot, though one without a run behind it would be cancelled."""
    await world.pool()
    it = await single(world)
    begun = await world.run(it)
    [grant] = await world.grants()
    await world.accepted(grant, "RUNNING")
    await world.accepted(begun, "SCHEDULED", force=True)
    other = await world.run(it, due=-1)
    assert await world.granted() == [other.id]
    assert await settle(world) == 0
    assert (await world.get(begun)).state_type == "SCHEDULED"
    result = await world.propose(begun, "PENDING")
    assert result.state
    assert (result.status, result.state.name) == ("REJECT", "AwaitingConcurrencySlot")


async def test_clients_that_poll_are_answered_alike(world: World) -> None:
    """A proposal of Pending that finds no slot is answered with the run's new state: cancelled, or waiting."""
    await world.pool()
    it = await single(world)
    waits = await world.deploy("waits", concurrency_limit=1)
    for deployment, name in ((it, "Cancelled"), (waits, "AwaitingConcurrencySlot")):
        first, second = await world.run(deployment), await world.run(deployment)
        await world.accepted(first, "PENDING")
        result = await world.propose(second, "PENDING")
        assert result.state
        assert (result.status, result.state.name) == ("REJECT", name)
        assert result.details.reason == "Deployment concurrency limit reached."


async def test_the_deployments_strategy_goes_before_the_pools_limit(world: World) -> None:
    """With both full, a new run is cancelled rather than left waiting for the pool."""
    await world.pool(concurrency_limit=1)
    it = await single(world)
    first, second = await world.run(it), await world.run(it)
    await world.accepted(first, "PENDING")
    result = await world.propose(second, "PENDING")
    assert result.state
    assert result.state.type == "CANCELLED"


async def test_the_strategy_can_be_changed(world: World) -> None:
    """It counts from the moment on at which it is set, and no longer once it is taken back."""
    await world.pool()
    it = await single(world, concurrency_options=None)
    await world.runs(it, 3)
    assert len(await world.granted()) == 1
    assert await settle(world) == 0
    await single(world)
    assert await settle(world) == 2
    await world.change_deployment(it, concurrency_limit=None)
    await world.runs(it, 2)
    assert await settle(world) == 0
    assert len(await world.granted()) == 2


async def test_more_than_a_page_collides(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.pool()
    it = await single(world, concurrency_limit=3)
    await world.runs(it, 10)
    monkeypatch.setattr(collisions, "_PAGE", 2)
    assert await settle(world) == 7
    assert len(await world.granted()) == 3


# --- runs that are made in a state that holds a slot


@pytest.mark.parametrize("kind", ["PENDING", "RUNNING"])
@pytest.mark.parametrize("limited", ["pool", "queue", "deployment"])
async def test_a_run_that_is_made_in_a_slot_needs_one(world: World, kind: str, limited: str) -> None:
    """One that finds none begins by waiting for it, and its maker is answered so."""
    await world.pool(concurrency_limit=1 if limited == "pool" else None)
    await world.queue("q", concurrency_limit=1 if limited == "queue" else None)
    it = await world.deploy(concurrency_limit=1 if limited == "deployment" else None, work_queue_name="q")
    state = StateCreate(type=StateType(kind))
    first, second = await world.run(it, state=state), await world.run(it, state=state)
    assert first.state_type == kind
    assert (second.state_type, second.state_name) == ("SCHEDULED", "AwaitingConcurrencySlot")
    assert second.next_scheduled_start_time
    assert (second.next_scheduled_start_time - world.now).total_seconds() == 30
    assert await world.get(second) == second
    assert await world.slots() == 1
    await world.accepted(first, "COMPLETED")
    world.clock.advance(seconds=30)
    assert await world.granted() == [second.id]


async def test_many_that_are_made_in_slots_at_once(world: World) -> None:
    """As many as there are slots get one, though all are made by one transaction."""
    await world.pool(concurrency_limit=3)
    it = await world.deploy()
    made = await world.runs(it, 20, state=StateCreate(type=StateType.RUNNING))
    assert sorted(run.state_name or "" for run in made) == ["AwaitingConcurrencySlot"] * 17 + ["Running"] * 3
    assert await world.slots() == 3


async def test_a_run_that_is_made_in_a_full_deployment_that_cancels(world: World) -> None:
    await world.pool()
    it = await single(world)
    state = StateCreate(type=StateType.PENDING)
    assert [(await world.run(it, state=state)).state_type for _ in range(2)] == ["PENDING", "CANCELLED"]
