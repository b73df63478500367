"""Task runs that were put off: each is offered to one task worker at a time, by whichever server."""

import asyncio
from uuid import UUID

from world import World

from headgate.schema.states import StateCreate, StateDetails, StateType
from headgate.schema.task_runs import TaskRunCreate
from headgate.services import task_runs, task_workers
from headgate.services.task_workers import OFFERED, Offer


async def put_off(world: World, name: str, task: str = "a") -> UUID:
    state = StateCreate(type=StateType.SCHEDULED, state_details=StateDetails(deferred=True))
    run, _ = await task_runs.create(world.scope, TaskRunCreate(task_key=task, dynamic_key=name, state=state))
    return run.id


async def offered(world: World, *tasks: str) -> Offer:
    async with asyncio.timeout(20):
        offer = await task_workers.next_offer(world.scope, tasks or ["a"], turn=0)
    assert offer is not None
    return offer


async def test_servers_offer_each_to_one(world: World, neighbour: World) -> None:
    ids = [await put_off(world, str(number)) for number in range(10)]
    offers = await asyncio.gather(*(offered(each) for each in [world, neighbour] * 5))
    assert sorted(offer.run.id for offer in offers) == sorted(ids)


async def test_who_waits_hears_of_another_servers(world: World, neighbour: World) -> None:
    waiting = asyncio.create_task(offered(neighbour))
    id = await put_off(world, "one")
    assert (await waiting).run.id == id


async def test_what_a_server_that_died_had_offered_is_offered_again(world: World, neighbour: World) -> None:
    id = await put_off(world, "one")
    late = await offered(world)
    world.clock.advance(seconds=OFFERED.total_seconds())
    again = await offered(neighbour)
    assert (late.run.id, again.run.id) == (id, id)
    await task_workers.withdraw(world.scope, late)  # it was not dead after all; the offer is another's by now
    await task_workers.accept(world.scope, late)
    other = await put_off(world, "two")
    assert (await offered(world)).run.id == other
    await task_workers.withdraw(neighbour.scope, again)
    assert (await offered(world)).run.id == id


async def test_who_stops_waiting_takes_nothing_along(world: World) -> None:
    id = await put_off(world, "one")
    for _ in range(5):
        waiting = asyncio.create_task(offered(world))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    assert (await offered(world)).run.id == id
