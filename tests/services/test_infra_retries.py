"""Runs that lost their infrastructure, under a deployment's policy: back in their queue, and nobody's until claimed."""

import pytest
from world import World

from headgate.schema.deployments import Deployment, InfraRetries
from headgate.schema.states import CrashReason, SetState, StateCreate, StateDetails, StateType
from headgate.services import states
from headgate.services.loops.lifeline import Lifeline


@pytest.fixture
async def it(world: World) -> Deployment:
    await world.pool(concurrency_limit=1)
    return await world.deploy(infra_retries=InfraRetries(max=2, delay_seconds=10, backoff=2))


async def crash(world: World, grant: object, reason: CrashReason) -> str:
    """A worker reports that a run of its own is gone; the name of the state that the run is in then."""
    details = StateDetails(crash_reason=reason)
    body = SetState(state=StateCreate(type=StateType.CRASHED, message="Gone.", state_details=details))
    body.fence = grant.lease.fence  # type: ignore[attr-defined]
    result = (await states.set_state(world.scope, grant.flow_run.id, body)).result  # type: ignore[attr-defined]
    return result.state.name if result.state else ""


async def test_it_is_claimed_again_until_the_policy_ends(world: World, it: Deployment) -> None:
    """After its delay, by anybody, under a new fence; its slot is free meanwhile; then the crash stands."""
    run = await world.run(it)
    for delay in (10, 20):
        [grant] = await world.grants(worker="doomed")
        await world.accepted(grant, "RUNNING")
        assert await crash(world, grant, CrashReason.OUT_OF_MEMORY) == "AwaitingInfraRetry"
        assert await world.slots() == 0
        assert (await world.propose(grant, "COMPLETED")).status == "ABORT"
        world.clock.advance(seconds=delay, microseconds=-1)
        assert await world.grants() == []
        world.clock.advance(microseconds=1)
    [grant] = await world.grants(worker="last")
    await world.accepted(grant, "RUNNING")
    assert await crash(world, grant, CrashReason.OUT_OF_MEMORY) == "Crashed"
    found = await world.get(run)
    assert found.run_count == 3
    assert [name for name in await world.history(run) if name in ("AwaitingInfraRetry", "Crashed")] == [
        "AwaitingInfraRetry",
        "AwaitingInfraRetry",
        "Crashed",
    ]


async def test_what_the_lifeline_finds_is_lost(world: World, it: Deployment) -> None:
    """A run whose processes and worker are gone is tried again like any other that lost its infrastructure."""
    job = Lifeline()
    await job.tick(world.scope)
    world.clock.advance(seconds=60)
    run = await world.run(it)
    [grant] = await world.grants()
    await world.accepted(grant, "RUNNING")
    world.clock.advance(seconds=21)
    assert await job.tick(world.scope) == 1
    assert (await world.get(run)).state_name == "Lost?"
    world.clock.advance(seconds=7)
    assert await job.tick(world.scope) == 1
    found = await world.get(run)
    assert found.state
    assert (found.state_name, found.state.state_details.crash_reason) == ("AwaitingInfraRetry", CrashReason.LOST)
    world.clock.advance(seconds=10)
    [again] = await world.grants(worker="another")
    await world.accepted(again, "RUNNING", "COMPLETED")


async def test_a_cancelled_run_is_not_tried_again(world: World, it: Deployment) -> None:
    run = await world.run(it)
    [grant] = await world.grants()
    await world.accepted(grant, "RUNNING")
    await world.accepted(run, "CANCELLING")
    assert await crash(world, grant, CrashReason.LOST) == "Cancelling"
    await world.accepted(grant, "CANCELLED")


async def test_the_policy_is_the_deployments_of_the_moment(world: World, it: Deployment) -> None:
    """It is kept with the deployment, can be changed and taken back, and counts for runs that go on already."""
    assert it.infra_retries == InfraRetries(max=2, delay_seconds=10, backoff=2)
    await world.run(it)
    [grant] = await world.grants()
    await world.change_deployment(it, infra_retries=None)
    assert await crash(world, grant, CrashReason.LAUNCH_ERROR) == "Crashed"
