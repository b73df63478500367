"""Events as they come: nobody who follows waits in vain, whichever server something happens on."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from world import World

from headgate.errors import Unavailable
from headgate.ids import uuid7
from headgate.schema.events import Event, EventFilter, EventNameFilter, ReceivedEvent
from headgate.services import events
from headgate.services.event_streams import Following
from headgate.store import events as rows

CANCELS = EventFilter(event=EventNameFilter(name=["prefect.flow-run.Cancelling"]))


async def told(following: Following, count: int) -> list[str]:
    """The names of the next events."""
    names: list[str] = []
    async with asyncio.timeout(20):
        while len(names) < count:
            names += [event.event for event in await following.next()]
    return names


def happening(world: World, name: str = "x.seen") -> Event:
    return Event(id=uuid4(), occurred=world.now, event=name, resource={"prefect.resource.id": "thing"})


async def test_what_happens_on_another_server_is_told(world: World, neighbour: World) -> None:
    """Its signals are not heard here; who follows looks by itself."""
    await world.pool()
    run = await world.run(await world.deploy())
    await world.accepted(run, "PENDING", "RUNNING")
    async with neighbour.scope.event_streams.following(neighbour.scope, CANCELS) as following:
        await world.propose(run, "CANCELLING")
        assert await told(following, 1) == ["prefect.flow-run.Cancelling"]
        await events.receive(world.scope, [happening(world, "prefect.flow-run.Cancelling")])
        assert await told(following, 1) == ["prefect.flow-run.Cancelling"]


async def test_only_what_happens_from_now_on_is_told_and_only_once(world: World) -> None:
    await events.receive(world.scope, [happening(world, "x.before")])
    streams = world.scope.event_streams
    async with (
        streams.following(world.scope, EventFilter()) as first,
        streams.following(world.scope, EventFilter(event=EventNameFilter(prefix=["y."]))) as second,
    ):
        for name in ("x.1", "y.1", "x.2", "y.2"):
            await events.receive(world.scope, [happening(world, name)])
        assert await told(first, 4) == ["x.1", "y.1", "x.2", "y.2"]
        assert await told(second, 2) == ["y.1", "y.2"]
        world.clock.advance(seconds=1)
        await events.receive(world.scope, [happening(world, "y.3")])
        assert await told(first, 1) == ["y.3"]
        assert await told(second, 1) == ["y.3"]


async def test_an_event_whose_commit_was_late_is_told(world: World) -> None:
    """Its id is older than that of others that were told before it."""
    async with world.scope.event_streams.following(world.scope, EventFilter()) as following:
        old = uuid7(world.now)
        await events.receive(world.scope, [happening(world, "x.1")])
        assert await told(following, 1) == ["x.1"]
        late = ReceivedEvent(
            **{name: getattr(happening(world, "x.0"), name) for name in Event.__struct_fields__}, received=world.now
        )
        await world.scope.store.write(lambda tx: rows.insert(tx, [(old, late)]))
        assert await told(following, 1) == ["x.0"]


async def test_a_database_that_fails_for_a_while_costs_nobody_an_event(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, failures = rows.new_ids, iter([True, False, True])

    async def fails_at_times(*arguments: Any) -> Any:
        if next(failures, False):
            raise Unavailable("busy")
        return await read(*arguments)

    monkeypatch.setattr(rows, "new_ids", fails_at_times)
    async with world.scope.event_streams.following(world.scope, EventFilter()) as following:
        await events.receive(world.scope, [happening(world)])
        assert await told(following, 1) == ["x.seen"]
