"""Flow runs: created with what they inherit, once per key, changed and deleted; flows and log lines beside them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from msgspec import UNSET
from world import World

from headgate.errors import Conflict, Invalid, NotFound
from headgate.schema.deployments import Deployment
from headgate.schema.filters import FlowRunQuery, FlowRunSort, IdFilter, LogFilter, LogQuery
from headgate.schema.flow_runs import DeploymentFlowRunCreate, FlowRunCreate, FlowRunPolicy, FlowRunUpdate
from headgate.schema.flows import FlowCreate, FlowUpdate
from headgate.schema.logs import LogCreate
from headgate.schema.states import StateCreate, StateType
from headgate.services import deployments, flow_runs, flows, logs, work_queues
from headgate.store.database import Database


@pytest.fixture
async def it(world: World) -> Deployment:
    await world.pool()
    return await world.deploy(parameters={"a": 1, "b": 1}, tags=["t"], version="7")


# --- creation


async def test_a_runs_variables_fit_its_pool_when_they_are_changed_too(world: World) -> None:
    variables = {"type": "object", "properties": {"memory": {"type": "integer"}, "disk": {}}, "required": ["disk"]}
    await world.pool(base_job_template={"job_configuration": {"mem": "{{ memory }}"}, "variables": variables})
    run = await world.run(await world.deploy(job_variables={"disk": 1}))
    await flow_runs.update(world.scope, run.id, FlowRunUpdate(job_variables={"memory": 5}))
    for wrong, said in (({"memory": "much"}, "/memory"), ({"disk": None}, "'disk' is a")):
        with pytest.raises(Invalid, match=said):
            await flow_runs.update(world.scope, run.id, FlowRunUpdate(job_variables=wrong))
    assert (await world.get(run)).job_variables == {"memory": 5}


async def test_what_a_run_inherits(world: World, it: Deployment) -> None:
    """Parameters overlaid, tags joined, the deployment's version, pool and queue; due at once; a name of its own."""
    body = DeploymentFlowRunCreate(parameters={"b": 2}, tags=["u", "t"], context={"c": 1}, labels={"l": 1})
    run = (await flow_runs.create_of_deployment(world.scope, it.id, body)).run
    assert (run.parameters, run.tags, run.context) == ({"a": 1, "b": 2}, ["t", "u"], {"c": 1})
    assert run.labels == {"prefect.flow.id": str(it.flow_id), "prefect.deployment.id": str(it.id), "l": 1}
    assert (run.deployment_id, run.deployment_version, run.flow_id) == (it.id, "7", it.flow_id)
    assert (run.work_pool_name, run.work_queue_name) == ("local", "default")
    assert (run.state_name, run.expected_start_time, run.next_scheduled_start_time) == ("Scheduled", world.now, world.now)
    assert "-" in run.name
    assert (run.run_count, run.total_run_time, run.start_time, run.end_time, run.fence) == (0, 0.0, None, None, 0)


async def test_the_answer_is_the_record(world: World, it: Deployment) -> None:
    """What a creation answers is what reading answers."""
    created = await flow_runs.create_of_deployment(world.scope, it.id, DeploymentFlowRunCreate(name="n"))
    assert created.is_new
    assert created.run == await world.get(created.run)
    alone = await flow_runs.create(world.scope, FlowRunCreate(flow_id=it.flow_id, flow_version="v"))
    assert alone.run == await world.get(alone.run)
    assert (alone.run.state_type, alone.run.flow_version) == (StateType.PENDING, "v")


@pytest.mark.parametrize("kind", StateType)
async def test_a_run_may_begin_in_any_state(world: World, it: Deployment, kind: StateType) -> None:
    """Its figures follow from that."""
    body = DeploymentFlowRunCreate(state=StateCreate(type=kind, message="begun"))
    run = (await flow_runs.create_of_deployment(world.scope, it.id, body)).run
    assert run == await world.get(run)
    assert (run.state_type, run.state.message if run.state else None) == (kind, "begun")
    final = kind in (StateType.COMPLETED, StateType.FAILED, StateType.CRASHED, StateType.CANCELLED)
    assert run.start_time == (world.now if final or kind is StateType.RUNNING else None)
    assert run.run_count == (kind is StateType.RUNNING)
    assert run.end_time == (world.now if final else None)
    holding = kind in (StateType.PENDING, StateType.RUNNING, StateType.CANCELLING)
    assert await world.slots() == int(holding)


async def test_a_run_may_name_its_queue(world: World, it: Deployment) -> None:
    """Which is made if there is none; a pool of its own only where no deployment gives one."""
    body = DeploymentFlowRunCreate(work_queue_name="special")
    run = (await flow_runs.create_of_deployment(world.scope, it.id, body)).run
    assert (run.work_pool_name, run.work_queue_name) == ("local", "special")
    assert run == await world.get(run)
    assert (await work_queues.get_by_name(world.scope, "local", "special")).priority == 2
    assert await world.granted(queues=["special"]) == [run.id]
    scheduled = StateCreate(type=StateType.SCHEDULED)
    alone = FlowRunCreate(flow_id=it.flow_id, work_pool_name="local", state=scheduled)
    run = (await flow_runs.create(world.scope, alone)).run
    assert (run.work_pool_name, run.work_queue_name) == ("local", "default")
    assert await world.granted() == [run.id]


async def test_parameters_are_checked(world: World) -> None:
    """Against the deployment's schema when it asks for that; the run may ask otherwise."""
    await world.pool()
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    it = await world.deploy(parameter_openapi_schema=schema)
    for parameters, reason in (({"n": "x"}, "not of type"), ({}, "required")):
        with pytest.raises(Conflict, match=f"Error creating flow run: Validation failed.*{reason}"):
            await world.run(it, parameters=parameters)
    assert (await world.run(it, parameters={"n": "x"}, enforce_parameter_schema=False)).parameters == {"n": "x"}
    assert (await world.run(it, parameters={"n": 1})).parameters == {"n": 1}
    lenient = await world.deploy("lenient", parameter_openapi_schema=schema, enforce_parameter_schema=False)
    await world.run(lenient)
    with pytest.raises(Conflict):
        await world.run(lenient, enforce_parameter_schema=True)


async def test_unknown_records(world: World, it: Deployment, some_id: Any) -> None:
    """Each fails alone: what was created with it is created."""
    good, no_deployment, no_flow, no_pool = await asyncio.gather(
        flow_runs.create_of_deployment(world.scope, it.id, DeploymentFlowRunCreate()),
        flow_runs.create_of_deployment(world.scope, some_id, DeploymentFlowRunCreate()),
        flow_runs.create(world.scope, FlowRunCreate(flow_id=some_id)),
        flow_runs.create(world.scope, FlowRunCreate(flow_id=it.flow_id, work_pool_name="nowhere")),
        return_exceptions=True,
    )
    assert not isinstance(good, BaseException)
    assert (type(no_deployment), type(no_flow), type(no_pool)) == (NotFound, Conflict, NotFound)
    assert str(some_id) in str(no_flow)
    assert len(await world.runs_of(it)) == 1


# --- keys


async def test_a_key_stands_for_one_run(world: World, it: Deployment) -> None:
    """The same key answers with the same run, as it is by now; another flow has keys of its own."""
    body = DeploymentFlowRunCreate(idempotency_key="k", name="first")
    first = await flow_runs.create_of_deployment(world.scope, it.id, body)
    await world.accepted(first.run, "PENDING")
    body.name = "second"
    again = await flow_runs.create_of_deployment(world.scope, it.id, body)
    assert (again.is_new, again.run.id, again.run.name, again.run.state_name) == (False, first.run.id, "first", "Pending")
    other = await world.deploy("other", flow="other")
    assert (await flow_runs.create_of_deployment(world.scope, other.id, body)).is_new
    await flow_runs.delete(world.scope, first.run.id)
    assert (await flow_runs.create_of_deployment(world.scope, it.id, body)).is_new


async def test_a_key_at_once_from_everywhere(
    world: World, it: Deployment, database_url: str, open_url: Callable[[str], Awaitable[Database]]
) -> None:
    """In one set and from two servers, in whatever order of keys: one run each, and all are told the same."""
    other = world.beside(await open_url(database_url))
    for round_ in range(5):
        keys = [f"{round_} {number}" for number in range(6)]
        bodies = [DeploymentFlowRunCreate(idempotency_key=key) for key in keys]
        calls = [
            flow_runs.create_of_deployment(server.scope, it.id, body)
            for server in (world, other)
            for body in (bodies if server is world else bodies[::-1]) * 2
        ]
        async with asyncio.timeout(60):
            created = await asyncio.gather(*calls)
        found = {each.run.idempotency_key: each.run.id for each in created}
        assert sum(each.is_new for each in created) == len(found) == 6
        assert {each.run.id for each in created} == set(found.values())
    assert len(await world.runs_of(it)) == 30


# --- changes


async def test_an_update_changes_what_it_names(world: World, it: Deployment) -> None:
    """A state is not among it."""
    run = await world.run(it, name="n", parameters={"p": 1})
    world.clock.advance(seconds=1)
    changes: dict[str, Any] = {
        "name": "new",
        "flow_version": "v",
        "parameters": {"q": 2},
        "empirical_policy": FlowRunPolicy(retries=2, retry_delay=[1.0, 5.0]),
        "tags": ["z"],
        "infrastructure_pid": "host:1",
        "job_variables": {"a": 1},
    }
    for name, value in changes.items():
        before = await world.get(run)
        await flow_runs.update(world.scope, run.id, FlowRunUpdate(**{name: value}))
        after = await world.get(run)
        assert getattr(after, name) == value
        setattr(before, name, value)
        before.updated = world.now
        before.estimated_start_time_delta = after.estimated_start_time_delta
        assert after == before
    await flow_runs.update(world.scope, run.id, FlowRunUpdate(name=None, infrastructure_pid=None, tags=UNSET))
    after = await world.get(run)
    assert (after.name, after.infrastructure_pid, after.tags) == ("new", None, ["z"])


async def test_labels_are_added(world: World, it: Deployment) -> None:
    run = await world.run(it, labels={"a": 1, "b": 1})
    await flow_runs.update_labels(world.scope, run.id, {"b": 2, "c": 3})
    labels = (await world.get(run)).labels
    assert {name: labels[name] for name in "abc"} == {"a": 1, "b": 2, "c": 3}


async def test_changes_and_states_at_once_are_all_kept(
    world: World, it: Deployment, database_url: str, open_url: Callable[[str], Awaitable[Database]]
) -> None:
    other = world.beside(await open_url(database_url))
    run = await world.run(it)
    async with asyncio.timeout(60):
        await asyncio.gather(
            world.accepted(run, "PENDING", "RUNNING", "COMPLETED"),
            *(flow_runs.update(other.scope, run.id, FlowRunUpdate(tags=[str(n)])) for n in range(5)),
            *(flow_runs.update_labels(world.scope, run.id, {str(n): n}) for n in range(5)),
        )
    after = await world.get(run)
    assert after.state_name == "Completed"
    assert len(after.tags) == 1
    assert {str(n) for n in range(5)} <= set(after.labels)


async def test_an_unknown_run(world: World, it: Deployment, some_id: Any) -> None:
    for call in (
        flow_runs.get(world.scope, some_id),
        flow_runs.update(world.scope, some_id, FlowRunUpdate(name="x")),
        flow_runs.update_labels(world.scope, some_id, {}),
        flow_runs.delete(world.scope, some_id),
    ):
        with pytest.raises(NotFound, match="Flow run not found"):
            await call
    assert await flow_runs.states(world.scope, some_id) == []
    assert it


async def test_the_time_of_a_page(world: World, it: Deployment) -> None:
    """Estimates are those of the moment of the question."""
    await world.run(it, due=-5)
    query = FlowRunQuery(sort=FlowRunSort.ID_DESC)
    [run] = await flow_runs.list_page(world.scope, query)
    assert run.estimated_start_time_delta == 5
    world.clock.advance(seconds=5)
    [run] = await flow_runs.list_page(world.scope, query)
    assert run.estimated_start_time_delta == 10
    assert await flow_runs.count(world.scope, query) == 1


async def test_a_deployment_that_goes_while_runs_are_created(
    world: World, it: Deployment, database_url: str, open_url: Callable[[str], Awaitable[Database]]
) -> None:
    """A run is created or its caller is told that the deployment is gone."""
    other = world.beside(await open_url(database_url))
    calls = [flow_runs.create_of_deployment(world.scope, it.id, DeploymentFlowRunCreate()) for _ in range(10)]
    async with asyncio.timeout(60):
        results = await asyncio.gather(*calls, deployments.delete(other.scope, it.id), return_exceptions=True)
    assert results.pop() is None
    assert all(not isinstance(each, BaseException) or isinstance(each, NotFound) for each in results)


# --- flows


async def test_a_flow_is_registered_once(world: World) -> None:
    """Also by many at once."""
    made = await asyncio.gather(*(flows.create(world.scope, FlowCreate(name="f", tags=["a"])) for _ in range(5)))
    assert len({flow.id for flow, _ in made}) == 1
    assert sum(is_new for _, is_new in made) == 1
    [flow] = {flow.id: flow for flow, _ in made}.values()
    world.clock.advance(seconds=1)
    await flows.update(world.scope, flow.id, FlowUpdate(labels={"l": 1}))
    await flows.update(world.scope, flow.id, FlowUpdate(tags=["b"]))
    found = await flows.get_by_name(world.scope, "f")
    assert (found.tags, found.labels, found.created, found.updated) == (["b"], {"l": 1}, flow.created, world.now)


async def test_a_flow_goes_with_all_that_is_its_own(world: World, it: Deployment, some_id: Any) -> None:
    await world.runs(it, 3)
    await world.granted(2)
    kept = await world.run(await world.deploy("kept", flow="kept"))
    await logs.create(world.scope, [LogCreate(name="l", level=20, message="m", timestamp=world.now, flow_run_id=kept.id)])
    await flows.delete(world.scope, it.flow_id)
    for table, count in (("flow", 1), ("deployment", 1), ("flow_run", 1), ("flow_run_state", 1), ("log", 1)):
        assert await world.value(f"SELECT count(*) FROM {table}") == count, table
    for call in (flows.get(world.scope, it.flow_id), flows.delete(world.scope, some_id)):
        with pytest.raises(NotFound, match="Flow not found"):
            await call


# --- logs


async def test_log_lines_are_kept_in_order(world: World, it: Deployment) -> None:
    """Also those of one instant, and those that came in one set with others'."""
    run = await world.run(it)
    lines = [LogCreate(name="l", level=20, message=str(n), timestamp=world.now, flow_run_id=run.id) for n in range(50)]
    other = LogCreate(name="l", level=20, message="other", timestamp=world.now)
    await asyncio.gather(logs.create(world.scope, lines), logs.create(world.scope, [other]), logs.create(world.scope, []))
    query = LogQuery(logs=LogFilter(flow_run_id=IdFilter(any_=[run.id])))
    found = await logs.list_page(world.scope, query)
    assert [line.message for line in found] == [str(n) for n in range(50)]


async def test_a_line_that_is_too_long(world: World) -> None:
    """The line is named, and none of its batch is kept."""
    lines = [LogCreate(name="l", level=20, message=text, timestamp=world.now) for text in ("fine", "x" * 1_000_001)]
    with pytest.raises(Invalid, match="1000000") as caught:
        await logs.create(world.scope, lines)
    assert caught.value.field == "[1].message"
    assert await logs.list_page(world.scope, LogQuery()) == []


async def test_a_line_may_hold_any_sign(world: World) -> None:
    """What a database cannot keep is replaced, so that no line is lost."""
    text = "tab\t newline\n nul\0 emoji 🚀 bell\a"
    await logs.create(world.scope, [LogCreate(name="l", level=20, message=text, timestamp=world.now)])
    [line] = await logs.list_page(world.scope, LogQuery())
    assert line.message == text.replace("\0", "\ufffd")
