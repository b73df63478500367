"""Pauses that nobody ends in time."""

from datetime import timedelta

import pytest
from world import World

from headgate.schema.flow_run_inputs import ResumeFlowRun
from headgate.schema.flow_runs import FlowRun
from headgate.schema.states import SetState, StateCreate, StateDetails, StateType
from headgate.services import flow_run_inputs, states
from headgate.services.loops import suspensions


async def paused(world: World, seconds: float | None, *, name: str = "Paused") -> FlowRun:
    """A run that waits to be resumed, for so long."""
    run = await world.run(await world.deploy())
    until = None if seconds is None else world.now + timedelta(seconds=seconds)
    details_of = StateDetails(pause_timeout=until, pause_reschedule=name == "Suspended")
    await world.accepted(run, "PENDING", "RUNNING")
    state = StateCreate(type=StateType.PAUSED, name=name, state_details=details_of)
    answer = await states.set_state(world.scope, run.id, SetState(state=state))
    assert answer.entered
    return run


@pytest.fixture(autouse=True)
async def pool(world: World) -> None:
    await world.pool()


@pytest.mark.parametrize("name", ["Paused", "Suspended"])
async def test_a_run_that_is_not_resumed_in_time_fails(world: World, name: str) -> None:
    run = await paused(world, 10, name=name)
    world.clock.advance(seconds=10)
    assert await suspensions.tick(world.scope) == 0
    world.clock.advance(microseconds=1)
    assert await suspensions.tick(world.scope) == 1
    found = await world.get(run)
    assert found.state
    assert (found.state_name, found.state.message) == ("Failed", "The flow was paused and never resumed.")
    assert await suspensions.tick(world.scope) == 0


async def test_what_may_still_be_resumed_stays(world: World) -> None:
    """A pause that has no end, one that ends later, and one that was ended."""
    runs = [await paused(world, None), await paused(world, 100), await paused(world, 1)]
    await flow_run_inputs.resume(world.scope, runs[2].id, ResumeFlowRun())
    world.clock.advance(seconds=50)
    assert await suspensions.tick(world.scope) == 0
    assert [(await world.get(run)).state_type for run in runs] == ["PAUSED", "PAUSED", "RUNNING"]


async def test_a_page_after_another(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suspensions, "_PAGE", 2)
    for seconds in (100, 1, 100, 1, 1):
        await paused(world, seconds)
    world.clock.advance(seconds=2)
    assert await suspensions.tick(world.scope) == 3
