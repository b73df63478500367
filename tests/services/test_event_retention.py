"""Events are kept for some days, and no longer."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from world import World

from headgate.clock import FrozenClock
from headgate.ids import made_at, uuid7
from headgate.schema.events import Event, EventFilter
from headgate.services import events, retention
from headgate.services.loops.pruner import Pruner
from headgate.store.database import Database
from headgate.store.opening import create_schema


@pytest.fixture
def clock() -> FrozenClock:
    """Stands after all ids that this process has made: events are as old as their ids say."""
    return FrozenClock(made_at(uuid7(datetime(2026, 3, 2, 9, 0, tzinfo=UTC))) + timedelta(seconds=1))


@pytest.fixture
async def database(empty_url: str, open_url: Callable[[str], Awaitable[Database]]) -> Database:
    """For one test alone: partitions stay."""
    store = await open_url(empty_url)
    await create_schema(store)
    return store


async def no_pause(seconds: float) -> None:
    """Go on at once."""


async def receive(world: World, name: str, count: int = 1) -> None:
    resource = {"prefect.resource.id": "thing"}
    told = [Event(id=uuid4(), occurred=world.now, event=name, resource=resource) for _ in range(count)]
    await events.receive(world.scope, told)


async def names(world: World) -> set[str]:
    return {event.event for event in await events.list_stored(world.scope, EventFilter(), limit=2000)}


@pytest.mark.parametrize("in_partitions", [False, True])
async def test_events_go_after_seven_days(world: World, in_partitions: bool) -> None:
    """On PostgreSQL with the partition that they lie in, which is dropped as a whole; else row by row."""
    pruner = Pruner(no_pause)
    if in_partitions:
        await pruner.tick(world.scope)
    await receive(world, "x.old", 700)
    world.clock.advance(days=6.9)
    await receive(world, "x.new")
    await pruner.tick(world.scope)
    assert await names(world) == {"x.old", "x.new"}
    world.clock.advance(days=2)
    assert (await retention.count(world.scope, retention.cutoffs_of(world.scope))).events == 700
    await pruner.tick(world.scope)
    assert await names(world) == {"x.new"}
