"""`headgate deployment` and `headgate flow`, against the real app."""

import io
import sys
from datetime import timedelta
from typing import Any, NoReturn

import pytest
from command_line import NOW, Run, drawn, lines
from scripted_api import Script

from headgate.client.calls import flow_runs
from headgate.client.client import Client
from headgate.clock import FrozenClock
from headgate.schema.flow_runs import FlowRun


@pytest.fixture
def deployed(api: Client, run: Run, flows_file: Any) -> None:
    """`hello/nightly` with a schedule, and `disk/disk`, a command; both in the pool `local`."""
    run("work-pool", "create", "local", "--type", "process")
    run("deploy", "flows.py:hello", "-n", "nightly", "-p", "local", "--cron", "0 3 * * *", "--param", "times=2")
    run("deploy", "--command", "df {{ path }}", "-n", "disk", "-p", "local", "--param", "path=/")


def _runs(api: Client) -> list[FlowRun]:
    """The runs that were asked for, without those of schedules."""
    return [run for run in api.send(flow_runs.query()) if not run.auto_scheduled]


def test_ls_at_80_columns(deployed: None, run: Run) -> None:
    run("deployment", "pause", "disk/disk")
    assert drawn(run("deployment", "ls").out) == [
        "Deployments",
        "┏━━━━━━━━━━━━━━━┳━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━━┓",
        "┃ Name          ┃ Work pool ┃ Schedules               ┃",
        "┡━━━━━━━━━━━━━━━╇━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━━┩",
        "│ disk/disk **  │ local     │                         │",
        '│ hello/nightly │ local     │ cron "0 3 * * *" in UTC │',
        "└───────────────┴───────────┴─────────────────────────┘",
        "(**) denotes a paused deployment",
    ]


def test_ls_of_one_flow(deployed: None, run: Run) -> None:
    found = run("deployment", "ls", "--flow-name", "hello", "-o", "json").json
    assert [each["name"] for each in found] == ["nightly"]


def test_inspect_by_name_and_by_id(deployed: None, run: Run) -> None:
    by_name = run("deployment", "inspect", "hello/nightly", "-o", "json").json
    assert run("deployment", "inspect", by_name["id"], "-o", "json").json == by_name
    assert run("deployment", "inspect", "hello/nightly").out.startswith("Deployment(\n")


def test_run_creates_a_run_that_is_due_now(deployed: None, run: Run, api: Client) -> None:
    outcome = run("deployment", "run", "hello/nightly", "-p", "name=123", "--tag", "by-hand", "--flow-run-name", "mine")
    [created] = _runs(api)
    assert created.parameters == {"name": "123", "times": 2}
    assert (created.name, created.tags, created.state_name) == ("mine", ["by-hand"], "Scheduled")
    assert lines(outcome.out) == [
        "Created flow run 'mine' of hello/nightly.",
        f"    id - {created.id}",
        "",
        "Follow it:",
        f"    headgate flow-run logs {created.id} --follow",
    ]


def test_run_takes_parameters_as_one_object(deployed: None, run: Run, api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO('{"times": 5}'))
    outcome = run("deployment", "run", "hello/nightly", "--params", "-", "-jv", 'env={"A": "1"}')
    assert (outcome.code, outcome.err) == (0, "")
    [created] = _runs(api)
    assert created.parameters == {"times": 5}
    assert created.job_variables == {"env": {"A": "1"}}


def test_a_command_takes_any_parameter(deployed: None, run: Run, api: Client) -> None:
    assert run("deployment", "run", "disk/disk", "-p", "path=/tmp", "-p", "other=1").code == 0
    assert _runs(api)[0].parameters == {"path": "/tmp", "other": 1}


def test_run_may_start_later(deployed: None, run: Run, api: Client, frozen: FrozenClock) -> None:
    outcome = run("deployment", "run", "hello/nightly", "--start-in", "90m", "-o", "json")
    assert _runs(api)[0].expected_start_time == NOW + timedelta(minutes=90)
    assert outcome.json["state"]["type"] == "SCHEDULED"
    run("deployment", "run", "hello/nightly", "--start-at", "2026-03-02T00:00+00:00")
    assert NOW + timedelta(hours=12) in {each.expected_start_time for each in _runs(api)}


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["hello/nightly", "-p", "nmae=x"], 2, "The flow has no parameter 'nmae'; did you mean 'name'?"),
        (["hello/nightly", "-p", "times=many"], 1, "'many' is not of type 'integer'"),
        (["hello/nightly", "-p", "times"], 2, "--param 'times' is not KEY=VALUE."),
        (["hello/nightly", "--params", "[]"], 2, "--params is not a JSON object"),
        (["hello/nightly", "--start-in", "1h", "--start-at", "18:00"], 2, "only one can be given"),
        (["hello/nightly", "--start-in", "soon"], 2, "--start-in: 'soon'"),
        (["hello/nightly", "-jv", "evn=1"], 1, "evn"),
        (["hello/weekly"], 1, "There is no deployment 'hello/weekly'; `headgate deployment ls` lists all."),
        (["nightly"], 2, "'nightly' does not name a deployment: give FLOW/DEPLOYMENT or an id."),
        (["00000000-0000-0000-0000-000000000001"], 1, "There is no deployment"),
    ],
)
def test_a_run_that_cannot_be_is_one_line(
    deployed: None, run: Run, api: Client, arguments: list[str], code: int, said: str
) -> None:
    outcome = run("deployment", "run", *arguments)
    assert said in outcome.err
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (code, "", 1)
    assert _runs(api) == []


def test_pause_and_resume(deployed: None, run: Run) -> None:
    assert run("deployment", "pause", "hello/nightly").out == "Paused deployment 'hello/nightly'\n"
    assert run("deployment", "inspect", "hello/nightly", "-o", "json").json["paused"] is True
    assert run("deployment", "resume", "hello/nightly").out == "Resumed deployment 'hello/nightly'\n"
    assert run("deployment", "inspect", "hello/nightly", "-o", "json").json["paused"] is False


def test_set_pool_sends_its_runs_elsewhere_and_says_how_to_send_them_back(deployed: None, api: Client, run: Run) -> None:
    run("work-pool", "create", "my-local-machine")
    run("deployment", "run", "hello/nightly")
    assert lines(run("deployment", "set-pool", "hello/nightly", "--pool", "my-local-machine").out) == [
        "Deployment 'hello/nightly' runs in work pool 'my-local-machine', queue 'default'",
        "",
        "To execute its runs, start an agent:",
        "    headgate agent start -p 'my-local-machine'",
        "To send them back:",
        "    headgate deployment set-pool 'hello/nightly' --pool 'local' --queue 'default'",
    ]
    assert {each.work_pool_name for each in _runs(api)} == {"my-local-machine"}
    said = lines(run("deployment", "set-pool", "hello/nightly", "-p", "local", "-q", "new").out)
    assert said[0] == "Deployment 'hello/nightly' runs in work pool 'local', queue 'new'"
    assert said[3] == "    headgate worker start --pool 'local'"
    assert "There is no work pool 'nowhere'" in run("deployment", "set-pool", "hello/nightly", "-p", "nowhere").err
    assert run("deployment", "set-pool", "hello/nightly").code == 2


def test_delete_asks_and_deletes(deployed: None, run: Run) -> None:
    assert run("deployment", "delete", "hello/nightly").code == 2
    assert run("deployment", "delete", "hello/nightly", "-y").code == 0
    assert [each["name"] for each in run("deployment", "ls", "-o", "json").json] == ["disk"]


def test_flows_are_listed(deployed: None, run: Run) -> None:
    assert sorted(each["name"] for each in run("flow", "ls", "-o", "json").json) == ["disk", "hello"]
    assert "│ hello │" in run("flow", "ls").out


RUN_ID = "00000000-0000-0000-0000-000000000009"


@pytest.fixture
def watched(script: Script, monkeypatch: pytest.MonkeyPatch) -> Script:
    """A deployment `a/b` whose run is watched through three polls."""
    monkeypatch.setattr("headgate.cli.watch.POLL_SECONDS", 0)
    stamps = {"created": NOW, "updated": NOW}
    flow_run = {"id": RUN_ID, "name": "careful-wolf", "flow_id": RUN_ID, **stamps}
    script.on("GET", "/deployments/name/a/b", {"id": RUN_ID, "name": "b", "flow_id": RUN_ID, **stamps})
    script.on("POST", f"/deployments/{RUN_ID}/create_flow_run", flow_run)
    return script


def _state(kind: str, seconds: int, **more: Any) -> dict[str, Any]:
    id = f"00000000-0000-0000-0000-{seconds:012}"
    return {"id": id, "type": kind, "name": kind.title(), "timestamp": NOW + timedelta(seconds=seconds), **more}


def _line(message: str, seconds: float) -> dict[str, Any]:
    at = NOW + timedelta(seconds=seconds)
    id = f"00000000-0000-0000-0001-{int(seconds * 1000):012}"
    return {"id": id, "created": at, "updated": at, "name": "x", "level": 20, "message": message, "timestamp": at}


def _play(script: Script, end: str) -> None:
    states = [_state("SCHEDULED", 0), _state("RUNNING", 1), _state(end, 3, message="because")]
    script.on("GET", f"/flow_run_states/?flow_run_id={RUN_ID}", states[:1], states[:2], states[1::-1] + states[2:])
    hello, again = _line("hello", 1.5), _line("again", 2)
    script.on("POST", "/logs/filter", [], [hello], [hello, again])


def test_watch_prints_states_and_lines_in_order_until_the_end(watched: Script, run: Run) -> None:
    _play(watched, "COMPLETED")
    outcome = run("deployment", "run", "a/b", "--watch")
    assert outcome.code == 0
    assert [line.partition(" | ")[2] for line in outcome.out.splitlines()[2:]] == [
        "STATE   | Scheduled",
        "STATE   | Running",
        "INFO    | hello",
        "INFO    | again",
        "STATE   | Completed: because",
    ]


def test_watch_fails_when_the_run_does(watched: Script, run: Run) -> None:
    _play(watched, "FAILED")
    assert run("deployment", "run", "a/b", "--watch").code == 1


def test_watch_as_json_is_a_record_a_line(watched: Script, run: Run) -> None:
    _play(watched, "COMPLETED")
    outcome = run("deployment", "run", "a/b", "--watch", "-o", "json")
    assert [line[:12] for line in outcome.out.splitlines()] == ['{"id":"00000'] * 6


def test_ctrl_c_ends_the_watching_and_not_the_run(watched: Script, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(client: Client, id: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr("headgate.cli.deployment.watch", interrupted)
    outcome = run("deployment", "run", "a/b", "--watch")
    assert outcome.code == 130
    assert f"headgate flow-run logs {RUN_ID} --follow" in outcome.err


def test_a_concurrency_key_is_set_changed_and_cleared(deployed: None, run: Run) -> None:
    """What is not given stays; with json, the record is the answer."""
    outcome = run("deployment", "set-concurrency-key", "hello/nightly", "{{ parameters.name }}", "--limit", "2")
    assert "runs with the same '{{ parameters.name }}' are in progress 2 at a time" in outcome.out
    changed = run(
        *("deployment", "set-concurrency-key", "hello/nightly", "{{ parameters.times }}"),
        *("--collision-strategy", "REPLACE_QUEUED", "-o", "json"),
    ).json
    key = {"expression": "{{ parameters.times }}", "limit": 2, "collision_strategy": "REPLACE_QUEUED"}
    assert changed["concurrency_key"] == key
    assert run("deployment", "inspect", "hello/nightly", "-o", "json").json == changed
    assert run("deployment", "clear-concurrency-key", "hello/nightly", "-o", "json").json["concurrency_key"] is None
    assert run("deployment", "clear-concurrency-key", "hello/nightly").out.startswith("Cleared concurrency key")


def test_a_concurrency_key_that_no_run_could_have_is_refused(deployed: None, run: Run) -> None:
    wrong = run("deployment", "set-concurrency-key", "hello/nightly", "{{ parameters.customer }}")
    assert wrong.code == 1
    assert "names parameter 'customer', which the flow does not have" in wrong.err
    assert "--limit 0: a key needs" in run("deployment", "set-concurrency-key", "hello/nightly", "x", "-l", "0").err


def test_a_concurrency_limit_is_set_and_cleared(deployed: None, run: Run) -> None:
    changed = run(
        *("deployment", "set-concurrency-limit", "hello/nightly", "3", "--collision-strategy", "CANCEL_NEW", "-o", "json")
    ).json
    assert changed["global_concurrency_limit"]["limit"] == 3
    assert changed["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"
    assert "releases nothing" in run("deployment", "set-concurrency-limit", "hello/nightly", "0").out
    cleared = run("deployment", "clear-concurrency-limit", "hello/nightly", "-o", "json").json
    assert (cleared["global_concurrency_limit"], cleared["concurrency_options"]) == (None, None)


def test_a_named_limit_is_shared_and_left(deployed: None, run: Run) -> None:
    """It takes the place of the deployment's own limit; what clears one clears the other."""
    run("global-concurrency-limit", "create", "database", "--limit", "4")
    run("deployment", "set-concurrency-limit", "hello/nightly", "1")
    outcome = run("deployment", "share-concurrency-limit", "hello/nightly", "database", "--collision-strategy", "CANCEL_NEW")
    assert outcome.out.strip() == "Deployment 'hello/nightly' shares concurrency limit 'database' now"
    shown = run("deployment", "inspect", "hello/nightly", "-o", "json").json
    assert (shown["global_concurrency_limit"]["name"], shown["global_concurrency_limit"]["limit"]) == ("database", 4)
    assert shown["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"
    missing = run("deployment", "share-concurrency-limit", "hello/nightly", "nothing")
    assert (missing.code, "There is no concurrency limit 'nothing'" in missing.err) == (1, True)
    assert (
        run("deployment", "clear-concurrency-limit", "hello/nightly", "-o", "json").json["global_concurrency_limit"] is None
    )
    assert run("global-concurrency-limit", "inspect", "database", "-o", "json").json["limit"] == 4
