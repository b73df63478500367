"""`headgate server database prune` and `compact`, on a database of their own."""

import json
import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from command_line import Run, drawn

from headgate.client.calls import flow_runs, flows, logs
from headgate.client.client import Client
from headgate.client.connect import connect
from headgate.clock import FrozenClock
from headgate.schema.flow_runs import FlowRunCreate
from headgate.schema.flows import FlowCreate
from headgate.schema.logs import LogCreate
from headgate.schema.states import SetState, StateCreate, StateType
from headgate.settings import load


@pytest.fixture
def fill(run: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three ended runs with four lines each, and one that has not ended."""
    monkeypatch.setattr("headgate.ids._last", 0)  # lines are as old as their ids, which other tests may have driven on
    with connect(load().settings, patience=0) as client:
        flow_id = client.send(flows.create(FlowCreate(name="hello"))).id
        for number in range(4):
            add(client, flow_id, over=number < 3)
    run("work-pool", "create", "local", "--type", "process")


def add(client: Client, flow_id: object, *, over: bool) -> None:
    created = client.send(flow_runs.create(FlowRunCreate(flow_id=flow_id)))  # type: ignore[arg-type]
    if over:
        client.send(flow_runs.set_state(created.id, SetState(state=StateCreate(type=StateType.COMPLETED))))
        line = LogCreate(name="x", level=20, message="m" * 4000, timestamp=datetime.now(UTC), flow_run_id=created.id)
        client.send(logs.create([line] * 4))


@pytest.fixture
def later(fill: None, frozen: FrozenClock) -> FrozenClock:
    """Forty days after that."""
    frozen.time = datetime.now(UTC) + timedelta(days=40)
    return frozen


TOLD = 4
"""Events of the flow, the pool and its queue that `fill` makes."""

NOTHING = {"flow_runs": 0, "task_runs": 0, "states": 0, "log_lines": 0, "events": 0, "workers": 0, "agents": 0}


def test_a_dry_run_counts_and_deletes_nothing(run: Run, later: FrozenClock) -> None:
    for _ in range(2):
        counted = run("server", "database", "prune", "--older-than", "30d", "--dry-run", "-o", "json")
        assert (counted.code, counted.json) == (0, NOTHING | {"flow_runs": 3, "states": 6, "log_lines": 12, "events": TOLD})
    before = (later.time - timedelta(days=30)).astimezone().strftime("%Y-%m-%d %H:%M")
    shown = drawn(run("server", "database", "prune", "--older-than", "30d", "--dry-run").out)
    assert f"│ flow runs that ended │ {before} │ 3 │" in [" ".join(line.split()) for line in shown]
    assert len(run("flow-run", "ls", "-o", "json").json) == 4


def test_it_asks_before_it_deletes(run: Run, later: FrozenClock) -> None:
    outcome = run("server", "database", "prune", "--older-than", "30d")
    assert outcome.code == 2
    assert f"Delete 3 flow runs, 6 states, 12 log lines, {TOLD} events?" in outcome.err
    assert "--yes" in outcome.err
    assert len(run("flow-run", "ls", "-o", "json").json) == 4


def test_what_is_old_is_deleted(run: Run, later: FrozenClock) -> None:
    outcome = run("server", "database", "prune", "--older-than", "30d", "--yes")
    assert outcome.code == 0
    assert outcome.out.endswith(f"Deleted 3 flow runs, 6 states, 12 log lines, {TOLD} events.\n")
    assert [each["state_type"] for each in run("flow-run", "ls", "-o", "json").json] == ["PENDING"]
    assert run("server", "database", "prune", "--older-than", "30d", "-y", "-o", "json").json == NOTHING


def test_without_an_age_the_settings_hold(run: Run, later: FrozenClock, monkeypatch: pytest.MonkeyPatch) -> None:
    prune = ("server", "database", "prune", "--dry-run")
    assert run(*prune, "-o", "json").json == NOTHING | {"log_lines": 12, "events": TOLD}
    monkeypatch.setenv("HEADGATE_SERVER_RETENTION_LOGS_DAYS", "0")
    monkeypatch.setenv("HEADGATE_SERVER_RETENTION_EVENTS_DAYS", "0")
    assert run(*prune, "-o", "json").json == NOTHING
    assert "kept for ever" in run(*prune).out
    monkeypatch.setenv("HEADGATE_SERVER_RETENTION_RUNS_DAYS", "39.5")
    assert run(*prune, "-o", "json").json == NOTHING | {"flow_runs": 3, "states": 6, "log_lines": 12}


def test_what_is_not_old_enough_stays(run: Run, later: FrozenClock) -> None:
    outcome = run("server", "database", "prune", "--older-than", "41d", "--yes")
    assert outcome.code == 0
    assert "Deleted" not in outcome.out


@pytest.mark.parametrize(
    ("age", "reason"), [("soon", "is not a length of time"), ("99999999d", "before the calendar begins"), ("", "is not")]
)
def test_an_age_that_is_none_is_refused(run: Run, age: str, reason: str) -> None:
    outcome = run("server", "database", "prune", "--older-than", age)
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert reason in outcome.err


def test_compacting_gives_space_back(run: Run, later: FrozenClock, home: Path) -> None:
    file = home / "headgate.db"
    with closing(sqlite3.connect(file)) as connection:
        for sql in ("CREATE TABLE big (x BLOB)", "INSERT INTO big VALUES (zeroblob(5000000))", "DROP TABLE big"):
            connection.execute(sql)
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = file.stat().st_size
    outcome = run("server", "database", "compact")
    assert outcome.code == 0
    assert outcome.out.startswith("Compacted the database from 5.")
    assert file.stat().st_size < before - 4_500_000
    assert len(run("flow-run", "ls", "-o", "json").json) == 4


def test_a_database_that_is_in_use_is_not_compacted(run: Run, fill: None, home: Path) -> None:
    (home / "server.json").write_text(json.dumps({"pid": os.getpid(), "url": "http://127.0.0.1:9"}))
    outcome = run("server", "database", "compact")
    assert outcome.code == 1
    assert "headgate server stop" in outcome.err


def test_what_is_not_there_is_not_compacted(run: Run, home: Path) -> None:
    outcome = run("server", "database", "compact")
    assert outcome.code == 1
    assert outcome.err == f"Error: There is no database {home / 'headgate.db'}.\n"
    assert not (home / "headgate.db").exists()


def test_postgresql_looks_after_itself(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADGATE_SERVER_DATABASE_CONNECTION_URL", "postgresql://me:s3cret@db/x")
    outcome = run("server", "database", "compact")
    assert outcome.code == 1
    assert "autovacuum" in outcome.err
