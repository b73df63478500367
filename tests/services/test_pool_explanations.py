"""A pool at work: for each queue its slots, its due runs and why the oldest waits."""

from datetime import timedelta
from typing import Any

import pytest
from world import World

from headgate.errors import NotFound
from headgate.schema.explanations import QueueExplanation
from headgate.schema.pauses import Pause
from headgate.schema.work_queues import WorkQueueUpdate
from headgate.services import pool_explanations, positions, work_queues
from headgate.services.loops import late


async def queues(world: World) -> dict[str, QueueExplanation]:
    return {queue.name: queue for queue in (await pool_explanations.explain(world.scope, "local")).queues}


async def test_an_idle_pool(world: World) -> None:
    await world.pool(concurrency_limit=5)
    found = await pool_explanations.explain(world.scope, "local")
    assert (found.name, found.type, found.is_paused, found.concurrency_limit, found.active_slots) == (
        "local",
        "process",
        False,
        5,
        0,
    )
    assert found.workers == []
    assert found.queues == [
        QueueExplanation(name="default", priority=1, is_paused=False, active_slots=0, served=False, due=0, late=0)
    ]


async def test_each_queue_has_its_figures_and_the_gate_of_its_oldest_due_run(world: World) -> None:
    await world.pool()
    await world.queue("high", priority=1, concurrency_limit=1)
    high, low = await world.deploy("high", work_queue_name="high"), await world.deploy("low")
    busy = await world.run(high)
    await world.granted(1)
    oldest = await world.run(high, due=-90, priority=-3)
    await world.run(high, due=-30, priority=3)
    await world.run(high, due=30)
    free = await world.run(low, due=-5)
    await late.tick(world.scope)
    found = await queues(world)
    assert [*found] == ["high", "default"]
    assert (found["high"].active_slots, found["high"].concurrency_limit) == (1, 1)
    assert (found["high"].due, found["high"].late, found["high"].more) == (2, 2, False)
    assert (found["default"].due, found["default"].late) == (1, 0)
    assert (found["high"].served, found["high"].last_polled) == (True, world.now)
    at = found["high"].oldest
    assert at is not None
    assert at.gate is not None
    assert (at.flow_run_id, at.name, at.due_at) == (oldest.id, oldest.name, world.now - timedelta(seconds=90))
    assert at.gate.message == "work queue 'high' has its only slot in use"
    assert [holder.flow_run_id for holder in at.gate.holders] == [busy.id]
    at = found["default"].oldest
    assert at is not None
    assert (at.flow_run_id, at.gate) == (free.id, None)


async def test_pauses_and_their_notes_are_told(world: World) -> None:
    await world.pool()
    await world.change_pool(is_paused=True, pause_reason="Move", paused_by="ann")
    queue = await work_queues.get_by_name(world.scope, "local", "default")
    await work_queues.update(world.scope, queue.id, WorkQueueUpdate(is_paused=True))
    found = await pool_explanations.explain(world.scope, "local")
    assert (found.is_paused, found.pause) == (True, Pause(at=world.now, by="ann", reason="Move"))
    assert (found.queues[0].is_paused, found.queues[0].pause) == (True, Pause(at=world.now))


async def test_workers_are_told_with_what_they_have(world: World) -> None:
    await world.pool()
    await world.runs(await world.deploy(), 2)
    await world.granted(2)
    world.clock.advance(seconds=200)
    await world.claim(0, worker="v")
    found = await pool_explanations.explain(world.scope, "local")
    assert [(each.name, each.status, each.runs) for each in found.workers] == [("v", "ONLINE", 0), ("w", "OFFLINE", 2)]


async def test_a_long_backlog_is_counted_so_far_and_no_further(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_explanations, "COUNTED", 3)
    monkeypatch.setattr(positions, "COUNTED", 3)
    await world.pool()
    await world.runs(await world.deploy(), 5)
    default: Any = (await queues(world))["default"]
    assert (default.due, default.more) == (3, True)


async def test_a_pool_that_is_not_there_is_named(world: World) -> None:
    with pytest.raises(NotFound, match='"nowhere" not found'):
        await pool_explanations.explain(world.scope, "nowhere")
