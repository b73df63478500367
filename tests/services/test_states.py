"""States as they are kept: history, figures and replays; the rules themselves are tested where they stand, in `core`."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from world import World

from headgate.errors import NotFound
from headgate.schema.deployments import Deployment
from headgate.schema.flow_runs import FlowRun, FlowRunCreate, FlowRunPolicy
from headgate.schema.states import OrchestrationResult, SetState, StateCreate, StateDetails, StateType
from headgate.services import flow_runs, flows, states
from headgate.store import flow_runs as rows
from headgate.store.database import Tx
from headgate.telemetry import Event, StateChanged


@pytest.fixture
async def it(world: World) -> Deployment:
    await world.pool()
    return await world.deploy()


@pytest.fixture
async def run(world: World, it: Deployment) -> FlowRun:
    return await world.run(it)


async def test_the_history_is_kept_in_order(world: World, run: FlowRun) -> None:
    """Every state that the run was in, with its time, message and data; the last is the run's own."""
    for kind in ("PENDING", "RUNNING", "COMPLETED"):
        world.clock.advance(seconds=1)
        await world.accepted(run, kind, message=f"now {kind}", data={"a": kind})
    history = await world.states(run)
    assert [state.name for state in history] == ["Scheduled", "Pending", "Running", "Completed"]
    times = [state.timestamp for state in history]
    assert times == [world.now - timedelta(seconds=3 - n) for n in range(4)]
    assert (history[2].message, history[2].data) == ("now RUNNING", {"a": "RUNNING"})
    assert all(state.state_details.flow_run_id == run.id for state in history)
    now = await world.get(run)
    assert (now.state, now.state_id, now.state_type) == (history[-1], history[-1].id, StateType.COMPLETED)
    assert now.updated == world.now


async def test_states_of_one_instant_keep_their_order(world: World, run: FlowRun) -> None:
    """Also when the clock stands still."""
    await world.accepted(run, "PENDING", "RUNNING", "PAUSED", "RUNNING", "COMPLETED")
    assert await world.history(run) == ["Scheduled", "Pending", "Running", "Paused", "Running", "Completed"]


async def test_the_figures_of_a_run(world: World, it: Deployment) -> None:
    """Expected at its time; started at the first Running; ended at the last state; run time is that of all Running."""
    run = await world.run(it, due=10)
    world.clock.advance(seconds=15)
    late = await world.get(run)
    assert late.estimated_start_time_delta == 5
    await world.accepted(run, "PENDING")
    world.clock.advance(seconds=2)
    await world.accepted(run, "RUNNING")
    began = world.now
    world.clock.advance(seconds=3, microseconds=250_000)
    running = await world.get(run)
    assert (running.start_time, running.end_time, running.run_count) == (began, None, 1)
    assert (running.total_run_time, running.estimated_run_time) == (0.0, 3.25)
    await world.accepted(run, "PAUSED")
    world.clock.advance(seconds=100)
    await world.accepted(run, "RUNNING")
    world.clock.advance(seconds=1)
    await world.accepted(run, "COMPLETED")
    done = await world.get(run)
    assert (done.start_time, done.end_time, done.run_count) == (began, world.now, 2)
    assert (done.total_run_time, done.estimated_run_time, done.estimated_start_time_delta) == (4.25, 4.25, 7.0)
    assert (done.expected_start_time, done.next_scheduled_start_time) == (run.expected_start_time, None)


async def test_a_run_that_is_tried_again(world: World, it: Deployment) -> None:
    """A final state is left on purpose: its end is taken back, its history and its run time stay."""
    run = await world.run(it)
    await world.accepted(run, "PENDING", "RUNNING")
    world.clock.advance(seconds=2)
    await world.accepted(run, "FAILED")
    result = await world.propose(run, "SCHEDULED", name="AwaitingRetry")
    assert result.status == "ACCEPT"
    waiting = await world.get(run)
    assert (waiting.end_time, waiting.next_scheduled_start_time, waiting.total_run_time) == (None, world.now, 2.0)
    [grant] = await world.grants()
    await world.accepted(grant, "RUNNING")
    world.clock.advance(seconds=3)
    await world.accepted(grant, "COMPLETED")
    done = await world.get(run)
    assert (done.total_run_time, done.run_count) == (5.0, 2)
    assert len(await world.history(run)) == 8


# --- replays


@pytest.mark.parametrize("kinds", [("PENDING",), ("PENDING", "RUNNING"), ("PENDING", "RUNNING", "COMPLETED")])
async def test_a_replay_changes_nothing(world: World, run: FlowRun, kinds: tuple[str, ...]) -> None:
    """The same proposal sent twice, because its answer was lost, is answered with the state that it made."""
    await world.accepted(run, *kinds[:-1])
    key = uuid4()
    await world.accepted(run, kinds[-1], key=key)
    before = await world.get(run)
    world.clock.advance(seconds=5)
    for _ in range(2):
        again = await world.propose(run, kinds[-1], key=key)
        assert (again.status, again.state) == ("REJECT", before.state)
    after = await world.get(run)
    assert (after.state_id, after.run_count, after.updated) == (before.state_id, before.run_count, before.updated)


async def test_a_replay_at_the_same_time(world: World, run: FlowRun) -> None:
    """Both copies of a proposal arrive at once: one of them counts."""
    await world.accepted(run, "PENDING")
    key = uuid4()
    results = await asyncio.gather(*(world.propose(run, "RUNNING", key=key) for _ in range(6)))
    assert sorted(result.status for result in results) == ["ACCEPT"] + ["REJECT"] * 5
    assert (await world.get(run)).run_count == 1
    assert len({result.state.id for result in results if result.state}) == 1


async def test_a_replay_of_what_became_something_else(world: World, it: Deployment) -> None:
    """A failure that was answered with a retry is answered with the same retry again."""
    run = await world.run(it, empirical_policy=FlowRunPolicy(retries=3, retry_delay=10))
    await world.accepted(run, "PENDING", "RUNNING")
    key = uuid4()
    first = await world.propose(run, "FAILED", key=key)
    world.clock.advance(seconds=1)
    again = await world.propose(run, "FAILED", key=key)
    assert (first.status, again.status) == ("REJECT", "REJECT")
    assert again.state == first.state
    assert len(await world.history(run)) == 4


async def test_late_runs_know_replays_too(world: World, run: FlowRun) -> None:
    """A client may name a state Late itself; its time stays, and its key is kept."""
    key = uuid4()
    due = run.expected_start_time
    world.clock.advance(seconds=20)
    await world.accepted(run, "SCHEDULED", name="Late", key=key)
    assert (await world.propose(run, "SCHEDULED", name="Late", key=key)).status == "REJECT"
    late = await world.get(run)
    assert (late.state_name, late.next_scheduled_start_time) == ("Late", due)


# --- slots of those who do not claim


@pytest.mark.parametrize("kind", ["PENDING", "RUNNING"])
@pytest.mark.parametrize("limited", ["Work pool", "Work queue", "Deployment"])
async def test_a_proposal_finds_a_slot_or_waits(world: World, limited: str, kind: str) -> None:
    """A client that polls is told which limit was reached, and gets the run offered again as soon as there is a slot; a
    process that asks for its own run may ask again half a minute later."""
    await world.pool(concurrency_limit=1 if limited == "Work pool" else None)
    await world.queue("q", concurrency_limit=1 if limited == "Work queue" else None)
    it = await world.deploy(work_queue_name="q", concurrency_limit=1 if limited == "Deployment" else None)
    first, second = await world.runs(it, 2)
    await world.accepted(first, kind)
    result = await world.propose(second, kind)
    assert result.state
    assert (result.status, result.details.reason) == ("REJECT", f"{limited} concurrency limit reached.")
    assert (result.state.type, result.state.name) == ("SCHEDULED", "AwaitingConcurrencySlot")
    wait = timedelta(seconds=0 if kind == "PENDING" else 30)
    assert result.state.state_details.scheduled_time == world.now + wait
    assert await world.poll() == []
    await world.accepted(first, "CRASHED")
    world.clock.advance(seconds=wait.total_seconds())
    assert [each.flow_run.id for each in await world.poll()] == [second.id]
    await world.accepted(second, kind)


async def test_force_passes_every_rule_and_limit(world: World, it: Deployment) -> None:
    await world.change_pool(concurrency_limit=0)
    run = await world.run(it)
    for kind in ("RUNNING", "COMPLETED", "PENDING", "CANCELLED", "RUNNING"):
        await world.accepted(run, kind, force=True)
    assert await world.history(run) == ["Scheduled", "Running", "Completed", "Pending", "Cancelled", "Running"]


async def test_a_running_run_needs_no_second_slot(world: World, it: Deployment) -> None:
    """Pending to Running to Cancelling is one slot; a paused run gives it up and has to find another."""
    await world.change_pool(concurrency_limit=1)
    first, second = await world.runs(it, 2)
    await world.accepted(first, "PENDING", "RUNNING", "RUNNING")
    await world.accepted(first, "PAUSED")
    assert await world.slots() == 0
    await world.accepted(second, "PENDING")
    assert (await world.propose(first, "RUNNING")).status == "REJECT"
    await world.accepted(second, "RUNNING", "CANCELLING")
    assert await world.slots() == 1


async def test_a_run_of_its_caller_takes_no_pools_slot(world: World, it: Deployment) -> None:
    """A flow that is called directly runs whatever limits there are."""
    await world.change_pool(concurrency_limit=0)
    flow = await world.flow()
    run = (await flow_runs.create(world.scope, FlowRunCreate(flow_id=flow.id))).run
    assert (run.state_type, run.work_pool_id) == (StateType.PENDING, None)
    await world.accepted(run, "RUNNING", "COMPLETED")
    assert await world.slots(work_pool_id=it.work_pool_id) == 0


# --- the rest


async def test_an_unknown_run(world: World, run: FlowRun, some_id: Any) -> None:
    """It fails alone: proposals that were made with it are answered."""
    body = SetState(state=StateCreate(type=StateType.PENDING))
    known, unknown = await asyncio.gather(
        states.set_state(world.scope, run.id, body),
        states.set_state(world.scope, some_id, body),
        return_exceptions=True,
    )
    assert not isinstance(known, BaseException)
    assert known.result.status == "ACCEPT"
    assert isinstance(unknown, NotFound)
    assert str(some_id) in str(unknown)


async def test_proposals_in_one_set_see_each_other(world: World, run: FlowRun) -> None:
    """Those for one run are answered one after the other, as if each had come alone."""
    results = await asyncio.gather(*(world.propose(run, kind) for kind in ("PENDING", "RUNNING", "COMPLETED", "RUNNING")))
    assert [result.status for result in results] == ["ACCEPT", "ACCEPT", "ACCEPT", "ABORT"]
    assert await world.history(run) == ["Scheduled", "Pending", "Running", "Completed"]


async def test_everybody_who_listens_hears_of_a_change(world: World, run: FlowRun) -> None:
    """Of accepted states and of those made in place of a refused one; not of what changed nothing."""
    heard: list[Event] = []
    world.scope.telemetry.subscribe(heard.append)
    await world.accepted(run, "PENDING")
    await world.propose(run, "PENDING")
    await world.accepted(run, "CANCELLING")
    changes = [(event.from_type, event.to_name) for event in heard if isinstance(event, StateChanged)]
    assert changes == [("SCHEDULED", "Pending"), ("PENDING", "Cancelling")]


async def test_a_wait_names_the_exact_time(world: World, it: Deployment) -> None:
    """The delay is in whole seconds, the state says the rest."""
    run = await world.run(it, due=1.5)
    await world.accepted(run, "PENDING")
    result = await world.propose(run, "RUNNING")
    assert result.state
    assert (result.status, result.details.delay_seconds) == ("WAIT", 2)
    assert result.state.state_details.scheduled_time == world.now + timedelta(seconds=1.5)


async def test_a_deleted_run_takes_its_history_along(world: World, run: FlowRun) -> None:
    await world.accepted(run, "PENDING", "RUNNING")
    await flow_runs.delete(world.scope, run.id)
    assert await world.states(run) == []
    with pytest.raises(NotFound):
        await world.get(run)
    with pytest.raises(NotFound):
        await world.propose(run, "COMPLETED")
    with pytest.raises(NotFound):
        await flow_runs.delete(world.scope, run.id)


async def test_times_without_a_zone(world: World, it: Deployment) -> None:
    """A state's time that comes without a zone is one in UTC."""
    naive = (world.now + timedelta(hours=1)).replace(tzinfo=None)
    details = StateDetails(scheduled_time=naive)
    run = await world.run(it, state=StateCreate(type=StateType.SCHEDULED, state_details=details))
    assert run.next_scheduled_start_time == world.now + timedelta(hours=1)
    assert (await world.get(run)).next_scheduled_start_time == world.now + timedelta(hours=1)
    assert flows


async def test_a_deployment_without_a_pool_has_its_limit(world: World) -> None:
    """A process that serves its own deployments is held to it, like any worker, and however many proposals come at once."""
    it = await world.deploy(work_pool_name=None, concurrency_limit=2)
    runs = await world.runs(it, 5)
    assert runs[0].work_pool_id is None
    results = await asyncio.gather(*(world.propose(run, "PENDING", take_lease=True) for run in runs))
    assert [result.status for result in results] == ["ACCEPT"] * 2 + ["REJECT"] * 3
    assert results[2].details.reason == "Deployment concurrency limit reached."
    await world.accepted(runs[0], "RUNNING", "COMPLETED")
    await world.accepted(runs[4], "PENDING")


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
async def test_a_run_that_moves_while_it_is_claimed_is_measured_where_it_went(world: World, it: Deployment) -> None:
    """Its proposal waits for the change that sends it to another pool, and then for a slot of that pool."""
    await world.pool("full", concurrency_limit=0)
    run = await world.run(it)
    full = await world.value("SELECT id FROM work_pool WHERE name = 'full'")
    result = await propose_meanwhile(world, run, "PENDING", "work_pool_id = :full", full=full)
    assert (result.status, result.details.reason) == ("REJECT", "Work pool concurrency limit reached.")


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
async def test_a_run_that_loses_its_slot_while_it_is_to_begin_is_measured_again(world: World, it: Deployment) -> None:
    run = await world.run(it)
    await world.accepted(run, "PENDING")
    await world.change_pool(concurrency_limit=0)
    result = await propose_meanwhile(world, run, "RUNNING", "holds_slot = FALSE, state_type = 'SCHEDULED'")
    assert (result.status, result.details.reason) == ("REJECT", "Work pool concurrency limit reached.")


async def propose_meanwhile(world: World, run: FlowRun, kind: str, change: str, **values: Any) -> OrchestrationResult:
    """A proposal that waits for a transaction which changes the run."""
    changed, go_on = asyncio.Event(), asyncio.Event()

    async def hold(tx: Tx) -> None:
        await rows.lock(tx, [run.id])
        await tx.execute(f"UPDATE flow_run SET {change}", values)
        changed.set()
        await go_on.wait()

    holding = asyncio.create_task(world.scope.store.write(hold))
    await changed.wait()
    proposal = asyncio.create_task(world.propose(run, kind))
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    while not await world.value(waiting):  # noqa: ASYNC110 - only the server knows
        await asyncio.sleep(0.001)
    go_on.set()
    await holding
    return await proposal
