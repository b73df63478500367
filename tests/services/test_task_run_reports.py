"""Task runs as clients report them: in any order, any number of times, from several servers."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import convert
from world import World

from headgate.core.retention import Cutoffs
from headgate.errors import NotFound
from headgate.ids import uuid7
from headgate.schema.retention import Amounts
from headgate.schema.states import State, StateType
from headgate.schema.task_runs import TaskRun, TaskRunReport
from headgate.services import flow_runs, retention, task_runs
from headgate.services.task_runs import Report
from headgate.store import retention as retention_rows

KINDS = ("PENDING", "RUNNING", "COMPLETED")


def report(
    world: World, task: UUID, kind: str, *, at: float, run: UUID | None = None, key: str = "0", **told: Any
) -> Report:
    time = world.now + timedelta(seconds=at)
    state = State(id=uuid7(time), type=StateType(kind), name=kind.title(), timestamp=time)
    about = {"task_key": "add-1", "dynamic_key": key, "name": "add-0"} | told
    return Report(task, run, state, convert(about, TaskRunReport))


async def record(world: World, *reports: Report) -> None:
    await task_runs.record(world.scope, reports)


async def get(world: World, id: UUID) -> TaskRun:
    return await task_runs.get(world.scope, id)


async def names(world: World, id: UUID) -> list[str]:
    return [state.name for state in await task_runs.states(world.scope, id)]


async def test_a_task_run_is_what_was_told_last_of_it(world: World) -> None:
    """What a later report leaves out stays; what it says is nothing becomes nothing."""
    await world.pool()
    run, id = (await world.run(await world.deploy())).id, uuid4()
    start = (world.now + timedelta(seconds=2)).isoformat()
    await record(world, report(world, id, "PENDING", at=1, run=run, tags=["a"], task_inputs={"x": []}, cache_key="k"))
    await record(world, report(world, id, "RUNNING", at=2, run=run, run_count=1, start_time=start, cache_key=None))
    await record(world, report(world, id, "COMPLETED", at=3, run=run, total_run_time=1.0))
    task = await get(world, id)
    assert (task.flow_run_id, task.state_type, task.name, task.tags) == (run, "COMPLETED", "add-0", ["a"])
    assert (task.run_count, task.total_run_time, task.estimated_run_time) == (1, 1.0, 1.0)
    assert (task.start_time, task.cache_key, task.task_inputs) == (world.now + timedelta(seconds=2), None, {"x": []})
    assert task.state is not None
    assert (task.state.state_details.task_run_id, task.state.state_details.flow_run_id) == (id, run)
    assert await names(world, id) == ["Pending", "Running", "Completed"]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.permutations(list(enumerate(KINDS)) * 2), st.integers(1, 6))
async def test_order_and_repetition_do_not_matter(world: World, told: list[tuple[int, str]], size: int) -> None:
    """The latest state is the task run's, however reports arrive and are grouped."""
    id, key = uuid4(), str(uuid4())
    once = [report(world, id, kind, at=at, key=key, run_count=at) for at, kind in enumerate(KINDS)]
    sent = [once[at] for at, _ in told]
    for index in range(0, len(sent), size):
        await record(world, *sent[index : index + size])
    assert await names(world, id) == ["Pending", "Running", "Completed"]
    task = await get(world, id)
    assert (task.state_type, task.state_id, task.run_count) == ("COMPLETED", once[-1].state.id, 2)


async def test_one_task_run_for_each_key(world: World) -> None:
    """A client that made up an id anew speaks of the task run that there is."""
    first, second, third, other = uuid4(), uuid4(), uuid4(), uuid4()
    run = uuid4()
    await record(world, report(world, first, "PENDING", at=0, run=run))
    await record(world, report(world, second, "RUNNING", at=1, run=run), report(world, other, "PENDING", at=1, run=uuid4()))
    await record(world, report(world, third, "COMPLETED", at=2, run=run))
    assert await names(world, first) == ["Pending", "Running", "Completed"]
    assert await names(world, other) == ["Pending"]
    for id in (second, third):
        with pytest.raises(NotFound, match="Task not found"):
            await get(world, id)
    # Of one set the earlier is known by its id.
    await record(world, report(world, second, "RUNNING", at=5, key="1"), report(world, third, "PENDING", at=4, key="1"))
    assert await names(world, third) == ["Pending", "Running"]


async def test_servers_that_hear_of_one_task_run_at_once_agree(world: World, neighbour: World) -> None:
    """Whoever writes last, the later state stays."""
    ids = [uuid4() for _ in range(20)]

    async def tell(where: World, kind: str, at: float) -> None:
        await asyncio.gather(*(record(where, report(where, id, kind, at=at, key=str(id))) for id in ids))

    await asyncio.gather(tell(world, "RUNNING", 1), tell(neighbour, "COMPLETED", 2), tell(neighbour, "PENDING", 0))
    assert {(await get(world, id)).state_type for id in ids} == {"COMPLETED"}
    assert {tuple(await names(world, id)) for id in ids} == {("Pending", "Running", "Completed")}


async def test_task_runs_go_with_their_flow_run(world: World) -> None:
    await world.pool()
    it = await world.deploy()
    gone, stays = await world.run(it), await world.run(it)
    of_gone, of_stays = uuid4(), uuid4()
    await record(world, report(world, of_gone, "RUNNING", at=0, run=gone.id))
    await record(world, report(world, of_stays, "RUNNING", at=0, run=stays.id))
    await flow_runs.delete(world.scope, gone.id)
    assert await names(world, of_gone) == []
    assert await names(world, of_stays) == ["Running"]
    assert [await world.value(f"SELECT count(*) FROM {table}") for table in ("task_run", "task_run_state")] == [1, 1]


async def pruned(world: World, rounds: retention.Rounds | None = None) -> Amounts:
    cutoffs = Cutoffs(runs=world.now - timedelta(days=90))
    return sum([each async for each in retention.steps(world.scope, cutoffs, rounds)], Amounts())


async def test_task_runs_go_with_their_flow_run_when_that_is_too_old(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many they are, in steps of a bounded size; those that belong to no flow run go by their own end."""
    monkeypatch.setattr(retention_rows, "ROWS", 10)
    await world.pool()
    it = await world.deploy()
    old, young = await world.run(it), await world.run(it)
    await world.accepted(old, "PENDING", "RUNNING", "COMPLETED")
    for index in range(12):
        for at, kind in enumerate(KINDS):
            await record(world, report(world, UUID(int=index), kind, at=at, run=old.id, key=str(index)))
    end = world.now.isoformat()
    await record(world, report(world, uuid4(), "RUNNING", at=0, run=young.id))
    await record(world, report(world, uuid4(), "COMPLETED", at=0, key="alone", end_time=end))
    await record(world, report(world, uuid4(), "RUNNING", at=0, key="goes on"))
    world.clock.advance(days=91)
    cutoffs = Cutoffs(runs=world.now - timedelta(days=90))
    assert await retention.count(world.scope, cutoffs) == Amounts(flow_runs=1, task_runs=13, states=4 + 36 + 1)
    steps = [each async for each in retention.steps(world.scope, cutoffs)]
    assert sum(steps, Amounts()) == Amounts(flow_runs=1, task_runs=13, states=41)
    assert max(each.total for each in steps) <= 11
    assert [await world.value(f"SELECT count(*) FROM {table}") for table in ("task_run", "task_run_state")] == [2, 2]


async def test_task_runs_told_of_too_late_do_not_stay(world: World) -> None:
    """Their flow run was gone already; a round finds them."""
    gone = uuid4()
    await record(world, report(world, uuid4(), "RUNNING", at=0, run=gone), report(world, uuid4(), "PENDING", at=0, key="b"))
    assert await pruned(world) == Amounts()
    assert await pruned(world, retention.Rounds()) == Amounts(task_runs=1, states=1)
    assert await world.value("SELECT count(*) FROM task_run") == 1
