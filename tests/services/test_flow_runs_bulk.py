"""Many flow runs at once: created, changed and deleted by filter, under the same rules as one by one."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from sleepers import Sleepers, woken
from world import World, ids

from headgate.errors import Invalid
from headgate.schema.deployments import Deployment
from headgate.schema.filters import (
    Filter,
    FlowFilter,
    FlowRunFilter,
    IdFilter,
    NameFilter,
    NullableIdFilter,
    Operator,
    StateFilter,
    StateTypeFilter,
    TagsFilter,
    TextsFilter,
    TimeFilter,
)
from headgate.schema.flow_runs import DeploymentFlowRunCreate
from headgate.schema.flow_runs_bulk import BulkCreate, BulkDelete, BulkFlowRunCreate, BulkSetState
from headgate.schema.logs import LogCreate
from headgate.schema.states import StateCreate, StateType
from headgate.services import flow_runs_bulk as bulk
from headgate.services import logs
from headgate.services.flow_runs_bulk import constrains
from headgate.store import retention as deletion
from headgate.telemetry import Event, StateChanged

CANCELLING = StateCreate(type=StateType.CANCELLING)


@pytest.fixture
async def it(world: World) -> Deployment:
    await world.pool()
    return await world.deploy()


def of(deployment: Deployment) -> FlowRunFilter:
    return FlowRunFilter(deployment_id=NullableIdFilter(any_=[deployment.id]))


# --- create


async def test_runs_of_several_deployments_in_one_call(world: World, it: Deployment, some_id: UUID) -> None:
    """In the order of the body; what cannot be created says why, and the others are created."""
    other = await world.deploy("other")
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    strict = await world.deploy("strict", parameter_openapi_schema=schema)
    new = [
        BulkFlowRunCreate(deployment_id=it.id, name="a"),
        BulkFlowRunCreate(deployment_id=some_id),
        BulkFlowRunCreate(deployment_id=strict.id, parameters={"n": "x"}),
        BulkFlowRunCreate(deployment_id=other.id, name="b", parameters={"n": 1}, tags=["t"]),
    ]
    results = (await bulk.create(world.scope, BulkCreate(flow_runs=new))).results
    assert [each.status for each in results] == ["CREATED", "FAILED", "FAILED", "CREATED"]
    assert [each.flow_run_id is None for each in results] == [False, True, True, False]
    assert results[1].error == "Deployment not found"
    assert "not of type" in (results[2].error or "")
    [a], [b] = await world.runs_of(it), await world.runs_of(other)
    assert (a.id, b.id) == (results[0].flow_run_id, results[3].flow_run_id)
    assert (a.name, b.name, b.parameters, b.tags) == ("a", "b", {"n": 1}, ["t"])
    assert set(await world.granted()) == {a.id, b.id}


async def test_a_key_stands_for_one_run_in_bulk_too(world: World, it: Deployment) -> None:
    new = [DeploymentFlowRunCreate(idempotency_key=key) for key in "abcab"]
    first = await bulk.create_of_deployment(world.scope, it.id, new)
    again = await bulk.create_of_deployment(world.scope, it.id, new)
    assert again.results == first.results
    assert len({each.flow_run_id for each in first.results}) == len(await world.runs_of(it)) == 3


async def test_thousands_in_one_call(world: World, it: Deployment) -> None:
    results = (await bulk.create_of_deployment(world.scope, it.id, [DeploymentFlowRunCreate()] * 2_345)).results
    assert len({each.flow_run_id for each in results if each.status == "CREATED"}) == 2_345
    assert await world.value("SELECT count(*) FROM flow_run WHERE state_type = 'SCHEDULED'") == 2_345


async def test_too_many_are_refused(world: World, it: Deployment) -> None:
    with pytest.raises(Invalid, match="10,000"):
        await bulk.create_of_deployment(world.scope, it.id, [DeploymentFlowRunCreate()] * 10_001)
    assert await world.runs_of(it) == []


async def test_none_is_no_error(world: World) -> None:
    assert (await bulk.create(world.scope, BulkCreate(flow_runs=[]))).results == []


# --- set a state


async def test_cancelling_what_matches(world: World, it: Deployment) -> None:
    """Each run by its own rules: not started, running, over; those of others are left alone."""
    other = await world.run(await world.deploy("other"))
    waits, runs, ended = await world.runs(it, 3)
    await world.accepted(runs, "PENDING", "RUNNING")
    await world.accepted(ended, "PENDING", "RUNNING", "COMPLETED")
    body = BulkSetState(flow_runs=of(it), state=CANCELLING)
    outcome = await bulk.set_state(world.scope, body)
    assert (outcome.matched, outcome.changed, outcome.next) == (3, 2, None)
    assert outcome.refused == {"Run is already in terminal state COMPLETED.": 1}
    assert [(each.flow_run_id, each.status) for each in outcome.results] == [
        (waits.id, "REJECT"),
        (runs.id, "ACCEPT"),
        (ended.id, "ABORT"),
    ]
    assert [(await world.get(run)).state_name for run in (waits, runs, ended, other)] == [
        "Cancelled",
        "Cancelling",
        "Completed",
        "Scheduled",
    ]


@pytest.mark.parametrize("kind", [StateType.CANCELLING, StateType.COMPLETED, StateType.SCHEDULED, StateType.RUNNING])
async def test_a_dry_run_says_what_would_happen_and_does_nothing(world: World, it: Deployment, kind: StateType) -> None:
    runs = await world.runs(it, 4)
    await world.accepted(runs[1], "PENDING", "RUNNING")
    await world.accepted(runs[2], "PENDING", "RUNNING", "CANCELLING")
    await world.accepted(runs[3], "PENDING", "RUNNING", "FAILED")
    before = [await world.get(run) for run in runs]
    body = BulkSetState(flow_runs=of(it), state=StateCreate(type=kind), dry_run=True)
    foreseen = await bulk.set_state(world.scope, body)
    assert [await world.get(run) for run in runs] == before
    assert foreseen.results == []
    body.dry_run = False
    outcome = await bulk.set_state(world.scope, body)
    assert (foreseen.matched, foreseen.changed, foreseen.refused) == (outcome.matched, outcome.changed, outcome.refused)
    assert outcome.matched == 4


async def test_force_skips_the_rules(world: World, it: Deployment) -> None:
    runs = await world.runs(it, 3)
    await world.accepted(runs[0], "PENDING", "RUNNING", "FAILED")
    state = StateCreate(type=StateType.COMPLETED, message="by hand")
    outcome = await bulk.set_state(world.scope, BulkSetState(flow_runs=of(it), state=state, force=True))
    assert (outcome.changed, outcome.refused) == (3, {})
    assert {(await world.get(run)).state_name for run in runs} == {"Completed"}


async def test_limits_hold_in_bulk(world: World, it: Deployment) -> None:
    """A bulk proposal takes no more slots than there are."""
    await world.change_pool(concurrency_limit=2)
    await world.runs(it, 5)
    outcome = await bulk.set_state(world.scope, BulkSetState(flow_runs=of(it), state=StateCreate(type=StateType.PENDING)))
    assert await world.slots() == 2
    assert outcome.matched == 5
    assert [each.status for each in outcome.results].count("ACCEPT") == 2


async def test_everybody_who_is_concerned_is_told(world: World, it: Deployment, sleepers: Sleepers) -> None:
    """Each change is an event; who waits for the slots is woken."""
    await world.change_pool(concurrency_limit=2)
    held = await world.runs(it, 2)
    for run in held:
        await world.accepted(run, "PENDING", "RUNNING")
    following = await world.run(it)
    told: list[Event] = []
    world.scope.telemetry.subscribe(told.append)
    waiting = await sleepers.claim(world)
    some = FlowRunFilter(id=IdFilter(any_=ids(held)))
    await bulk.set_state(world.scope, BulkSetState(flow_runs=some, state=StateCreate(type=StateType.COMPLETED)))
    assert ids(grant.flow_run for grant in (await woken(waiting)).grants) == [following.id]
    assert [each.flow_run_id for each in told if isinstance(each, StateChanged) and each.to_type == "COMPLETED"] == ids(held)


# --- delete


async def test_deleting_what_matches(world: World, it: Deployment) -> None:
    """Whatever it is doing, with all that is its; slots are free at once."""
    other = await world.run(await world.deploy("other"))
    runs = await world.runs(it, 5)
    await world.accepted(runs[1], "PENDING", "RUNNING")
    await world.accepted(runs[2], "PENDING", "RUNNING", "COMPLETED")
    line = LogCreate(name="x", level=20, message="m", timestamp=world.now, flow_run_id=runs[2].id)
    await logs.create(world.scope, [line] * 3)
    foreseen = await bulk.delete(world.scope, BulkDelete(flow_runs=of(it), dry_run=True))
    assert (foreseen.matched, foreseen.changed, foreseen.deleted) == (5, 5, [])
    assert len(await world.runs_of(it)) == 5
    outcome = await bulk.delete(world.scope, BulkDelete(flow_runs=of(it)))
    assert (outcome.matched, outcome.changed, outcome.next) == (5, 5, None)
    assert outcome.deleted == ids(runs)
    assert await world.runs_of(it) == []
    assert await world.slots() == 0
    for table, rows in (("flow_run", 1), ("flow_run_detail", 1), ("flow_run_state", 1), ("log", 0)):
        assert await world.value(f"SELECT count(*) FROM {table}") == rows
    assert await world.granted() == [other.id]


async def test_a_run_with_many_lines_is_deleted_in_steps(
    world: World, it: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deletion, "ROWS", 5)
    runs = await world.runs(it, 7)
    for run in runs[:3]:
        line = LogCreate(name="x", level=20, message="m", timestamp=world.now, flow_run_id=run.id)
        await logs.create(world.scope, [line] * 12)
    outcome = await bulk.delete(world.scope, BulkDelete(flow_runs=of(it)))
    assert sorted(outcome.deleted) == ids(runs)
    assert await world.value("SELECT count(*) FROM log") == 0


async def test_two_at_once_delete_each_run_once(world: World, neighbour: World, it: Deployment) -> None:
    runs = await world.runs(it, 250)
    async with asyncio.timeout(60):
        outcomes = await asyncio.gather(
            *(bulk.delete(each.scope, BulkDelete(flow_runs=of(it))) for each in (world, neighbour))
        )
    deleted = [id for outcome in outcomes for id in outcome.deleted]
    assert sorted(deleted) == ids(runs)


# --- which


async def test_a_limit_stops_and_says_where_to_go_on(world: World, it: Deployment) -> None:
    runs = await world.runs(it, 250)
    body = BulkSetState(flow_runs=of(it), state=CANCELLING, limit=120)
    seen: list[UUID] = []
    figures = []
    while True:
        outcome = await bulk.set_state(world.scope, body)
        seen += [each.flow_run_id for each in outcome.results]
        figures.append((outcome.matched, outcome.changed))
        if (following := outcome.next) is None:
            break
        body.after = following
    assert figures == [(250, 120), (130, 120), (10, 10)]
    assert seen == ids(runs)


async def test_a_limit_that_is_just_enough_needs_no_second_call(world: World, it: Deployment) -> None:
    await world.runs(it, 3)
    assert (await bulk.delete(world.scope, BulkDelete(flow_runs=of(it), limit=3))).next is None


async def test_filters_of_all_collections(world: World, it: Deployment) -> None:
    """The same as of the listing."""
    await world.run(it, name="blue-fox")
    await world.run(await world.deploy("elsewhere", flow="other"), name="red-owl")
    selections: list[dict[str, Any]] = [
        {"flows": FlowFilter(name=NameFilter(any_=["other"]))},
        {"flow_runs": FlowRunFilter(name=NameFilter(like_="OWL"))},
        {"flow_runs": FlowRunFilter(operator=Operator.OR, name=NameFilter(any_=["x"]), id=IdFilter(any_=[])), "all": False},
    ]
    matched = [(await bulk.delete(world.scope, BulkDelete(dry_run=True, **each))).matched for each in selections]
    assert matched == [1, 1, 0]


EMPTY: list[FlowRunFilter | None] = [
    None,
    FlowRunFilter(),
    FlowRunFilter(operator=Operator.OR),
    FlowRunFilter(name=NameFilter()),
    FlowRunFilter(state=StateFilter(type=StateTypeFilter())),
    FlowRunFilter(tags=TagsFilter(all_=[])),
    FlowRunFilter(id=IdFilter(not_any_=[])),
    FlowRunFilter(operator=Operator.OR, name=NameFilter(any_=["x"]), end_time=TimeFilter()),
]


@pytest.mark.parametrize("filter", EMPTY)
async def test_an_empty_filter_is_not_taken_for_all(world: World, it: Deployment, filter: FlowRunFilter | None) -> None:
    """A variable that was left unset must not delete everything."""
    await world.run(it)
    for dry_run in (False, True):
        with pytest.raises(Invalid, match="all: true"):
            await bulk.delete(world.scope, BulkDelete(flow_runs=filter, dry_run=dry_run))
        with pytest.raises(Invalid, match="all: true"):
            await bulk.set_state(world.scope, BulkSetState(flow_runs=filter, dry_run=dry_run, state=CANCELLING))
    assert len(await world.runs_of(it)) == 1
    assert (await bulk.delete(world.scope, BulkDelete(flow_runs=filter, all=True))).changed == 1


@pytest.mark.parametrize("filter", [FlowRunFilter(name=NameFilter(any_=[])), FlowRunFilter(tags=TagsFilter(is_null_=False))])
async def test_all_beside_a_filter_is_refused(world: World, filter: FlowRunFilter) -> None:
    """Which of the two was meant?"""
    with pytest.raises(Invalid, match="leave the filters out"):
        await bulk.delete(world.scope, BulkDelete(flow_runs=filter, all=True))


@pytest.mark.parametrize(
    ("filter", "does"),
    [
        (None, False),
        (NameFilter(any_=[]), True),
        (TextsFilter(not_any_=["x"]), True),
        (FlowRunFilter(name=NameFilter(), id=IdFilter(any_=[])), True),
        (FlowRunFilter(operator=Operator.OR, name=NameFilter(any_=["x"]), id=IdFilter(any_=[])), True),
        (NullableIdFilter(operator=Operator.OR, any_=[], is_null_=None), True),
        (NullableIdFilter(is_null_=False), True),
    ],
)
def test_what_a_filter_leaves_out(filter: Filter | None, does: bool) -> None:
    assert constrains(filter) is does
