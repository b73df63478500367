"""The lifeline: what becomes of runs whose holder stopped renewing, and of nobody else's."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from msgspec import structs
from sleepers import Sleepers, woken
from world import World, leases_of

from headgate.errors import NotFound
from headgate.schema.claims import Grant
from headgate.schema.deployments import Deployment
from headgate.schema.flow_runs import FlowRunPolicy
from headgate.services import flow_runs, leases, states
from headgate.services.loops.lifeline import Lifeline
from headgate.services.scope import Scope
from headgate.services.states import Proposal, propose
from headgate.store import claims as rows


@pytest.fixture
async def it(world: World) -> Deployment:
    await world.pool()
    return await world.deploy()


@pytest.fixture
async def job(world: World) -> Lifeline:
    """A lifeline whose own grace is over."""
    made = Lifeline()
    assert await made.tick(world.scope) == 0
    world.clock.advance(seconds=60)
    return made


async def claimed(world: World, it: Deployment, *kinds: str, **fields: Any) -> Grant:
    """A claimed run that went through some states."""
    await world.run(it, **fields)
    [grant] = await world.grants()
    await world.accepted(grant, *kinds)
    return grant


def lapse(world: World) -> None:
    """A lease and a moment pass."""
    world.clock.advance(seconds=20, microseconds=1)


async def test_a_claim_that_never_started_waits_again(world: World, it: Deployment, job: Lifeline) -> None:
    """Under its old time and with a new fence, so that its first worker, should it come back, can do nothing."""
    due = world.now - timedelta(seconds=3)
    grant = await claimed(world, it, due=due)
    world.clock.advance(seconds=20)
    assert await job.tick(world.scope) == 0
    world.clock.advance(microseconds=1)
    assert await job.tick(world.scope) == 1
    run = await world.get(grant)
    assert run.state
    assert (run.state_name, run.next_scheduled_start_time, run.expected_start_time) == ("Scheduled", due, due)
    assert "stopped renewing" in (run.state.message or "")
    assert (await world.propose(grant, "RUNNING")).status == "ABORT"
    [again] = await world.grants(worker="another")
    assert again.lease.fence > grant.lease.fence
    await world.accepted(again, "RUNNING", "COMPLETED")
    assert await world.history(grant) == ["Scheduled", "Pending", "Scheduled", "Pending", "Running", "Completed"]


async def test_a_run_that_had_started_is_crashed(world: World, it: Deployment, job: Lifeline) -> None:
    """It may have done half of its work: whether it runs again is not the lifeline's to say."""
    await world.change_pool(concurrency_limit=1)
    grant = await claimed(world, it, "RUNNING")
    lapse(world)
    assert await job.tick(world.scope) == 1
    world.clock.advance(seconds=6, microseconds=1)
    assert await job.tick(world.scope) == 1
    run = await world.get(grant)
    assert run.state
    assert (run.state_name, run.end_time) == ("Crashed", world.now)
    assert "stopped reporting" in (run.state.message or "")
    assert run.total_run_time == pytest.approx(26.000002)
    assert await world.slots() == 0
    assert (await world.propose(grant, "COMPLETED")).status == "ABORT"


async def test_a_run_that_was_being_cancelled_is_cancelled(world: World, it: Deployment, job: Lifeline) -> None:
    grant = await claimed(world, it, "RUNNING")
    await world.accepted(grant.flow_run, "CANCELLING")
    lapse(world)
    assert await job.tick(world.scope) == 1
    assert (await world.get(grant)).state_name == "Cancelled"


async def test_a_run_whose_engine_died_before_its_retry_waits_for_it(world: World, it: Deployment, job: Lifeline) -> None:
    """For the time of that retry, and for anybody."""
    grant = await claimed(world, it, "RUNNING", empirical_policy=FlowRunPolicy(retries=1, retry_delay=300))
    assert (await world.propose(grant, "FAILED")).status == "REJECT"
    retry = world.now + timedelta(seconds=300)
    lapse(world)
    assert await job.tick(world.scope) == 1
    run = await world.get(grant)
    assert (run.state_name, run.next_scheduled_start_time) == ("AwaitingRetry", retry)
    assert await world.slots() == 0
    assert (await world.propose(grant, "RUNNING")).status == "ABORT"
    assert await world.granted() == []
    world.clock.time = retry
    assert await world.granted() == [run.id]


async def test_runs_without_a_lease_are_left_alone(world: World, it: Deployment, job: Lifeline) -> None:
    """Clients that know no leases run as long as they like."""
    pending, running = await world.runs(it, 2)
    await world.accepted(pending, "PENDING")
    await world.accepted(running, "PENDING", "RUNNING")
    world.clock.advance(days=30)
    assert await job.tick(world.scope) == 0
    assert [(await world.get(run)).state_name for run in (pending, running)] == ["Pending", "Running"]


async def test_whoever_renews_is_left_alone(world: World, it: Deployment, job: Lifeline) -> None:
    """The worker's renewal is enough, and the engine's is."""
    by_worker, by_engine = await claimed(world, it), await claimed(world, it, "RUNNING")
    for _ in range(5):
        world.clock.advance(seconds=15)
        await world.renew(by_worker)
        await leases.renew_run(world.scope, by_engine.flow_run.id, leases_of([by_engine])[0])
        assert await job.tick(world.scope) == 0
    assert [(await world.get(each)).state_name for each in (by_worker, by_engine)] == ["Pending", "Running"]


async def test_a_lapsed_lease_may_still_be_renewed(world: World, it: Deployment, job: Lifeline) -> None:
    """A holder that comes back before the lifeline looked goes on as if nothing had been."""
    grant = await claimed(world, it, "RUNNING")
    lapse(world)
    assert (await world.renew(grant)).lost == []
    assert await job.tick(world.scope) == 0
    await world.accepted(grant, "COMPLETED")


@pytest.mark.parametrize("late", ["renewed", "finished", "deleted"])
async def test_what_happens_between_look_and_verdict_wins(
    world: World, it: Deployment, job: Lifeline, late: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A holder that shows up after the lifeline saw its lease lapsed, and before it acts, keeps the run; and
    the other lapsed runs are recovered all the same."""
    grant, other = await claimed(world, it, "RUNNING"), await claimed(world, it, "RUNNING")
    lapse(world)
    seen = await world.scope.store.read(lambda tx: rows.lapsed(tx, now=world.now, limit=10))
    match late:
        case "renewed":
            await world.renew(grant)
        case "finished":
            await world.accepted(grant, "COMPLETED")
        case _:
            await flow_runs.delete(world.scope, grant.flow_run.id)

    async def as_seen(_tx: object, **_fields: object) -> object:
        return seen

    monkeypatch.setattr(rows, "lapsed", as_seen)
    assert await job.tick(world.scope) == 1
    monkeypatch.undo()
    assert (await world.get(other)).state_name == "Lost?"
    if late != "deleted":
        assert (await world.get(grant)).state_name == {"renewed": "Running", "finished": "Completed"}[late]


async def test_a_server_that_just_came_up_waits(world: World, it: Deployment) -> None:
    """While no server was up nobody could renew: holders get one lease of time to come back."""
    grant = await claimed(world, it, "RUNNING")
    world.clock.advance(hours=1)
    job = Lifeline()
    assert await job.tick(world.scope) == 0
    world.clock.advance(seconds=19)
    assert await job.tick(world.scope) == 0
    await world.renew(grant)
    world.clock.advance(seconds=2)
    assert await job.tick(world.scope) == 0
    world.clock.advance(seconds=30)
    assert await job.tick(world.scope) == 1


async def test_the_grace_is_one_lease(world: World, it: Deployment) -> None:
    """As long as the settings say that a lease is."""
    settings = structs.replace(world.scope.settings, server_leases_seconds=5.0)
    world.scope = replace(world.scope, settings=settings)
    await claimed(world, it, "RUNNING")
    job = Lifeline()
    await job.tick(world.scope)
    world.clock.advance(seconds=5, microseconds=1)
    assert await job.tick(world.scope) == 1


async def test_hundreds_of_lapsed_runs_in_one_pass(world: World, it: Deployment, job: Lifeline) -> None:
    """However many a dead worker held, one pass recovers them, and they can be claimed again."""
    await world.runs(it, 230)
    assert len(await world.granted(230)) == 230
    lapse(world)
    assert await job.tick(world.scope) == 230
    assert await job.tick(world.scope) == 0
    assert len(await world.granted(230)) == 230


async def test_one_run_that_fails_does_not_keep_the_others_and_is_told(
    world: World, it: Deployment, job: Lifeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The policy of all the server's own jobs: what was deleted meanwhile is nothing, any other error fails the pass."""
    one, deleted, other = [await claimed(world, it) for _ in range(3)]
    lapse(world)

    async def fails(scope: Scope, proposal: Proposal) -> Any:
        if proposal.run_id == one.flow_run.id:
            raise ZeroDivisionError
        if proposal.run_id == deleted.flow_run.id:
            raise NotFound("deleted")
        return await propose(scope, proposal)

    monkeypatch.setattr(states, "propose", fails)
    with pytest.raises(ZeroDivisionError):
        await job.tick(world.scope)
    assert [(await world.get(run)).state_name for run in (one, other)] == ["Pending", "Scheduled"]
    monkeypatch.undo()
    assert await job.tick(world.scope) == 2


async def test_a_recovered_run_wakes_who_waits(world: World, it: Deployment, job: Lifeline, sleepers: Sleepers) -> None:
    grant = await claimed(world, it)
    task = await sleepers.claim(world, worker="another")
    lapse(world)
    await job.tick(world.scope)
    [again] = (await woken(task)).grants
    assert again.flow_run.id == grant.flow_run.id
