"""`headgate worker`: its options reach the worker, and its workers are listed."""

from datetime import timedelta
from typing import Any

import pytest
from command_line import NOW, Run, drawn
from scripted_api import Script

from headgate.clock import FrozenClock
from headgate.errors import NotFound
from headgate.settings import Settings

Started = list[tuple[Settings, dict[str, Any]]]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    """What workers were started with, in place of starting them; each ends with exit code 7."""
    calls: Started = []

    def run_worker(settings: Settings, **options: Any) -> int:
        calls.append((settings, options))
        return 7

    monkeypatch.setattr("headgate.worker.start.run_worker", run_worker)
    return calls


def test_start_hands_over_its_options(run: Run, started: Started) -> None:
    command = "worker start -p local -n w1 -t process -q urgent -q default -l 5 --prefetch-seconds 2.5 --run-once"
    assert run(*command.split()).code == 7
    settings, options = started[0]
    assert options == {
        "pool": "local",
        "name": "w1",
        "type": "process",
        "queues": ["urgent", "default"],
        "limit": 5,
        "prefetch_seconds": 2.5,
        "run_once": True,
    }
    assert settings.worker_prefetch_seconds == 2.5


def test_start_has_defaults(run: Run, started: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_WORKER_PREFETCH_SECONDS", "3")
    monkeypatch.setenv("HEADGATE_DEFAULT_WORK_POOL_NAME", "local")
    run("worker", "start")
    assert started[0][1] == {
        "pool": "local",
        "name": None,
        "type": None,
        "queues": [],
        "limit": None,
        "prefetch_seconds": 3.0,
        "run_once": False,
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [([], "Which pool?"), (["-p", "local", "-l", "0"], "--limit 0"), (["-p", "local", "-l", "x"], "-l")],
)
def test_a_wrong_option_starts_nothing(run: Run, started: Started, arguments: list[str], said: str) -> None:
    outcome = run("worker", "start", *arguments)
    assert outcome.code == 2
    assert said in outcome.err
    assert started == []


def test_a_worker_that_cannot_join_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def run_worker(settings: Settings, **options: Any) -> int:
        raise NotFound("There is no work pool 'local'.")

    monkeypatch.setattr("headgate.worker.start.run_worker", run_worker)
    outcome = run("worker", "start", "-p", "local")
    assert (outcome.code, outcome.err) == (1, "Error: There is no work pool 'local'.\n")


def test_ls_shows_who_is_there(run: Run, script: Script, frozen: FrozenClock) -> None:
    worker = {
        "id": "00000000-0000-0000-0000-000000000001",
        "created": NOW,
        "updated": NOW,
        "name": "w1",
        "work_pool_id": "00000000-0000-0000-0000-000000000002",
        "type": "process",
        "last_heartbeat_time": NOW - timedelta(seconds=3),
        "heartbeat_interval_seconds": 5.0,
        "status": "ONLINE",
    }
    gone = worker | {"name": "w2", "last_heartbeat_time": NOW - timedelta(hours=2), "status": "OFFLINE"}
    script.on("POST", "/work_pools/local/workers/filter", [worker, gone])
    assert drawn(run("worker", "ls", "--pool", "local").out) == [
        "Workers of local",
        "┏━━━━━━┳━━━━━━━━━┳━━━━━━━━━┳━━━━━━━━━━━━━━━━┓",
        "┃ Name ┃ Type    ┃ Status  ┃ Last heartbeat ┃",
        "┡━━━━━━╇━━━━━━━━━╇━━━━━━━━━╇━━━━━━━━━━━━━━━━┩",
        "│ w1   │ process │ ONLINE  │ 3 seconds ago  │",
        "│ w2   │ process │ OFFLINE │ 2 hours ago    │",
        "└──────┴─────────┴─────────┴────────────────┘",
    ]
    assert [each["name"] for each in run("worker", "ls", "-p", "local", "-o", "json").json] == ["w1", "w2"]
