"""Statuses: what became ready, and what is so no more, is told once; nobody has to have changed anything for that."""

import pytest
from world import World

from headgate.schema.events import EventFilter, EventNameFilter, Order
from headgate.schema.filters import WorkerQuery
from headgate.schema.workers import WorkerHeartbeat
from headgate.services import events, work_pools, work_queues, workers
from headgate.services.loops.statuses import Statuses

KINDS, WORDS = ("work-pool", "work-queue", "deployment"), ("ready", "not-ready", "paused")
OF_STATUSES = EventNameFilter(name=[f"prefect.{kind}.{word}" for kind in KINDS for word in WORDS])


async def told(world: World) -> list[str]:
    """All events of statuses, and of what; the first pool's own, that it is not ready yet, left out."""
    wanted = EventFilter(event=OF_STATUSES, order=Order.ASC)
    found = await events.list_stored(world.scope, events.within_times(world.scope, wanted), limit=100)
    return [f"{each.resource['prefect.resource.name']} {each.event.removeprefix('prefect.')}" for each in found][1:]


async def test_what_is_polled_is_ready_until_it_is_not_polled_any_more(world: World) -> None:
    await world.pool()
    await world.deploy()
    statuses = Statuses()
    assert await statuses.tick(world.scope) == 0
    await world.claim()
    assert await statuses.tick(world.scope) == 3
    became = ["local work-pool.ready", "default work-queue.ready", "nightly deployment.ready"]
    assert await told(world) == became
    world.clock.advance(seconds=15)
    assert await statuses.tick(world.scope) == 0
    world.clock.advance(seconds=100)
    assert await statuses.tick(world.scope) == 3
    assert await told(world) == became + [each.replace("ready", "not-ready") for each in became]


async def test_what_was_told_is_not_told_again(world: World) -> None:
    """A heartbeat, a pause, another leader."""
    pool = await world.pool()
    statuses, other = Statuses(), Statuses()
    for each in (statuses, other):
        await each.tick(world.scope)
    world.clock.advance(seconds=5)
    await workers.heartbeat(world.scope, "local", WorkerHeartbeat(name="w"))
    assert await told(world) == ["local work-pool.ready"]
    assert await statuses.tick(world.scope) == 0
    await world.claim()
    await world.change_queue(pool.default_queue_id, is_paused=True)
    assert await statuses.tick(world.scope) == 0
    assert await told(world) == ["local work-pool.ready", "default work-queue.paused"]
    world.clock.advance(seconds=200)
    assert [await each.tick(world.scope) for each in (statuses, other)] == [1, 0]


async def test_what_is_gone_has_no_status(world: World) -> None:
    await world.pool()
    queue = await world.queue("q")
    await world.claim()
    statuses = Statuses()
    await statuses.tick(world.scope)
    await work_queues.delete(world.scope, queue.id)
    assert await statuses.tick(world.scope) == 0


async def test_a_pass_that_failed_is_made_up_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.pool()
    statuses = Statuses()
    await statuses.tick(world.scope)
    await world.claim()
    with monkeypatch.context() as patch:
        patch.setattr("headgate.services.loops.statuses._tell", None)
        with pytest.raises(TypeError):
            await statuses.tick(world.scope)
    assert await statuses.tick(world.scope) == 2


@pytest.mark.parametrize("interval", [5, 60, 600, 0, None])
async def test_a_pool_is_ready_as_long_as_its_worker_is_online(world: World, interval: float | None) -> None:
    """However often that says that it beats; and another, of which nothing was heard for long, changes nothing."""
    await world.pool()
    await workers.heartbeat(world.scope, "local", WorkerHeartbeat(name="gone", heartbeat_interval_seconds=5))
    world.clock.advance(minutes=10)
    statuses, span = Statuses(), 3 * (interval or 30)
    await workers.heartbeat(world.scope, "local", WorkerHeartbeat(name="w", heartbeat_interval_seconds=interval))
    await statuses.tick(world.scope)
    for seconds, online in ((span, True), (0.001, False)):
        world.clock.advance(seconds=seconds)
        (worker,) = [each for each in await workers.list_page(world.scope, "local", WorkerQuery()) if each.name == "w"]
        assert (worker.status == "ONLINE") is online
        assert ((await work_pools.get(world.scope, "local")).status == "READY") is online
        assert await statuses.tick(world.scope) == (0 if online else 1)
    assert (await told(world))[-1] == "local work-pool.not-ready"
