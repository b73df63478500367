"""`headgate flow-run`, against the real app."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from command_line import Run
from scripted_api import Script

from headgate.cli.watch import Lines, all_lines, follow_lines, watch
from headgate.client.calls import flow_runs, flows, logs
from headgate.client.client import Client
from headgate.schema.flow_runs import FlowRun, FlowRunCreate
from headgate.schema.flows import FlowCreate
from headgate.schema.logs import Log, LogCreate
from headgate.schema.states import SetState, StateCreate, StateDetails, StateType

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def _create(api: Client, name: str, *states: StateType, flow: str = "hello", due: datetime | None = None) -> FlowRun:
    flow_id = api.send(flows.create(FlowCreate(name=flow))).id
    state = StateCreate(type=StateType.SCHEDULED, state_details=StateDetails(scheduled_time=due)) if due else None
    created = api.send(flow_runs.create(FlowRunCreate(flow_id=flow_id, name=name, state=state)))
    for kind in states:
        api.send(flow_runs.set_state(created.id, SetState(state=StateCreate(type=kind), force=True)))
    return created


def _log(api: Client, run: FlowRun, *messages: str, start: datetime = START, level: int = logging.INFO) -> None:
    lines = [
        LogCreate(name="x", level=level, message=text, timestamp=start + timedelta(milliseconds=n), flow_run_id=run.id)
        for n, text in enumerate(messages)
    ]
    api.send(logs.create(lines))


@pytest.fixture
def wolf(api: Client) -> FlowRun:
    """A completed run `careful-wolf` of the flow `hello` with three lines."""
    wolf = _create(api, "careful-wolf", StateType.RUNNING, StateType.COMPLETED)
    _log(api, wolf, "one", "two", "three")
    return wolf


def _messages(text: str) -> list[str]:
    return [line.split(" | ", 2)[2] for line in text.splitlines()]


def test_ls_shows_what_happened_and_counts_what_is_to_come(wolf: FlowRun, api: Client, run: Run) -> None:
    _create(api, "later", due=datetime.now(UTC) + timedelta(hours=2), flow="other")
    shown = run("flow-run", "ls").out
    assert "│ hello │ careful-wolf │ Completed │" in shown
    assert "later │" not in shown
    assert "1 more are scheduled for later; `headgate flow-run ls --state Scheduled` lists them." in shown
    assert "│ other │ later │ Scheduled │ in 1h │" in run("flow-run", "ls", "--state", "Scheduled").out


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ([], ["broken", "careful-wolf"]),
        (["--state-type", "FAILED"], ["broken"]),
        (["--state-type", "failed", "--state-type", "completed"], ["broken", "careful-wolf"]),
        (["--state", "Completed"], ["careful-wolf"]),
        (["--flow-name", "other"], ["broken"]),
        (["--limit", "1"], ["broken"]),
        (["--limit", "0"], []),
    ],
)
def test_ls_filters(wolf: FlowRun, api: Client, run: Run, arguments: list[str], names: list[str]) -> None:
    _create(api, "broken", StateType.FAILED, flow="other")
    assert sorted(each["name"] for each in run("flow-run", "ls", *arguments, "-o", "json").json) == names


def test_inspect_by_id_and_by_name(wolf: FlowRun, run: Run) -> None:
    by_name = run("flow-run", "inspect", "careful-wolf", "-o", "json").json
    assert by_name["id"] == str(wolf.id)
    assert run("flow-run", "inspect", str(wolf.id), "-o", "json").json == by_name
    assert "    state_name='Completed',\n" in run("flow-run", "inspect", "careful-wolf").out


def test_a_name_of_several_runs_asks_for_an_id(wolf: FlowRun, api: Client, run: Run) -> None:
    other = _create(api, "careful-wolf")
    outcome = run("flow-run", "inspect", "careful-wolf")
    assert outcome.code == 2
    assert str(wolf.id) in outcome.err
    assert str(other.id) in outcome.err


@pytest.mark.parametrize("command", [["inspect"], ["logs"], ["logs", "--follow"], ["cancel"], ["delete", "-y"]])
@pytest.mark.parametrize("name", ["nobody", "00000000-0000-0000-0000-000000000001"])
def test_a_run_that_is_not_there_is_named(api: Client, run: Run, command: list[str], name: str) -> None:
    outcome = run("flow-run", *command, name)
    assert outcome.code == 1
    assert outcome.err.startswith("Error: There is no flow run ")
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        ([], ["one", "two", "three"]),
        (["--reverse"], ["three", "two", "one"]),
        (["--head", "2"], ["one", "two"]),
        (["--tail", "2"], ["two", "three"]),
        (["--tail", "2", "--reverse"], ["three", "two"]),
        (["--head", "2", "-r"], ["two", "one"]),
        (["--follow"], ["one", "two", "three"]),
    ],
)
def test_logs_in_the_wanted_order(wolf: FlowRun, run: Run, arguments: list[str], messages: list[str]) -> None:
    outcome = run("flow-run", "logs", "careful-wolf", *arguments)
    assert (outcome.code, _messages(outcome.out)) == (0, messages)


def test_a_line_has_its_time_and_level(wolf: FlowRun, api: Client, run: Run) -> None:
    other = _create(api, "other")
    _log(api, other, "careful!", level=logging.WARNING)
    local = START.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    assert run("flow-run", "logs", "other").out == f"{local}.000 | WARNING | careful!\n"


def test_logs_as_json(wolf: FlowRun, run: Run) -> None:
    assert [line["message"] for line in run("flow-run", "logs", "careful-wolf", "-o", "json").json] == [
        "one",
        "two",
        "three",
    ]
    followed = run("flow-run", "logs", "careful-wolf", "-o", "json", "--follow").out.splitlines()
    assert ['"message":"one"' in followed[0], len(followed)] == [True, 3]


@pytest.mark.parametrize("arguments", [["--head", "1", "--tail", "1"], ["--follow", "--tail", "1"], ["-f", "-r"]])
def test_logs_options_that_contradict_are_a_usage_error(wolf: FlowRun, run: Run, arguments: list[str]) -> None:
    assert run("flow-run", "logs", "careful-wolf", *arguments).code == 2


def test_a_long_log_is_read_whole_also_where_many_lines_share_a_time(wolf: FlowRun, api: Client) -> None:
    texts = [f"line {n}" for n in range(1050)]
    for n, text in enumerate(texts):
        start = START + timedelta(seconds=1 + n // 450)
        texts[n] = text
        _log(api, wolf, text, start=start)
    assert sorted(line.message for line in all_lines(api, wolf.id)) == sorted(["one", "two", "three", *texts])


def test_lines_are_given_once_however_late_they_come(wolf: FlowRun, api: Client) -> None:
    lines = Lines(api, wolf.id)
    assert [line.message for line in lines.fresh()] == ["one", "two", "three"]
    _log(api, wolf, "four", start=START + timedelta(seconds=3))
    assert [line.message for line in lines.fresh()] == ["four"]
    _log(api, wolf, "late", start=START + timedelta(seconds=2))
    assert [line.message for line in lines.fresh()] == ["late"]
    assert list(lines.fresh()) == []


def test_following_ends_with_the_run_and_has_all_of_it(api: Client) -> None:
    running = _create(api, "running", StateType.RUNNING)
    _log(api, running, "first")
    passes: list[float] = []

    def sleep(seconds: float) -> None:
        passes.append(seconds)
        if len(passes) == 2:
            _log(api, running, "last", start=START + timedelta(seconds=5))
            api.send(flow_runs.set_state(running.id, SetState(state=StateCreate(type=StateType.COMPLETED))))

    assert [line.message for line in follow_lines(api, running.id, sleep=sleep)] == ["first", "last"]
    assert len(passes) == 2


def test_a_state_stands_before_the_lines_that_followed_it(api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the run entered it after its states were asked for, and wrote before its lines were."""
    run = _create(api, "quick", StateType.PENDING)
    turns: list[str] = []

    def enter(kind: StateType) -> None:
        api.send(flow_runs.set_state(run.id, SetState(state=StateCreate(type=kind))))

    def fresh(lines: Lines) -> list[Log]:
        turns.append("look")
        if len(turns) == 1:
            enter(StateType.RUNNING)
            _log(api, run, "one", start=datetime.now(UTC))
            enter(StateType.COMPLETED)
        return [*all_lines(api, run.id)][len(turns) - 1 :]

    monkeypatch.setattr(Lines, "fresh", fresh)
    given = list(watch(api, run.id, sleep=lambda _: None))
    assert [item.message if isinstance(item, Log) else item.name for item in given][-3:] == ["Running", "one", "Completed"]


def test_cancel_a_run_in_progress(api: Client, run: Run) -> None:
    running = _create(api, "running", StateType.RUNNING)
    assert run("flow-run", "cancel", "running").out == "Flow run 'running' is being cancelled.\n"
    assert api.send(flow_runs.get(running.id)).state_type is StateType.CANCELLING


def test_cancel_a_run_that_has_not_started(api: Client, run: Run) -> None:
    later = _create(api, "later", due=datetime.now(UTC) + timedelta(hours=2))
    assert run("flow-run", "cancel", "later").out == "Cancelled flow run 'later'; it had not started.\n"
    assert api.send(flow_runs.get(later.id)).state_type is StateType.CANCELLED


def test_cancel_of_a_run_that_has_ended_fails(wolf: FlowRun, run: Run) -> None:
    outcome = run("flow-run", "cancel", "careful-wolf")
    assert outcome.code == 1
    assert outcome.err.startswith("Error: Flow run 'careful-wolf' cannot be cancelled: ")


def test_delete_asks_and_deletes(wolf: FlowRun, run: Run) -> None:
    assert run("flow-run", "delete", "careful-wolf").code == 2
    assert run("flow-run", "delete", "careful-wolf", "--yes").out == "Deleted flow run 'careful-wolf'.\n"
    assert run("flow-run", "inspect", "careful-wolf").code == 1


def test_json_is_what_the_api_sent(run: Run, script: Script) -> None:
    record: dict[str, Any] = {
        "id": "00000000-0000-0000-0000-000000000001",
        "created": "2026-03-01T12:00:00Z",
        "updated": "2026-03-01T12:00:00Z",
        "name": "careful-wolf",
        "flow_id": "00000000-0000-0000-0000-000000000002",
        "parameters": {"n": 1.5, "deep": [None, {"a": "ü"}]},
        "expected_start_time": "2026-03-01T12:00:00.123456Z",
        "total_run_time": 0.5,
    }
    script.on("GET", f"/flow_runs/{record['id']}", record)
    assert run("flow-run", "inspect", record["id"], "-o", "json").json.items() >= record.items()
