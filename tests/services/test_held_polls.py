"""Polls of existing workers that are held: answered by the very event that makes work, bounded, and for nobody else."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sleepers import SOON
from world import World

from headgate.clock import FrozenClock
from headgate.schema.deployments import GetScheduledRuns
from headgate.schema.flow_runs import FlowRun
from headgate.schema.work_pools import GetScheduledFlowRuns, WorkerFlowRun
from headgate.schema.work_queues import GetQueueRuns, WorkQueueUpdate
from headgate.services import claims, polls, work_queues
from headgate.services.scope import Scope
from headgate.services.wakeups import wait_until_set

AGENT = {"user-agent": "prefect/2.20.27 (API 0.8.4)"}
WORKER = {"user-agent": "prefect/3.9.1 (API 0.8.4)", "x-prefect-worker-name": "w1"}

Polling = asyncio.Task[list[WorkerFlowRun]]


class Pollers:
    """Workers that poll; `asleep` holds, for each time that one went to sleep, the seconds that it was to last."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.asleep: asyncio.Queue[float] = asyncio.Queue()

    def scope(self, headers: dict[str, str]) -> Scope:
        return replace(self.world.scope, header=headers.get)

    def poll(self, headers: dict[str, str] = AGENT, *, ahead: float | None = 10, **fields: Any) -> Polling:
        """A poll, begun; one that is not answered at once is held."""
        before = None if ahead is None else self.world.now + timedelta(seconds=ahead)
        body = GetScheduledFlowRuns(scheduled_before=before, **fields)
        return asyncio.create_task(polls.poll(self.scope(headers), "local", body))

    async def held(self, headers: dict[str, str] = AGENT, **fields: Any) -> Polling:
        """A poll that found nothing and sleeps by now."""
        task = self.poll(headers, **fields)
        await self.next()
        return task

    async def next(self) -> float:
        async with asyncio.timeout(SOON):
            return await self.asleep.get()


async def answer(task: Polling) -> list[UUID]:
    """What a poll shows that was answered at once, or that something has just woken."""
    async with asyncio.timeout(SOON):
        return [each.flow_run.id for each in await task]


@pytest.fixture
async def pollers(world: World, monkeypatch: pytest.MonkeyPatch) -> Pollers:
    made = Pollers(world)

    async def wait(event: asyncio.Event, seconds: float) -> bool:
        made.asleep.put_nowait(seconds)
        return await wait_until_set(event, seconds)

    monkeypatch.setattr(claims, "TRUTH_SECONDS", 3600.0)
    monkeypatch.setattr(claims, "HEARING_SECONDS", (3600.0, 3600.0))
    monkeypatch.setattr(polls, "wait_until_set", wait)
    await world.pool()
    return made


@pytest.mark.parametrize("headers", [AGENT, WORKER])
async def test_a_run_that_is_created_answers_it(world: World, pollers: Pollers, headers: dict[str, str]) -> None:
    it = await world.deploy()
    task = await pollers.held(headers)
    run = await world.run(it)
    assert await answer(task) == [run.id]


async def test_a_slot_that_comes_free_answers_it(world: World, pollers: Pollers) -> None:
    await world.change_pool(concurrency_limit=1)
    first, second = await world.runs(await world.deploy(), 2)
    await world.accepted(first, "PENDING")
    task = await pollers.held()
    await world.accepted(first, "RUNNING")
    await world.accepted(first, "COMPLETED")
    assert await answer(task) == [second.id]


async def test_it_sees_as_far_ahead_when_it_is_woken_as_when_it_came(
    world: World, pollers: Pollers, clock: FrozenClock
) -> None:
    """A run that is due in a minute is shown ten seconds before, not when the caller's first moment ahead has come."""
    it = await world.deploy()
    run = await world.run(it, due=25)
    task = pollers.poll()
    assert await pollers.next() == pytest.approx(15.0)
    clock.advance(seconds=15)
    world.scope.wakeups.ring(None)
    assert await answer(task) == [run.id]


async def test_it_is_bounded(world: World, pollers: Pollers) -> None:
    task = pollers.poll()
    assert await pollers.next() == pytest.approx(world.scope.settings.server_polls_hold_seconds)
    world.clock.advance(seconds=world.scope.settings.server_polls_hold_seconds)
    world.scope.wakeups.ring(None)
    assert await answer(task) == []


@pytest.mark.parametrize(
    "ask",
    [
        lambda pollers: pollers.poll(ahead=3600),
        lambda pollers: pollers.poll(ahead=None),
        lambda pollers: pollers.poll({"user-agent": "curl/8.0"}),
        lambda pollers: pollers.poll({}),
        lambda pollers: pollers.poll(limit=0),
    ],
)
async def test_others_are_answered_at_once(pollers: Pollers, ask: Callable[[Pollers], Polling]) -> None:
    assert await answer(ask(pollers)) == []
    assert pollers.asleep.empty()


async def test_a_paused_pool_is_told_of_at_once_and_a_pause_ends_the_wait(world: World, pollers: Pollers) -> None:
    task = await pollers.held()
    await world.change_pool(is_paused=True)
    assert await answer(task) == []
    assert await answer(pollers.poll()) == []
    assert pollers.asleep.empty()


async def test_who_hangs_up_is_not_waited_for(world: World, pollers: Pollers) -> None:
    async def gone() -> bool:
        return True

    scope = replace(pollers.scope(AGENT), is_gone=gone)
    body = GetScheduledFlowRuns(scheduled_before=world.now + timedelta(seconds=10))
    task = asyncio.create_task(polls.poll(scope, "local", body))
    await pollers.next()
    world.scope.wakeups.ring(None)
    assert await answer(task) == []


async def test_a_server_that_stops_answers_it(world: World, pollers: Pollers) -> None:
    task = await pollers.held()
    world.scope.wakeups.close()
    assert await answer(task) == []


async def test_nothing_is_held_where_the_settings_say_so(world: World, pollers: Pollers) -> None:
    from msgspec import structs

    settings = structs.replace(world.scope.settings, server_polls_hold_seconds=0.0)
    scope = replace(pollers.scope(AGENT), settings=settings)
    body = GetScheduledFlowRuns(scheduled_before=world.now + timedelta(seconds=10))
    assert await polls.poll(scope, "local", body) == []
    assert pollers.asleep.empty()


# --- queues, as agents ask for them, and deployments, as processes that serve flows do


class Regular:
    """One who asks from its own address, for a queue or for deployments."""

    def __init__(self, pollers: Pollers, address: str = "10.0.0.7", headers: dict[str, str] = AGENT) -> None:
        self.world = pollers.world
        self.scope = replace(pollers.scope(headers), address=address)

    @property
    def before(self) -> datetime:
        return self.world.now + timedelta(seconds=10)

    def queue(self, id: UUID, **fields: Any) -> asyncio.Task[list[FlowRun]]:
        body = GetQueueRuns(**{"scheduled_before": self.before} | fields)
        return asyncio.create_task(polls.poll_queue(self.scope, id, body))

    def deployments(self, *ids: UUID, **fields: Any) -> asyncio.Task[list[FlowRun]]:
        body = GetScheduledRuns(**{"deployment_ids": [*ids], "scheduled_before": self.before} | fields)
        return asyncio.create_task(polls.poll_deployments(self.scope, body))


async def shown(task: asyncio.Task[list[FlowRun]]) -> list[UUID]:
    async with asyncio.timeout(SOON):
        return [run.id for run in await task]


async def test_an_agent_of_one_queue_is_held_from_its_second_poll_on(world: World, pollers: Pollers) -> None:
    it, agent = await world.deploy(), Regular(pollers)
    assert it.work_queue_id is not None
    assert await shown(agent.queue(it.work_queue_id)) == []
    assert pollers.asleep.empty()
    task = agent.queue(it.work_queue_id)
    await pollers.next()
    run = await world.run(it)
    assert await shown(task) == [run.id]


async def test_a_queue_that_is_paused_ends_the_wait(world: World, pollers: Pollers) -> None:
    it, agent = await world.deploy(), Regular(pollers)
    assert it.work_queue_id is not None
    await agent.queue(it.work_queue_id)
    task = agent.queue(it.work_queue_id)
    await pollers.next()
    await work_queues.update(world.scope, it.work_queue_id, WorkQueueUpdate(is_paused=True))
    assert await shown(task) == []


async def test_an_agent_of_several_queues_is_never_held(world: World, pollers: Pollers) -> None:
    """It would wait at the one while there is work in the other."""
    one, other = await world.deploy("one", work_queue_name="one"), await world.deploy("other", work_queue_name="other")
    agent = Regular(pollers)
    for _ in range(3):
        for it in (one, other):
            assert it.work_queue_id is not None
            assert await shown(agent.queue(it.work_queue_id)) == []
    assert pollers.asleep.empty()


@pytest.mark.parametrize(
    ("regular", "fields"),
    [
        ({"address": ""}, {}),
        ({"headers": {"user-agent": "curl/8.0"}}, {}),
        ({}, {"limit": 0}),
        ({}, {"scheduled_before": None}),
    ],
)
async def test_nobody_else_is_held_at_a_queue_or_at_deployments(
    world: World, pollers: Pollers, regular: dict[str, Any], fields: dict[str, Any]
) -> None:
    it, served = await world.deploy(), await world.deploy("served", work_pool_name=None)
    caller = Regular(pollers, **regular)
    assert it.work_queue_id is not None
    for _ in range(2):
        assert await shown(caller.queue(it.work_queue_id, **fields)) == []
        assert await shown(caller.deployments(served.id, **fields)) == []
    assert pollers.asleep.empty()


async def test_a_process_that_serves_is_held_from_its_second_poll_on(world: World, pollers: Pollers) -> None:
    served, process = await world.deploy("served", work_pool_name=None), Regular(pollers)
    assert await shown(process.deployments(served.id)) == []
    assert pollers.asleep.empty()
    task = process.deployments(served.id)
    await pollers.next()
    run = await world.run(served)
    assert await shown(task) == [run.id]


async def test_a_process_that_serves_is_told_of_what_waits_again(world: World, pollers: Pollers) -> None:
    served, process = await world.deploy("served", work_pool_name=None), Regular(pollers)
    run = await world.run(served)
    await world.accepted(run, "PENDING")
    await process.deployments(served.id)
    task = process.deployments(served.id)
    await pollers.next()
    await world.accepted(run, "SCHEDULED")
    assert await shown(task) == [run.id]


async def test_a_process_that_serves_is_shown_a_run_before_it_is_due(
    world: World, pollers: Pollers, clock: FrozenClock
) -> None:
    served, process = await world.deploy("served", work_pool_name=None), Regular(pollers)
    run = await world.run(served, due=25)
    await process.deployments(served.id)
    task = process.deployments(served.id)
    assert await pollers.next() == pytest.approx(15.0)
    clock.advance(seconds=15)
    world.scope.wakeups.ring(None)
    assert await shown(task) == [run.id]


async def test_signals_reach_those_whom_they_concern(world: World, pollers: Pollers) -> None:
    """A new run those who poll its queue, a slot that comes free all of the pool; a run that goes on nobody."""
    one, other = await world.deploy("one", work_queue_name="one"), await world.deploy("other", work_queue_name="other")
    assert one.work_queue_id is not None
    assert other.work_queue_id is not None
    assert one.work_pool_id is not None
    wakeups = world.scope.wakeups
    with (
        wakeups.waiting([one.work_queue_id]) as of_one,
        wakeups.waiting([other.work_queue_id]) as of_other,
        wakeups.waiting([one.work_pool_id]) as of_all,
    ):
        run = await world.run(one)
        assert (of_one.is_set(), of_other.is_set(), of_all.is_set()) == (True, False, False)
        await world.accepted(run, "PENDING")
        await world.accepted(run, "RUNNING")
        assert not of_all.is_set()
        await world.accepted(run, "COMPLETED")
        assert of_all.is_set()
