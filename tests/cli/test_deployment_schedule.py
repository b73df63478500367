"""`headgate deployment schedule`, against the real app."""

from typing import Any

import pytest
from command_line import Run, drawn, lines

from headgate.client.calls import flow_runs
from headgate.client.client import Client
from headgate.clock import FrozenClock


@pytest.fixture(autouse=True)
def deployed(api: Client, run: Run, frozen: FrozenClock) -> None:
    """`job/job` without a schedule. The command line's clock stands at 2026-03-01 12:00 UTC."""
    run("work-pool", "create", "local", "--type", "process")
    run("deploy", "--command", "true", "-n", "job", "-p", "local")


def _schedules(run: Run) -> list[dict[str, Any]]:
    return run("deployment", "schedule", "ls", "job/job", "-o", "json").json


def _create(run: Run, *options: str) -> dict[str, Any]:
    return run("deployment", "schedule", "create", "job/job", *options, "-o", "json").json


def _made_ahead(api: Client) -> int:
    return api.send(flow_runs.count())


def test_create_says_what_was_made(run: Run) -> None:
    outcome = run("deployment", "schedule", "create", "job/job", "--cron", "0 15 * * *")
    [schedule] = _schedules(run)
    assert outcome.code == 0
    assert lines(outcome.out)[:4] == [
        "Created deployment schedule with properties:",
        '    schedule - cron "0 15 * * *" in UTC',
        f"    id - {schedule['id']}",
        "    active - True",
    ]
    assert lines(outcome.out)[4].endswith(" (in 3 hours)")


@pytest.mark.parametrize(
    ("options", "stored"),
    [
        (
            ["--cron", "0 9 1 * 1", "--no-day-or", "--timezone", "Europe/Berlin"],
            {"cron": "0 9 1 * 1", "day_or": False, "timezone": "Europe/Berlin"},
        ),
        (["--cron", "0 9 1 * 1", "--day-or"], {"cron": "0 9 1 * 1", "day_or": True, "timezone": None}),
        (
            ["--interval", "1h30m", "--anchor", "2026-07-01 09:00", "--timezone", "Europe/Berlin"],
            {"interval": 5400.0, "anchor_date": "2026-07-01T07:00:00Z", "timezone": "Europe/Berlin"},
        ),
        (
            ["--interval", "90", "--anchor", "2026-07-01T09:00:00+05:00"],
            {"interval": 90.0, "anchor_date": "2026-07-01T04:00:00Z", "timezone": "UTC"},
        ),
        (["--rrule", "FREQ=WEEKLY;BYDAY=MO"], {"rrule": "FREQ=WEEKLY;BYDAY=MO", "timezone": "UTC"}),
    ],
)
def test_create_takes_each_kind(run: Run, options: list[str], stored: dict[str, Any]) -> None:
    assert _create(run, *options)["schedule"] == stored
    assert [each["schedule"] for each in _schedules(run)] == [stored]


def test_create_may_make_it_paused(run: Run, api: Client) -> None:
    outcome = run("deployment", "schedule", "create", "job/job", "--interval", "60", "--no-active")
    assert "    next - none" in lines(outcome.out)
    assert _schedules(run)[0]["active"] is False
    assert _made_ahead(api) == 0


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ([], 2, "Give one of --cron, --interval and --rrule."),
        (["--cron", "0 9 * * *", "--interval", "60"], 2, "Give one of --cron, --interval and --rrule."),
        (["--cron", "0 9 * * *", "--anchor", "2026-03-01"], 2, "--anchor belongs to an --interval."),
        (["--interval", "60", "--day-or"], 2, "--day-or belongs to a --cron."),
        (["--interval", "60", "--anchor", "soon"], 2, "--anchor: 'soon' is not a moment"),
        (["--interval", "often"], 2, "--interval: 'often'"),
        (["--interval", "0"], 1, "interval 0"),
        (["--cron", "61 * * * *"], 1, "61"),
        (["--cron", "0 9 * * *", "--timezone", "Europe/Berlim"], 1, "did you mean 'Europe/Berlin'?"),
    ],
)
def test_a_schedule_that_cannot_be_is_one_line(run: Run, options: list[str], code: int, said: str) -> None:
    outcome = run("deployment", "schedule", "create", "job/job", *options)
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (code, "", 1)
    assert said in outcome.err
    assert _schedules(run) == []


def test_ls_marks_what_is_paused_and_says_what_comes_next(run: Run) -> None:
    ids = [_create(run, "--cron", "0 15 * * *")["id"], _create(run, "--interval", "60", "--no-active")["id"]]
    assert drawn(run("deployment", "schedule", "ls", "job/job").out) == [
        "Schedules of job/job",
        "┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━┓",
        "┃ ID                                   ┃ Schedule                 ┃ Next  ┃",
        "┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━┩",
        f'│ {ids[0]} │ cron "0 15 * * *" in UTC │ in 3h │',
        f"│ {ids[1]} │ every 1m **              │       │",
        "└──────────────────────────────────────┴──────────────────────────┴───────┘",
        "(**) denotes a paused schedule",
    ]


def test_pause_takes_runs_back_and_resume_makes_them_again(run: Run, api: Client) -> None:
    _create(run, "--interval", "1h")
    ahead = _made_ahead(api)
    assert run("deployment", "schedule", "pause", "job/job").out == "Paused schedule every 1h of deployment 'job/job'\n"
    assert (_schedules(run)[0]["active"], _made_ahead(api)) == (False, 0)
    assert run("deployment", "schedule", "resume", "job/job").out == "Resumed schedule every 1h of deployment 'job/job'\n"
    assert (_schedules(run)[0]["active"], _made_ahead(api)) == (True, ahead)


def test_delete_asks_and_takes_its_runs_with_it(run: Run, api: Client) -> None:
    _create(run, "--interval", "1h")
    refused = run("deployment", "schedule", "delete", "job/job")
    assert refused.code == 2
    assert "Delete schedule every 1h of deployment 'job/job' with the runs that it has made ahead?" in refused.err
    outcome = run("deployment", "schedule", "delete", "job/job", "--yes")
    assert (outcome.code, outcome.out) == (0, "Deleted schedule every 1h of deployment 'job/job'\n")
    assert (_schedules(run), _made_ahead(api)) == ([], 0)


@pytest.mark.parametrize("command", ["pause", "resume", "delete", "preview"])
def test_of_several_schedules_one_has_to_be_named(run: Run, command: str) -> None:
    yes = ["--yes"] if command == "delete" else []
    none = run("deployment", "schedule", command, "job/job", *yes)
    assert (none.code, none.out) == (1, "")
    assert "The deployment has no schedule; `headgate deployment schedule create` adds one." in none.err
    one, other = _create(run, "--interval", "1h"), _create(run, "--cron", "0 9 * * *")
    unclear = run("deployment", "schedule", command, "job/job", *yes)
    assert unclear.code == 2
    assert f"Which schedule? The deployment has {one['id']} (every 1h); {other['id']} (cron" in unclear.err
    missing = run("deployment", "schedule", command, "job/job", "nightly", *yes)
    assert missing.code == 1
    assert "The deployment has no schedule 'nightly'; it has " in missing.err
    assert run("deployment", "schedule", command, "job/job", other["id"], *yes).code == 0
    assert one["id"] in {each["id"] for each in _schedules(run)}


def test_preview_shows_where_clocks_change(run: Run) -> None:
    """On 2026-03-29 clocks in Berlin skip from 02:00 to 03:00: that Sunday's run is at 03:00, none is lost."""
    _create(run, "--cron", "30 2 * * 0", "--timezone", "Europe/Berlin")
    shown = drawn(run("deployment", "schedule", "preview", "job/job", "--count", "5").out)
    assert [line.strip("│ ") for line in shown if "2026-" in line] == [
        "Sun 2026-03-08 02:30:00 CET  │ in 6 days",
        "Sun 2026-03-15 02:30:00 CET  │ in 1 week",
        "Sun 2026-03-22 02:30:00 CET  │ in 2 weeks",
        "Sun 2026-03-29 03:00:00 CEST │ in 3 weeks │ clocks went forward 1 h",
        "Sun 2026-04-05 02:30:00 CEST │ in 1 month",
    ]


def test_preview_as_json_has_both_times(run: Run) -> None:
    _create(run, "--rrule", "DTSTART:20261024T090000\nFREQ=DAILY;COUNT=2", "--timezone", "Europe/Berlin")
    assert run("deployment", "schedule", "preview", "job/job", "-o", "json").json == [
        {"time": "2026-10-24T07:00:00Z", "local": "2026-10-24T09:00:00+02:00", "note": "clocks went forward 1 h"},
        {"time": "2026-10-25T08:00:00Z", "local": "2026-10-25T09:00:00+01:00", "note": "clocks went back 1 h"},
    ]


def test_preview_says_that_nothing_will_run(run: Run) -> None:
    schedule = _create(run, "--interval", "1h", "--no-active")
    run("deployment", "pause", "job/job", "--reason", "db upgrade")
    shown = run("deployment", "schedule", "preview", "job/job").out.splitlines()
    assert shown[-2].startswith("The schedule is paused since ")
    assert shown[-2].endswith(f"`headgate deployment schedule resume job/job {schedule['id']}`.")
    assert shown[-1].startswith("The whole deployment is paused since ")
    assert shown[-1].endswith(": db upgrade; it makes no runs until it is resumed: `headgate deployment resume job/job`.")


@pytest.mark.parametrize("count", ["0", "1001"])
def test_a_count_that_makes_no_sense_is_refused(run: Run, count: str) -> None:
    outcome = run("deployment", "schedule", "preview", "job/job", "--count", count)
    assert outcome.code == 2
    assert f"--count {count}" in outcome.err
