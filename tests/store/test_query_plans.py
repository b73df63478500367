"""Lists and counts of runs go by indexes, whatever there is besides of the runs that they pass over."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from store_records import NOW, a_run, a_state, save_flow, save_runs

from headgate.schema.filters import FlowRunQuery, LogQuery, Selection, TaskRunQuery
from headgate.schema.logs import Log
from headgate.store import cancellations, flow_runs, latest_runs, logs, run_history, task_runs
from headgate.store.database import Database, Row, Tx
from headgate.store.statements import Statement

ID = "00000000-0000-7000-8000-000000000001"
CRASHED = {"state": {"type": {"any_": ["CRASHED"]}}}
DAY = {"expected_start_time": {"after_": "2026-03-01T09:00:00Z", "before_": "2026-03-02T09:00:00Z"}}


class _Explained:
    """A transaction that keeps the plan of whatever is asked."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx
        self.dialect = tx.dialect
        self.plan = ""

    async def fetch(self, sql: str | Statement, params: Mapping[str, Any] = {}) -> list[Row]:
        if isinstance(sql, Statement):
            sql = sql.sqlite if self.dialect == "sqlite" else sql.postgresql
        explain = "EXPLAIN QUERY PLAN" if self.dialect == "sqlite" else "EXPLAIN (COSTS OFF)"
        rows = await self._tx.fetch(f"{explain} {sql}", params)
        self.plan += "\n".join(row["detail" if self.dialect == "sqlite" else "QUERY PLAN"] for row in rows)
        return await self._tx.fetch(sql, params)

    async def fetch_value(self, sql: str, params: Mapping[str, Any] = {}) -> Any:
        return next(iter((await self.fetch(sql, params))[0].values()))


async def plan_of(database: Database, ask: Callable[[Any], Awaitable[Any]]) -> str:
    """How a question is answered where there are many runs, as far as an almost empty database can tell."""
    flow = await save_flow(database)
    await save_runs(database, *(a_run(flow, a_state(), start_time=NOW) for _ in range(3)))

    async def explain(tx: Tx) -> str:
        if tx.dialect == "postgresql":  # a page or two are read from end to end otherwise
            await tx.execute("SET LOCAL enable_seqscan = off")
            await tx.execute("SET LOCAL enable_bitmapscan = off")
        explained = _Explained(tx)
        await ask(explained)
        return explained.plan

    return await database.write(explain)


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ({}, "ix_flow_run"),
        ({"flow_runs": CRASHED}, "ix_flow_run_state"),
        ({"flow_runs": CRASHED | DAY}, "ix_flow_run_state"),
        ({"flow_runs": {"state": {"type": {"any_": ["CRASHED", "FAILED"]}}}}, "ix_flow_run_state"),
        # By one that holds the time: with hardly any rows PostgreSQL 18 may skip through those that begin otherwise.
        ({"flow_runs": DAY}, "ix_flow_run"),
        ({"flow_runs": {"deployment_id": {"any_": [ID]}}}, "ix_flow_run_deployment"),
        ({"flows": {"id": {"any_": [ID]}}}, "ix_flow_run_flow"),
        ({"deployments": {"id": {"any_": [ID]}}}, "ix_flow_run_deployment"),
    ],
)
async def test_counts_look_at_no_run(database: Database, query: dict[str, Any], index: str) -> None:
    """Only at an index that knows the answer, and at nothing that hangs on runs."""
    plan = await plan_of(database, lambda tx: flow_runs.count(tx, msgspec.convert(query, FlowRunQuery)))
    assert "flow_run_detail" not in plan
    assert "COVERING INDEX" in plan or (database.dialect == "postgresql" and "Seq Scan" not in plan)
    assert index in plan


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ({"sort": "EXPECTED_START_TIME_DESC"}, "ix_flow_run_expected_start"),
        ({"sort": "EXPECTED_START_TIME_ASC", "offset": 50_000}, "ix_flow_run_expected_start"),
        ({"sort": "START_TIME_DESC"}, "ix_flow_run_start"),
        ({"sort": "EXPECTED_START_TIME_DESC", "flow_runs": CRASHED}, "ix_flow_run_state"),
        ({"sort": "EXPECTED_START_TIME_DESC", "deployments": {"id": {"any_": [ID]}}}, "ix_flow_run_deployment"),
    ],
)
async def test_pages_are_found_in_their_order(database: Database, query: dict[str, Any], index: str) -> None:
    """The runs themselves, and what hangs on them, are read for the rows of the page alone."""
    asked = msgspec.convert({"limit": 50, **query}, FlowRunQuery)
    plan = await plan_of(database, lambda tx: flow_runs.list_page(tx, asked, now=NOW))
    assert index in plan
    if database.dialect == "sqlite":
        found, _, read = plan.partition("SCAN k")
        assert "FOR ORDER BY" not in found  # at most those of one time are sorted
        assert "SEARCH d USING" in read
        assert "SEARCH d" not in found
    else:
        found = plan.partition("Limit")[2].partition(index)[0]
        assert "->  Sort" not in found
        assert "flow_run_detail" not in found


@pytest.mark.parametrize(
    ("sort", "index"),
    [("START_TIME_DESC", "ix_flow_run_start"), ("EXPECTED_START_TIME_DESC", "ix_flow_run_expected_start")],
)
@pytest.mark.parametrize(
    "query",
    [
        {"flow_runs": {"state": {"type": {"any_": ["CRASHED", "FAILED"]}}}},
        {"flow_runs": {"state": {"type": {"any_": ["CRASHED", "FAILED"]}}, "name": {"like_": "x"}}},
        {"flows": {"id": {"any_": [ID]}}},
        {"deployments": {"id": {"any_": [ID, ID]}}},
    ],
)
async def test_pages_of_what_is_frequent_are_found_in_their_order(
    database: Database, monkeypatch: pytest.MonkeyPatch, query: dict[str, Any], sort: str, index: str
) -> None:
    """Not by an index of what matches, behind which all of that would have to be sorted."""
    monkeypatch.setattr(latest_runs, "MANY", 0)
    monkeypatch.setattr(latest_runs, "DEPTH", 0)
    asked = msgspec.convert({"limit": 50, "sort": sort, **query}, FlowRunQuery)
    plan = await plan_of(database, lambda tx: flow_runs.list_page(tx, asked, now=NOW))
    if database.dialect == "sqlite":
        found = plan.partition("MATERIALIZE k")[2].partition("SCAN k")[0]
        assert f"SEARCH r USING INDEX {index}" in found or f"SEARCH r USING COVERING INDEX {index}" in found
        assert "B-TREE FOR ORDER BY" not in found
    else:  # decides by its statistics
        assert plan.count("Limit") == 1


async def test_a_history_sorts_no_runs(database: Database) -> None:
    """There are few groups: they are gone through one by one, on SQLite in an index of what is over."""
    span = {"start": NOW, "interval": timedelta(hours=1), "intervals": 24}
    plan = await plan_of(database, lambda tx: run_history.counted(tx, "flow_runs", Selection(), now=NOW, **span))
    if database.dialect == "sqlite":
        assert plan.count("SEARCH r USING COVERING INDEX ix_flow_run_over") == 2
        assert "GROUP BY" not in plan
    else:
        assert "ix_flow_run_" in plan
        assert "date_bin" not in plan


async def test_the_latest_task_runs_are_found_in_their_order(database: Database) -> None:
    query = msgspec.convert({"limit": 50, "sort": "EXPECTED_START_TIME_DESC"}, TaskRunQuery)
    assert "ix_task_run_expected_start" in await plan_of(database, lambda tx: task_runs.list_page(tx, query, now=NOW))


@pytest.mark.parametrize("order", ["TIMESTAMP_ASC", "TIMESTAMP_DESC"])
async def test_lines_of_a_run_are_found_in_their_order(database: Database, order: str) -> None:
    """Whoever shows the last lines of a long run does not sort them all."""
    query = msgspec.convert({"logs": {"flow_run_id": {"any_": [ID]}}, "sort": order, "offset": 200}, LogQuery)
    plan = await plan_of(database, lambda tx: logs.list_page(tx, query))
    assert "ix_log_timestamp" in plan or "_timestamp_id_idx" in plan  # a partition's index has a name of its own


async def test_all_lines_of_a_run_are_read_without_passing_any_twice(database: Database) -> None:
    line = msgspec.convert(
        {"id": ID, "created": NOW, "updated": NOW, "name": "x", "level": 20, "message": "", "timestamp": NOW}, Log
    )
    plan = await plan_of(database, lambda tx: logs.list_of_run(tx, UUID(ID), after=line, limit=200))
    assert "timestamp" in plan
    assert "TEMP B-TREE" not in plan
    assert "->  Sort" not in plan


@pytest.mark.parametrize(("condition", "joins"), [({}, False), ({"name": {"any_": ["x"]}}, True)])
async def test_details_are_joined_where_a_filter_names_them(
    database: Database, condition: dict[str, Any], joins: bool
) -> None:
    selection = msgspec.convert({"flow_runs": condition}, Selection)
    plan = await plan_of(database, lambda tx: run_history.mean_lateness(tx, selection, now=NOW))
    assert (" d USING" in plan or "SCAN d" in plan or "flow_run_detail" in plan) is joins


@pytest.mark.parametrize("what", [cancellations.live_children, cancellations.live_tasks])
async def test_what_cancelled_runs_left_is_sought_by_their_end(
    database: Database, what: Callable[..., Awaitable[list[Any]]]
) -> None:
    """Not among all runs that ever were cancelled."""
    assert "ix_flow_run_ended" in await plan_of(database, lambda tx: what(tx, since=NOW, limit=10))
