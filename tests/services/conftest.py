"""A world to work in for the tests of use cases; makes it importable."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from sleepers import Sleepers
from world import World

from headgate.clock import FrozenClock
from headgate.services import claims
from headgate.services.scope import Scope
from headgate.services.wakeups import wait_until_set
from headgate.store.database import Database

OpenDatabase = Callable[[str], Awaitable[Database]]


@pytest.fixture
def world(scope: Scope, clock: FrozenClock) -> World:
    """Short words for the use cases, over the fresh database and the frozen clock."""
    return World(scope, clock)


@pytest.fixture
async def neighbour(database_url: str, open_url: OpenDatabase, world: World) -> World:
    """A second server: its own connections to the same database, and wake-ups that the first does not hear."""
    return world.beside(await open_url(database_url))


@pytest.fixture
def sleepers(monkeypatch: pytest.MonkeyPatch) -> Sleepers:
    """Claims that wait: none of them looks again by itself, so that whatever wakes one was a signal."""
    watched = Sleepers(asyncio.Queue())

    async def wait(event: asyncio.Event, seconds: float) -> bool:
        watched.asleep.put_nowait(seconds)
        return await wait_until_set(event, seconds)

    monkeypatch.setattr(claims, "TRUTH_SECONDS", 3600.0)
    monkeypatch.setattr(claims, "wait_until_set", wait)
    return watched
