"""Round trips: what is written is read again, field by field, on both databases alike."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_records import (
    NOW,
    a_deployment,
    a_flow,
    a_log,
    a_queue,
    a_run,
    a_schedule,
    a_state,
    save_flow,
    save_pool,
    save_runs,
    stamped,
    written,
)

from headgate.core.states import Timing
from headgate.ids import made_at
from headgate.schema.deployments import CollisionStrategy, ConcurrencyOptions, DeploymentSchedule
from headgate.schema.filters import AgentQuery, FlowQuery, IdFilter, LogFilter, LogQuery, WorkerQuery
from headgate.schema.flow_runs import CreatedBy, FlowRunPolicy
from headgate.schema.pauses import Pause
from headgate.schema.schedules import Schedule
from headgate.schema.states import StateDetails, StateType
from headgate.schema.work_pools import StorageConfiguration
from headgate.store import (
    agents,
    claims,
    deployment_schedules,
    deployments,
    flow_run_states,
    flow_runs,
    flows,
    logs,
    work_pools,
    work_queues,
    workers,
)
from headgate.store.database import Database
from headgate.store.flow_runs import Entered, NewRun
from headgate.store.times import from_micros, to_micros
from headgate.store.workers import Beat

ODD = "Zürich ✈ 東京 🚀 'quoted' \"double\" 100%_\\ \t\n ; -- :name $1"
DEEP = {"z": 1, "a": [1, 2.5, None, True, {"ü": ODD}], "m": {"nested": {"deep": [[]]}}, "": "", "big": 2**53 + 1}
PAUSE = Pause(at=NOW, reason=ODD, by=ODD)
TIMES = [
    datetime(2026, 3, 2, 9, 0, 0, 1, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, 999_998, tzinfo=UTC),
    datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=timezone(timedelta(hours=1))),
]


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-11, minutes=-30))])))
def test_microseconds_are_exact(time: datetime) -> None:
    """A time is kept to the microsecond, whatever its zone, also before 1970."""
    assert from_micros(to_micros(time)) == time


async def test_a_flow(database: Database) -> None:
    flow = a_flow(ODD, tags=["b", "a", ODD], labels=DEEP)
    assert await database.write(lambda tx: flows.insert(tx, flow))
    assert await database.read(lambda tx: flows.get(tx, flow.id)) == flow
    assert await database.read(lambda tx: flows.get_by_name(tx, ODD)) == flow
    assert await database.read(lambda tx: flows.get_many(tx, {flow.id})) == {flow.id: flow}
    assert await database.read(lambda tx: flows.list_page(tx, FlowQuery())) == [flow]
    assert not await database.write(lambda tx: flows.insert(tx, a_flow(ODD)))
    flow.tags, flow.labels, flow.updated = [], {"only": None}, NOW + timedelta(microseconds=1)
    await database.write(lambda tx: flows.update(tx, flow))
    assert await database.read(lambda tx: flows.get(tx, flow.id)) == flow
    assert await database.write(lambda tx: flows.delete(tx, flow.id))
    assert not await database.write(lambda tx: flows.delete(tx, flow.id))
    assert await database.read(lambda tx: flows.get(tx, flow.id)) is None


async def test_the_order_of_keys_is_the_users(database: Database) -> None:
    """A template is shown as it was written."""
    template = {"variables": {"zone": 1, "area": 2}, "job_configuration": {}}
    pool, _ = await save_pool(database, base_job_template=template)
    found = await database.read(lambda tx: work_pools.get(tx, pool.name, now=NOW))
    assert found
    assert msgspec.json.encode(found.base_job_template) == msgspec.json.encode(template)


@pytest.mark.parametrize("time", TIMES)
async def test_times(database: Database, time: datetime) -> None:
    """Times come back as the same instant, aware, to the microsecond."""
    flow = await save_flow(database, created=time, updated=time)
    found = await database.read(lambda tx: flows.get(tx, flow.id))
    assert found
    assert found.created == time
    assert found.created.utcoffset() == timedelta(0)


async def test_a_pool_and_its_queues(database: Database) -> None:
    storage = StorageConfiguration(bundle_upload_step={"a": ODD}, default_result_storage_block_id=a_flow().id)
    pool, default = await save_pool(
        database,
        name=ODD,
        description=ODD,
        base_job_template=DEEP,
        concurrency_limit=0,
        storage_configuration=storage,
        pause=PAUSE,
    )
    found = await database.read(lambda tx: work_pools.get(tx, ODD, now=NOW))
    assert found
    assert found.active_slots == 0
    assert msgspec.structs.replace(found, active_slots=None, status=None) == pool
    queue = a_queue(pool, ODD, description=None, is_paused=True, concurrency_limit=3, filter=ODD, priority=7, pause=PAUSE)
    assert await database.write(lambda tx: work_queues.insert(tx, queue))
    assert not await database.write(lambda tx: work_queues.insert(tx, a_queue(pool, ODD)))
    read = await database.read(lambda tx: work_queues.get(tx, queue.id, now=NOW))
    assert read
    assert msgspec.structs.replace(read, active_slots=None, status=None) == queue
    assert await database.read(lambda tx: work_queues.get_by_name(tx, ODD, ODD, now=NOW)) == read
    of_pool = await database.read(lambda tx: work_queues.of_pool(tx, pool.id, now=NOW))
    assert [each.id for each in of_pool] == [default.id, queue.id]


@pytest.mark.parametrize("value", ["text", 5, 1.5, True, False, 0, "", [], {}, [1, "a"], {"a": None}, None, "null", "5"])
async def test_any_json_value(database: Database, value: Any) -> None:
    """What a client puts where any JSON may stand comes back as that value, and of that type."""
    flow = await save_flow(database)
    run = a_run(flow, a_state(StateType.COMPLETED, data=value))
    await save_runs(database, run)
    found = await database.read(lambda tx: flow_runs.get(tx, run.id, now=NOW))
    assert found
    assert found.state
    assert (found.state.data, type(found.state.data)) == (value, type(value))
    [state] = await database.read(lambda tx: flow_run_states.of_run(tx, run.id))
    assert (state.data, type(state.data)) == (value, type(value))


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"], indirect=True)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    parameters=st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"])),
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers(-(2**63), 2**63 - 1)
            | st.floats(allow_nan=False, allow_infinity=False)
            | st.text(st.characters(exclude_categories=["Cs"])),
            lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc"), inner, max_size=4),
            max_leaves=8,
        ),
        max_size=6,
    )
)
async def test_any_parameters(database: Database, parameters: dict[str, Any]) -> None:
    """Whatever JSON can say, a run's parameters can hold."""
    flow = a_flow(a_flow().id.hex)
    await database.write(lambda tx: flows.insert(tx, flow))
    run = a_run(flow, parameters=parameters)
    await save_runs(database, run)
    found = await database.read(lambda tx: flow_runs.get(tx, run.id, now=NOW))
    assert found
    assert found.parameters == parameters


async def test_big_json(database: Database) -> None:
    """Megabytes pass."""
    big = {"rows": [{"n": n, "text": ODD} for n in range(20_000)]}
    flow = await save_flow(database, labels=big)
    found = await database.read(lambda tx: flows.get(tx, flow.id))
    assert found
    assert found.labels == big


async def test_a_deployment_and_its_schedules(database: Database) -> None:
    flow = await save_flow(database)
    pool, queue = await save_pool(database)
    full = a_deployment(
        flow,
        ODD,
        version="1",
        description=ODD,
        paused=True,
        pause=PAUSE,
        concurrency_options=ConcurrencyOptions(collision_strategy=CollisionStrategy.CANCEL_NEW, grace_period_seconds=60),
        job_variables=DEEP,
        parameters=DEEP,
        tags=[ODD, "a"],
        labels=DEEP,
        work_queue_id=queue.id,
        work_queue_name=queue.name,
        parameter_openapi_schema={"type": "object"},
        path="/srv",
        pull_steps=[{"step": {"a": 1}}, {}],
        entrypoint="a.py:b",
        storage_document_id=a_flow().id,
        infrastructure_document_id=a_flow().id,
        enforce_parameter_schema=False,
    )
    full.global_concurrency_limit = deployments.limit(full, 2)
    bare = a_deployment(flow, "bare", command="echo 'hi'", parameter_openapi_schema={})
    for deployment in (full, bare):
        assert await database.write(lambda tx, it=deployment: deployments.insert(tx, it))  # type: ignore[misc]
    assert not await database.write(lambda tx: deployments.insert(tx, a_deployment(flow, ODD)))
    schedules = [
        a_schedule(full, slug="daily", parameters=DEEP, job_variables={"a": 1}, max_scheduled_runs=4),
        a_schedule(
            full, active=False, pause=PAUSE, schedule=Schedule(interval=0.25, anchor_date=NOW, timezone="Asia/Kolkata")
        ),
        a_schedule(full, schedule=Schedule(rrule="FREQ=DAILY\nEXDATE:20260101T000000Z", timezone="UTC")),
    ]
    await database.write(lambda tx: deployment_schedules.insert(tx, schedules))
    await database.write(lambda tx: deployment_schedules.insert(tx, []))
    full.work_pool_id, full.work_pool_name, full.schedules = pool.id, pool.name, schedules[::-1]
    for deployment in (full, bare):
        found = await database.read(lambda tx, it=deployment: deployments.get(tx, it.id, now=NOW))  # type: ignore[misc]
        assert found
        assert (found.schedule, found.is_schedule_active) == (
            found.schedules[0].schedule if found.schedules else None,
            not found.paused,
        )
        derived = {name: getattr(deployment, name) for name in ("status", "schedule", "is_schedule_active")}
        assert msgspec.structs.replace(found, **derived) == deployment
    by_name = await database.read(lambda tx: deployments.get_by_name(tx, flow.name, ODD, now=NOW))
    assert by_name
    assert by_name.id == full.id


async def test_a_schedule_is_changed_and_deleted(database: Database) -> None:
    flow = await save_flow(database)
    deployment = a_deployment(flow)
    await database.write(lambda tx: deployments.insert(tx, deployment))
    schedule = a_schedule(deployment)
    await database.write(lambda tx: deployment_schedules.insert(tx, [schedule]))
    changed: DeploymentSchedule = msgspec.structs.replace(
        schedule, schedule=Schedule(interval=60.0, timezone="UTC"), active=False, slug=ODD, max_scheduled_runs=1, pause=PAUSE
    )
    await database.write(lambda tx: deployment_schedules.update(tx, changed))
    assert await database.read(lambda tx: deployment_schedules.get(tx, schedule.id)) == changed
    await database.write(lambda tx: deployment_schedules.delete(tx, schedule.id))
    assert await database.read(lambda tx: deployment_schedules.get(tx, schedule.id)) is None


async def test_a_run(database: Database) -> None:
    """Every field of a run that is stored, its state's too."""
    flow = await save_flow(database)
    pool, queue = await save_pool(database)
    deployment = a_deployment(flow, work_queue_id=queue.id)
    await database.write(lambda tx: deployments.insert(tx, deployment))
    details = StateDetails(scheduled_time=NOW, transition_id=a_flow().id, run_input_keyset={"a": ODD}, retriable=True)
    state = a_state(message=ODD, data=DEEP, state_details=details)
    run = a_run(
        flow,
        state,
        name=ODD,
        deployment_id=deployment.id,
        deployment_version=ODD,
        flow_version="v",
        work_pool_id=pool.id,
        work_pool_name=pool.name,
        work_queue_id=queue.id,
        work_queue_name=queue.name,
        parameters=DEEP,
        context=DEEP,
        tags=["b", ODD],
        labels=DEEP,
        idempotency_key=ODD,
        empirical_policy=FlowRunPolicy(retries=3, retry_delay=[1.0, 2.5], pause_keys=["k"]),
        job_variables=DEEP,
        parent_task_run_id=a_flow().id,
        infrastructure_document_id=a_flow().id,
        created_by=CreatedBy(id=a_flow().id, type="SCHEDULE", display_value=ODD),
        auto_scheduled=True,
    )
    bare = a_run(flow)
    await save_runs(database, run, bare)
    found = await database.read(lambda tx: flow_runs.get_many(tx, [run.id, bare.id], now=NOW))
    assert found == {run.id: run, bare.id: bare}
    assert await database.read(lambda tx: flow_run_states.of_run(tx, run.id)) == [state]
    run.name, run.tags, run.labels, run.parameters, run.infrastructure_pid = "new", [], {}, {"a": 1}, "host:1"
    run.empirical_policy, run.job_variables, run.flow_version = FlowRunPolicy(), None, None
    run.updated = NOW + timedelta(seconds=1)
    await database.write(lambda tx: flow_runs.update_detail(tx, run))
    assert await database.read(lambda tx: flow_runs.get(tx, run.id, now=NOW)) == run


async def test_a_key_holds_back_the_second_run(database: Database) -> None:
    """One run per flow and key, in one insert or in several; runs without a key are never held back."""
    flow, other = await save_flow(database), await save_flow(database, name="other")
    runs = [a_run(each, idempotency_key=key) for key in ("k", None) for each in (flow, flow, other)]
    inserted = await database.write(lambda tx: flow_runs.insert(tx, [NewRun(run) for run in runs]))
    assert inserted == {run.id for index, run in enumerate(runs) if index != 1}
    again = await database.write(lambda tx: flow_runs.insert(tx, [NewRun(a_run(flow, idempotency_key="k"))]))
    assert again == set()
    wanted = [(flow.id, "k"), (other.id, "k"), (other.id, "unknown")]
    by_key = await database.read(lambda tx: flow_runs.ids_by_key(tx, wanted))
    assert by_key == {(flow.id, "k"): runs[0].id, (other.id, "k"): runs[2].id}


async def test_a_run_enters_states(database: Database) -> None:
    """The hot row follows, the history is kept in order, and a lock shows all that the rules need."""
    flow = await save_flow(database)
    policy = FlowRunPolicy(max_retries=2, retry_delay_seconds=1.5)
    run = a_run(flow, empirical_policy=policy)
    await save_runs(database, run)
    end, worker = NOW + timedelta(seconds=3), a_flow().id
    details = StateDetails(scheduled_time=NOW, transition_id=worker)
    first = a_state(StateType.PENDING, state_details=details)
    data = DEEP | {"nul": "\0 and \\u0000"}
    second = a_state(StateType.RUNNING, NOW + timedelta(seconds=1), message=ODD, data=data, state_details=details)
    timing = Timing(NOW, None, NOW, end, 0.1 + 0.2, 2)
    steps = [
        Entered(run.id, first, timing, True, 1, end, worker),
        Entered(run.id, second, timing, True, 2, end, worker),
    ]
    await database.write(lambda tx: flow_runs.enter(tx, steps))
    await database.write(lambda tx: flow_runs.enter(tx, []))
    locked = (await database.write(lambda tx: flow_runs.lock(tx, [run.id, run.id])))[run.id]
    assert (locked.timing, locked.state, locked.lease_expires_at, locked.worker_id) == (timing, second, end, worker)
    assert [*locked.state.data] == [*data]  # the order of keys is the caller's
    assert (locked.current.fence, locked.current.retries, locked.current.retry_delays) == (2, 2, (1.5,))
    assert (locked.current.transition_id, locked.current.has_deployment) == (worker, False)
    assert await database.read(lambda tx: flow_run_states.of_run(tx, run.id)) == [run.state, first, second]
    assert await database.read(lambda tx: claims.lapsed(tx, now=end, limit=10)) == []
    lapsed = await database.read(lambda tx: claims.lapsed(tx, now=end + timedelta(microseconds=1), limit=10))
    assert [(each.id, each.state_type, each.fence) for each in lapsed] == [(run.id, StateType.RUNNING, 2)]


async def test_a_deleted_run_leaves_nothing(database: Database) -> None:
    flow = await save_flow(database)
    gone, kept = a_run(flow), a_run(flow)
    await save_runs(database, gone, kept)
    await database.write(lambda tx: logs.insert(tx, written(a_log(gone.id), a_log(kept.id))))
    assert await database.write(lambda tx: flow_runs.delete(tx, [])) == 0
    assert await database.write(lambda tx: flow_runs.delete(tx, [gone.id, a_flow().id])) == 1
    counts = {}
    for table in ("flow_run", "flow_run_detail", "flow_run_state", "log"):
        counts[table] = await database.read(lambda tx, it=table: tx.fetch_value(f"SELECT count(*) FROM {it}"))  # type: ignore[misc]
    assert counts == dict.fromkeys(counts, 1)


async def test_log_lines(database: Database) -> None:
    """A line may belong to a run, to a task run or to nothing."""
    run_id, task_id = a_flow().id, a_flow().id
    lines = [a_log(run_id, message=ODD, level=40), a_log(None), a_log(run_id, task_run_id=task_id, message="")]
    await database.write(lambda tx: logs.insert(tx, written(*lines)))
    await database.write(lambda tx: logs.insert(tx, []))
    for line in lines:
        line.created = line.updated = made_at(line.id)
    assert await database.read(lambda tx: logs.list_page(tx, LogQuery())) == lines
    of_run = LogQuery(logs=LogFilter(flow_run_id=IdFilter(any_=[run_id])))
    assert await database.read(lambda tx: logs.list_page(tx, of_run)) == [lines[0], lines[2]]


async def test_an_agent_is_one_row(database: Database) -> None:
    """What it polls is as it said last; its name and interval stay where it says nothing of them."""
    id, later = stamped()["id"], NOW + timedelta(seconds=1)
    first = agents.Beat(id, ODD, "pool", ["a", ODD], None, 2.5, NOW)
    again = agents.Beat(id, None, None, [], "pre-", None, later)
    assert await database.write(lambda tx: agents.beat(tx, first)) == agents.Alive(id, drain=False, attends=False)
    saved = await database.read(lambda tx: agents.get(tx, id, now=NOW))
    assert saved is not None
    assert (saved.name, saved.work_pool_name, saved.work_queue_names) == (ODD, "pool", ["a", ODD])
    assert await database.write(lambda tx: agents.beat(tx, again)) == agents.Alive(id, drain=False, attends=False)
    [found] = await database.read(lambda tx: agents.list_page(tx, AgentQuery(), now=later))
    assert (found.work_pool_name, found.work_queue_names, found.work_queue_prefix) == (None, [], "pre-")
    assert (found.name, found.heartbeat_interval_seconds, found.last_heartbeat_time) == (ODD, 2.5, later)
    assert await database.write(lambda tx: agents.drain(tx, id, now=later))
    assert await database.write(lambda tx: agents.touch(tx, id, interval=None, now=later))
    assert await database.write(lambda tx: agents.delete(tx, id))
    assert not await database.write(lambda tx: agents.touch(tx, id, interval=None, now=later))
    assert not await database.write(lambda tx: agents.drain(tx, id, now=later))
    assert not await database.write(lambda tx: agents.delete(tx, id))


async def test_a_worker_is_one_row(database: Database) -> None:
    """Heartbeats change it; what a later one leaves out stays as it was."""
    pool, _ = await save_pool(database)
    first = Beat(stamped()["id"], pool.id, ODD, "process", 2.5, NOW)
    again = Beat(stamped()["id"], pool.id, ODD, None, None, NOW + timedelta(seconds=1))
    known = workers.Alive(first.id, drain=False, attends=False)
    assert await database.write(lambda tx: workers.beat(tx, first)) == known
    assert await database.write(lambda tx: workers.beat(tx, again)) == known
    [found] = await database.read(lambda tx: workers.list_page(tx, pool.id, WorkerQuery(), now=again.now))
    assert (found.id, found.name, found.type, found.heartbeat_interval_seconds) == (first.id, ODD, "process", 2.5)
    assert (found.created, found.last_heartbeat_time) == (NOW, again.now)
    assert await database.write(lambda tx: workers.delete(tx, pool.id, ODD))
    assert not await database.write(lambda tx: workers.delete(tx, pool.id, ODD))
