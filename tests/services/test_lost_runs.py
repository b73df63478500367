"""Runs whose holder went silent: suspected before they are lost, and looked after by another worker that reaches them."""

import asyncio
from datetime import timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sleepers import Sleepers, woken
from world import World, leases_of

from headgate.core.recovery import HandOver, Propose, Silent, Suspect, recover
from headgate.core.states import SUSPECTED, TERMINAL
from headgate.schema.claims import Grant, LeaseRenewal
from headgate.schema.deployments import Deployment
from headgate.schema.flow_runs import FlowRunUpdate, Trace
from headgate.schema.states import StateType
from headgate.services import explanations, flow_runs, leases, workers
from headgate.services.loops.lifeline import Lifeline
from headgate.settings import Settings

HERE, THERE = "host-1/boot-1", "host-2/boot-1"


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


async def started(world: World, it: Deployment, *, site: str | None = HERE, **trace: Any) -> Grant:
    """A run that a worker has started on a site."""
    await world.run(it)
    [grant] = await world.grants()
    found = Trace(**{"site": site, "handle": "7 77", "fence": grant.lease.fence} | trace) if site else None
    body = FlowRunUpdate(infrastructure_pid="host:7", infrastructure_trace=found)
    await flow_runs.update(world.scope, grant.flow_run.id, body)
    await world.accepted(grant, "RUNNING")
    return grant


async def beats(world: World, *held: Grant, worker: str = "v", pool: str = "local", site: str | None = HERE) -> None:
    await leases.renew(
        world.scope, pool, LeaseRenewal(worker=worker, site=site, leases=leases_of(held), heartbeat_interval_seconds=5)
    )


def lapse(world: World, seconds: float = 20) -> None:
    world.clock.advance(seconds=seconds, microseconds=1)


@pytest.mark.parametrize("who", ["worker", "engine"])
async def test_a_suspected_run_goes_on_when_its_holder_comes_back(
    world: World, it: Deployment, job: Lifeline, who: str
) -> None:
    """#16459, #21064: a silence that ends within the grace costs the run nothing: it ends as it would have, begun once."""
    grant = await started(world, it)
    lapse(world)
    assert await job.tick(world.scope) == 1
    suspected = await world.get(grant)
    assert (suspected.state_type, suspected.state_name, suspected.end_time) == ("RUNNING", SUSPECTED, None)
    assert suspected.state
    assert "not reported for 20 s" in (suspected.state.message or "")
    world.clock.advance(seconds=5)
    if who == "worker":
        assert (await world.renew(grant)).lost == []
    else:
        assert (await leases.renew_run(world.scope, grant.flow_run.id, leases_of([grant])[0])).lost == []
    assert (await world.get(grant)).state_name == "Running"
    world.clock.advance(seconds=15)
    assert await job.tick(world.scope) == 0
    await world.accepted(grant, "COMPLETED")
    run = await world.get(grant)
    assert (run.run_count, run.total_run_time) == (1, pytest.approx(40.000001))
    assert await world.history(grant) == ["Scheduled", "Pending", "Running", "Lost?", "Running", "Completed"]


async def test_a_suspected_run_may_end(world: World, it: Deployment, job: Lifeline) -> None:
    """What its holder reports counts, whatever is thought of the holder."""
    grant = await started(world, it)
    lapse(world)
    await job.tick(world.scope)
    await world.accepted(grant, "COMPLETED")
    lapse(world)
    assert await job.tick(world.scope) == 0


async def test_a_repeated_report_of_a_suspected_run_is_known_as_such(world: World, it: Deployment, job: Lifeline) -> None:
    """The answer was lost with the connection, so the engine sends again that it has begun: it has begun once."""
    grant, key = await started(world, it), uuid4()
    await world.accepted(grant, "RUNNING", key=key)
    count = (await world.get(grant)).run_count
    lapse(world)
    await job.tick(world.scope)
    again = await world.propose(grant, "RUNNING", key=key)
    assert (again.status, again.state and again.state.type) == ("REJECT", "RUNNING")
    assert (await world.get(grant)).run_count == count


async def test_what_was_lost_stays_lost(world: World, it: Deployment, job: Lifeline) -> None:
    """#16429: a run that is Crashed does not complete afterwards."""
    grant = await started(world, it)
    lapse(world)
    await job.tick(world.scope)
    lapse(world, 6)
    assert await job.tick(world.scope) == 1
    assert (await world.get(grant)).state_name == "Crashed"
    assert (await world.renew(grant)).lost == [grant.flow_run.id]
    assert (await world.propose(grant, "COMPLETED")).status == "ABORT"
    assert (await world.get(grant)).state_name == "Crashed"


async def test_by_default_a_silent_run_is_recovered_within_30_seconds(world: World, it: Deployment) -> None:
    """With the longest lease that a holder can have left when it dies, and passes as far apart as they come."""
    await world.change_deployment(it, infra_retries={"max": 1, "delay_seconds": 0})
    job, settings = Lifeline(), Settings()
    await job.tick(world.scope)
    world.clock.advance(seconds=60)
    grant = await started(world, it)
    await world.renew(grant)
    died = world.now
    while (await world.get(grant)).state_name in ("Running", SUSPECTED):
        world.clock.advance(seconds=settings.server_services_lifeline_loop_seconds * 1.1)
        await job.tick(world.scope)
    assert (await world.get(grant)).state_name == "AwaitingInfraRetry"
    assert world.now - died <= timedelta(seconds=30)
    assert await world.granted(worker="v") == [grant.flow_run.id]


async def test_a_run_is_explained_as_suspected(world: World, it: Deployment, job: Lifeline) -> None:
    grant = await started(world, it)
    lapse(world)
    await job.tick(world.scope)
    told = await explanations.explain(world.scope, grant.flow_run.id)
    assert told.summary.startswith("It may be lost")


# --- another worker looks


async def test_a_worker_on_the_same_site_is_asked_and_its_renewal_keeps_the_run(
    world: World, it: Deployment, job: Lifeline
) -> None:
    """It holds the run beside the first holder, which may come back: both have the same fence."""
    grant = await started(world, it)
    lapse(world)
    await beats(world)
    await job.tick(world.scope)
    answer = await world.claim(worker="v")
    [stray] = answer.strays
    assert (answer.cancel, stray.handle, stray.lease.fence) == ([], "7 77", grant.lease.fence)
    assert (stray.lease.flow_run_id, stray.name) == (grant.flow_run.id, grant.flow_run.name)
    assert (await world.claim(worker="v", cancelling=[grant.flow_run.id])).strays == []
    await beats(world, grant)
    assert (await world.get(grant)).state_name == "Running"
    assert (await world.claim(worker="v")).strays == []
    await world.accepted(grant, "COMPLETED")


async def test_an_open_claim_is_answered_with_the_stray(
    world: World, it: Deployment, job: Lifeline, sleepers: Sleepers
) -> None:
    grant = await started(world, it)
    lapse(world)
    await beats(world)
    task = await sleepers.claim(world, worker="v")
    await job.tick(world.scope)
    [stray] = (await woken(task)).strays
    assert stray.lease.flow_run_id == grant.flow_run.id


async def test_cancellation_is_carried_to_its_end_by_another_worker(world: World, it: Deployment, job: Lifeline) -> None:
    """#21616, #17482: as soon as the holder's lease has lapsed; Cancelled is reported by who verified it."""
    grant = await started(world, it)
    await world.accepted(grant.flow_run, "CANCELLING")
    lapse(world)
    await beats(world)
    assert await job.tick(world.scope) == 1
    answer = await world.claim(worker="v")
    [stray] = answer.strays
    assert answer.cancel == [stray.lease.flow_run_id] == [grant.flow_run.id]
    for _ in range(10):
        world.clock.advance(seconds=15)
        await beats(world, grant)
        assert await job.tick(world.scope) == 0
    assert (await world.get(grant)).state_name == "Cancelling"
    await world.accepted(grant, "CANCELLED")


@pytest.mark.parametrize("why", ["site", "offline", "draining", "pool", "fence", "no trace", "old client", "nobody else"])
async def test_a_run_that_nobody_else_reaches_is_left_to_the_lifeline(
    world: World, it: Deployment, job: Lifeline, why: str
) -> None:
    """Only what the trace of this very claim leads to is anybody's to look for, or to kill."""
    await world.pool("other")
    trace: dict[str, Any] = {"no trace": {"site": None}, "fence": {"fence": 99}}.get(why, {})
    grant = await started(world, it, **trace)
    if why == "old client":
        await flow_runs.update(world.scope, grant.flow_run.id, FlowRunUpdate(infrastructure_pid="host:8"))
    await world.accepted(grant.flow_run, "CANCELLING")
    if why == "offline":
        await beats(world)
    lapse(world)
    match why:
        case "site":
            await beats(world, site=THERE)
        case "pool":
            await beats(world, pool="other")
        case "draining":
            await beats(world)
            await workers.drain(world.scope, "local", "v")
        case "nobody else":
            await beats(world, worker="w")
        case "fence" | "no trace" | "old client":
            await beats(world)
    assert await job.tick(world.scope) == 1
    run = await world.get(grant)
    assert run.state
    assert (run.state_name, "is not known" in (run.state.message or "")) == ("Cancelled", True)


async def test_a_cancellation_goes_on_to_the_next_worker_but_not_for_ever(
    world: World, it: Deployment, job: Lifeline
) -> None:
    grant = await started(world, it)
    await world.accepted(grant.flow_run, "CANCELLING")
    holders: list[UUID] = []
    for _ in range(10):
        lapse(world)
        await asyncio.gather(beats(world, worker="u"), beats(world, worker="v"))
        await job.tick(world.scope)
        if (await world.get(grant)).state_name != "Cancelling":
            break
        holders.append(await world.value("SELECT worker_id FROM flow_run WHERE holds_slot"))
    assert (await world.get(grant)).state_name == "Cancelled"
    assert len(holders) == 5
    assert all(one != other for one, other in pairwise(holders))


async def test_a_worker_that_starts_anew_elsewhere_is_not_asked_for_what_was_here(
    world: World, it: Deployment, job: Lifeline
) -> None:
    grant = await started(world, it)
    await beats(world)
    await leases.renew(world.scope, "local", LeaseRenewal(worker="v", joins_as=uuid4()))
    lapse(world)
    await beats(world, site=None)
    await job.tick(world.scope)
    assert (await world.claim(worker="v")).strays == []
    assert grant


@given(
    kind=st.sampled_from(["PENDING", "RUNNING", "CANCELLING", "SCHEDULED"]),
    name=st.sampled_from(["Running", SUSPECTED]),
    since=st.timedeltas(timedelta(0), timedelta(days=1)),
    keeper=st.none() | st.just("v"),
    grace=st.sampled_from([0, 6]),
)
def test_every_silent_run_moves_towards_an_end(
    kind: str, name: str, since: timedelta, keeper: str | None, grace: int
) -> None:
    """Suspected once, handed over for a time, and then in a state in which nobody holds it; never final while it waits."""
    about = {"since": since, "keeper": keeper, "lease": timedelta(seconds=20), "grace": timedelta(seconds=grace)}
    match recover(Silent(type=StateType(kind), name=name, **about)):  # type: ignore[arg-type]
        case Suspect(state):
            assert (kind, name, state.type, state.name) == ("RUNNING", "Running", "RUNNING", SUSPECTED)
            assert grace
        case HandOver():
            assert (kind, keeper) == ("CANCELLING", "v")
            assert since < timedelta(seconds=120)
        case Propose(state):
            assert state.type in TERMINAL or kind in ("PENDING", "SCHEDULED")
            assert kind != "RUNNING" or name == SUSPECTED or not grace
