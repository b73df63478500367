"""The commands of `headgate work-queue` that create, change and delete queues, against the real app."""

import io
import sys
from typing import Any

import pytest
from command_line import Run, lines

from headgate.client.client import Client


@pytest.fixture(autouse=True)
def pools(api: Client, run: Run) -> None:
    """The pools `local` and `other`, each with its queue `default`."""
    for name in ("local", "other"):
        run("work-pool", "create", name, "--type", "process")


def _queue(run: Run, name: str, pool: str = "local") -> dict[str, Any]:
    return run("work-queue", "inspect", name, "--pool", pool, "-o", "json").json


def _ranks(run: Run) -> dict[str, int]:
    return {each["name"]: each["priority"] for each in run("work-queue", "ls", "--pool", "local", "-o", "json").json}


def test_create_says_what_was_made_and_what_comes_next(run: Run) -> None:
    outcome = run("work-queue", "create", "high", "--pool", "local", "--limit", "3")
    queue = _queue(run, "high")
    assert outcome.code == 0
    assert lines(outcome.out) == [
        "Created work queue with properties:",
        "    name - 'high'",
        "    work pool - 'local'",
        f"    id - {queue['id']}",
        "    priority - 2",
        "    concurrency limit - 3",
        "",
        "Start a worker to pick up runs from the work queue:",
        "    headgate worker start --pool 'local' --work-queue 'high'",
        "",
        "Inspect the work queue:",
        "    headgate work-queue inspect 'high' --pool 'local'",
    ]


def test_create_takes_every_property(run: Run) -> None:
    options = ["--priority", "10", "--limit", "0", "--description", "Nightly", "--paused", "-o", "json"]
    created = run("work-queue", "create", "low", "-p", "local", *options).json
    assert created == _queue(run, "low")
    assert (created["priority"], created["concurrency_limit"], created["description"]) == (10, 0, "Nightly")
    assert created["is_paused"] is True


def test_create_uses_the_default_pool(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADGATE_DEFAULT_WORK_POOL_NAME", "other")
    run("work-queue", "create", "high")
    assert _queue(run, "high", "other")["work_pool_name"] == "other"


def test_create_without_a_pool_is_for_agents(run: Run) -> None:
    outcome = run("work-queue", "create", "high")
    queue = _queue(run, "high", "default-agent-pool")
    assert lines(outcome.out) == [
        "Created work queue with properties:",
        "    name - 'high'",
        "    work pool - 'default-agent-pool'",
        f"    id - {queue['id']}",
        "    priority - 2",
        "    concurrency limit - None",
        "",
        "Start an agent to pick up runs from the work queue:",
        "    headgate agent start --pool 'default-agent-pool' --work-queue 'high'",
        "",
        "Inspect the work queue:",
        "    headgate work-queue inspect 'high' --pool 'default-agent-pool'",
    ]
    again = run("work-queue", "create", "high")
    assert (again.code, again.out, again.err.count("\n")) == (1, "", 1)
    assert "'high' already exists in pool 'default-agent-pool'. `headgate work-queue ls` lists all." in again.err


def test_inspect_shows_a_queues_health(run: Run) -> None:
    shown = run("work-queue", "inspect", "default", "--pool", "local").out
    assert "    health={" in lines(shown)
    assert "'healthy': False," in shown
    assert "health" not in _queue(run, "default")
    run("work-queue", "read-runs", "default", "--pool", "local")
    assert "'healthy': True," in run("work-queue", "inspect", "default", "--pool", "local").out


def test_read_runs_lists_what_may_start_now_in_its_order(run: Run) -> None:
    run("deploy", "--command", "true", "-n", "job", "-p", "local")
    for name in ("first", "second"):
        run("deployment", "run", "job/job", "--flow-run-name", name)
    run("deployment", "run", "job/job", "--start-in", "1h", "--flow-run-name", "later")
    command = ["work-queue", "read-runs", "default", "--pool", "local"]
    assert [each["name"] for each in run(*command, "-o", "json").json] == ["first", "second"]
    assert [each["name"] for each in run(*command, "--limit", "1", "-o", "json").json] == ["first"]
    shown = run(*command).out
    assert "Runs of local/default that may start now" in shown
    assert shown.index("first") < shown.index("second")
    assert "later" not in shown
    run("work-queue", "set-concurrency-limit", "default", "1", "--pool", "local")
    assert [each["name"] for each in run(*command, "-o", "json").json] == ["first"]


def test_read_runs_says_why_there_are_none(run: Run) -> None:
    run("work-queue", "pause", "default", "--pool", "local", "--by", "ann", "--reason", "db upgrade")
    run("work-pool", "pause", "local", "--by", "bob")
    none, queue, pool = run("work-queue", "read-runs", "default", "--pool", "local").out.splitlines()
    assert none == "Runs of local/default that may start now: none"
    assert queue.startswith("Work queue 'default' of work pool 'local' is paused since just now by ann: db upgrade; ")
    assert pool.startswith("Work pool 'local' is paused since just now by bob; ")


def test_a_taken_priority_shifts_the_others(run: Run) -> None:
    run("work-queue", "create", "critical", "--pool", "local", "--priority", "1")
    assert _ranks(run) == {"critical": 1, "default": 2}


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["high", "-p", "nowhere"], 1, "There is no work pool 'nowhere'"),
        (["default", "-p", "local"], 1, "Work pool 'local' has a queue 'default' already"),
        (["a/b", "-p", "local"], 1, "name"),
        (["high", "-p", "local", "--priority", "0"], 1, "priority"),
        (["high", "-p", "local", "--limit", "-1"], 1, "concurrency_limit"),
    ],
)
def test_a_queue_that_cannot_be_is_one_line(run: Run, arguments: list[str], code: int, said: str) -> None:
    outcome = run("work-queue", "create", *arguments)
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (code, "", 1)
    assert said in outcome.err
    assert _ranks(run) == {"default": 1}


def test_pause_and_resume_reach_the_named_pools_queue_only(run: Run) -> None:
    outcome = run("work-queue", "pause", "default", "--pool", "local")
    assert (outcome.code, outcome.out) == (0, "Paused work queue 'default' of work pool 'local'\n")
    assert (_queue(run, "default")["is_paused"], _queue(run, "default", "other")["is_paused"]) == (True, False)
    assert run("work-queue", "resume", "default", "--pool", "local").out == (
        "Resumed work queue 'default' of work pool 'local'\n"
    )
    assert _queue(run, "default")["is_paused"] is False


def test_a_limit_is_set_and_cleared(run: Run) -> None:
    outcome = run("work-queue", "set-concurrency-limit", "default", "3", "--pool", "local")
    assert outcome.out == "Set concurrency limit for work queue 'default' of work pool 'local' to 3\n"
    assert _queue(run, "default")["concurrency_limit"] == 3
    outcome = run("work-queue", "clear-concurrency-limit", "default", "--pool", "local")
    assert outcome.out == "Cleared concurrency limit for work queue 'default' of work pool 'local'\n"
    assert _queue(run, "default")["concurrency_limit"] is None


def test_a_limit_of_0_is_legal_and_says_what_it_means(run: Run) -> None:
    outcome = run("work-queue", "set-concurrency-limit", "default", "0", "--pool", "local")
    assert outcome.code == 0
    assert "It releases nothing until its limit is raised or cleared." in outcome.out
    assert _queue(run, "default")["concurrency_limit"] == 0


def test_a_new_priority_says_who_made_room(run: Run) -> None:
    run("work-queue", "create", "high", "--pool", "local")
    run("work-queue", "create", "low", "--pool", "local", "--priority", "10")
    outcome = run("work-queue", "set-priority", "low", "1", "--pool", "local")
    assert lines(outcome.out) == [
        "Set priority of work queue 'low' of work pool 'local' to 1",
        "    'default' made room: 1 is now 2",
        "    'high' made room: 2 is now 3",
    ]
    assert _ranks(run) == {"low": 1, "default": 2, "high": 3}


@pytest.mark.parametrize(("priority", "code"), [("0", 1), ("first", 2)])
def test_a_priority_that_is_none_is_refused(run: Run, priority: str, code: int) -> None:
    outcome = run("work-queue", "set-priority", "default", priority, "--pool", "local")
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (code, "", 1)
    assert _ranks(run) == {"default": 1}


def test_delete_says_what_moves_and_moves_it(run: Run) -> None:
    run("deploy", "--command", "true", "-n", "job", "-p", "local", "-q", "urgent")
    run("deployment", "run", "job/job")
    refused = run("work-queue", "delete", "urgent")
    assert refused.code == 2
    moves = "Moved to the pool's default queue: 1 deployment (job/job), 1 waiting run."
    assert f"{moves} Delete work queue 'urgent' of work pool 'local'?" in refused.err
    assert lines(run("work-queue", "delete", "urgent", "--yes").out) == [
        "Deleted work queue 'urgent' of work pool 'local'",
        moves,
    ]
    assert _ranks(run) == {"default": 1}
    assert run("deployment", "inspect", "job/job", "-o", "json").json["work_queue_name"] == "default"


def test_a_queue_without_anything_is_deleted_without_a_word(run: Run) -> None:
    run("work-queue", "create", "high", "--pool", "local")
    assert run("work-queue", "delete", "high", "--yes").out == "Deleted work queue 'high' of work pool 'local'\n"


def test_a_no_deletes_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run("work-queue", "create", "high", "--pool", "local")
    terminal = io.StringIO("n\n")
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", terminal)
    outcome = run("work-queue", "delete", "high")
    assert (outcome.code, outcome.err) == (1, "Error: Nothing was changed.\n")
    assert set(_ranks(run)) == {"default", "high"}


def test_a_default_queue_stays(run: Run) -> None:
    outcome = run("work-queue", "delete", "default", "--pool", "local", "--yes")
    assert (outcome.code, outcome.err) == (
        1,
        "Error: Cannot delete work queue 'default' of work pool 'local': a pool keeps its default queue as long as it "
        "lives.\n",
    )
    assert _ranks(run) == {"default": 1}


CHANGES = [["pause"], ["resume"], ["set-concurrency-limit", "1"], ["clear-concurrency-limit"], ["set-priority", "5"]]


@pytest.mark.parametrize("command", [*CHANGES, ["delete"], ["preview"], ["read-runs"]], ids=lambda command: command[0])
def test_a_queue_has_to_be_one_and_to_exist(run: Run, command: list[str]) -> None:
    word, *values = command
    several = run("work-queue", word, "default", *values)
    assert several.code == 2
    assert "Several pools have a queue 'default': local, other. Say which with --pool." in several.err
    missing = run("work-queue", word, "nowhere", *values)
    assert (missing.code, missing.out) == (1, "")
    assert "There is no work queue 'nowhere'" in missing.err
