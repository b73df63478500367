"""What cancelled runs leave behind, and cancellations that nobody carries out."""

from typing import Any

import pytest
from world import World

from headgate.schema.flow_runs import FlowRun, FlowRunCreate
from headgate.schema.states import StateCreate, StateType
from headgate.schema.task_runs import TaskRun, TaskRunCreate
from headgate.services import flow_runs, task_runs
from headgate.services.loops.cancellations import Cancellations

DAY = 86_400.0


async def run_of(world: World, *, within: TaskRun | None = None, state: str = "RUNNING") -> FlowRun:
    """A run that its caller executes, perhaps within another."""
    flow = await world.flow()
    body = FlowRunCreate(
        flow_id=flow.id, state=StateCreate(type=StateType(state)), parent_task_run_id=within.id if within else None
    )
    return (await flow_runs.create(world.scope, body)).run


async def task_of(world: World, run: FlowRun, key: str, state: str = "RUNNING") -> TaskRun:
    body = TaskRunCreate(flow_run_id=run.id, task_key=key, dynamic_key="0", state=StateCreate(type=StateType(state)))
    made, _ = await task_runs.create(world.scope, body)
    return made


async def cancel(world: World, run: FlowRun) -> None:
    await world.accepted(run, "CANCELLING")
    await world.accepted(run, "CANCELLED")


async def state_of(world: World, task: TaskRun) -> tuple[str | None, str | None]:
    found = await task_runs.get(world.scope, task.id)
    return found.state_name, found.state.message if found.state else None


@pytest.fixture
def job() -> Cancellations:
    return Cancellations()


async def test_task_runs_of_a_cancelled_run_end(world: World, job: Cancellations) -> None:
    """Those that had not ended; of no other run."""
    run, other = await run_of(world), await run_of(world)
    pending, running = await task_of(world, run, "a", "PENDING"), await task_of(world, run, "b")
    done, others = await task_of(world, run, "c", "COMPLETED"), await task_of(world, other, "d")
    assert await job.tick(world.scope) == 0
    await cancel(world, run)
    await world.accepted(other, "FAILED")
    assert await job.tick(world.scope) == 2
    left = "The run that it belongs to was cancelled."
    assert [await state_of(world, each) for each in (pending, running)] == [("Cancelled", left)] * 2
    assert [await state_of(world, each) for each in (done, others)] == [("Completed", None), ("Running", None)]
    assert await job.tick(world.scope) == 0


async def test_runs_within_a_cancelled_run_end(world: World, job: Cancellations) -> None:
    """And what runs within these, in the next pass. The tasks that stand for them are where they are."""
    run = await run_of(world)
    stands = await task_of(world, run, "child")
    child = await run_of(world, within=stands)
    inner = await task_of(world, child, "inner")
    await cancel(world, run)
    assert await job.tick(world.scope) >= 1
    found = await world.get(child)
    assert found.state
    assert (found.state_name, found.state.message) == ("Cancelled", "The run that it belongs to was cancelled.")
    assert (await state_of(world, stands))[0] == "Cancelled"
    await job.tick(world.scope)
    assert (await state_of(world, inner))[0] == "Cancelled"


async def test_a_deployed_run_within_a_cancelled_run_is_told_to_stop(world: World, job: Cancellations) -> None:
    """Its worker stops it; one that had not started is cancelled at once."""
    await world.pool()
    it = await world.deploy()
    run = await run_of(world)
    first, second = await task_of(world, run, "first"), await task_of(world, run, "second")
    going = await world.run(it, parent_task_run_id=first.id)
    (grant,) = await world.grants()
    await world.accepted(grant, "RUNNING")
    waiting = await world.run(it, parent_task_run_id=second.id)
    await cancel(world, run)
    assert await job.tick(world.scope) == 2
    assert (await world.get(going)).state_name == "Cancelling"
    assert (await world.get(waiting)).state_name == "Cancelled"
    assert await job.tick(world.scope) == 0
    await world.accepted(grant, "CANCELLED")


@pytest.mark.parametrize(("age", "ended"), [(DAY - 1, 1), (DAY + 1, 0)])
async def test_the_first_pass_goes_a_day_back(world: World, age: float, ended: int) -> None:
    run = await run_of(world)
    await task_of(world, run, "a")
    await cancel(world, run)
    world.clock.advance(seconds=age)
    assert await Cancellations().tick(world.scope) == ended


async def test_a_task_run_that_is_told_of_late_ends_too(world: World, job: Cancellations) -> None:
    run = await run_of(world)
    await cancel(world, run)
    await job.tick(world.scope)
    world.clock.advance(seconds=20)
    task = await task_of(world, run, "a")
    assert await job.tick(world.scope) == 1
    assert (await state_of(world, task))[0] == "Cancelled"


async def test_hundreds_in_one_pass(world: World, job: Cancellations) -> None:
    run = await run_of(world)
    for number in range(230):
        await task_of(world, run, f"t{number}")
    await cancel(world, run)
    assert await job.tick(world.scope) == 230


async def test_a_cancellation_that_nobody_carries_out_ends(world: World, job: Cancellations) -> None:
    """After five minutes, so that its slot is free again."""
    await world.pool()
    it = await world.deploy()
    run = await world.run(it)
    await world.accepted(run, "PENDING", "RUNNING", "CANCELLING")
    world.clock.advance(seconds=300)
    assert await job.tick(world.scope) == 0
    world.clock.advance(microseconds=1)
    assert await job.tick(world.scope) == 1
    found = await world.get(run)
    assert found.state
    assert (found.state_name, found.state.message) == (
        "Cancelled",
        "Nobody told in time that the run has stopped; it counts as stopped.",
    )
    assert await world.slots() == 0


async def test_a_cancellation_that_a_worker_carries_out_is_left_to_it(world: World, job: Cancellations) -> None:
    """However long that takes: its lease tells that it is alive."""
    await world.pool()
    run = await world.run(await world.deploy())
    (grant,) = await world.grants()
    await world.accepted(grant, "RUNNING")
    await world.accepted(run, "CANCELLING")
    world.clock.advance(hours=1)
    assert await job.tick(world.scope) == 0


async def test_a_run_that_moved_on_meanwhile_is_left_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read is out of date when it is acted upon."""
    run = await run_of(world)
    child = await run_of(world, within=await task_of(world, run, "child"))
    await cancel(world, run)
    read: Any = type(world.scope.store).read

    async def outdated(self: Any, unit: Any) -> Any:
        monkeypatch.undo()
        found = await read(self, unit)
        await world.accepted(child, "COMPLETED")
        return found

    monkeypatch.setattr(type(world.scope.store), "read", outdated)
    await Cancellations().tick(world.scope)
    assert (await world.get(child)).state_name == "Completed"
