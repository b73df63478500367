"""Filters: every field and operator finds what the plain meaning of the grammar finds, on both databases."""

import random
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, get_args, get_type_hints
from uuid import UUID

import msgspec
import pytest
from filter_data import Filters, make_data, save
from filter_reference import Data, Reference
from msgspec import structs
from store_records import NOW, a_flow, save_flow

from headgate.schema import filters
from headgate.schema.filters import (
    AgentQuery,
    DeploymentQuery,
    Filter,
    FlowFilter,
    FlowQuery,
    FlowRunQuery,
    LogQuery,
    NameFilter,
    Page,
    SecretQuery,
    TaskRunQuery,
    VariableQuery,
    WorkerFilter,
    WorkerQuery,
    WorkPoolQuery,
    WorkQueueQuery,
)
from headgate.store import (
    agents,
    deployments,
    flow_runs,
    flows,
    logs,
    secrets,
    task_runs,
    variables,
    work_pools,
    work_queues,
    workers,
)
from headgate.store.database import Database, Tx

ROUNDS = 80

Listing = Callable[[Tx, Any], Awaitable[list[Any]]]
Counting = Callable[[Tx, Any], Awaitable[int]]

ROOTS: dict[str, tuple[type[Page], Listing, Counting | None]] = {
    "flows": (FlowQuery, flows.list_page, flows.count),
    "flow_runs": (FlowRunQuery, lambda tx, q: flow_runs.list_page(tx, q, now=NOW), flow_runs.count),
    "task_runs": (TaskRunQuery, lambda tx, q: task_runs.list_page(tx, q, now=NOW), task_runs.count),
    "deployments": (DeploymentQuery, lambda tx, q: deployments.list_page(tx, q, now=NOW), deployments.count),
    "work_pools": (WorkPoolQuery, lambda tx, q: work_pools.list_page(tx, q, now=NOW), work_pools.count),
    "work_queues": (WorkQueueQuery, lambda tx, q: work_queues.list_page(tx, q, now=NOW), work_queues.count),
    "agents": (AgentQuery, lambda tx, q: agents.list_page(tx, q, now=NOW), None),
    "logs": (LogQuery, logs.list_page, None),
    "variables": (VariableQuery, variables.list_page, variables.count),
    "secrets": (SecretQuery, secrets.list_page, secrets.count),
}


def kinds_in(query: type[Page]) -> dict[str, type[Filter]]:
    """The filters that a query takes, by name."""
    hints = {name: get_args(hint)[0] for name, hint in get_type_hints(query).items() if get_args(hint)}
    return {name: kind for name, kind in hints.items() if isinstance(kind, type) and issubclass(kind, Filter)}


@pytest.fixture
async def data(database: Database) -> Data:
    made = make_data(random.Random(7))
    await save(database, made)
    return made


async def ids_found(database: Database, root: str, query: Any) -> list[UUID]:
    found = await database.read(lambda tx: ROOTS[root][1](tx, query))
    return [each.id for each in found]


@pytest.mark.parametrize("root", ROOTS)
async def test_one_filter(database: Database, data: Data, root: str) -> None:
    """A collection's own filter, over all its fields, operators and null values."""
    await _check(database, data, root, lambda made, kinds: {root: made.make(kinds[root])})


@pytest.mark.parametrize("root", ["flows", "flow_runs", "task_runs", "deployments"])
async def test_filters_of_related_collections(database: Database, data: Data, root: str) -> None:
    """Each further collection's filter means that a related record of that collection matches."""

    def some(made: Filters, kinds: dict[str, type[Filter]]) -> dict[str, Filter]:
        return {name: made.make(kind) for name, kind in kinds.items() if made.random.random() < 0.4}

    await _check(database, data, root, some)


async def _check(database: Database, data: Data, root: str, choose: Callable[[Filters, Any], dict[str, Filter]]) -> None:
    kind, _, count = ROOTS[root]
    made, reference = Filters(random.Random(11), data), Reference(data, NOW)
    sizes = set()
    for _ in range(ROUNDS):
        chosen = choose(made, kinds_in(kind))
        query: Any = kind(**chosen)  # type: ignore[arg-type]
        expected = {each.id for each in _selected(reference, root, query)}
        found = await ids_found(database, root, query)
        assert set(found) == expected, chosen
        assert len(found) == len(expected), chosen
        if count is not None:
            assert await database.read(lambda tx, q=query: count(tx, q)) == len(expected), chosen  # type: ignore[misc]
        sizes.add(len(expected))
    assert len(sizes) > 3, "these filters tell nothing apart"


def _selected(reference: Reference, root: str, query: Any) -> list[Any]:
    if isinstance(query, filters.Selection):
        return reference.select(root, query)
    return [each for each in getattr(reference.data, root) if reference.matches(root, each, getattr(query, root))]


async def test_workers(database: Database, data: Data) -> None:
    """Workers are filtered by their heartbeat and by the status that follows from it, in whole pages."""
    pool, reference = data.work_pools[0].id, Reference(data, NOW)
    made = Filters(random.Random(3), data)
    for _ in range(ROUNDS):
        query = WorkerQuery(workers=made.make(WorkerFilter), limit=2)
        expected = [each for each in data.workers if reference.matches("workers", each, query.workers)]
        expected.sort(key=lambda each: (each.last_heartbeat_time or NOW, -each.id.int), reverse=True)
        pages = []
        for offset in range(0, 8, 2):
            page = structs.replace(query, offset=offset)
            pages += await database.read(lambda tx, q=page: workers.list_page(tx, pool, q, now=NOW))  # type: ignore[misc]
        assert [each.id for each in pages] == [each.id for each in expected], query


def test_every_field_is_tried() -> None:
    """The grammar and the reference know the same filters: a new one is not forgotten here."""
    tried = {kind for root in ROOTS for kind in kinds_in(ROOTS[root][0]).values()} | {WorkerFilter}
    every = {kind for kind in vars(filters).values() if isinstance(kind, type) and issubclass(kind, Filter)} - {Filter}
    nested = {hint for kind in every for hints in get_type_hints(kind).values() for hint in get_args(hints)}
    assert every <= tried | nested


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("plain", "LAI"),
        ("Ärger über Öl", "Ärger"),
        ("Ärger über Öl", "ÜBER"),
        ("100% sure", "0% S"),
        ("snake_case", "e_c"),
        ("back\\slash", "k\\s"),
        ("it's", "T'S"),
    ],
)
async def test_like_finds_text_as_it_stands(database: Database, name: str, text: str) -> None:
    """`like_` looks for a part of a name, in any case."""
    await save_flow(database, name=name)
    await save_flow(database, name="other")
    query = FlowQuery(flows=FlowFilter(name=NameFilter(like_=text)))
    assert [each.name for each in await database.read(lambda tx: flows.list_page(tx, query))] == [name]


@pytest.mark.parametrize(
    ("text", "found"), [("%", 1), ("1%per%", 1), ("%cent%", 1), ("1%x", 0), ("_", 0), ("\\", 0), ("100_", 0), ("\\%", 0)]
)
async def test_like_has_one_wildcard(database: Database, text: str, found: int) -> None:
    """A percent sign stands for any text; an underline, which names are full of, for itself."""
    await save_flow(database, name="100 percent")
    query = FlowQuery(flows=FlowFilter(name=NameFilter(like_=text)))
    assert len(await database.read(lambda tx: flows.list_page(tx, query))) == found


async def test_long_lists(database: Database) -> None:
    """Thousands of ids in one filter are no trouble."""
    flow = await save_flow(database)
    ids = [a_flow().id for _ in range(5_000)]
    for wanted, expected in ((ids, []), ([*ids, flow.id], [flow.id])):
        query = FlowQuery(flows=FlowFilter(id=filters.IdFilter(any_=wanted)))
        assert [each.id for each in await database.read(lambda tx, q=query: flows.list_page(tx, q))] == expected  # type: ignore[misc]


async def test_times_without_a_zone_mean_utc(database: Database) -> None:
    """A bound that a client sends without a zone is one in UTC."""
    flow = await save_flow(database)
    body = b'{"flow_runs": {"expected_start_time": {"before_": "2026-03-02T09:00:00", "after_": "2026-03-02T08:00:00"}}}'
    query = msgspec.json.decode(body, type=FlowRunQuery)
    assert query.flow_runs
    assert query.flow_runs.expected_start_time
    assert query.flow_runs.expected_start_time.before_ == NOW.replace(microsecond=0)
    assert query.flow_runs.expected_start_time.after_ == NOW.replace(microsecond=0) - timedelta(hours=1)
    assert await ids_found(database, "flow_runs", query) == []
    assert flow
