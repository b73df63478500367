"""`headgate flow-run cancel` and `delete` of all runs that match, against the real app."""

from typing import Any

import pytest
from command_line import Run

from headgate.cli import flow_run_bulk
from headgate.client.calls import deployments, flow_runs, flows
from headgate.client.client import Client
from headgate.schema.deployments import DeploymentCreate
from headgate.schema.flow_runs import DeploymentFlowRunCreate
from headgate.schema.flows import FlowCreate
from headgate.schema.states import SetState, StateCreate, StateType


@pytest.fixture(autouse=True)
def runs(api: Client, run: Run) -> None:
    """On two pools, of two flows: `w` waits, `r` runs, `c` is completed, `o` waits at the other place."""
    for flow, pool, names in (("etl", "local", "wrc"), ("ml", "gpu", "o")):
        run("work-pool", "create", pool, "--type", "process")
        flow_id = api.send(flows.create(FlowCreate(name=flow))).id
        made = api.send(deployments.create(DeploymentCreate(name="nightly", flow_id=flow_id, work_pool_name=pool)))
        for name in names:
            _run(api, made.id, name)


def _run(api: Client, deployment_id: Any, name: str) -> None:
    created = api.send(deployments.create_flow_run(deployment_id, DeploymentFlowRunCreate(name=name)))
    kinds = {"r": [StateType.RUNNING], "c": [StateType.RUNNING, StateType.COMPLETED]}.get(name, [])
    for kind in kinds:
        api.send(flow_runs.set_state(created.id, SetState(state=StateCreate(type=kind), force=True)))


@pytest.fixture
def states(api: Client) -> Any:
    """`states()`: the name of each run's state, by the run's own name."""
    return lambda: {each.name: each.state_name for each in api.send(flow_runs.query())}


ALL = {"w": "Scheduled", "r": "Running", "c": "Completed", "o": "Scheduled"}


@pytest.mark.parametrize(
    ("which", "concerned"),
    [
        (["--flow-name", "etl"], "wr"),
        (["--flow-name", "etl", "--flow-name", "ml"], "wro"),
        (["--deployment", "ml/nightly"], "o"),
        (["--work-pool", "local"], "wr"),
        (["--work-pool", "local", "--state-type", "running"], "r"),
        (["--state-type", "scheduled"], "wo"),
        (["--state", "Running"], "r"),
        (["--work-queue", "default", "--flow-name", "ml"], "o"),
        (["--all"], "wro"),
        (["--flow-name", "nothing"], ""),
    ],
)
def test_what_is_cancelled(run: Run, states: Any, which: list[str], concerned: str) -> None:
    foreseen = run("flow-run", "cancel", *which, "--dry-run", "-o", "json")
    assert (foreseen.code, foreseen.json["changed"]) == (0, len(concerned))
    assert states() == ALL
    done = run("flow-run", "cancel", *which, "--yes", "-o", "json")
    assert (done.code, done.json) == (0, foreseen.json)
    ends = {"w": "Cancelled", "o": "Cancelled", "r": "Cancelling"}
    assert states() == ALL | {name: ends[name] for name in concerned}


def test_it_says_what_it_did(run: Run) -> None:
    assert run("flow-run", "cancel", "--all", "--dry-run").out == "Of 3 flow runs that matched, 3 would be cancelled.\n"
    done = run("flow-run", "cancel", "--all", "--yes")
    assert done.out == "Of 3 flow runs that matched, 3 are cancelled or being cancelled.\n"
    assert run("flow-run", "cancel", "--flow-name", "nothing").out == "No flow run matches.\n"


def test_why_some_are_left_alone_is_said(run: Run) -> None:
    outcome = run("flow-run", "cancel", "--state-type", "completed", "--state-type", "running", "-y")
    assert outcome.out.splitlines() == [
        "Of 2 flow runs that matched, 1 are cancelled or being cancelled.",
        "    1 left alone: Run is already in terminal state COMPLETED.",
    ]


@pytest.mark.parametrize(("command", "verb"), [("cancel", "Cancel"), ("delete", "Delete")])
def test_it_asks_with_the_count(run: Run, states: Any, command: str, verb: str) -> None:
    outcome = run("flow-run", command, "--state-type", "scheduled")
    assert outcome.code == 2
    assert f"{verb} 2 flow runs?" in outcome.err
    assert "--yes" in outcome.err
    assert states() == ALL


def test_what_is_deleted(run: Run, states: Any) -> None:
    """Also what has ended, and what is in progress."""
    assert (
        run("flow-run", "delete", "--flow-name", "etl", "--dry-run").out
        == "Of 3 flow runs that matched, 3 would be deleted.\n"
    )
    assert states() == ALL
    assert run("flow-run", "delete", "--flow-name", "etl", "-y").out == "Of 3 flow runs that matched, 3 are deleted.\n"
    assert states() == {"o": "Scheduled"}
    assert run("flow-run", "delete", "--all", "-y", "-o", "json").json == {"matched": 1, "changed": 1, "refused": {}}
    assert states() == {}


@pytest.mark.parametrize("command", ["cancel", "delete"])
def test_many_are_gone_through_call_by_call(run: Run, states: Any, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setattr(flow_run_bulk, "_STEP", 1)
    done = run("flow-run", command, "--state-type", "scheduled", "--state-type", "running", "--yes", "-o", "json")
    assert done.json == {"matched": 3, "changed": 3, "refused": {}}
    left = {name: state for name, state in states().items() if state not in ("Cancelled", "Cancelling")}
    assert left == {"c": "Completed"}


@pytest.mark.parametrize("command", ["cancel", "delete"])
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "Give a flow run, or say which ones"),
        (["--yes"], "Give a flow run, or say which ones"),
        (["w", "--flow-name", "etl"], "not both"),
        (["w", "--all"], "not both"),
        (["--all", "--state", "Late"], "--all means every flow run"),
        (["--deployment", "nightly"], "does not name a deployment"),
    ],
)
def test_what_is_not_clear_is_refused(run: Run, states: Any, command: str, arguments: list[str], reason: str) -> None:
    outcome = run("flow-run", command, *arguments)
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert reason in outcome.err
    assert states() == ALL


@pytest.mark.parametrize("which", [["--deployment", "etl/none"], ["--work-pool", "none"]])
def test_what_is_not_there_is_named(run: Run, states: Any, which: list[str]) -> None:
    """A misspelt name is not taken for nothing to do."""
    outcome = run("flow-run", "cancel", *which, "--yes")
    assert outcome.code == 1
    assert "There is no" in outcome.err
    assert states() == ALL


def test_a_dry_run_of_one_changes_nothing(run: Run, states: Any) -> None:
    assert "which is Running, would be cancelled." in run("flow-run", "cancel", "r", "--dry-run").out
    assert "which is Running, would be deleted." in run("flow-run", "delete", "r", "--dry-run").out
    assert run("flow-run", "delete", "r", "--dry-run", "-o", "json").json["name"] == "r"
    assert states() == ALL


def test_one_as_json(run: Run, states: Any) -> None:
    assert run("flow-run", "cancel", "r", "-o", "json").json["state"]["type"] == "CANCELLING"
    assert run("flow-run", "delete", "r", "-y", "-o", "json").json["name"] == "r"
    assert "r" not in states()


# --- many alike


def test_many_runs_of_a_deployment(run: Run, api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """All as one would be, in as many calls as it takes."""
    monkeypatch.setattr(flow_run_bulk, "_STEP", 2)
    outcome = run("deployment", "run", "ml/nightly", "--count", "5", "--tag", "burst", "--start-in", "1h")
    assert (outcome.code, outcome.out) == (0, "Created 5 flow runs of 'nightly'.\n")
    burst = [each for each in api.send(flow_runs.query()) if each.tags == ["burst"]]
    assert len({each.name for each in burst}) == 5
    assert len({each.expected_start_time for each in burst}) == 1
    results = run("deployment", "run", "ml/nightly", "--count", "3", "-o", "json").json
    assert [each["status"] for each in results] == ["CREATED"] * 3


def test_runs_that_cannot_be_created_are_counted(run: Run, api: Client) -> None:
    flow_id = api.send(flows.create(FlowCreate(name="etl"))).id
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    api.send(deployments.create(DeploymentCreate(name="strict", flow_id=flow_id, parameter_openapi_schema=schema)))
    outcome = run("deployment", "run", "etl/strict", "--count", "3")
    assert outcome.code == 1
    assert outcome.out.startswith("Created 0 flow runs of 'strict'.\n    3 could not be created: Error creating flow run:")


@pytest.mark.parametrize(
    "arguments", [["--count", "0"], ["--count", "10001"], ["--count", "2", "--watch"], ["--count", "x"]]
)
def test_a_count_that_makes_no_sense_is_refused(run: Run, arguments: list[str]) -> None:
    outcome = run("deployment", "run", "ml/nightly", *arguments)
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
