"""Pages of runs that many match are looked for among the latest, and are the same as without."""

import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from store_records import NOW, a_deployment, a_run, a_state, save_flow, save_runs

from headgate.schema.filters import FlowRunQuery
from headgate.schema.flow_runs import FlowRun
from headgate.schema.states import StateType
from headgate.store import deployments, flow_runs, latest_runs
from headgate.store.database import Database

OVER = ["COMPLETED", "FAILED"]
DAY = {"expected_start_time": {"after_": NOW - timedelta(hours=24), "before_": NOW}}
OWNER = "00000000-0000-7000-8000-000000000001"
QUERIES: list[dict[str, Any]] = [
    {"flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}},
    {"flow_runs": {"state": {"type": {"any_": OVER}}}},
    {"flow_runs": {"state": {"type": {"any_": ["RUNNING"]}}}},
    {"flow_runs": {"state": {"type": {"any_": OVER}}, "name": {"like_": "-1"}}},
    {"flow_runs": {"operator": "or_", "state": {"type": {"any_": OVER}}, "name": {"like_": "-1"}}},
    {"flow_runs": DAY},
    {"flow_runs": DAY | {"state": {"type": {"any_": OVER}}, "tags": {"is_null_": True}}},
    {"flow_runs": {"deployment_id": {"any_": [OWNER]}}},
    {"deployments": {"id": {"any_": [OWNER]}}, "flow_runs": DAY},
    {"flows": {"name": {"any_": ["etl"]}}},
]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two are many, and the latest are seven."""
    monkeypatch.setattr(latest_runs, "MANY", 2)
    monkeypatch.setattr(latest_runs, "DEPTH", 7)


def made_runs(flow: Any) -> list[FlowRun]:
    """Forty of two days, in some states, half of them of one deployment, some at one time and some without any."""
    made = random.Random(5)
    runs = []
    for number in range(40):
        due = NOW - timedelta(hours=made.randrange(48))
        kind = made.choice([StateType.COMPLETED, StateType.COMPLETED, StateType.FAILED, StateType.SCHEDULED])
        started = None if kind is StateType.SCHEDULED else due + timedelta(minutes=made.choice([0, 0, 90]))
        fields = {"expected_start_time": due if number % 9 else None, "start_time": started if number % 7 else None}
        owner = UUID(OWNER) if number % 2 else None
        runs.append(a_run(flow, a_state(kind), name=f"run-{number}", deployment_id=owner, **fields))
    return runs


@pytest.mark.parametrize("sort", ["START_TIME_DESC", "EXPECTED_START_TIME_DESC"])
async def test_a_page_is_the_same(database: Database, small: None, monkeypatch: pytest.MonkeyPatch, sort: str) -> None:
    """Whatever is asked, wherever the page begins, and whether it is full or not."""
    flow = await save_flow(database)
    await database.write(lambda tx: deployments.insert(tx, a_deployment(flow, id=UUID(OWNER))))
    await save_runs(database, *made_runs(flow))

    async def pages() -> list[Sequence[UUID]]:
        asked = [
            msgspec.convert({**query, "sort": sort, "limit": limit, "offset": offset}, FlowRunQuery)
            for query in QUERIES
            for limit in (0, 1, 3, 100)
            for offset in (0, 2, 30)
        ]
        found = [await database.read(lambda tx, q=query: flow_runs.list_page(tx, q, now=NOW)) for query in asked]
        return [[run.id for run in page] for page in found]

    among_latest = await pages()
    assert any(among_latest)
    monkeypatch.setattr(latest_runs, "MANY", 1_000)
    assert among_latest == await pages()
