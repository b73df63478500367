"""Servers whose clocks differ: a run's history still goes forward, and its figures make sense."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from world import World

from headgate.clock import FrozenClock
from headgate.services.loops.lifeline import Lifeline


@pytest.fixture
def behind(neighbour: World) -> World:
    """A second server, whose clock is two seconds behind."""
    clock = FrozenClock(neighbour.now - timedelta(seconds=2))
    return World(replace(neighbour.scope, clock=clock), clock)


async def test_a_history_never_goes_back(world: World, behind: World) -> None:
    """A run that is claimed, run and ended through servers that disagree about the time."""
    await world.pool()
    run = await world.run(await world.deploy(), due=-60)
    (grant,) = await world.grants()
    await behind.accepted(grant, "RUNNING")
    world.clock.advance(seconds=1)
    await world.accepted(grant, "RUNNING", name="Working")
    await behind.accepted(grant, "COMPLETED")
    history = await world.states(run)
    assert [state.name for state in history] == ["Scheduled", "Pending", "Running", "Working", "Completed"]
    assert all(earlier.timestamp <= later.timestamp for earlier, later in pairwise(history))
    assert [state.id for state in history] == sorted(state.id for state in history)
    ended = await behind.get(run)
    assert ended.start_time is not None
    assert ended.end_time is not None
    assert ended.end_time >= ended.start_time
    assert ended.total_run_time == pytest.approx(1.0, abs=0.001)


async def test_a_claim_of_a_server_that_is_behind(world: World, behind: World) -> None:
    """Its claim follows what the other recorded, and its lease lasts as long as it promised from its own now."""
    await world.pool()
    run = await world.run(await world.deploy(), due=-60)
    (grant,) = await behind.grants()
    assert await behind.history(run) == ["Scheduled", "Pending"]
    created, claimed = await behind.states(run)
    assert claimed.timestamp > created.timestamp
    assert grant.lease.expires_at == behind.now + timedelta(seconds=world.scope.settings.server_leases_seconds)


async def test_a_lifeline_that_is_ahead_takes_no_lease_before_its_end(world: World, behind: World) -> None:
    """A lease that is renewed at its usual pace outlives a small difference of the clocks."""
    await world.pool()
    await world.run(await world.deploy(), due=-60)
    (grant,) = await behind.grants()
    job = Lifeline()
    await job.tick(world.scope)
    for _ in range(10):
        world.clock.advance(seconds=5)
        behind.clock.advance(seconds=5)
        assert await job.tick(world.scope) == 0
        assert (await behind.renew(grant)).lost == []
