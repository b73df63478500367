"""Long polls: a claim that found nothing sleeps, and is answered by the very event that makes work for it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sleepers import SOON, Sleepers, woken
from world import World

from headgate import clock as clocks
from headgate.errors import NotFound
from headgate.schema.claims import ClaimResponse
from headgate.schema.deployments import DeploymentScheduleCreate, DeploymentScheduleUpdate, DeploymentUpdate
from headgate.schema.flow_runs import FlowRunUpdate
from headgate.schema.schedules import Schedule
from headgate.schema.work_pools import UNTYPED, WorkPoolUpdate
from headgate.schema.work_queues import WorkQueueUpdate
from headgate.services import claims, deployment_schedules, deployments, flow_runs, flows, work_pools, work_queues
from headgate.services.loops import scheduler
from headgate.services.loops.lifeline import Lifeline
from headgate.services.wakeups import Wakeups
from headgate.store import claims as claim_rows
from headgate.store.database import Tx

Act = Callable[[], Awaitable[Any]]


def granted(response: ClaimResponse) -> list[UUID]:
    return [grant.flow_run.id for grant in response.grants]


async def test_a_claim_sleeps_until_its_wait_is_over(world: World, sleepers: Sleepers) -> None:
    """With nothing to do it is asked for nothing, and answers empty at its end."""
    await world.pool()
    task = await sleepers.claim(world, wait_seconds=0.05)
    world.clock.advance(seconds=0.05)
    answer = await woken(task)
    assert (answer.grants, answer.cancel) == ([], [])


async def test_without_a_wait_it_answers_at_once(world: World, sleepers: Sleepers) -> None:
    await world.pool()
    assert await world.granted(1) == []
    assert sleepers.asleep.empty()


async def test_it_looks_again_by_itself_for_what_other_servers_made(
    world: World, neighbour: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody wakes it for a run that another process created: the slow poll is the truth."""
    monkeypatch.setattr(claims, "TRUTH_SECONDS", 0.05)
    await world.pool()
    deployment = await world.deploy()
    task = asyncio.create_task(world.claim(wait_seconds=30))
    run = await neighbour.run(deployment)
    assert granted(await woken(task)) == [run.id]


async def test_a_new_run_wakes_it(world: World, sleepers: Sleepers) -> None:
    await world.pool()
    deployment = await world.deploy()
    task = await sleepers.claim(world)
    run = await world.run(deployment)
    assert granted(await woken(task)) == [run.id]


async def test_runs_of_one_pool_do_not_wake_another(world: World, sleepers: Sleepers) -> None:
    await world.pool()
    await world.pool("other")
    elsewhere, here = await world.deploy("there", work_pool_name="other"), await world.deploy("here")
    task = await sleepers.claim(world)
    await world.run(elsewhere)
    await world.run(here)
    assert len((await woken(task)).grants) == 1
    assert sleepers.asleep.empty()  # it slept once, and was woken once


async def test_it_wakes_by_itself_when_a_run_falls_due(world: World, sleepers: Sleepers) -> None:
    """At the run's time less the prefetch: no signal comes then, so the claim knows when to look."""
    live = World(replace(world.scope, clock=clocks.now), world.clock)
    await world.pool()
    deployment = await world.deploy()
    world.clock.time = clocks.now()
    run = await world.run(deployment, due=2.5)
    task = await sleepers.claim(live, prefetch_seconds=2)
    assert granted(await woken(task)) == [run.id]
    assert clocks.now() >= world.now + timedelta(seconds=0.5)


async def test_a_run_that_is_due_sooner_shortens_its_sleep(world: World, sleepers: Sleepers) -> None:
    """Created while it sleeps: it is woken, and sleeps again until the new time."""
    await world.pool()
    deployment = await world.deploy()
    await world.run(deployment, due=25)
    task = await sleepers.claim(world)
    soon = await world.run(deployment, due=0.05)
    assert await sleepers.next() == pytest.approx(0.05)
    world.clock.advance(seconds=0.05)
    assert granted(await woken(task)) == [soon.id]


@pytest.mark.parametrize("event", ["pool limit", "queue limit", "deployment limit", "pool", "queue", "deployment"])
async def test_what_opens_a_gate_wakes_it(world: World, sleepers: Sleepers, event: str) -> None:
    """A limit that is raised, or a pool, queue or deployment that is resumed."""
    of, _, limited = event.partition(" ")
    shut: dict[str, dict[str, Any]] = {"pool": {}, "queue": {}, "deployment": {}}
    shut[of] = {"concurrency_limit": 0} if limited else {"paused" if of == "deployment" else "is_paused": True}
    await world.pool(**shut["pool"])
    queue = await world.queue("q", **shut["queue"])
    deployment = await world.deploy(work_queue_name="q", **shut["deployment"])
    run = await world.run(deployment)
    task = await sleepers.claim(world)
    opened: dict[str, Act] = {
        "pool limit": lambda: work_pools.update(world.scope, "local", WorkPoolUpdate(concurrency_limit=1)),
        "queue limit": lambda: work_queues.update(world.scope, queue.id, WorkQueueUpdate(concurrency_limit=None)),
        "deployment limit": lambda: deployments.update(world.scope, deployment.id, DeploymentUpdate(concurrency_limit=1)),
        "pool": lambda: work_pools.update(world.scope, "local", WorkPoolUpdate(is_paused=False)),
        "queue": lambda: work_queues.update(world.scope, queue.id, WorkQueueUpdate(is_paused=False)),
        "deployment": lambda: deployments.pause(world.scope, deployment.id, paused=False),
    }
    await opened[event]()
    assert granted(await woken(task)) == [run.id]


@pytest.mark.parametrize("event", ["completed", "cancelled", "given back", "deleted", "flow deleted", "retried", "lapsed"])
async def test_a_freed_slot_wakes_it(world: World, sleepers: Sleepers, event: str) -> None:
    """However the run that held it went."""
    await world.pool(concurrency_limit=1)
    holder = await world.run(await world.deploy("first"), due=-60)
    second = await world.deploy("second", flow="another")
    (grant,) = await world.grants(1)
    waiting = await world.run(second)
    lifeline = Lifeline()
    await lifeline.tick(world.scope)
    task = await sleepers.claim(world, worker="other")
    match event:
        case "completed":
            await world.accepted(grant, "RUNNING", "COMPLETED")
        case "cancelled":
            await world.accepted(holder, "CANCELLING")
            await world.accepted(grant, "CANCELLED")
        case "given back":
            await world.give_back(grant)
        case "deleted":
            await flow_runs.delete(world.scope, holder.id)
        case "flow deleted":
            await flows.delete(world.scope, holder.flow_id)
        case "retried":
            await world.accepted(grant, "RUNNING", "FAILED")
            await world.accepted(holder, "SCHEDULED", due=world.now + timedelta(seconds=60))
        case "lapsed":
            world.clock.advance(seconds=21)
            await lifeline.tick(world.scope)
    freed_by_return = event in ("given back", "lapsed")
    assert granted(await woken(task)) == [holder.id if freed_by_return else waiting.id]


@pytest.mark.parametrize("event", ["rescheduled", "patched", "moved", "queue deleted", "redeployed"])
async def test_what_brings_a_run_into_reach_wakes_it(world: World, sleepers: Sleepers, event: str) -> None:
    """A run whose time, queue or deployment changes while the claim sleeps."""
    await world.pool()
    queue = await world.queue("aside")
    deployment = await world.deploy(work_queue_name="aside")
    run = await world.run(deployment, due=600 if event == "rescheduled" else 0)
    queues = ["aside"] if event in ("rescheduled", "patched") else ["default"]
    if event == "patched":
        await work_queues.update(world.scope, queue.id, WorkQueueUpdate(is_paused=True))
    task = await sleepers.claim(world, queues=queues)
    match event:
        case "rescheduled":
            await world.accepted(run, "SCHEDULED", due=world.now)
        case "patched":  # a claim that passed over the run while it was locked must look again
            await world.scope.store.write(
                lambda tx: tx.execute("UPDATE work_queue SET is_paused = :no WHERE id = :id", {"no": False, "id": queue.id})
            )
            await flow_runs.update(world.scope, run.id, FlowRunUpdate(name="renamed"))
        case "moved":
            await deployments.update(world.scope, deployment.id, DeploymentUpdate(work_queue_name="default"))
        case "queue deleted":
            await work_queues.delete(world.scope, queue.id)
        case "redeployed":
            await world.deploy(work_queue_name="default")
    assert granted(await woken(task)) == [run.id]


@pytest.mark.parametrize("event", ["scheduler", "schedule added", "schedule resumed"])
async def test_runs_made_by_a_schedule_shorten_its_sleep(world: World, sleepers: Sleepers, event: str) -> None:
    """The claim learns of a fire time that did not exist when it went to sleep."""
    await world.pool()
    deployment = await world.deploy()
    every = DeploymentScheduleCreate(
        schedule=Schedule(interval=20.0, anchor_date=world.now), active=event != "schedule resumed", max_scheduled_runs=3
    )
    (schedule,) = [None]
    if event != "schedule added":
        (schedule,) = await deployment_schedules.create(world.scope, deployment.id, [every])
    if event == "scheduler":
        for run in await world.runs_of(deployment):
            await flow_runs.delete(world.scope, run.id)
    task = await sleepers.claim(world)
    match event:
        case "scheduler":
            assert await scheduler.tick(world.scope) == 3
        case "schedule added":
            await deployment_schedules.create(world.scope, deployment.id, [every])
        case "schedule resumed":
            assert schedule is not None
            body = DeploymentScheduleUpdate(active=True)
            await deployment_schedules.update(world.scope, deployment.id, schedule.id, body)
    assert await sleepers.next() == 20.0
    world.clock.advance(seconds=20)
    world.scope.wakeups.wake([deployment.work_pool_id])
    assert len((await woken(task)).grants) == 1


async def test_a_run_to_cancel_wakes_its_worker(world: World, sleepers: Sleepers) -> None:
    """Even one with no room for more runs: a cancellation does not wait for a slot."""
    await world.pool()
    await world.run(await world.deploy())
    (grant,) = await world.grants(1)
    task = await sleepers.claim(world, room=0)
    await world.accepted(grant.flow_run, "CANCELLING")
    answer = await woken(task)
    assert (answer.grants, answer.cancel) == ([], [grant.flow_run.id])


async def test_runs_that_are_being_cancelled_do_not_keep_it_awake(world: World, sleepers: Sleepers) -> None:
    """A worker that names what it is stopping gets a long poll that lasts, and is told of the next one."""
    await world.pool()
    await world.runs(await world.deploy(), 2)
    one, two = await world.grants(2)
    await world.accepted(one.flow_run, "CANCELLING")
    task = await sleepers.claim(world, room=0, cancelling=[one.flow_run.id])
    assert not task.done()
    await world.accepted(two.flow_run, "CANCELLING")
    assert (await woken(task)).cancel == [two.flow_run.id]


async def test_one_run_is_granted_to_one_of_all_who_wait(world: World, sleepers: Sleepers) -> None:
    """All are woken, one is answered, the others go on sleeping."""
    await world.pool()
    deployment = await world.deploy()
    tasks = [await sleepers.claim(world, worker=f"w{number}") for number in range(8)]
    run = await world.run(deployment)
    async with asyncio.timeout(SOON):
        for _ in range(7):
            await sleepers.asleep.get()
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    (done,) = [task for task in tasks if task.done()]
    assert granted(done.result()) == [run.id]
    world.scope.wakeups.close()
    for task in tasks:
        await woken(task)


async def test_a_caller_that_hung_up_claims_nothing(world: World, sleepers: Sleepers) -> None:
    """What it would have been granted is there for the next."""
    gone = False

    async def is_gone() -> bool:
        return gone

    await world.pool()
    deployment = await world.deploy()
    task = await sleepers.claim(World(replace(world.scope, is_gone=is_gone), world.clock))
    gone = True
    run = await world.run(deployment)
    assert (await woken(task)).grants == []
    assert (await world.get(run)).state_type == "SCHEDULED"
    assert await world.granted(1) == [run.id]


async def test_a_server_that_stops_answers_all_who_wait(world: World, sleepers: Sleepers) -> None:
    """And claims that come after answer at once."""
    await world.pool()
    await world.pool("other")
    tasks = [await sleepers.claim(world), await sleepers.claim(world, pool="other")]
    world.scope.wakeups.close()
    assert [(await woken(task)).grants for task in tasks] == [[], []]
    assert (await world.claim(wait_seconds=30)).grants == []


async def test_nobody_is_forgotten_or_kept(world: World, sleepers: Sleepers) -> None:
    """A claim that is over, or was cut off, leaves no waiter behind."""
    await world.pool()
    task = await sleepers.claim(world)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert world.scope.wakeups._waiters == {}


async def test_a_deleted_pool_ends_the_wait(world: World, sleepers: Sleepers) -> None:
    """Its workers are told that it is gone, at once."""
    await world.pool()
    task = await sleepers.claim(world)
    await work_pools.delete(world.scope, "local")
    with pytest.raises(NotFound, match='"local"'):
        await woken(task)


async def test_a_run_created_between_look_and_sleep_is_not_missed(
    world: World, sleepers: Sleepers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who looks for work listens first: whatever comes after the look wakes it."""
    await world.pool()
    deployment = await world.deploy()
    look, made = claims._look, []

    async def look_then_create(*args: Any, **ways: Any) -> Any:
        claimed = await look(*args, **ways)
        if len(made) < 3:
            made.append(await world.run(deployment, due=1.0 if len(made) < 2 else 0.0))
        return claimed

    monkeypatch.setattr(claims, "_look", look_then_create)
    answer = await woken(asyncio.create_task(world.claim(wait_seconds=30)))
    assert granted(answer) == [made[2].id]


async def test_what_another_server_makes_wakes_it(world: World, neighbour: World) -> None:
    """Long before it would look by itself, which here it does once an hour."""
    waiter = World(replace(world.scope, wakeups=Wakeups(world.scope.store)), world.clock)
    maker = World(replace(neighbour.scope, wakeups=Wakeups(neighbour.scope.store)), world.clock)
    await world.pool()
    deployment = await world.deploy()
    task = asyncio.create_task(waiter.claim(wait_seconds=30))
    async with asyncio.timeout(20):
        while not world.scope.store.hears:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
    run = await maker.run(deployment)
    assert granted(await woken(task)) == [run.id]


class Heard:
    """Other processes that are heard, or not."""

    def __init__(self, hears: bool) -> None:
        self.hears = hears

    def announce(self, pools: set[UUID]) -> None: ...

    def listen(self, hear: Callable[..., None]) -> None: ...


@pytest.mark.parametrize("hears", [True, False])
async def test_it_looks_seldom_where_other_servers_are_heard(
    world: World, sleepers: Sleepers, monkeypatch: pytest.MonkeyPatch, hears: bool
) -> None:
    monkeypatch.setattr(claims, "TRUTH_SECONDS", 0.5)
    await world.pool()
    waiter = World(replace(world.scope, wakeups=Wakeups(Heard(hears))), world.clock)
    task = asyncio.create_task(waiter.claim(wait_seconds=30))
    seconds = await sleepers.next()
    assert 10.0 <= seconds <= 15.0 if hears else seconds == 0.5
    waiter.scope.wakeups.close()
    await woken(task)


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
async def test_it_looks_soon_again_for_what_another_server_kept_from_it(
    world: World, neighbour: World, sleepers: Sleepers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deployment with whose slots another server was busy counts as full, and nobody tells when that is over."""
    monkeypatch.setattr(claims, "TRUTH_SECONDS", 0.05)
    await world.pool()
    deployment = await world.deploy(concurrency_limit=5)
    run = await world.run(deployment)
    waiter = World(replace(world.scope, wakeups=Wakeups(Heard(True)), clock=clocks.now), world.clock)
    held, looked = asyncio.Event(), asyncio.Event()

    async def busy(tx: Tx) -> None:
        await claim_rows.hold_slots(tx, [deployment.id])
        held.set()
        await looked.wait()

    async with asyncio.timeout(SOON):
        other = asyncio.create_task(neighbour.scope.store.write(busy))
        await held.wait()
        task = asyncio.create_task(waiter.claim(wait_seconds=30))
        while await sleepers.next() > 0.05:
            pass
        looked.set()
        await other
    assert granted(await woken(task)) == [run.id]


async def test_a_claim_is_answered_when_its_pool_is_paused_or_resumed(world: World, sleepers: Sleepers) -> None:
    """At once, where the claimant says what it knows: so a worker can say why nothing comes. One that does not waits on."""
    await world.pool()
    old = await sleepers.claim(world)
    task = await sleepers.claim(world, worker="v", paused=False)
    await world.change_pool(is_paused=True)
    assert (await woken(task)).paused
    task = await sleepers.claim(world, worker="v", paused=True)
    await world.change_pool(is_paused=False)
    assert not (await woken(task)).paused
    assert not old.done()
    old.cancel()


async def test_an_agents_claim_is_answered_when_any_of_its_pools_is_paused(world: World, sleepers: Sleepers) -> None:
    await asyncio.gather(*(world.pool(name, type=UNTYPED) for name in ("a", "b")))
    for known in ([], ["b"]):
        task = asyncio.create_task(world.agent_claim(match="d", paused=known, wait_seconds=30.0))
        await sleepers.next()
        await world.change_pool("b", is_paused=not known)
        async with asyncio.timeout(10):
            answer = await task
        assert [pool.paused for pool in answer.pools] == [False, not known]
