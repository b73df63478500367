"""Why a run waits: each gate alone and together, with its numbers and holders, by the decision that dispatches."""

import random
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from world import World

from headgate.errors import NotFound
from headgate.schema.deployments import Deployment, DeploymentUpdate, GetScheduledRuns, InfraRetries
from headgate.schema.explanations import Explanation
from headgate.schema.flow_runs import FlowRun, FlowRunCreate, FlowRunPolicy
from headgate.schema.pauses import Pause
from headgate.schema.states import CrashReason, SetState, StateCreate, StateDetails, StateType
from headgate.schema.work_pools import LaunchRate
from headgate.schema.work_queues import WorkQueueUpdate
from headgate.services import deployments, flow_runs, polls, positions, states, work_pools, work_queues
from headgate.services.explanations import explain


@pytest.fixture
async def it(world: World) -> Deployment:
    """A deployment of a pool that a worker just polled."""
    await world.pool()
    deployment = await world.deploy()
    await world.claim(0)
    return deployment


async def told(world: World, run: FlowRun) -> Explanation:
    return await explain(world.scope, run.id)


async def kinds(world: World, run: FlowRun) -> list[str]:
    return [gate.kind for gate in (await told(world, run)).gates]


async def change_queue(world: World, name: str, **fields: Any) -> None:
    queue = await work_queues.get_by_name(world.scope, "local", name)
    await work_queues.update(world.scope, queue.id, WorkQueueUpdate(**fields))


# --- each gate alone


async def test_nothing_blocks_a_run_that_the_next_poll_takes(world: World, it: Deployment) -> None:
    run = await world.run(it, due=-3)
    found = await told(world, run)
    assert (found.gates, found.waiting) == ([], True)
    assert found.summary == "Nothing blocks it: the next poll with room for a run takes it."
    assert found.position is not None
    assert (found.position.ahead, found.position.starting, found.position.more) == (0, 0, False)
    assert (found.work_pool_name, found.work_queue_name, found.deployment_name) == ("local", "default", "etl/nightly")
    assert (found.due_at, found.last_polled, found.waited_seconds) == (world.now - timedelta(seconds=3), world.now, 0.0)
    assert await world.granted() == [run.id]


async def test_a_run_for_later_is_told_when(world: World, it: Deployment) -> None:
    run = await world.run(it, due=60)
    (gate,) = (found := await told(world, run)).gates
    assert (gate.kind, gate.until) == ("not due", world.now + timedelta(seconds=60))
    assert found.summary == "It is due at 2026-03-02 09:01:00 UTC."
    assert found.position is None


async def test_a_paused_pool_queue_and_deployment(world: World, it: Deployment) -> None:
    run = await world.run(it)
    await world.change_pool(is_paused=True)
    (gate,) = (await told(world, run)).gates
    assert (gate.kind, gate.record_id, gate.pause) == ("pool paused", it.work_pool_id, Pause(at=world.now))
    await world.change_pool(is_paused=False)
    await change_queue(world, "default", is_paused=True)
    assert (await told(world, run)).summary == "Work queue 'default' is paused since 2026-03-02 09:00:00 UTC."
    await change_queue(world, "default", is_paused=False)
    await deployments.update(world.scope, it.id, DeploymentUpdate(paused=True))
    assert (await told(world, run)).summary == "Deployment 'etl/nightly' is paused since 2026-03-02 09:00:00 UTC."


async def test_a_pause_with_a_note_says_who_and_why(world: World, it: Deployment) -> None:
    run = await world.run(it)
    await world.change_pool(is_paused=True, pause_reason="Disk is full", paused_by="ann")
    (gate,) = (await told(world, run)).gates
    assert gate.pause == Pause(at=world.now, reason="Disk is full", by="ann")
    assert gate.message == "work pool 'local' is paused since 2026-03-02 09:00:00 UTC by ann: Disk is full"


async def test_without_a_worker_online_nobody_takes_it(world: World, it: Deployment) -> None:
    """With the workers that there were, and when they were last heard of."""
    run = await world.run(it)
    last = world.now
    world.clock.advance(seconds=120)
    found = await told(world, run)
    assert found.summary == "No worker of work pool 'local' is online."
    assert [gate.kind for gate in found.gates] == ["no worker"]
    (worker,) = found.workers
    assert (worker.name, worker.status, worker.last_heartbeat_time, worker.runs) == ("w", "OFFLINE", last, 0)


async def test_workers_that_drain_are_no_help(world: World, it: Deployment) -> None:
    """As long as there is one that stays, they are of no account."""
    run = await world.run(it)
    await world.scope.store.write(lambda tx: tx.execute("UPDATE worker SET drain_requested = :now", {"now": world.now}))
    found = await told(world, run)
    assert found.summary == "Every online worker of work pool 'local' is draining and takes no more runs."
    assert [worker.draining for worker in found.workers] == [True]
    await world.claim(0, worker="v")
    assert await kinds(world, run) == []


async def test_an_agent_that_polls_a_typed_pool_serves_it(world: World, it: Deployment) -> None:
    """Without a worker there."""
    run = await world.run(it)
    world.clock.advance(seconds=300)
    await world.poll()
    assert await kinds(world, run) == []


async def test_workers_that_poll_other_queues_are_no_help(world: World, it: Deployment) -> None:
    lonely = await world.deploy("lonely", work_queue_name="lonely")
    run = await world.run(lonely)
    await world.claim(0, queues=["default"])
    found = await told(world, run)
    assert found.summary == "No online worker polls work queue 'lonely' of work pool 'local'."
    assert found.last_polled is None
    assert await kinds(world, await world.run(it)) == []


async def test_a_pool_without_a_type_is_served_by_whatever_polls_it(world: World) -> None:
    await world.pool("agents", type="prefect-agent")
    run = await world.run(await world.deploy(work_pool_name="agents"))
    assert (await told(world, run)).summary == "Nothing polls work queue 'default' of work pool 'agents'."
    await world.poll("agents")
    assert await kinds(world, run) == []


@pytest.mark.parametrize("where", ["pool", "queue", "deployment"])
async def test_a_full_limit_names_who_has_the_slots(world: World, it: Deployment, where: str) -> None:
    """The longest under way first; the limits around it are not told, for they have room."""
    busy = await world.runs(it, 2)
    for run in busy:
        await world.propose(run, "RUNNING")
        world.clock.advance(seconds=1)
    await limit(world, it, where, 2)
    waiting = await world.run(it)
    (gate,) = (await told(world, waiting)).gates
    assert (gate.kind, gate.limit, gate.used, gate.ahead) == (f"{where} limit", 2, 2, 0)
    assert [(each.flow_run_id, each.name, each.state_name) for each in gate.holders] == [
        (run.id, run.name, "Running") for run in busy
    ]
    assert gate.holders[0].since == world.now - timedelta(seconds=2)
    assert "has all of its 2 slots in use" in gate.message


async def limit(world: World, it: Deployment, where: str, count: int) -> None:
    match where:
        case "pool":
            await world.change_pool(concurrency_limit=count)
        case "queue":
            await change_queue(world, "default", concurrency_limit=count)
        case _:
            await deployments.update(world.scope, it.id, DeploymentUpdate(concurrency_limit=count))


@pytest.mark.parametrize("where", ["pool", "queue", "deployment"])
async def test_a_limit_of_0_is_told_as_such(world: World, it: Deployment, where: str) -> None:
    await limit(world, it, where, 0)
    (gate,) = (await told(world, await world.run(it))).gates
    assert (gate.limit, gate.used, gate.holders) == (0, 0, [])
    assert gate.message.endswith("has a concurrency limit of 0")


async def test_ten_holders_are_named_at_most(world: World, it: Deployment) -> None:
    await world.granted(100)
    await world.runs(it, 13)
    assert len(await world.granted(13)) == 13
    await world.change_pool(concurrency_limit=13)
    (gate,) = (await told(world, await world.run(it))).gates
    assert (len(gate.holders), gate.used) == (10, 13)


async def test_a_run_of_no_pool_waits_for_the_process_that_serves_its_deployment(world: World) -> None:
    served = await world.deploy(work_pool_name=None)
    run = await world.run(served)
    found = await told(world, run)
    assert found.summary == "It belongs to no work pool, and no process serves deployment 'etl/nightly'."
    await polls.poll_deployments(world.scope, GetScheduledRuns(deployment_ids=[served.id]))
    found = await told(world, run)
    assert (found.gates, found.last_polled) == ([], world.now)
    assert found.summary.startswith("Nothing blocks it: the process that serves its deployment")
    await deployments.update(world.scope, served.id, DeploymentUpdate(paused=True))
    assert await kinds(world, run) == ["deployment paused"]


async def test_a_process_that_serves_a_deployment_is_as_good_as_a_worker(world: World, it: Deployment) -> None:
    """Also where the deployment has a pool that no worker is in; as long as it polls."""
    world.clock.advance(seconds=300)
    run = await world.run(it)
    assert await kinds(world, run) == ["no worker"]
    polled = await polls.poll_deployments(world.scope, GetScheduledRuns(deployment_ids=[it.id]))
    assert [each.id for each in polled] == [run.id]
    found = await told(world, run)
    assert (found.gates, found.process_polled) == ([], world.now)
    world.clock.advance(seconds=300)
    assert await kinds(world, run) == ["no worker"]


async def test_a_run_of_no_deployment_and_no_pool_is_its_makers(world: World) -> None:
    body = FlowRunCreate(flow_id=(await world.flow()).id, state=StateCreate(type=StateType.SCHEDULED))
    run = (await flow_runs.create(world.scope, body)).run
    assert (await told(world, run)).summary == (
        "It belongs to no work pool and no deployment: only whoever made it can run it."
    )


async def test_a_run_whose_pool_was_deleted_says_that_it_has_none(world: World, it: Deployment) -> None:
    run = await world.run(it)
    await work_pools.delete(world.scope, "local")
    assert await kinds(world, run) == ["no work pool"]


async def test_a_retry_waits_for_its_time_and_stays_with_its_process(world: World, it: Deployment) -> None:
    policy = FlowRunPolicy(retries=1, retry_delay=30)
    run = await world.run(it, empirical_policy=policy)
    (grant,) = await world.grants()
    await world.accepted(grant, "RUNNING")
    await world.propose(grant, "FAILED")
    found = await told(world, run)
    assert [gate.kind for gate in found.gates] == ["held by a process", "not due"]
    assert (found.state_name, found.holder) == ("AwaitingRetry", "w")
    assert [gate.message for gate in found.gates] == [
        "the process that ran it still has it, and is to retry it",
        "its next attempt is due at 2026-03-02 09:00:30 UTC",
    ]


# --- together


async def test_all_gates_are_told_outermost_first(world: World, it: Deployment) -> None:
    busy = await world.run(it)
    await world.propose(busy, "RUNNING")
    for where in ("pool", "queue", "deployment"):
        await limit(world, it, where, 1)
    run = await world.run(it, due=600)
    await world.change_pool(is_paused=True)
    await change_queue(world, "default", is_paused=True)
    world.clock.advance(seconds=300)
    assert await kinds(world, run) == [
        "pool paused",
        "queue paused",
        "not due",
        "no worker",
        "pool limit",
        "queue limit",
        "deployment limit",
    ]


async def test_runs_ahead_take_the_free_slots(world: World, it: Deployment) -> None:
    """By queue priority, then run priority, then due time; what is blocked itself takes none, and is not ahead."""
    await world.queue("low", priority=9)
    low = await world.deploy("low", work_queue_name="low")
    shut = await world.deploy("shut", concurrency_limit=0)
    await world.change_pool(concurrency_limit=4)
    await world.propose(await world.run(it), "RUNNING")
    await world.claim(0)
    run = await world.run(low, due=-60)
    await world.run(low, due=-1, priority=7)
    await world.run(it)
    await world.runs(shut, 3, due=-90)
    found = await told(world, run)
    assert found.gates == []
    assert found.position is not None
    assert (found.position.ahead, found.position.starting) == (2, 2)
    assert found.summary == "Nothing blocks it: it is taken after the 2 runs ahead of it, as soon as polls have room."
    await world.run(low, due=-61)
    (gate,) = (found := await told(world, run)).gates
    assert (gate.kind, gate.limit, gate.used, gate.ahead) == ("pool limit", 4, 4, 3)
    assert found.summary == ("Work pool 'local' has 1 of 4 slots in use, and the free 3 slots go to runs ahead of it.")


async def test_a_deployment_that_fills_a_page_does_not_hide_those_behind_it(
    world: World, it: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of many runs of a limited deployment only as many count as may start; the next ones take the slots."""
    monkeypatch.setattr(positions, "_PAGE", 3)
    narrow = await world.deploy("narrow", concurrency_limit=1)
    await world.runs(narrow, 8, due=-90)
    await world.runs(it, 2, due=-60)
    await world.change_pool(concurrency_limit=3)
    run = await world.run(it)
    (gate,) = (found := await told(world, run)).gates
    assert (gate.kind, gate.used, gate.ahead) == ("pool limit", 3, 3)
    assert found.position is not None
    assert (found.position.ahead, found.position.starting) == (3, 3)


async def test_runs_of_paused_queues_and_deployments_do_not_go_ahead(world: World, it: Deployment) -> None:
    """Nor those of queues that nobody polls, nor those that are not due."""
    for name, priority in (("off", 1), ("lonely", 2)):
        await world.queue(name, priority=priority)
        await world.runs(await world.deploy(name, work_queue_name=name), 2, due=-9)
    await change_queue(world, "off", is_paused=True)
    paused = await world.deploy("paused")
    await world.runs(paused, 2, due=-9)
    await deployments.update(world.scope, paused.id, DeploymentUpdate(paused=True))
    await world.claim(0, queues=["default"])
    await world.run(it, due=5)
    found = await told(world, await world.run(it))
    assert found.position is not None
    assert (found.gates, found.position.ahead) == ([], 0)


async def test_a_long_backlog_is_counted_so_far_and_no_further(
    world: World, it: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(positions, "COUNTED", 4)
    await world.runs(it, 6, due=-9)
    found = await told(world, await world.run(it))
    assert found.position is not None
    assert (found.position.ahead, found.position.more) == (4, True)
    assert "after at least 4 runs ahead of it" in found.summary


# --- what does not wait


async def test_a_claimed_run_says_who_has_it_and_how_long_it_waited(world: World, it: Deployment) -> None:
    run = await world.run(it, due=5)
    world.clock.advance(seconds=25)
    (grant,) = await world.grants()
    found = await told(world, run)
    assert (found.waiting, [gate.kind for gate in found.gates]) == (False, ["infrastructure pending"])
    assert found.position is None
    assert (found.holder, found.lease_expires_at) == ("w", grant.lease.expires_at)
    assert (found.state_name, found.since, found.waited_seconds) == ("Pending", world.now, 20.0)
    assert found.summary == "Worker 'w' has claimed it and starts it."
    await world.accepted(grant, "RUNNING")
    assert (await told(world, run)).summary == "It is running; worker 'w' started it."
    await world.accepted(grant, "COMPLETED")
    assert (found := await told(world, run)).summary == "It is over: Completed."
    assert (found.holder, found.waited_seconds) == (None, 20.0)


async def test_a_run_that_is_not_there_is_not_found(world: World, some_id: UUID) -> None:
    with pytest.raises(NotFound):
        await explain(world.scope, some_id)


async def test_explaining_changes_nothing(world: World, it: Deployment) -> None:
    run = await world.run(it)
    before = await world.get(run)
    await told(world, run)
    assert await world.get(run) == before
    assert await world.history(run) == ["Scheduled"]


# --- the promise: explanations and claims agree


@pytest.mark.parametrize("seed", range(6))
async def test_what_is_not_blocked_is_granted_and_what_is_blocked_is_not(world: World, seed: int) -> None:
    """Whatever the pauses, limits and priorities: of all due runs exactly those without a gate start with the next claim."""
    chance = random.Random(seed)
    await world.pool(concurrency_limit=chance.choice([None, 4, 7]))
    for name in ("a", "b", "c"):
        await world.queue(name, concurrency_limit=chance.choice([None, 2, 5]), is_paused=chance.random() < 0.2)
    owners = [
        await world.deploy(f"d{n}", work_queue_name=chance.choice("abc"), concurrency_limit=chance.choice([None, 0, 1, 3]))
        for n in range(5)
    ]
    waiting: dict[UUID, FlowRun] = {}
    for _ in range(25):
        due, priority = chance.choice([-9, -9, -5, 0, 30]), chance.choice([-1, 0, 0, 1])
        run = await world.run(chance.choice(owners), due=due, priority=priority)
        waiting[run.id] = run
    await deployments.update(world.scope, owners[0].id, DeploymentUpdate(paused=True))
    for id in await world.granted(3):
        del waiting[id]
    await world.claim(0)
    told_free = {id for id in waiting if not (await explain(world.scope, id)).gates}
    assert told_free == set(await world.granted(1000))


# --- who else could take it, and when


async def test_agents_that_poll_its_queue_are_named(world: World, it: Deployment) -> None:
    """With their runs; those that poll other queues or pools are not."""
    await world.pool("other")
    run = await world.run(it)
    mine, others = [UUID(int=n) for n in (1, 2, 3)], [UUID(int=n) for n in (4, 5)]
    await world.agent_claim(agent_id=mine[0], name="all", pool="local")
    second = await world.run(it)
    await world.agent_claim(0, agent_id=mine[1], pool="local", queues=["default"])
    await world.agent_claim(0, agent_id=mine[2], pool="local", match="def")
    await world.agent_claim(0, agent_id=others[0], pool="other")
    await world.agent_claim(0, agent_id=others[1], pool="local", match="x")
    found = (await told(world, second)).agents
    assert {agent.id for agent in found} == {*mine}
    assert {(agent.name, agent.runs) for agent in found} == {("all", 1), (None, 0)}
    assert (await told(world, run)).agents == []  # it is with one of them


async def test_the_earliest_start_is_told_where_it_is_known(world: World, it: Deployment) -> None:
    """What opens by itself says when; a limit, which somebody has to free, leaves it open."""
    later = await world.run(it, due=60)
    assert (await told(world, later)).earliest_start == world.now + timedelta(seconds=60)
    await world.change_pool(launch_rate=LaunchRate(limit=1, seconds=90))
    first, second = await world.runs(it, 2)
    assert await world.granted() == [first.id]
    assert (await told(world, second)).earliest_start == world.now + timedelta(seconds=90)
    assert (await told(world, later)).earliest_start == world.now + timedelta(seconds=90)
    await limit(world, it, "pool", 1)
    assert (await told(world, second)).earliest_start is None


async def test_a_run_that_lost_its_infrastructure_says_when_it_is_tried_again(world: World, it: Deployment) -> None:
    """It is held by nobody, and its message says what happened."""
    await world.change_deployment(it, infra_retries=InfraRetries(max=2, delay_seconds=40))
    run = await world.run(it)
    (grant,) = await world.grants()
    details = StateDetails(crash_reason=CrashReason.LAUNCH_ERROR)
    body = SetState(
        state=StateCreate(type=StateType.CRASHED, message="No value for 'image'.", state_details=details),
        fence=grant.lease.fence,
    )
    await states.set_state(world.scope, run.id, body)
    found = await told(world, run)
    assert found.state_name == "AwaitingInfraRetry"
    assert found.state_message == "No value for 'image'. It is tried again, 1 of 2."
    assert found.summary == "Its next attempt is due at 2026-03-02 09:00:40 UTC."
    assert found.earliest_start == world.now + timedelta(seconds=40)
