"""Occupancy on both databases: who holds the slots of a pool and of its queues, a page at a time."""

from uuid import uuid4

import pytest
from world import World

from headgate.errors import NotFound, PageTooLarge
from headgate.schema.occupancy import PoolOccupancyQuery, QueueOccupancyQuery
from headgate.services import occupancy


async def test_slots_are_shown_by_queue_with_the_runs_that_hold_them(world: World) -> None:
    await world.pool(concurrency_limit=9)
    high = await world.queue("high", concurrency_limit=4)
    runs = await world.runs(await world.deploy("a", work_queue_name="high"), 3)
    await world.runs(await world.deploy("b"), 2)
    await world.grants(5)
    await world.runs(await world.deploy("c"), 2)
    world.clock.advance(seconds=7)
    shown = await occupancy.of_pool(world.scope, "local", PoolOccupancyQuery(flow_run_limit=2))
    assert (shown.active_slots, shown.concurrency_limit, shown.count, shown.pages, shown.page) == (5, 9, 2, 1, 1)
    by_name = {queue.queue_name: queue for queue in shown.queues}
    assert (by_name["high"].active_slots, by_name["high"].concurrency_limit, by_name["default"].active_slots) == (3, 4, 2)
    assert [len(by_name[name].flow_runs) for name in ("high", "default")] == [2, 2]
    assert by_name["high"].flow_run_count == 3
    held = by_name["high"].flow_runs[0]
    assert (held.id in {run.id for run in runs}, held.state_name, held.time_in_current_state) == (True, "Pending", 7.0)
    second = await occupancy.of_pool(world.scope, "local", PoolOccupancyQuery(page=2, limit=1, flow_run_limit=0))
    assert (second.pages, len(second.queues), second.queues[0].flow_runs) == (2, 1, [])
    pages = [await occupancy.of_queue(world.scope, high.id, QueueOccupancyQuery(page=page, limit=2)) for page in (1, 2, 3)]
    assert [len(page.flow_runs) for page in pages] == [2, 1, 0]
    assert {run.id for page in pages for run in page.flow_runs} == {run.id for run in runs}
    assert [(page.active_slots, page.count, page.pages) for page in pages] == [(3, 3, 2)] * 3


async def test_what_is_not_there_is_said(world: World) -> None:
    await world.pool()
    with pytest.raises(NotFound):
        await occupancy.of_pool(world.scope, "other", PoolOccupancyQuery())
    with pytest.raises(NotFound):
        await occupancy.of_queue(world.scope, uuid4(), QueueOccupancyQuery())
    with pytest.raises(PageTooLarge):
        await occupancy.of_pool(world.scope, "local", PoolOccupancyQuery(limit=201))
