"""Pausing with a reason: who says what, and where it is shown."""

import getpass
from typing import Any, NoReturn

import pytest
from command_line import NOW, Run

from headgate.cli.pauses import paused_line, said
from headgate.client.calls import work_pools
from headgate.client.client import Client
from headgate.schema.work_pools import WorkPoolUpdate

READS = {
    "pool": (["work-pool", "pause", "local"], ["work-pool", "resume", "local"], ["work-pool", "inspect", "local"]),
    "queue": (
        ["work-queue", "pause", "default"],
        ["work-queue", "resume", "default"],
        ["work-queue", "inspect", "default"],
    ),
    "deployment": (
        ["deployment", "pause", "job/job"],
        ["deployment", "resume", "job/job"],
        ["deployment", "inspect", "job/job"],
    ),
    "schedule": (
        ["deployment", "schedule", "pause", "job/job"],
        ["deployment", "schedule", "resume", "job/job"],
        ["deployment", "schedule", "ls", "job/job"],
    ),
}
LISTS = {
    "pool": ["work-pool", "ls", "-v"],
    "queue": ["work-queue", "ls", "--verbose"],
    "deployment": ["deployment", "ls", "-v"],
    "schedule": ["deployment", "schedule", "ls", "job/job", "-v"],
}

each_noun = pytest.mark.parametrize("noun", READS)


@pytest.fixture(autouse=True)
def deployed(api: Client, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """`job/job` with a schedule, in the pool `local`; `ann` is at the terminal."""
    monkeypatch.setattr(getpass, "getuser", lambda: "ann")
    run("work-pool", "create", "local", "--type", "process")
    run("deploy", "--command", "true", "-n", "job", "-p", "local", "--interval", "60")


def pause_of(run: Run, noun: str) -> Any:
    found = run(*READS[noun][2], "-o", "json").json
    return (found[0] if isinstance(found, list) else found)["pause"]


@each_noun
def test_a_pause_has_a_reason_and_the_name_of_who_is_logged_in(run: Run, noun: str) -> None:
    pause, resume, _ = READS[noun]
    outcome = run(*pause, "--reason", "db upgrade")
    assert (outcome.code, outcome.err) == (0, "")
    kept = pause_of(run, noun)
    assert (kept["reason"], kept["by"]) == ("db upgrade", "ann")
    run(*resume)
    assert pause_of(run, noun) is None


@each_noun
def test_a_second_pause_without_a_word_leaves_what_was_said(run: Run, noun: str) -> None:
    pause = READS[noun][0]
    run(*pause, "--reason", "db upgrade", "--by", "bob")
    before = pause_of(run, noun)
    assert (before["reason"], before["by"]) == ("db upgrade", "bob")
    run(*pause)
    assert pause_of(run, noun) == before
    run(*pause, "--reason", "still going")
    assert pause_of(run, noun) == before | {"reason": "still going", "by": "ann"}


@each_noun
def test_a_pause_is_shown(run: Run, noun: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    run(*READS[noun][0], "--reason", "db upgrade")
    assert "ann: db upgrade" in run(*LISTS[noun]).out
    if noun != "schedule":
        assert "'reason': 'db upgrade', 'by': 'ann'" in " ".join(run(*READS[noun][2]).out.split())
    assert "'reason': 'db upgrade'" in run("deployment", "inspect", "job/job").out or noun in ("pool", "queue")


@pytest.mark.parametrize("error", [OSError, KeyError, ImportError])
def test_an_account_without_a_name_pauses_as_well(run: Run, monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    def getuser() -> NoReturn:
        raise error

    monkeypatch.setattr(getpass, "getuser", getuser)
    assert run("work-pool", "pause", "local", "--reason", "db upgrade").out == "Paused work pool 'local'\n"
    kept = pause_of(run, "pool")
    assert (kept["reason"], kept["by"]) == ("db upgrade", None)


def test_a_reason_that_is_a_book_is_refused_and_nothing_paused(run: Run) -> None:
    outcome = run("work-pool", "pause", "local", "--reason", "x" * 501)
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (1, "", 1)
    assert "pause_reason" in outcome.err
    assert run("work-pool", "inspect", "local", "-o", "json").json["is_paused"] is False


def test_previews_say_since_when_by_whom_and_why(run: Run) -> None:
    run("work-pool", "pause", "local", "--reason", "db upgrade")
    run("work-queue", "pause", "default", "--by", "bob")
    pool = (
        "Work pool 'local' is paused since just now by ann: db upgrade; it releases nothing until it is resumed: "
        "`headgate work-pool resume local`."
    )
    queue = (
        "Work queue 'default' of work pool 'local' is paused since just now by bob; it releases nothing until it is "
        "resumed: `headgate work-queue resume default --pool local`."
    )
    assert run("work-pool", "preview", "local").out.splitlines()[-2:] == [pool, queue]
    assert run("work-queue", "preview", "default").out.splitlines()[-2:] == [queue, pool]


def test_what_was_paused_by_a_client_that_says_nothing(api: Client, run: Run) -> None:
    api.send(work_pools.update("local", WorkPoolUpdate(is_paused=True)))
    assert "is paused since just now; it releases nothing" in run("work-pool", "preview", "local").out


def test_what_is_created_paused_knows_who_did_it(run: Run) -> None:
    run("work-pool", "create", "night", "--paused")
    run("work-queue", "create", "low", "--pool", "night", "--paused")
    run("work-queue", "create", "high", "--pool", "night")
    assert run("work-pool", "inspect", "night", "-o", "json").json["pause"]["by"] == "ann"
    assert run("work-queue", "inspect", "low", "-o", "json").json["pause"]["by"] == "ann"
    assert run("work-queue", "inspect", "high", "-o", "json").json["pause"] is None


def test_what_was_paused_before_pauses_were_kept_says_what_is_known() -> None:
    line = paused_line("Work pool 'old'", None, NOW, effect="releases nothing", resume="headgate work-pool resume old")
    assert line == ("Work pool 'old' is paused; it releases nothing until it is resumed: `headgate work-pool resume old`.")
    assert said(None, NOW) == ""
