"""Leases and fences: a holder keeps what it renews, a late holder's writes are refused, claims can be given back."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from world import World, leases_of

from headgate.errors import NotFound
from headgate.schema.claims import Grant, HeldLease
from headgate.schema.deployments import Deployment
from headgate.schema.filters import WorkerQuery
from headgate.schema.flow_runs import FlowRun, FlowRunPolicy
from headgate.services import flow_runs, leases, workers


@pytest.fixture
async def it(world: World) -> Deployment:
    await world.pool()
    return await world.deploy()


@pytest.fixture
async def grant(world: World, it: Deployment) -> Grant:
    """A claimed run."""
    await world.run(it)
    [grant] = await world.grants()
    return grant


async def lease_end(world: World, run: FlowRun | Grant) -> Any:
    id = run.flow_run.id if isinstance(run, Grant) else run.id
    row = await world.scope.store.read(
        lambda tx: tx.fetch_one("SELECT lease_expires_at FROM flow_run WHERE id = :id", {"id": id})
    )
    assert row is not None
    return row["lease_expires_at"]


async def test_a_renewal_moves_the_end(world: World, grant: Grant) -> None:
    world.clock.advance(seconds=7)
    answer = await world.renew(grant)
    assert answer.expires_at == world.now + timedelta(seconds=20) == await lease_end(world, grant)
    assert (answer.lost, answer.cancel) == ([], [])


async def test_a_renewal_is_a_heartbeat(world: World, grant: Grant) -> None:
    """Also one without leases."""
    world.clock.advance(seconds=7)
    await world.renew()
    [worker] = await workers.list_page(world.scope, "local", WorkerQuery())
    assert worker.last_heartbeat_time == world.now
    assert grant


async def test_an_engine_renews_its_own_run(world: World, grant: Grant) -> None:
    """Without a pool or a worker of its own; it learns of a cancellation the same way."""
    world.clock.advance(seconds=7)
    [lease] = leases_of([grant])
    answer = await leases.renew_run(world.scope, grant.flow_run.id, lease)
    assert answer.expires_at == await lease_end(world, grant)
    await world.accepted(grant, "RUNNING")
    await world.accepted(grant.flow_run, "CANCELLING")
    answer = await leases.renew_run(world.scope, grant.flow_run.id, lease)
    assert (answer.cancel, answer.lost) == ([grant.flow_run.id], [])
    [worker] = await workers.list_page(world.scope, "local", WorkerQuery())
    assert worker.name == "w"


async def test_cancelled_runs_are_told_with_the_renewal(world: World, it: Deployment) -> None:
    await world.runs(it, 2)
    one, other = await world.grants()
    await world.accepted(one.flow_run, "CANCELLING")
    assert (await world.renew(one, other)).cancel == [one.flow_run.id]


@pytest.mark.parametrize("end", ["COMPLETED", "CRASHED", "SCHEDULED"])
async def test_a_run_that_left_its_holder_is_lost(world: World, grant: Grant, end: str) -> None:
    await world.accepted(grant, "RUNNING", end)
    assert (await world.renew(grant)).lost == [grant.flow_run.id]
    assert await lease_end(world, grant) is None


async def test_a_deleted_run_is_lost(world: World, grant: Grant) -> None:
    await flow_runs.delete(world.scope, grant.flow_run.id)
    assert (await world.renew(grant)).lost == [grant.flow_run.id]
    await world.give_back(grant)
    with pytest.raises(NotFound):
        await world.propose(grant, "RUNNING")


async def test_a_stale_fence_is_refused_everywhere(world: World, grant: Grant) -> None:
    """A holder that lost its run to another can neither renew it, nor give it back, nor change its state."""
    await world.give_back(grant)
    [new] = await world.grants(worker="new")
    assert new.lease.fence > grant.lease.fence
    world.clock.advance(seconds=7)
    before = await lease_end(world, new)
    assert (await world.renew(grant)).lost == [grant.flow_run.id]
    await world.give_back(grant)
    for kind in ("RUNNING", "COMPLETED", "CRASHED", "CANCELLED"):
        result = await world.propose(grant, kind)
        assert result.status == "ABORT"
        assert "claimed again" in (result.details.reason or "")
    assert await lease_end(world, new) == before
    assert (await world.get(new)).state_name == "Pending"
    await world.accepted(new, "RUNNING", "COMPLETED")


async def test_one_call_may_hold_old_and_new_fences(world: World, grant: Grant) -> None:
    """Two workers' heartbeats in one set are told apart."""
    await world.give_back(grant)
    [new] = await world.grants(worker="new")
    old_answer, new_answer = await asyncio.gather(world.renew(grant), world.renew(new, worker="new"))
    assert old_answer.lost == [grant.flow_run.id]
    assert new_answer.lost == []


async def test_an_unknown_run_is_lost(world: World, it: Deployment, some_id: Any) -> None:
    [lease] = [HeldLease(flow_run_id=some_id, fence=1)]
    assert (await leases.renew_run(world.scope, some_id, lease)).lost == [some_id]
    assert it


async def test_an_unknown_pool_is_told(world: World, grant: Grant) -> None:
    """The worker's pool is gone; the runs that it holds are still its own."""
    world.clock.advance(seconds=7)
    with pytest.raises(NotFound, match="nowhere"):
        await world.renew(grant, pool="nowhere")
    assert grant


async def test_a_claim_that_is_given_back_waits_again(world: World, it: Deployment) -> None:
    """At once, under its old time, in its old place; and the slot is free."""
    await world.change_pool(concurrency_limit=1)
    run = await world.run(it, due=-30)
    await world.run(it, due=-20)
    [grant] = await world.grants()
    world.clock.advance(seconds=1)
    await world.give_back(grant)
    given = await world.get(run)
    assert given.state
    assert (given.state_name, given.next_scheduled_start_time) == ("Scheduled", run.expected_start_time)
    assert given.expected_start_time == run.expected_start_time
    assert "gave it back" in (given.state.message or "")
    assert await lease_end(world, run) is None
    assert await world.granted(1) == [run.id]


async def test_a_run_that_started_is_not_given_back(world: World, grant: Grant) -> None:
    await world.accepted(grant, "RUNNING")
    await world.give_back(grant)
    assert (await world.get(grant)).state_name == "Running"


async def test_a_retry_in_place_keeps_lease_and_fence(world: World, it: Deployment) -> None:
    """The engine waits for its own retry, renews meanwhile, and goes on with the fence that it has."""
    run = await world.run(it, empirical_policy=FlowRunPolicy(retries=1, retry_delay=60))
    [grant] = await world.grants()
    await world.accepted(grant, "RUNNING")
    assert (await world.propose(grant, "FAILED")).status == "REJECT"
    world.clock.advance(seconds=30)
    answer = await world.renew(grant)
    assert (answer.lost, await lease_end(world, grant)) == ([], world.now + timedelta(seconds=20))
    assert await world.granted() == []
    assert (await world.propose(run, "PENDING")).status == "ABORT"
    world.clock.advance(seconds=30)
    assert await world.granted() == []
    await world.accepted(grant, "RUNNING")
    assert (await world.get(run)).run_count == 2


async def test_a_retry_that_an_engine_of_another_make_is_given_stays_with_its_worker(world: World, it: Deployment) -> None:
    """Its proposals carry no fence; the worker that claimed the run renews the lease meanwhile."""
    run = await world.run(it, empirical_policy=FlowRunPolicy(retries=1, retry_delay=0))
    [grant] = await world.grants()
    await world.accepted(run, "RUNNING")
    assert (await world.propose(run, "FAILED")).status == "REJECT"
    assert await world.granted() == []
    assert (await world.renew(grant)).lost == []
    await world.accepted(run, "RUNNING", "COMPLETED")


async def test_a_retry_without_a_holder_is_anybodys(world: World, it: Deployment) -> None:
    """A client without a lease that fails a run leaves the retry to whoever claims it when its time has come."""
    run = await world.run(it, empirical_policy=FlowRunPolicy(retries=1, retry_delay=60))
    await world.accepted(run, "PENDING", "RUNNING")
    assert (await world.propose(run, "FAILED")).status == "REJECT"
    assert await world.slots() == 0
    assert await world.granted() == []
    world.clock.advance(seconds=60)
    assert await world.granted() == [run.id]


# --- the lease of who claims by a proposal


async def test_a_lease_may_be_taken_with_the_proposal(world: World, it: Deployment) -> None:
    """Its answer carries the fence; without asking, or when it is refused, there is none."""
    run, other = await world.runs(it, 2)
    result = await world.propose(run, "PENDING", take_lease=True)
    assert (result.status, result.fence) == ("ACCEPT", 1)
    assert await lease_end(world, run) == world.now + timedelta(seconds=20)
    held = HeldLease(flow_run_id=run.id, fence=1)
    world.clock.advance(seconds=5)
    assert (await leases.renew_run(world.scope, run.id, held)).lost == []
    await world.accepted(run, "RUNNING", "COMPLETED", fence=1)
    plain = await world.propose(other, "PENDING")
    assert await lease_end(world, other) is None
    assert plain.status == "ACCEPT"
    second = await world.propose(other, "PENDING", take_lease=True)
    assert second.status == "ABORT"
    assert await lease_end(world, other) is None


async def test_a_lease_of_a_proposal_fences_out_older_holders(world: World, grant: Grant) -> None:
    await world.give_back(grant)
    result = await world.propose(grant.flow_run, "PENDING", take_lease=True)
    assert isinstance(result.fence, int)
    assert result.fence > grant.lease.fence
    assert (await world.propose(grant, "RUNNING")).status == "ABORT"


async def test_a_claim_that_is_sent_again_is_answered_with_its_fence(world: World, it: Deployment) -> None:
    """The first answer was lost: the run is still the caller's, which needs the fence. Others get none."""
    run, key = await world.run(it), uuid4()
    first = await world.propose(run, "PENDING", take_lease=True, key=key)
    again = await world.propose(run, "PENDING", take_lease=True, key=key)
    assert (again.status, again.fence) == ("REJECT", first.fence)
    assert len(await world.history(run)) == 2
    other = await world.propose(run, "PENDING", take_lease=True)
    assert other.status == "ABORT"
    assert not isinstance(other.fence, int)


async def test_a_full_pool_gives_no_lease(world: World, it: Deployment) -> None:
    await world.change_pool(concurrency_limit=0)
    run = await world.run(it)
    result = await world.propose(run, "PENDING", take_lease=True)
    assert result.status == "REJECT"
    assert not isinstance(result.fence, int)
    assert await lease_end(world, run) is None
