"""`headgate work-pool preview` and `headgate work-queue preview`: what would be released, and what is late."""

import os
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from command_line import NOW, Run, drawn
from scripted_api import Script

from headgate.client.client import Client
from headgate.clock import FrozenClock

RUN_IDS = [f"00000000-0000-0000-0000-00000000000{n}" for n in range(3)]
DEPLOYMENT_ID = "00000000-0000-0000-0000-0000000000dd"


@pytest.fixture
def runs(api: Client, run: Run) -> None:
    """In the pool `local`: `soon` (in 30 minutes, queue `urgent`) and `later` (in 5 hours, queue `default`)."""
    run("work-pool", "create", "local", "--type", "process")
    run("deploy", "--command", "true", "-n", "a", "-p", "local", "-q", "urgent")
    run("deploy", "--command", "true", "-n", "b", "-p", "local")
    run("deployment", "run", "a/a", "--start-in", "30m", "--flow-run-name", "soon")
    run("deployment", "run", "b/b", "--start-in", "5h", "--flow-run-name", "later")


def _names(run: Run, *arguments: str) -> set[str]:
    return {each["flow_run"]["name"] for each in run(*arguments, "-o", "json").json}


def test_a_pools_preview_looks_an_hour_ahead_unless_told(runs: None, run: Run) -> None:
    assert _names(run, "work-pool", "preview", "local") == {"soon"}
    assert _names(run, "work-pool", "preview", "local", "--hours", "12") == {"soon", "later"}
    assert _names(run, "work-pool", "preview", "local", "--hours", "0.25") == set()


def test_a_preview_takes_nothing(runs: None, run: Run) -> None:
    for _ in range(2):
        assert _names(run, "work-pool", "preview", "local") == {"soon"}
    [soon] = [each for each in run("flow-run", "ls", "--state", "Scheduled", "-o", "json").json if each["name"] == "soon"]
    assert soon["run_count"] == 0


def test_a_paused_pools_preview_says_why_and_how_to_resume_it(runs: None, run: Run) -> None:
    note = (
        "Work pool 'local' is paused since just now by ann; it releases nothing until it is resumed: "
        "`headgate work-pool resume local`."
    )
    run("work-pool", "pause", "local", "--by", "ann")
    shown = run("work-pool", "preview", "local").out.splitlines()
    assert "│ soon │" in shown[-4]
    assert shown[-1] == note
    assert run("work-pool", "preview", "local", "--hours", "0.1").out == f"Scheduled runs of local: none\n{note}\n"


def test_whatever_holds_runs_back_has_a_line_of_its_own_once(runs: None, run: Run) -> None:
    run("work-pool", "set-concurrency-limit", "local", "0")
    run("work-queue", "pause", "urgent", "--by", "ann")
    run("work-queue", "set-concurrency-limit", "default", "0", "--pool", "local")
    run("deployment", "run", "b/b", "--start-in", "1h", "--flow-run-name", "between")
    assert run("work-pool", "preview", "local", "--hours", "12").out.splitlines()[-3:] == [
        "Work pool 'local' has a concurrency limit of 0 and releases nothing: "
        "`headgate work-pool set-concurrency-limit local N`.",
        "Work queue 'urgent' of work pool 'local' is paused since just now by ann; it releases nothing until it is resumed: "
        "`headgate work-queue resume urgent --pool local`.",
        "Work queue 'default' has a concurrency limit of 0 and releases nothing: "
        "`headgate work-queue set-concurrency-limit default N --pool local`.",
    ]


def test_a_paused_deployment_is_named_with_what_resumes_it(runs: None, run: Run) -> None:
    run("deployment", "run", "a/a", "--flow-run-name", "due")
    run("deployment", "pause", "a/a")
    shown = run("work-queue", "preview", "urgent").out.splitlines()
    assert shown[-1] == "Deployment 'a/a' is paused: `headgate deployment resume a/a`."


def test_what_schedules_will_make_is_marked_as_projected(api: Client, run: Run) -> None:
    run("work-pool", "create", "local", "--type", "process")
    run("deploy", "--command", "true", "-n", "hourly", "-p", "local", "--interval", "3600")
    shown = run("work-pool", "preview", "local", "--hours", "5").out
    assert shown.count("(projected)") == 2
    assert "hourly/hourly" in shown
    records = run("work-pool", "preview", "local", "--hours", "5", "-o", "json").json
    assert [each["projected"] for each in records] == [False, False, False, True, True]


def test_a_preview_that_is_cut_says_so(api: Client, run: Run) -> None:
    run("work-pool", "create", "local", "--type", "process")
    run("deploy", "--command", "true", "-n", "often", "-p", "local", "--interval", "1")
    outcome = run("work-pool", "preview", "local", "--hours", "12", "-o", "json")
    assert len(outcome.json) == 1000
    assert outcome.err == "Warning: Only the first 1000 are shown; give fewer --hours.\n"


def test_a_queues_preview_has_its_runs_alone(runs: None, run: Run) -> None:
    assert _names(run, "work-queue", "preview", "urgent") == {"soon"}
    assert _names(run, "work-queue", "preview", "default", "--pool", "local", "--hours", "12") == {"later"}


def test_a_paused_queues_preview_says_so_even_when_it_is_empty(runs: None, run: Run) -> None:
    run("work-queue", "pause", "urgent", "--by", "ann")
    assert run("work-queue", "preview", "urgent", "--hours", "0.1").out == (
        "Scheduled runs of local/urgent: none\n"
        "Work queue 'urgent' of work pool 'local' is paused since just now by ann; it releases nothing until it is "
        "resumed: `headgate work-queue resume urgent --pool local`.\n"
    )


@pytest.mark.parametrize("hours", ["0", "-1", "9000", "nan"])
def test_hours_that_make_no_sense_are_refused(runs: None, run: Run, hours: str) -> None:
    outcome = run("work-pool", "preview", "local", "--hours", hours)
    assert outcome.code == 2
    assert "--hours" in outcome.err


def test_a_pool_that_is_not_there_is_named(api: Client, run: Run) -> None:
    assert run("work-pool", "preview", "nowhere").err == (
        "Error: There is no work pool 'nowhere'; `headgate work-pool ls` lists all.\n"
    )


@pytest.fixture
def scripted(script: Script, frozen: FrozenClock) -> None:
    """A pool that answers one late run and two that are due at 13:00 and 14:00, in UTC."""
    blank: dict[str, Any] = {"created": NOW, "updated": NOW}
    pool = blank | {"id": RUN_IDS[0], "name": "local", "default_queue_id": RUN_IDS[0]}
    script.on("GET", "/work_pools/local", pool)
    script.on("POST", "/work_pools/local/queues/filter", [])
    due = {"late-otter": -0.5, "next-heron": 1, "last-crane": 2}
    found = [
        {
            "scheduled_time": NOW + timedelta(hours=hours),
            "projected": False,
            "flow_run": blank | {"id": id, "name": name, "flow_id": RUN_IDS[0]},
            "deployment_id": DEPLOYMENT_ID,
            "deployment_name": "nightly",
            "flow_id": RUN_IDS[0],
            "flow_name": "etl",
            "work_queue_id": RUN_IDS[0],
            "work_queue_name": "default",
            "late_by_seconds": max(-hours, 0) * 3600,
        }
        for id, (name, hours) in zip(RUN_IDS, due.items(), strict=True)
    ]
    script.on("POST", "/work_pools/local/preview", {"entries": found, "until": NOW, "cut": False})


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This machine's clock shows the time of Berlin."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    os.environ["TZ"] = "UTC"
    time.tzset()


def test_the_table_at_80_columns(scripted: None, berlin: None, run: Run) -> None:
    assert drawn(run("work-pool", "preview", "local").out) == [
        "Scheduled runs of local",
        "┏━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━┓",
        "┃ Scheduled Start Time   ┃ Run ID                               ┃ Name       ┃",
        "┡━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━┩",
        f"│ 2026-03-01 15:00:00    │ {RUN_IDS[2]} │ last-crane │",
        f"│ 2026-03-01 14:00:00    │ {RUN_IDS[1]} │ next-heron │",
        f"│ 2026-03-01 12:30:00 ** │ {RUN_IDS[0]} │ late-otter │",
        "└────────────────────────┴──────────────────────────────────────┴────────────┘",
        "(**) denotes a late run",
    ]


def test_a_wide_table_has_the_deployments(scripted: None, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    shown = run("work-pool", "preview", "local").out
    assert "Deployment ID" in shown
    assert shown.count(DEPLOYMENT_ID) == 3


def test_the_api_is_asked_for_the_hours_ahead(scripted: None, run: Run, script: Script) -> None:
    run("work-pool", "preview", "local", "--hours", "12")
    [asked] = [body for _, target, body in script.requests if target.endswith("/preview")]
    assert asked["hours"] == 12
