"""`headgate worker`: its options reach the worker, and its workers are listed."""

from datetime import timedelta
from typing import Any

import pytest
from command_line import NOW, Run, drawn
from scripted_api import Script

from headgate.cli import leaving
from headgate.client.calls import workers
from headgate.client.client import Client
from headgate.clock import FrozenClock
from headgate.errors import NotFound
from headgate.schema.workers import WorkerHeartbeat
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


def test_the_documents_example_of_a_limit(run: Run, started: Started) -> None:
    run("worker", "start", "--pool", "my-pool", "--limit", "5", "--no-run-once")
    [(_, options)] = started
    assert (options["pool"], options["limit"], options["run_once"]) == ("my-pool", 5, False)


def test_interval_and_prefetch_may_stand_in_a_profile(run: Run, started: Started) -> None:
    run("config", "set", "HEADGATE_WORKER_QUERY_SECONDS=4", "HEADGATE_WORKER_PREFETCH_SECONDS=60")
    run("worker", "start", "-p", "local")
    settings, options = started[0]
    assert (settings.worker_query_seconds, options["prefetch_seconds"]) == (4.0, 60.0)


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
    worker["draining"] = True
    gone = worker | {"draining": False, "name": "w2", "last_heartbeat_time": NOW - timedelta(hours=2), "status": "OFFLINE"}
    script.on("POST", "/work_pools/local/workers/filter", [worker, gone])
    assert drawn(run("worker", "ls", "--pool", "local").out) == [
        "Workers of local",
        "┏━━━━━━┳━━━━━━━━━━━┳━━━━━━━━━┳━━━━━━━━━┳━━━━━━━━━━┳━━━━━━━━━━━━━━━━┓",
        "┃ Name ┃ Work pool ┃ Type    ┃ Status  ┃ Draining ┃ Last heartbeat ┃",
        "┡━━━━━━╇━━━━━━━━━━━╇━━━━━━━━━╇━━━━━━━━━╇━━━━━━━━━━╇━━━━━━━━━━━━━━━━┩",
        "│ w1   │ local     │ process │ ONLINE  │ yes      │ 3 seconds ago  │",
        "│ w2   │ local     │ process │ OFFLINE │          │ 2 hours ago    │",
        "└──────┴───────────┴─────────┴─────────┴──────────┴────────────────┘",
    ]
    assert [each["name"] for each in run("worker", "ls", "-p", "local", "-o", "json").json] == ["w1", "w2"]


@pytest.fixture
def joined(api: Client, run: Run) -> None:
    """The worker `w1` in the pool `local`."""
    run("work-pool", "create", "local", "--type", "process")
    api.send(workers.heartbeat("local", WorkerHeartbeat(name="w1", heartbeat_interval_seconds=5)))


def test_inspect_shows_every_field(joined: None, run: Run) -> None:
    [worker] = run("worker", "ls", "-p", "local", "-o", "json").json
    assert run("worker", "inspect", "w1", "-p", "local", "-o", "json").json == worker
    shown = run("worker", "inspect", "w1", "-p", "local").out
    assert shown.startswith("Worker(\n    id='")
    assert all(f"\n    {key}=" in shown for key in worker)


def test_forget_takes_a_worker_off_the_list(joined: None, run: Run) -> None:
    outcome = run("worker", "forget", "w1", "-p", "local")
    assert (outcome.code, outcome.out) == (0, "Forgot worker 'w1' of work pool 'local'\n")
    assert outcome.err.startswith("Warning: Worker 'w1' was online a moment ago")
    assert run("worker", "ls", "-p", "local", "-o", "json").json == []


def test_forget_warns_of_nothing_when_the_worker_is_offline(joined: None, run: Run, script: Script) -> None:
    ids = dict.fromkeys(("id", "work_pool_id", "default_queue_id"), "00000000-0000-0000-0000-000000000001")
    record = ids | {"created": NOW, "updated": NOW, "name": "w1", "status": "OFFLINE"}
    script.on("GET", "/work_pools/local", record | {"status": None})
    script.on("POST", "/work_pools/local/workers/filter", [record])
    script.on("DELETE", "/work_pools/local/workers/w1", None)
    outcome = run("worker", "forget", "w1", "-p", "local")
    assert (outcome.code, outcome.err) == (0, "")
    assert script.requests[-1][:2] == ("DELETE", "/work_pools/local/workers/w1")


def test_ls_without_a_pool_lists_the_workers_of_all(joined: None, api: Client, run: Run) -> None:
    run("work-pool", "create", "other", "--type", "process")
    api.send(workers.heartbeat("other", WorkerHeartbeat(name="w2", heartbeat_interval_seconds=5)))
    assert sorted(each["name"] for each in run("worker", "ls", "-o", "json").json) == ["w1", "w2"]
    shown = run("worker", "ls").out
    assert all(text in shown for text in ("Workers", "w1", "local", "w2", "other"))


def test_drain_asks_a_worker_to_leave(joined: None, run: Run) -> None:
    outcome = run("worker", "drain", "w1", "-p", "local")
    said = "Worker 'w1' of work pool 'local' drains: it finishes its runs and leaves\n"
    assert (outcome.code, outcome.out, outcome.err) == (0, said, "")
    assert run("worker", "inspect", "w1", "-p", "local", "-o", "json").json["draining"]


def test_drain_waits_until_the_worker_has_left(run: Run, script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until it is OFFLINE, or was forgotten; for as long as it is ONLINE it is asked for again."""
    monkeypatch.setattr(leaving, "POLL_SECONDS", 0)
    ids = dict.fromkeys(("id", "work_pool_id", "default_queue_id"), "00000000-0000-0000-0000-000000000001")
    record = ids | {"created": NOW, "updated": NOW, "name": "w1", "status": "ONLINE"}
    script.on("GET", "/work_pools/local", record | {"status": None})
    script.on("POST", "/work_pools/local/workers/w1/drain", None)
    for last in ([record | {"status": "OFFLINE"}], []):
        script.on("POST", "/work_pools/local/workers/filter", [record], [record], [record], last)
        outcome = run("worker", "drain", "w1", "-p", "local", "--wait")
        assert outcome.out.endswith("\nWorker 'w1' of work pool 'local' has left\n")
        assert len(script.answers["POST", "/work_pools/local/workers/filter"]) == 1


def test_drain_says_that_a_worker_is_offline(run: Run, script: Script) -> None:
    """There is nobody to wait for."""
    ids = dict.fromkeys(("id", "work_pool_id", "default_queue_id"), "00000000-0000-0000-0000-000000000001")
    record = ids | {"created": NOW, "updated": NOW, "name": "w1", "status": "OFFLINE"}
    script.on("GET", "/work_pools/local", record | {"status": None})
    script.on("POST", "/work_pools/local/workers/filter", [record])
    script.on("POST", "/work_pools/local/workers/w1/drain", None)
    outcome = run("worker", "drain", "w1", "-p", "local", "--wait")
    assert outcome.code == 0
    assert outcome.err.startswith("Warning: Worker 'w1' is offline")


@pytest.mark.parametrize("command", ["inspect", "drain", "forget"])
def test_a_worker_that_is_not_there_is_named(joined: None, run: Run, command: str) -> None:
    outcome = run("worker", command, "w2", "-p", "local")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err == "Error: Work pool 'local' has no worker 'w2'; `headgate worker ls --pool local` lists all.\n"
    assert "There is no work pool 'nowhere'" in run("worker", command, "w1", "-p", "nowhere").err
