"""Pages and sorts: every record once, in one order, whatever is equal; too large a page is refused."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import pytest
from filter_data import Filters, make_data, save
from filter_reference import Reference
from msgspec import structs
from store_records import NOW, a_deployment, a_log, a_queue, a_run, a_state, save_flow, save_pool, save_runs, written
from test_filters import kinds_in

from headgate.errors import Invalid
from headgate.schema.filters import (
    MAX_PAGE,
    DeploymentQuery,
    DeploymentSort,
    FlowQuery,
    FlowRunQuery,
    FlowRunSort,
    FlowSort,
    LogQuery,
    LogSort,
    Page,
    WorkerQuery,
    WorkPoolQuery,
    WorkQueueQuery,
)
from headgate.schema.flow_runs import FlowRun
from headgate.store import deployments, flow_runs, flows, logs, work_pools, work_queues, workers
from headgate.store.database import Database, Tx
from headgate.store.workers import Beat

Listing = Callable[[Tx, Any], Awaitable[list[Any]]]

LAST = datetime.max.replace(tzinfo=NOW.tzinfo)
FIRST = datetime.min.replace(tzinfo=NOW.tzinfo)


async def pages(database: Database, listing: Listing, query: Any, size: int) -> list[Any]:
    """All records, a page at a time."""
    found: list[Any] = []
    while True:
        asked = structs.replace(query, limit=size, offset=len(found))
        page = await database.read(lambda tx, asked=asked: listing(tx, asked))  # type: ignore[misc]
        assert len(page) <= size
        if not page:
            return found
        found += page


def ids(records: Sequence[Any]) -> list[UUID]:
    return [record.id for record in records]


@pytest.fixture
async def runs(database: Database) -> list[FlowRun]:
    """Runs whose names and times often are the same, and sometimes missing."""
    flow = await save_flow(database)
    times = [NOW + timedelta(microseconds=n) for n in (0, 0, 1, 2)]
    made = []
    for n in range(24):
        details = structs.replace(a_state().state_details, scheduled_time=(*times, None)[n % 5])
        made.append(
            a_run(
                flow,
                a_state(state_details=details),
                name="bacB a"[n % 6],
                expected_start_time=times[n % 4],
                start_time=times[n % 3] if n % 7 else None,
                end_time=times[n % 4] if n % 3 else None,
            )
        )
    await save_runs(database, *made[::2], *made[1::2])
    return made


RUN_KEYS: dict[FlowRunSort, tuple[Callable[[FlowRun], Any], bool]] = {
    FlowRunSort.ID_DESC: (lambda run: run.id, True),
    FlowRunSort.START_TIME_ASC: (lambda run: run.start_time or run.expected_start_time, False),
    FlowRunSort.START_TIME_DESC: (lambda run: run.start_time or run.expected_start_time, True),
    FlowRunSort.EXPECTED_START_TIME_ASC: (lambda run: run.expected_start_time, False),
    FlowRunSort.EXPECTED_START_TIME_DESC: (lambda run: run.expected_start_time, True),
    FlowRunSort.NAME_ASC: (lambda run: run.name, False),
    FlowRunSort.NAME_DESC: (lambda run: run.name, True),
    FlowRunSort.NEXT_SCHEDULED_START_TIME_ASC: (lambda run: run.next_scheduled_start_time or LAST, False),
    FlowRunSort.END_TIME_DESC: (lambda run: run.end_time or FIRST, True),
}


@pytest.mark.parametrize("sort", FlowRunSort)
@pytest.mark.parametrize("size", [1, 5, 200])
async def test_runs_in_every_order(database: Database, runs: list[FlowRun], sort: FlowRunSort, size: int) -> None:
    """Equal ones are in the order of their ids, the missing ones last; pages neither repeat nor leave out."""
    key, backwards = RUN_KEYS[sort]
    expected = sorted(runs, key=lambda run: (key(run), run.id), reverse=backwards)
    listing: Listing = lambda tx, query: flow_runs.list_page(tx, query, now=NOW)  # noqa: E731
    assert ids(await pages(database, listing, FlowRunQuery(sort=sort), size)) == ids(expected)
    if sort is FlowRunSort.ID_DESC:
        assert ids(await pages(database, listing, FlowRunQuery(), size)) == ids(expected)


@pytest.mark.parametrize("sort", FlowRunSort)
async def test_pages_of_runs_that_match(database: Database, sort: FlowRunSort) -> None:
    """Of whatever filters and from any offset on, a page is what it is of the whole list."""
    data = make_data(Random(7))
    await save(database, data)
    made, reference, random = Filters(Random(13), data), Reference(data, NOW), Random(17)
    key, backwards = RUN_KEYS[sort]
    for _ in range(40):
        chosen = {name: made.make(kind) for name, kind in kinds_in(FlowRunQuery).items() if random.random() < 0.2}
        query = FlowRunQuery(sort=sort, limit=random.randint(0, 9), offset=random.choice([None, 0, 1, 5, 20, 80]), **chosen)  # type: ignore[arg-type]
        runs = sorted(reference.select("flow_runs", query), key=lambda run: (key(run), run.id), reverse=backwards)
        start = query.offset or 0
        found = await database.read(lambda tx, it=query: flow_runs.list_page(tx, it, now=NOW))  # type: ignore[misc]
        assert ids(found) == ids(runs[start : start + (query.limit or 0)]), query
        assert await database.read(lambda tx, it=query: flow_runs.count(tx, it)) == len(runs)  # type: ignore[misc]


NAMED_KEYS: dict[str, tuple[Callable[[Any], Any], bool]] = {
    "CREATED_DESC": (lambda it: it.created, True),
    "UPDATED_DESC": (lambda it: it.updated, True),
    "NAME_ASC": (lambda it: it.name, False),
    "NAME_DESC": (lambda it: it.name, True),
}


@pytest.mark.parametrize("sort", NAMED_KEYS)
async def test_flows_and_deployments_in_every_order(database: Database, sort: str) -> None:
    times = [{"created": NOW + timedelta(seconds=n % 2), "updated": NOW - timedelta(seconds=n % 3)} for n in range(6)]
    saved = [await save_flow(database, name=f"{'bacdfe'[n]}", **times[n]) for n in range(6)]
    made = [a_deployment(saved[n % 2], f"{'bac'[n // 2]}", **times[n]) for n in range(6)]
    for each in made:
        await database.write(lambda tx, it=each: deployments.insert(tx, it))  # type: ignore[misc]
    key, backwards = NAMED_KEYS[sort]
    order: Callable[[Any], Any] = lambda it: (key(it), it.id)  # noqa: E731
    found = await pages(database, flows.list_page, FlowQuery(sort=FlowSort(sort)), 4)
    assert ids(found) == ids(sorted(saved, key=order, reverse=backwards))
    listing: Listing = lambda tx, query: deployments.list_page(tx, query, now=NOW)  # noqa: E731
    found = await pages(database, listing, DeploymentQuery(sort=DeploymentSort(sort)), 4)
    assert ids(found) == ids(sorted(made, key=order, reverse=backwards))


@pytest.mark.parametrize("sort", LogSort)
async def test_logs_in_every_order(database: Database, sort: LogSort) -> None:
    """Lines of one moment keep the order in which they were written."""
    lines = [a_log(None, timestamp=NOW + timedelta(seconds=n // 4)) for n in range(12)]
    await database.write(lambda tx: logs.insert(tx, written(*lines)))
    expected = lines if sort is LogSort.TIMESTAMP_ASC else lines[::-1]
    assert ids(await pages(database, logs.list_page, LogQuery(sort=sort), 5)) == ids(expected)


async def test_pools_queues_and_workers(database: Database) -> None:
    """Pools by name, queues by pool and priority, workers by their last sign of life."""
    saved = [await save_pool(database, name=name) for name in "bac"]
    for pool, _ in saved:
        for priority in (3, 2):
            queue = a_queue(pool, str(priority), priority=priority)
            await database.write(lambda tx, it=queue: work_queues.insert(tx, it))  # type: ignore[misc]
    pool_id = saved[0][0].id
    for n in range(5):
        beat = Beat(a_queue(saved[0][0]).id, pool_id, f"w{n}", None, None, NOW + timedelta(seconds=n))
        await database.write(lambda tx, it=beat: workers.beat(tx, it))  # type: ignore[misc]
    pools = await pages(database, lambda tx, q: work_pools.list_page(tx, q, now=NOW), WorkPoolQuery(), 2)
    assert [pool.name for pool in pools] == ["a", "b", "c"]
    queues = await pages(database, lambda tx, q: work_queues.list_page(tx, q, now=NOW), WorkQueueQuery(), 2)
    assert [(queue.work_pool_name, queue.priority) for queue in queues] == [(p, n) for p in "abc" for n in (1, 2, 3)]
    of_pool = await pages(database, lambda tx, q: work_queues.list_page(tx, q, now=NOW, pool="c"), WorkQueueQuery(), 2)
    assert [queue.name for queue in of_pool] == ["default", "2", "3"]
    assert await database.read(lambda tx: work_queues.count(tx, WorkQueueQuery(), pool="c")) == 3
    found = await pages(database, lambda tx, q: workers.list_page(tx, pool_id, q, now=NOW), WorkerQuery(), 2)
    assert [worker.name for worker in found] == ["w4", "w3", "w2", "w1", "w0"]


async def test_the_default_page_is_the_largest(database: Database) -> None:
    await database.write(lambda tx: logs.insert(tx, written(*(a_log(None) for _ in range(MAX_PAGE + 1)))))
    assert len(await database.read(lambda tx: logs.list_page(tx, LogQuery()))) == MAX_PAGE
    assert len(await database.read(lambda tx: logs.list_page(tx, LogQuery(offset=MAX_PAGE)))) == 1
    assert await database.read(lambda tx: logs.list_page(tx, LogQuery(limit=0))) == []


@pytest.mark.parametrize("limit", [MAX_PAGE + 1, -1])
async def test_a_wrong_limit_is_refused(database: Database, limit: int) -> None:
    """The field and the value are named."""
    query: Page = LogQuery(limit=limit)
    with pytest.raises(Invalid, match="Invalid limit") as caught:
        await database.read(lambda tx: logs.list_page(tx, query))  # type: ignore[arg-type]
    assert (caught.value.field, caught.value.value) == ("limit", limit)
