"""Cases that users of other work pools reported, each under its number: they are reproduced here, and end well."""

from typing import Any
from uuid import uuid4

import pytest
from world import World, leases_of

from headgate.schema.claims import Grant
from headgate.schema.deployments import Deployment
from headgate.services import leases
from headgate.services.loops.lifeline import Lifeline


@pytest.fixture
async def it(world: World) -> Deployment:
    """On a pool with one slot: what leaks it wedges the pool."""
    await world.pool(concurrency_limit=1)
    return await world.deploy()


@pytest.fixture
async def job(world: World) -> Lifeline:
    """A lifeline whose own grace is over."""
    made = Lifeline()
    assert await made.tick(world.scope) == 0
    world.clock.advance(seconds=60)
    return made


async def recover(world: World, job: Lifeline, seconds: float = 30) -> None:
    """So much time passes, with the lifeline's passes in between."""
    for _ in range(int(seconds)):
        world.clock.advance(seconds=1)
        await job.tick(world.scope)


async def claimed(world: World, it: Deployment) -> Grant:
    await world.run(it)
    [grant] = await world.grants()
    return grant


async def test_20485_a_worker_is_killed_between_claim_and_launch(world: World, it: Deployment, job: Lifeline) -> None:
    """The run does not stay Pending, nor keep its slot; another worker runs it, and the first, should it wake, does not."""
    grant = await claimed(world, it)
    other = await world.run(it)
    assert await world.granted(worker="another") == []
    await recover(world, job)
    [again] = await world.grants(worker="another")
    assert again.flow_run.id == grant.flow_run.id
    assert (await world.propose(grant, "RUNNING")).status == "ABORT"
    await world.accepted(again, "RUNNING", "COMPLETED")
    assert await world.granted(worker="another") == [other.id]


async def test_10263_the_reply_to_a_claim_is_lost_after_the_commit(world: World, it: Deployment, job: Lifeline) -> None:
    """The worker that asked lives on, knows nothing of the run, and beats: it is given the run anew, and runs it once."""
    lost = await claimed(world, it)
    for _ in range(30):
        world.clock.advance(seconds=1)
        await world.renew()
        await job.tick(world.scope)
    [again] = await world.grants()
    assert again.flow_run.id == lost.flow_run.id
    await world.accepted(again, "RUNNING", "COMPLETED")
    assert (await world.get(again)).run_count == 1


@pytest.mark.parametrize("kind", ["RUNNING", "COMPLETED"])
async def test_10263_the_reply_to_a_report_is_lost_after_the_commit(world: World, it: Deployment, kind: str) -> None:
    """It is sent again under its own id, and answered with what it made: it counts once."""
    grant, key = await claimed(world, it), uuid4()
    if kind == "COMPLETED":
        await world.accepted(grant, "RUNNING")
    await world.accepted(grant, kind, key=key)
    again = await world.propose(grant, kind, key=key)
    assert (again.status, again.state and again.state.type) == ("REJECT", kind)
    assert (await world.get(grant)).run_count == 1


@pytest.mark.parametrize("minutes", [1, 600])
async def test_21064_the_server_restarts_while_leases_are_held(world: World, it: Deployment, minutes: int) -> None:
    """However long it was away: who comes back within a lease goes on, and healthy work is not even suspected."""
    grant = await claimed(world, it)
    await world.accepted(grant, "RUNNING")
    world.clock.advance(minutes=minutes)
    job = Lifeline()
    await recover(world, job, 15)
    assert (await leases.renew_run(world.scope, grant.flow_run.id, leases_of([grant])[0])).lost == []
    await recover(world, job, 15)
    await world.accepted(grant, "COMPLETED")
    assert await world.history(grant) == ["Scheduled", "Pending", "Running", "Completed"]


@pytest.mark.parametrize("policy", [None, {"max": 1, "delay_seconds": 0, "reasons": ["other"]}])
async def test_22620_a_process_is_terminated_and_started_again_by_its_infrastructure(
    world: World, it: Deployment, policy: Any
) -> None:
    """The second process has the orders of the first: it is refused, also where the run waits for a claim of its own."""
    await world.change_deployment(it, infra_retries=policy)
    grant = await claimed(world, it)
    await world.accepted(grant, "RUNNING")
    await world.propose(grant, "CRASHED")
    assert (await world.propose(grant, "RUNNING")).status == "ABORT"
    assert (await world.propose(grant, "COMPLETED")).status == "ABORT"
    run = await world.get(grant)
    assert (run.state_name, run.run_count) == ("AwaitingInfraRetry" if policy else "Crashed", 1)
    granted = await world.grants()
    assert [each.flow_run.id for each in granted] == ([run.id] if policy else [])
    for each in granted:
        assert (await world.propose(grant, "RUNNING")).status == "ABORT"
        await world.accepted(each, "RUNNING", "COMPLETED")


async def test_16429_a_run_that_crashed_does_not_complete_and_one_that_completed_does_not_crash(
    world: World, it: Deployment, job: Lifeline
) -> None:
    """Late heartbeats and late reports change nothing that is final."""
    lost = await claimed(world, it)
    await world.accepted(lost, "RUNNING")
    await recover(world, job)
    done = await claimed(world, it)
    await world.accepted(done, "RUNNING", "COMPLETED")
    assert set((await world.renew(lost, done)).lost) == {lost.flow_run.id, done.flow_run.id}
    for grant in (lost, done):
        for kind in ("RUNNING", "COMPLETED", "CRASHED", "CANCELLED", "FAILED"):
            assert (await world.propose(grant, kind)).status == "ABORT"
    await recover(world, job)
    assert [(await world.get(each)).state_name for each in (lost, done)] == ["Crashed", "Completed"]
