"""Late runs: what is past its time by so much is called Late, keeps its time, and starts like any other."""

from dataclasses import replace

import pytest
from msgspec import structs
from world import World, ids

from headgate.schema.deployments import Deployment
from headgate.services import work_queues
from headgate.services.loops import late
from headgate.store import flow_runs as rows


@pytest.fixture
async def it(world: World) -> Deployment:
    await world.pool()
    return await world.deploy()


async def test_a_run_turns_late(world: World, it: Deployment) -> None:
    """Fifteen seconds after its time, not before; under the time that it is late for."""
    run = await world.run(it, due=10)
    world.clock.advance(seconds=25)
    assert await late.tick(world.scope) == 0
    world.clock.advance(microseconds=1)
    assert await late.tick(world.scope) == 1
    assert await late.tick(world.scope) == 0
    found = await world.get(run)
    assert found.state
    assert (found.state_name, found.state_type) == ("Late", "SCHEDULED")
    assert found.next_scheduled_start_time == found.state.state_details.scheduled_time == run.expected_start_time
    assert await world.history(run) == ["Scheduled", "Late"]


async def test_a_late_run_keeps_its_place(world: World, it: Deployment) -> None:
    first, second = await world.run(it, due=-60), await world.run(it, due=-1)
    await late.tick(world.scope)
    assert await world.granted() == [first.id, second.id]


async def test_what_waits_for_something_else_is_not_late(world: World, it: Deployment) -> None:
    """Neither a run that was claimed, nor one that waits for a slot or a retry, nor one that is over."""
    runs = await world.runs(it, 4)
    await world.accepted(runs[0], "PENDING")
    await world.accepted(runs[1], "PENDING", "RUNNING", "COMPLETED")
    await world.accepted(runs[2], "SCHEDULED", name="AwaitingRetry")
    await world.change_pool(concurrency_limit=0)
    assert (await world.propose(runs[3], "PENDING")).status == "REJECT"
    world.clock.advance(hours=1)
    assert await late.tick(world.scope) == 0


async def test_hundreds_in_one_pass(world: World, it: Deployment) -> None:
    """All of them, a page at a time."""
    runs = await world.runs(it, 530, due=-60)
    assert await late.tick(world.scope) == 530
    assert await world.value("SELECT count(*) FROM flow_run WHERE state_name = 'Late'") == 530
    assert (await work_queues.status(world.scope, it.work_queue_id)).late_runs_count == 530  # type: ignore[arg-type]
    assert len(runs) == 530


async def test_a_run_that_is_claimed_meanwhile_is_not_late(
    world: World, it: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look and the verdict a worker may have come."""
    claimed, left = await world.runs(it, 2, due=-60)
    seen = ids([claimed, left])

    async def as_seen(_tx: object, **_fields: object) -> object:
        return seen

    await world.granted(1)
    monkeypatch.setattr(rows, "turned_late", as_seen)
    assert await late.tick(world.scope) == 1
    assert [(await world.get(run)).state_name for run in (claimed, left)] == ["Pending", "Late"]


async def test_the_threshold_is_a_setting(world: World, it: Deployment) -> None:
    settings = structs.replace(world.scope.settings, server_services_late_runs_after_seconds=2.0)
    world.scope = replace(world.scope, settings=settings)
    await world.run(it)
    world.clock.advance(seconds=2)
    assert await late.tick(world.scope) == 0
    world.clock.advance(seconds=0.001)
    assert await late.tick(world.scope) == 1
