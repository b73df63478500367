"""The pruner: what is too old goes, exactly that, in small steps, whoever else is at it; everything else stays."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from msgspec import structs
from world import World, cron, ids

from headgate.clock import FrozenClock
from headgate.core.retention import Cutoffs
from headgate.errors import Unavailable
from headgate.ids import made_at, uuid7
from headgate.schema.deployments import Deployment
from headgate.schema.filters import IdFilter, LogFilter, LogQuery, WorkerQuery
from headgate.schema.flow_runs import FlowRun
from headgate.schema.logs import LogCreate
from headgate.schema.retention import Amounts
from headgate.schema.workers import WorkerHeartbeat
from headgate.services import flow_runs, logs, retention, workers
from headgate.services.loops import scheduler
from headgate.services.loops.pruner import Pruner
from headgate.services.retention import Rounds
from headgate.store import partitions
from headgate.store import retention as rows
from headgate.store.database import Database, Tx
from headgate.store.opening import create_schema
from headgate.telemetry import Event, PartitionsPostponed

MICROSECOND = timedelta(microseconds=1)
MILLISECOND = timedelta(milliseconds=1)
DAY = timedelta(days=1)

OpenDatabase = Callable[[str], Awaitable[Database]]


@pytest.fixture
def clock() -> FrozenClock:
    """Stands after all ids that this process has made: lines are as old as their ids say."""
    return FrozenClock(made_at(uuid7(datetime(2026, 3, 2, 9, 0, tzinfo=UTC))) + timedelta(seconds=1))


@pytest.fixture
def database_url(empty_url: str) -> str:
    """Of a database for one test alone: partitions stay."""
    return empty_url


@pytest.fixture
async def database(database_url: str, open_url: OpenDatabase) -> Database:
    store = await open_url(database_url)
    await create_schema(store)
    return store


@pytest.fixture
def world(world: World) -> World:
    """Where events, such as those of the records that these tests make, stay: they have tests of their own."""
    return keeping(world, events=0)


@pytest.fixture
async def it(world: World) -> Deployment:
    await world.pool()
    return await world.deploy()


def keeping(world: World, **days: float) -> World:
    """The same world, where records are kept for other times than by default."""
    settings = structs.replace(
        world.scope.settings, **{f"server_retention_{kind}_days": count for kind, count in days.items()}
    )
    return World(replace(world.scope, settings=settings), world.clock)


async def prune(world: World, rounds: Rounds | None = None) -> Amounts:
    """Everything that is too old, and how much that was."""
    total = Amounts()
    async for amounts in retention.steps(world.scope, retention.cutoffs_of(world.scope), rounds):
        total += amounts
    return total


async def no_pause(_seconds: float) -> None:
    return None


async def over(world: World, it: Deployment, kind: str = "COMPLETED", *, lines: int = 1, **fields: Any) -> FlowRun:
    """A run that went through its states, in no time, and wrote lines."""
    run = await world.run(it, **fields)
    await world.accepted(run, "PENDING", "RUNNING")
    await write(world, run.id, lines)
    await world.accepted(run, kind)
    return run


async def write(world: World, run_id: UUID | None, count: int = 1) -> None:
    line = LogCreate(name="x", level=20, message="m", timestamp=world.now, flow_run_id=run_id)
    await logs.create(world.scope, [line] * count)


async def lines_of(world: World, run: FlowRun) -> int:
    return len(await logs.list_page(world.scope, LogQuery(logs=LogFilter(flow_run_id=IdFilter(any_=[run.id])))))


async def rows_of(world: World, *runs: FlowRun) -> dict[str, int]:
    """How many rows there are of runs, by table."""
    keys = {"flow_run": "id", "flow_run_detail": "flow_run_id", "flow_run_state": "flow_run_id", "log": "flow_run_id"}
    params = {"ids": ids(runs)}
    return {
        table: await world.value(f"SELECT count(*) FROM {table} WHERE {key} IN :ids::uuid[]", **params)
        for table, key in keys.items()
    }


# --- runs


@pytest.mark.parametrize("kind", ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"])
async def test_a_run_that_is_over_goes_with_all_that_is_its(world: World, it: Deployment, kind: str) -> None:
    """Ninety days after its end; at that very moment it is still there."""
    run, later = await over(world, it, kind), await over(world, it, lines=0)
    assert set((await rows_of(world, run)).values()) == {1, 4}
    world.clock.advance(days=90)
    await world.accepted(await world.run(it), "PENDING", "RUNNING", "COMPLETED")
    assert (await prune(keeping(world, logs=0))).total == 0
    world.clock.time += MICROSECOND
    assert await prune(keeping(world, logs=0)) == Amounts(flow_runs=2, states=8, log_lines=1)
    assert set((await rows_of(world, run, later)).values()) == {0}
    assert await prune(world) == Amounts()
    assert len(await world.runs_of(it)) == 1


async def test_the_end_counts_and_not_the_beginning(world: World, it: Deployment) -> None:
    run = await world.run(it)
    await world.accepted(run, "PENDING", "RUNNING")
    world.clock.advance(days=80)
    await world.accepted(run, "COMPLETED")
    world.clock.advance(days=90)
    assert (await prune(world)).flow_runs == 0
    world.clock.time += MICROSECOND
    assert (await prune(world)).flow_runs == 1


async def test_what_is_not_over_is_kept_however_old(world: World, it: Deployment) -> None:
    """Waiting, claimed, running, paused, being cancelled; and one that is to run again after its end."""
    runs = await world.runs(it, 6)
    await world.accepted(runs[1], "PENDING")
    await world.accepted(runs[2], "PENDING", "RUNNING")
    await world.accepted(runs[3], "PENDING", "RUNNING", "PAUSED")
    await world.accepted(runs[4], "PENDING", "RUNNING", "CANCELLING")
    await world.accepted(runs[5], "PENDING", "RUNNING", "FAILED", "SCHEDULED")
    world.clock.advance(days=1000)
    assert await prune(world) == Amounts()
    assert len(await world.runs_of(it)) == 6


async def test_what_begins_again_meanwhile_is_kept(world: World, it: Deployment) -> None:
    """Between the look and the deletion somebody may have rescheduled a run."""
    again, gone = await over(world, it, "FAILED"), await over(world, it)
    world.clock.advance(days=91)
    before = world.now - 90 * DAY
    found = await world.scope.store.read(lambda tx: rows.ended(tx, before=before, after=retention._FIRST, limit=10))
    assert {each.id for each in found} == {again.id, gone.id}
    await world.accepted(again, "SCHEDULED")
    chosen = [each.id for each in found]
    step = await world.scope.store.write(lambda tx: rows.delete_ended(tx, chosen, before=before))
    assert (step.amounts.flow_runs, step.left) == (1, [])
    assert await world.history(again) == ["Scheduled", "Pending", "Running", "Failed", "Scheduled"]


async def test_a_fire_time_is_not_served_twice(world: World) -> None:
    """A run that was cancelled long before its time stays until that is past: else the scheduler would make it again."""
    await world.pool()
    it = await world.deploy(schedule=cron("0 0 1 * *"))
    await scheduler.tick(world.scope)
    runs = await world.runs_of(it)
    far = runs[-1]
    assert far.expected_start_time
    assert far.expected_start_time > world.now + 31 * DAY
    await world.accepted(far, "CANCELLED")
    short = keeping(world, runs=7)
    world.clock.time = far.expected_start_time - DAY
    assert (await prune(short)).flow_runs == 0
    await scheduler.tick(world.scope)
    assert [run.id for run in await world.runs_of(it) if run.expected_start_time == far.expected_start_time] == [far.id]
    world.clock.time = far.expected_start_time + 7 * DAY
    assert (await prune(short)).flow_runs == 0
    world.clock.time += MICROSECOND
    assert (await prune(short)).flow_runs == 1
    await scheduler.tick(world.scope)
    assert far.expected_start_time not in [run.expected_start_time for run in await world.runs_of(it)]


async def test_for_ever_is_for_ever(world: World, it: Deployment) -> None:
    run = await over(world, it)
    await workers.heartbeat(world.scope, "local", WorkerHeartbeat(name="w"))
    world.clock.advance(days=36_500)
    assert await prune(keeping(world, runs=0, logs=0, workers=0)) == Amounts()
    assert await lines_of(world, run) == 1


async def test_many_runs_that_ended_at_once(world: World, it: Deployment) -> None:
    """More than a page, all of one moment."""
    runs = await world.runs(it, 3 * retention.RUNS + 1)
    await asyncio.gather(*(world.accepted(run, "CANCELLED") for run in runs))
    world.clock.advance(days=91)
    assert (await prune(world)).flow_runs == len(runs)


# --- steps


async def test_no_step_deletes_more_than_its_share(world: World, it: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run with more lines, or more states, than a step may delete goes in several."""
    monkeypatch.setattr(rows, "ROWS", 10)
    big, many = await over(world, it, lines=35), await over(world, it, lines=3)
    for _ in range(12):
        await world.accepted(many, "SCHEDULED", "PENDING", "RUNNING", "COMPLETED")
    exact = await over(world, it, lines=10)
    runs = [big, many, exact, *[await over(world, it, lines=4) for _ in range(7)]]
    before = await rows_of(world, *runs)
    world.clock.advance(days=91)
    steps = [each async for each in retention.steps(world.scope, retention.cutoffs_of(keeping(world, logs=0).scope))]
    assert max(each.log_lines for each in steps) <= 10
    assert max(each.states for each in steps) <= 10
    assert sum(steps, Amounts()) == Amounts(flow_runs=len(runs), states=before["flow_run_state"], log_lines=before["log"])
    assert set((await rows_of(world, *runs)).values()) == {0}


async def test_it_may_stop_anywhere_and_goes_on(world: World, it: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is left of a half-deleted run is found again."""
    monkeypatch.setattr(rows, "ROWS", 3)
    runs = [await over(world, it, lines=5) for _ in range(4)]
    world.clock.advance(days=91)
    passes = 0
    while any((await rows_of(world, *runs)).values()):
        passes += 1
        async for amounts in retention.steps(world.scope, retention.cutoffs_of(keeping(world, logs=0).scope)):
            if amounts.total:
                break
    assert passes > len(runs)


async def test_a_pass_ends_when_it_has_had_its_time(world: World, it: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the next one goes on; between steps the database is left to the others for longer than a step took."""
    monkeypatch.setattr(retention, "RUNS", 2)
    for _ in range(6):
        await over(world, it)
    world.clock.advance(days=91)
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    hurried = structs.replace(world.scope.settings, server_services_pruner_loop_seconds=1e-9)
    short, job = replace(world.scope, settings=hurried), Pruner(pause)
    left = [len(await world.runs_of(it))]
    while left[-1]:
        await job.tick(replace(short, settings=structs.replace(hurried, server_retention_workers_days=0)))
        left.append(len(await world.runs_of(it)))
    assert left == [6, 4, 2, 0]
    assert pauses == []
    await over(world, it)
    world.clock.advance(days=91)
    await Pruner(pause).tick(world.scope)
    assert pauses
    assert all(seconds > 0 for seconds in pauses)


async def test_a_pass_with_nothing_to_do_writes_nothing(
    world: World, it: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that an idle server, and a short-lived one, costs nobody anything."""
    await over(world, it)
    job = Pruner(no_pause)
    await job.tick(world.scope)

    async def refuse(*_: Any) -> None:
        raise AssertionError("it wrote")

    monkeypatch.setattr(type(world.scope.store), "write", refuse)
    assert await job.tick(world.scope) == 0


async def test_two_servers_at_once(world: World, neighbour: World, it: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each record is deleted once, and neither fails; a third goes about its work meanwhile."""
    monkeypatch.setattr(retention, "RUNS", 3)
    runs = [await over(world, it, lines=3) for _ in range(40)]
    for name in "abc":
        await workers.heartbeat(world.scope, "local", WorkerHeartbeat(name=name))
    before = await rows_of(world, *runs)
    world.clock.advance(days=91)
    busy = await world.runs(it, 20)
    async with asyncio.timeout(60):
        servers = [prune(keeping(each, logs=0)) for each in (world, neighbour)]
        first, second, _ = await asyncio.gather(*servers, cycle(world, busy))
    rest = await prune(world)  # what each left to the other
    both = first + second
    assert both + rest == Amounts(flow_runs=40, states=before["flow_run_state"], log_lines=before["log"], workers=3)
    assert len(await world.runs_of(it)) == 20


async def cycle(world: World, runs: list[FlowRun]) -> None:
    """Have runs go through their states."""
    for run in runs:
        await world.accepted(run, "PENDING", "RUNNING", "COMPLETED")


# --- log lines


async def test_lines_go_before_their_run(world: World, it: Deployment) -> None:
    """Thirty days after they were written, to the millisecond; those of runs that go on as well."""
    run = await world.run(it)
    await world.accepted(run, "PENDING", "RUNNING")
    world.clock.time = world.now.replace(microsecond=500_000) + timedelta(seconds=1)
    await write(world, run.id, 2)
    world.clock.advance(days=10)
    await write(world, run.id, 3)
    world.clock.advance(days=20)
    assert (await prune(world)).total == 0
    world.clock.time += MILLISECOND
    assert await prune(world) == Amounts(log_lines=2)
    assert await lines_of(world, run) == 3
    world.clock.advance(days=30)
    assert await prune(world) == Amounts(log_lines=3)
    assert await world.history(run) == ["Scheduled", "Pending", "Running"]


async def test_lines_of_nobody_go_too(world: World, it: Deployment) -> None:
    """Those without a run, and those of a run that is gone already."""
    run = await over(world, it)
    await flow_runs.delete(world.scope, run.id)
    await write(world, run.id, 2)
    await write(world, None, 3)
    world.clock.advance(days=31)
    assert await prune(world) == Amounts(log_lines=5)


async def test_two_servers_at_once_delete_lines(world: World, neighbour: World, it: Deployment) -> None:
    runs = await world.runs(it, 30)
    await asyncio.gather(*(write(world, run.id, 5) for run in runs))
    world.clock.advance(days=31)
    async with asyncio.timeout(60):
        first, second = await asyncio.gather(prune(world), prune(neighbour))
    assert first + second == Amounts(log_lines=150)


async def test_lines_under_an_id_of_a_strangers_go_in_time(world: World, it: Deployment) -> None:
    """Its id says nothing about its age; the slow round comes by."""
    for number in range(3):
        await write(world, UUID(int=uuid4().int | 1 << 127), number + 1)
    world.clock.advance(days=31)
    rounds = Rounds()
    assert await prune(world) == Amounts()
    assert await prune(world, rounds) == Amounts(log_lines=6)


async def test_a_line_more_than_a_step_takes(world: World, it: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """New lines of the same run stay."""
    monkeypatch.setattr(rows, "ROWS", 10)
    run = await world.run(it)
    await write(world, run.id, 45)
    world.clock.advance(days=31)
    await write(world, run.id, 45)
    assert await prune(world) == Amounts(log_lines=45)
    assert await lines_of(world, run) == 45


# --- strays


async def test_states_of_runs_that_are_gone_go(world: World, it: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page in each pass, round and round; those of runs that are there stay."""
    monkeypatch.setattr(retention, "RUNS", 2)
    runs = await world.runs(it, 9)
    strays = ids(runs[1::2])
    for table, key in (("flow_run", "id"), ("flow_run_detail", "flow_run_id")):
        sql = f"DELETE FROM {table} WHERE {key} IN :ids::uuid[]"
        await world.scope.store.write(lambda tx, sql=sql: tx.execute(sql, {"ids": strays}))  # type: ignore[misc]
    rounds = Rounds()
    found = [(await prune(world, rounds)).states for _ in range(5)]
    assert found == [1, 1, 1, 1, 0]
    assert await world.value("SELECT count(*) FROM flow_run_state") == 5
    await prune(world, rounds)
    assert rounds.states == retention._NONE


# --- workers and agents


async def test_a_worker_that_has_been_offline_for_long_is_forgotten(world: World, it: Deployment) -> None:
    """Thirty days after it went offline, which is three of its own heartbeats after the last."""
    for name, interval in (("slow", 3600.0), ("usual", None)):
        await workers.heartbeat(world.scope, "local", WorkerHeartbeat(name=name, heartbeat_interval_seconds=interval))
    began = world.now
    for name, offline in (("usual", timedelta(seconds=90)), ("slow", timedelta(hours=3))):
        world.clock.time = began + offline + 30 * DAY
        assert await prune(world) == Amounts()
        assert name in await names(world)
        world.clock.time += MICROSECOND
        assert await prune(world) == Amounts(workers=1)
        assert name not in await names(world)


async def names(world: World) -> list[str]:
    return [worker.name for worker in await workers.list_page(world.scope, "local", WorkerQuery())]


async def test_a_worker_that_comes_back_is_kept(world: World, it: Deployment) -> None:
    beat = WorkerHeartbeat(name="w")
    await workers.heartbeat(world.scope, "local", beat)
    world.clock.advance(days=60)
    before = world.now - 30 * DAY
    gone, agents = await world.scope.store.read(lambda tx: rows.offline(tx, before=before))
    assert len(gone) == 1
    await workers.heartbeat(world.scope, "local", beat)
    deleted = await world.scope.store.write(lambda tx: rows.delete_offline(tx, gone, agents, before=before))
    assert deleted == Amounts()


async def test_a_worker_that_holds_a_run_is_kept(world: World, it: Deployment) -> None:
    """Until somebody has taken the run from it."""
    await world.run(it)
    [grant] = await world.grants()
    world.clock.advance(days=60)
    assert await prune(world) == Amounts()
    await world.accepted(grant, "CANCELLED", fence=None)
    assert await prune(world) == Amounts(workers=1)


async def test_agents_are_forgotten_likewise(world: World) -> None:
    insert = """
        INSERT INTO agent (id, created, updated, work_queue_names, last_heartbeat_time)
        VALUES (:id, :at, :at, '[]', :at)
    """
    await world.scope.store.write(lambda tx: tx.execute(insert, {"id": uuid4(), "at": world.now}))
    world.clock.advance(days=30, seconds=90)
    assert await prune(world) == Amounts()
    world.clock.time += MICROSECOND
    assert await prune(world) == Amounts(agents=1)


# --- counts


async def test_the_counts_are_what_is_deleted(world: World, it: Deployment) -> None:
    for lines in range(4):
        await over(world, it, lines=lines)
    world.clock.advance(days=70)
    await over(world, it, lines=5)
    await write(world, None, 2)
    await workers.heartbeat(world.scope, "local", WorkerHeartbeat(name="w"))
    world.clock.advance(days=40)
    for kept in (world, keeping(world, logs=0), keeping(world, runs=0), keeping(world, logs=100), keeping(world, runs=10)):
        expected = await retention.count(kept.scope, retention.cutoffs_of(kept.scope))
        assert expected == await prune(kept)
    assert await retention.count(world.scope, retention.cutoffs_of(world.scope)) == Amounts()


# --- partitions


on_postgresql = pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)


async def places(world: World, table: str) -> list[str]:
    """The partitions of a table that hold rows."""
    return await world.scope.store.read(_places(table))


def _places(table: str) -> Callable[[Tx], Awaitable[list[str]]]:
    async def unit(tx: Tx) -> list[str]:
        found = await tx.fetch(f"SELECT DISTINCT tableoid::regclass::text AS place FROM {table} ORDER BY 1")
        return [row["place"] for row in found]

    return unit


async def ends(world: World, table: str) -> list[Any]:
    present = await world.scope.store.read(lambda tx: partitions.list_all(tx, table))
    return [each.span.end for each in present]


@on_postgresql
async def test_new_rows_have_a_partition_from_the_first_pass_on(world: World) -> None:
    """And always for a week ahead at least, whenever a pass comes by."""
    job = Pruner(no_pause)
    await job.tick(world.scope)
    await world.pool()
    it = await world.deploy()
    for _ in range(5):
        await over(world, it)
        world.clock.advance(days=6)
        await job.tick(world.scope)
        for table in ("log", "flow_run_state", "task_run_state"):
            assert (await ends(world, table))[-1] > world.now + timedelta(weeks=1)
    for table in ("log", "flow_run_state"):
        assert f"{table}_rest" not in await places(world, table)


@on_postgresql
async def test_partitions_go_when_all_in_them_is_too_old(world: World) -> None:
    """Lines by their age; states when the runs are gone to which they belong."""
    job = Pruner(no_pause)
    await job.tick(world.scope)
    await world.pool()
    it = await world.deploy()
    ended, waits = await over(world, it), await world.run(it)
    end = (await ends(world, "log"))[0]
    world.clock.time = end + 30 * DAY - MICROSECOND
    await job.tick(world.scope)
    assert await lines_of(world, ended) == 1
    world.clock.time += MICROSECOND
    await job.tick(world.scope)
    assert await lines_of(world, ended) == 0
    first = (await ends(world, "flow_run_state"))[0]
    world.clock.time = first + 90 * DAY
    await job.tick(world.scope)
    await job.tick(world.scope)
    assert (await ends(world, "flow_run_state"))[0] == first
    assert await world.history(waits) == ["Scheduled"]
    await flow_runs.delete(world.scope, waits.id)
    await job.tick(world.scope)
    assert (await ends(world, "flow_run_state"))[0] > first


@on_postgresql
async def test_a_database_that_is_busy_is_tried_another_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told, and does not keep the pass from deleting what is too old."""
    await world.pool()
    it = await world.deploy()
    await over(world, it)
    world.clock.advance(days=91)
    told: list[Event] = []
    world.scope.telemetry.subscribe(told.append)

    async def busy(*_: Any) -> None:
        raise Unavailable("busy")

    with monkeypatch.context() as patch:
        patch.setattr(partitions, "add", busy)
        assert await Pruner(no_pause).tick(world.scope) == 6
    tables = ["log", "event", "flow_run_state", "task_run_state"]
    assert [each.table for each in told if isinstance(each, PartitionsPostponed)] == tables
    assert await Pruner(no_pause).tick(world.scope) > 0


@on_postgresql
async def test_who_wants_it_exactly_gets_it_exactly(world: World) -> None:
    """Also where a partition holds lines on both sides of the bound; one that is past is dropped and counted."""
    await Pruner(no_pause).tick(world.scope)
    await world.pool()
    run = await world.run(await world.deploy())
    first = (await ends(world, "log"))[0]
    world.clock.time = max(world.now, first - DAY)
    await write(world, run.id, 3)
    world.clock.time = first + DAY
    await Pruner(no_pause).tick(world.scope)
    await write(world, run.id, 4)
    world.clock.advance(days=1)
    await write(world, run.id, 5)
    cutoffs = Cutoffs(logs=world.now - timedelta(hours=1))
    assert await retention.count(world.scope, cutoffs) == Amounts(log_lines=7)
    steps = [each async for each in retention.steps(world.scope, cutoffs, exact=True)]
    assert [each.log_lines for each in steps] == [3, 4]
    assert await lines_of(world, run) == 5
    assert (await ends(world, "log"))[0] > first
