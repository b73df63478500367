"""Executing a run: what is reported, when, and what is left alone. The API is in memory, time stands still."""

import os
import signal
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from fake_api import FakeApi

from headgate.client.client import Client
from headgate.client.transport import Request, Response
from headgate.clock import FrozenClock
from headgate.errors import NotFound, Unavailable
from headgate.flows import log_shipper
from headgate.flows.execution import EXIT_CRASHED, EXIT_FAILED, EXIT_REPORTED, EXIT_TERMINATED, Execution
from headgate.flows.reporter import ApiReporter
from headgate.schema.deployments import InfraRetries
from headgate.schema.flow_runs import FlowRun, FlowRunPolicy
from headgate.schema.states import StateType
from headgate.settings import Settings

Write = Callable[..., Path]
START = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock(START)


@pytest.fixture
def api(clock: FrozenClock) -> FakeApi:
    return FakeApi(clock)


class Executed:
    """Executes runs against the fake API; `slept` holds every pause."""

    def __init__(self, api: FakeApi, clock: FrozenClock) -> None:
        self.api = api
        self.clock = clock
        self.slept: list[float] = []
        self.settings = Settings()

    def __call__(self, run: FlowRun, *, fence: int | None = 1, id: UUID | None = None) -> int:
        reporter = ApiReporter(
            id or run.id,
            fence=fence,
            connect=lambda patience: Client(self.api, patience=0),
            patience=0,
        )
        execution = Execution(reporter, settings=self.settings, clock=self.clock, sleep=self.sleep)
        return execution.run()

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.clock.advance(seconds=seconds)


@pytest.fixture
def execute(api: FakeApi, clock: FrozenClock) -> Executed:
    return Executed(api, clock)


def test_a_run_is_reported_running_and_completed_with_its_fence(api: FakeApi, execute: Executed, program: Write) -> None:
    program("from headgate import flow\n@flow\ndef go(n: int, w='x'):\n    assert (n, w) == (3, 'x')")
    run = api.add_run("flows_under_test.py:go", parameters={"n": "3"})
    assert execute(run) == EXIT_REPORTED
    assert api.states(run.id) == ["Running", "Completed"]
    assert {proposal.fence for proposal in api.proposals} == {1}
    assert len({proposal.state.state_details.transition_id for proposal in api.proposals}) == 2


def test_a_server_that_takes_one_delay_of_whole_seconds_gets_the_longest(
    api: FakeApi, execute: Executed, program: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prefect's servers: all that they know of delays of retries is one whole number."""
    told: list[Any] = []
    send = api.send

    def strict(request: Request) -> Response:
        if request.method == "PATCH":
            told.append(msgspec.json.decode(request.body or b"")["empirical_policy"]["retry_delay"])
            if isinstance(told[-1], list):
                return Response(422, b'{"detail":"Input should be a valid integer"}')
        return send(request)

    monkeypatch.setattr(api, "send", strict)
    program("from headgate import flow\n@flow(retries=2, retry_delay_seconds=[0.5, 2.5])\ndef go(): ...")
    assert execute(api.add_run("flows_under_test.py:go")) == EXIT_REPORTED
    assert told == [[0.5, 2.5], 3.0]


def test_a_no_op_flow_costs_no_call_too_many(api: FakeApi, execute: Executed, program: Write) -> None:
    program("def go(): ...")
    run = api.add_run("flows_under_test.py:go")
    execute(run)
    assert [(method, target.partition(str(run.id))[2] or target.split("/")[1]) for method, target in api.calls] == [
        ("GET", "flow_runs"),
        ("GET", "flows"),
        ("GET", "deployments"),
        ("POST", "/set_state"),
        ("POST", "/set_state"),
    ]


def test_the_runtime_knows_the_run_and_its_deployment(api: FakeApi, execute: Executed, program: Write) -> None:
    program("""
import json, threading
from headgate import flow, runtime
seen = []
@flow
def go(n: int):
    r = runtime.flow_run
    seen.append((r.id, r.name, r.parameters, r.run_count, r.tags, r.scheduled_start_time))
    seen.append((runtime.deployment.id, runtime.deployment.name, runtime.flow_name))
    nested()
    thread = threading.Thread(target=nested)
    thread.start(), thread.join()
@flow
def nested():
    seen.append(runtime.flow_run.id)
""")
    run = api.add_run("flows_under_test.py:go", parameters={"n": 1}, tags=["a"])
    execute(run)
    import flows_under_test

    assert flows_under_test.seen == [
        (str(run.id), "brave-otter", {"n": 1}, 1, ["a"], START),
        (str(run.deployment_id), "daily", "program"),
        str(run.id),
        str(run.id),
    ]


def test_user_code_waits_for_the_exact_time(api: FakeApi, execute: Executed, program: Write) -> None:
    program("def go(): ...")
    run = api.add_run("flows_under_test.py:go", scheduled_time=START + timedelta(seconds=7.345))
    assert execute(run) == EXIT_REPORTED
    assert execute.slept == [pytest.approx(7.345)]
    assert api.history[run.id][1].timestamp == START + timedelta(seconds=7.345)


def test_the_servers_clock_decides_when_the_engines_is_behind(api: FakeApi, execute: Executed, program: Write) -> None:
    """An engine whose clock is five minutes late must not start five minutes late."""
    program("def go(): ...")
    run = api.add_run("flows_under_test.py:go", scheduled_time=START + timedelta(seconds=5))
    api.clock = lambda: execute.clock() + timedelta(minutes=5) if execute.slept else START
    execute.clock.advance(minutes=-5)
    assert execute(run) == EXIT_REPORTED
    assert execute.slept == [6.0]


def test_a_clock_that_is_ahead_does_not_make_the_engine_ask_without_pause(
    api: FakeApi, execute: Executed, program: Write
) -> None:
    program("def go(): ...")
    run = api.add_run("flows_under_test.py:go", scheduled_time=START + timedelta(seconds=5))
    api.clock = lambda: execute.clock() - timedelta(minutes=5)
    execute.clock.advance(minutes=5)
    assert execute(run) == EXIT_REPORTED
    assert execute.slept[0] == 4.0
    assert sum(execute.slept) == pytest.approx(5, abs=0.1)


def test_a_failure_is_reported_with_its_traceback_in_the_log(api: FakeApi, execute: Executed, program: Write) -> None:
    program("""
from headgate import flow
@flow
def go():
    deeper()
def deeper():
    raise ValueError("no such shelf")
""")
    run = api.add_run("flows_under_test.py:go")
    assert execute(run) == EXIT_FAILED
    assert api.states(run.id) == ["Running", "Failed"]
    assert api.history[run.id][-1].message == "Flow run encountered an exception: ValueError: no such shelf"
    (line,) = [line for line in api.logs if line.level == 40]
    assert line.message.startswith("Flow run encountered an exception:\nTraceback (most recent call last):\n")
    assert 'flows_under_test.py", line 5, in go\n    deeper()' in line.message
    assert line.message.endswith("ValueError: no such shelf")
    assert "headgate/flows" not in line.message
    assert (line.flow_run_id, line.name) == (run.id, "headgate.flow_runs")


def test_logs_arrive_before_the_final_state_is_proposed(api: FakeApi, execute: Executed, program: Write) -> None:
    program("""
from headgate import flow, get_run_logger
def hook(flow, run, state): get_run_logger().info("hook saw %s of %s", state.name, run.name)
@flow(log_prints=True, on_completion=[hook])
def go():
    print("printed")
    get_run_logger().warning("logged")
    get_run_logger().debug("too low")
""")
    run = api.add_run("flows_under_test.py:go")
    execute(run)
    assert api.messages() == ["printed", "logged", "hook saw Completed of brave-otter"]
    paths = [target.rpartition("/")[2] or target for _, target in api.calls]
    assert paths[-2:] == ["/logs/", "set_state"]


def test_other_loggers_are_not_sent(api: FakeApi, execute: Executed, program: Write) -> None:
    program("import logging\ndef go(): logging.getLogger('library').error('theirs')")
    execute(api.add_run("flows_under_test.py:go"))
    assert api.logs == []


def test_sending_logs_can_be_switched_off(api: FakeApi, execute: Executed, program: Write) -> None:
    program("from headgate import flow\n@flow(log_prints=True)\ndef go(): print('x')")
    execute.settings = Settings(logging_to_api_enabled=False)
    execute(api.add_run("flows_under_test.py:go"))
    assert api.logs == []


RETRIED = """
from headgate import flow, get_run_logger, runtime
hooked = []
def hook(flow, run, state): hooked.append(state.name)
@flow(retries=2, retry_delay_seconds=[3, 600], on_failure=[hook], on_completion=[hook])
def go(until: int = 9):
    get_run_logger().info("attempt %d", runtime.flow_run.run_count)
    if runtime.flow_run.run_count < until:
        raise OSError("away")
"""


def test_a_failed_run_is_tried_again_in_the_same_process_at_its_time(
    api: FakeApi, execute: Executed, program: Write
) -> None:
    program(RETRIED)
    run = api.add_run("flows_under_test.py:go", parameters={"until": 3})
    assert execute(run) == EXIT_REPORTED
    assert api.states(run.id) == ["Running", "AwaitingRetry", "Running", "AwaitingRetry", "Running", "Completed"]
    assert sum(execute.slept) == pytest.approx(603)
    assert api.messages(level=20)[0] == "attempt 1"
    assert "Retry 1 of 2 begins in 3 s" in api.messages()
    assert api.runs[run.id].empirical_policy.retries == 2
    import flows_under_test

    assert flows_under_test.hooked == ["Completed"]


def test_failure_hooks_wait_for_the_last_attempt(api: FakeApi, execute: Executed, program: Write) -> None:
    program(RETRIED)
    run = api.add_run("flows_under_test.py:go")
    assert execute(run) == EXIT_FAILED
    assert api.states(run.id)[-2:] == ["Running", "Failed"]
    import flows_under_test

    assert flows_under_test.hooked == ["Failed"]


def test_a_runs_own_policy_wins_over_its_flows(api: FakeApi, execute: Executed, program: Write) -> None:
    program(RETRIED)
    run = api.add_run("flows_under_test.py:go", empirical_policy=FlowRunPolicy(retries=0))
    assert execute(run) == EXIT_FAILED
    assert api.states(run.id) == ["Running", "Failed"]


def test_when_the_server_retries_no_more_the_hooks_are_called_all_the_same(
    api: FakeApi, execute: Executed, program: Write
) -> None:
    program(RETRIED)
    run = api.add_run("flows_under_test.py:go")

    def forget_policy(method: str, target: str) -> None:
        if target.endswith("set_state"):
            api.runs[run.id].empirical_policy = FlowRunPolicy()

    api.before = forget_policy
    assert execute(run) == EXIT_FAILED
    import flows_under_test

    assert flows_under_test.hooked == ["Failed"]


def test_a_flows_version_and_run_name_are_told_in_one_call(api: FakeApi, execute: Executed, program: Write) -> None:
    program("from headgate import flow\n@flow(version='7', flow_run_name='load-{t}', retries=1)\ndef go(t): ...")
    run = api.add_run("flows_under_test.py:go", parameters={"t": "users"})
    execute(run)
    assert (api.runs[run.id].name, api.runs[run.id].flow_version) == ("load-users", "7")
    assert sum(method == "PATCH" for method, _ in api.calls) == 1


def test_a_run_name_that_cannot_be_formed_is_logged_and_left(api: FakeApi, execute: Executed, program: Write) -> None:
    program("from headgate import flow\n@flow(flow_run_name='load-{nope}')\ndef go(): ...")
    run = api.add_run("flows_under_test.py:go")
    assert execute(run) == EXIT_REPORTED
    assert api.runs[run.id].name == "brave-otter"
    assert "The run keeps its name: flow_run_name 'load-{nope}'" in api.messages(level=30)[0]


@pytest.mark.parametrize("body", ["threading.Event().wait(60)", "while True: pass"])
def test_a_flow_over_its_time_is_failed_as_timed_out(api: FakeApi, execute: Executed, program: Write, body: str) -> None:
    program(f"import threading\nfrom headgate import flow\n@flow(timeout_seconds=0.05)\ndef go():\n    {body}")
    run = api.add_run("flows_under_test.py:go")
    assert execute(run) == EXIT_FAILED
    final = api.history[run.id][-1]
    assert (final.type, final.name) == (StateType.FAILED, "TimedOut")
    assert final.message == "Flow run took longer than its timeout of 0.05 s."


def test_an_asynchronous_flow_is_run_and_timed(api: FakeApi, execute: Executed, program: Write) -> None:
    program("""
import asyncio
from headgate import flow
@flow(log_prints=True, timeout_seconds=0.05)
async def go(seconds: float):
    print("before")
    try:
        await asyncio.sleep(seconds)
    finally:
        print("after")
""")
    quick, slow = (api.add_run("flows_under_test.py:go", parameters={"seconds": s}) for s in (0, 60))
    assert (execute(quick), execute(slow)) == (EXIT_REPORTED, EXIT_FAILED)
    assert api.states(quick.id) == ["Running", "Completed"]
    assert api.states(slow.id) == ["Running", "TimedOut"]
    assert api.messages(level=20)[:3] == ["before", "after", "before"]


@pytest.mark.parametrize(
    ("statement", "code", "name", "message"),
    [
        ("sys.exit()", EXIT_REPORTED, "Completed", None),
        ("sys.exit(0)", EXIT_REPORTED, "Completed", None),
        ("sys.exit(3)", EXIT_FAILED, "Failed", "Flow run encountered an exception: SystemExit: 3"),
        ("sys.exit('why')", EXIT_FAILED, "Failed", "Flow run encountered an exception: SystemExit: why"),
        ("raise GeneratorExit", EXIT_FAILED, "Failed", "Flow run encountered an exception: GeneratorExit"),
    ],
)
def test_leaving_by_system_exit_counts_by_its_code(
    api: FakeApi, execute: Executed, program: Write, statement: str, code: int, name: str, message: str | None
) -> None:
    program(f"import sys\ndef go(): {statement}")
    run = api.add_run("flows_under_test.py:go")
    assert execute(run) == code
    assert (api.history[run.id][-1].name, api.history[run.id][-1].message) == (name, message)


def test_parameters_that_do_not_fit_fail_the_run_and_are_named(api: FakeApi, execute: Executed, program: Write) -> None:
    program(RETRIED)
    run = api.add_run("flows_under_test.py:go", parameters={"until": "soon"})
    assert execute(run) == EXIT_FAILED
    assert api.states(run.id) == ["Running", "Failed"]
    expected = (
        "The run's parameters do not fit the flow: parameter 'until' is not valid: Expected `int`, got `str` (got 'soon')."
    )
    assert api.history[run.id][-1].message == expected
    assert api.messages(level=40) == [expected]


@pytest.mark.parametrize(
    ("entrypoint", "deployment", "text"),
    [
        ("nope.py:go", {}, "Flow could not be loaded: There is no file"),
        ("flows_under_test.py:nope", {}, "Flow could not be loaded: 'flows_under_test.py:nope' names nothing"),
        ("syntax.py:go", {}, "Flow could not be loaded from 'syntax.py:go': SyntaxError: "),
        ("imports.py:go", {}, "ModuleNotFoundError: No module named 'not_installed'"),
        ("leaves.py:go", {}, "Flow could not be loaded from 'leaves.py:go': SystemExit: 4"),
        (None, {}, "Flow could not be loaded: deployment 'daily' names no entrypoint."),
        ("flows_under_test.py:go", {"path": "/no/such"}, "cannot enter the deployment's directory '/no/such'"),
        (
            "flows_under_test.py:go",
            {"pull_steps": [{"x.git_clone": {"repository": "r"}}]},
            "pull step not understood: x.git_clone; known is `set_working_directory",
        ),
    ],
)
def test_code_that_cannot_be_loaded_crashes_the_run_with_the_cause(
    api: FakeApi, execute: Executed, program: Write, entrypoint: str | None, deployment: dict[str, Any], text: str
) -> None:
    program("def go(): ...")
    program("def go(:", "syntax.py")
    program("import not_installed", "imports.py")
    program("import sys; sys.exit(4)", "leaves.py")
    run = api.add_run(entrypoint, deployment=deployment)
    assert execute(run) == EXIT_CRASHED
    assert api.states(run.id) == ["Crashed"]
    assert text in (api.history[run.id][-1].message or "")
    assert any(text in message for message in api.messages(level=40))
    if entrypoint == "imports.py:go":
        assert 'imports.py", line 1' in api.messages(level=40)[0]


def test_a_run_without_a_deployment_has_no_code(api: FakeApi, execute: Executed) -> None:
    run = api.add_run("x.py:go")
    run.deployment_id = None
    assert execute(run) == EXIT_CRASHED
    assert "belongs to no deployment" in (api.history[run.id][-1].message or "")


@pytest.mark.parametrize("how", ["pull step", "path", "chosen by the job"])
def test_the_code_runs_where_the_deployment_says(
    api: FakeApi, execute: Executed, program: Write, tmp_path: Path, how: str
) -> None:
    program("import os\nseen = []\ndef go(): seen.append(os.getcwd())", "project/flows_under_test.py")
    project, elsewhere = tmp_path / "code" / "project", tmp_path / "elsewhere"
    elsewhere.mkdir()
    os.chdir(elsewhere)
    about: dict[str, Any] = {
        "pull step": {"pull_steps": [{"any.module.set_working_directory": {"directory": str(project)}}]},
        "path": {"path": str(project)},
        "chosen by the job": {"path": str(project), "job_variables": {"working_dir": str(elsewhere)}},
    }[how]
    entrypoint = "../code/project/flows_under_test.py:go" if how == "chosen by the job" else "flows_under_test.py:go"
    assert execute(api.add_run(entrypoint, deployment=about)) == EXIT_REPORTED
    import flows_under_test

    assert flows_under_test.seen == [str(elsewhere if how == "chosen by the job" else project)]


@pytest.mark.parametrize("kind", [StateType.COMPLETED, StateType.CANCELLING, StateType.CANCELLED])
def test_a_run_that_may_not_begin_is_left_alone(api: FakeApi, execute: Executed, program: Write, kind: StateType) -> None:
    program("def go(): raise AssertionError")
    run = api.add_run("flows_under_test.py:go")
    api.force(run.id, kind)
    assert execute(run) == EXIT_REPORTED
    assert api.runs[run.id].state_type is kind


def test_a_stale_fence_stops_everything_quietly(api: FakeApi, execute: Executed, program: Write) -> None:
    program("def go(): raise AssertionError")
    run = api.add_run("flows_under_test.py:go", fence=2)
    assert execute(run, fence=1) == EXIT_REPORTED
    assert api.states(run.id) == []
    assert api.logs == []


def test_a_run_that_is_gone_is_the_callers_to_hear_about(api: FakeApi, execute: Executed) -> None:
    run = api.add_run("x.py:go")
    with pytest.raises(NotFound, match="Flow run not found"):
        execute(run, id=UUID(int=1))


def test_an_api_that_stays_away_is_the_callers_to_hear_about(api: FakeApi, execute: Executed, program: Write) -> None:
    program("def go(): ...")
    run = api.add_run("flows_under_test.py:go")
    api.failing["set_state"] = 503
    with pytest.raises(Unavailable):
        execute(run)


def test_lost_answers_do_not_stop_the_run(api: FakeApi, execute: Executed, program: Write) -> None:
    """The second sending of a proposal is answered with a rejection that carries the state it asked for."""
    program("def go(): ...")
    run = api.add_run("flows_under_test.py:go")
    api.repeated = "set_state"
    assert execute(run) == EXIT_REPORTED
    assert api.states(run.id) == ["Running", "Completed"]


def test_a_run_cancelled_as_it_ends_counts_as_cancelled(api: FakeApi, execute: Executed, program: Write) -> None:
    program("""
from headgate import flow
hooked = []
@flow(on_cancellation=[lambda f, r, s: hooked.append(s.type.value)])
def go(): ...
""")
    run = api.add_run("flows_under_test.py:go")

    def cancel(method: str, target: str) -> None:
        if target.endswith("set_state") and api.runs[run.id].state_type is StateType.RUNNING:
            api.force(run.id, StateType.CANCELLING)

    api.before = cancel
    assert execute(run) == EXIT_TERMINATED
    assert api.runs[run.id].state_type is StateType.CANCELLING
    import flows_under_test

    assert flows_under_test.hooked == ["CANCELLING"]


STOPPED = """
import asyncio, os, signal, threading
from headgate import flow, get_run_logger
seen = []
def hook(flow, run, state):
    seen.append((state.type.value, state.message))
    get_run_logger().info("cleaned up")
def body(wait):
    os.kill(os.getpid(), signal.SIGTERM)
@flow(on_cancellation=[hook], on_crashed=[hook], on_failure=[hook], on_completion=[hook])
def sync():
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait(60)
    except Exception:
        seen.append("swallowed")
    finally:
        seen.append("finally")
@flow(on_cancellation=[hook], on_crashed=[hook])
async def coroutine():
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(60)
    finally:
        await asyncio.sleep(0)
        seen.append("finally")
@flow(on_crashed=[hook])
def interrupted():
    raise KeyboardInterrupt
"""


@pytest.mark.parametrize("name", ["sync", "coroutine"])
def test_sigterm_without_a_cancel_is_a_crash(api: FakeApi, execute: Executed, program: Write, name: str) -> None:
    program(STOPPED)
    run = api.add_run(f"flows_under_test.py:{name}")
    assert execute(run) == EXIT_TERMINATED
    assert api.states(run.id) == ["Running", "Crashed"]
    assert api.history[run.id][-1].message == "Flow run was stopped from outside (SIGTERM)."
    assert "cleaned up" in api.messages()
    import flows_under_test

    assert flows_under_test.seen == ["finally", ("CRASHED", "Flow run was stopped from outside (SIGTERM).")]


@pytest.mark.parametrize("last", [False, True])
def test_crashed_hooks_are_for_a_run_that_is_not_given_other_infrastructure(
    api: FakeApi, execute: Executed, program: Write, last: bool
) -> None:
    program(STOPPED)
    run = api.add_run("flows_under_test.py:sync", deployment={"infra_retries": InfraRetries(max=1)})
    api.restarts = set() if last else {run.id}
    assert execute(run) == EXIT_TERMINATED
    assert api.states(run.id) == ["Running", "Crashed" if last else "AwaitingInfraRetry"]
    import flows_under_test

    hooked = [("CRASHED", "Flow run was stopped from outside (SIGTERM).")]
    assert flows_under_test.seen == ["finally", *(hooked if last else [])]


@pytest.mark.parametrize("name", ["sync", "coroutine"])
def test_sigterm_of_a_cancelled_run_runs_its_hooks_and_leaves_the_state_to_the_worker(
    api: FakeApi, execute: Executed, program: Write, name: str
) -> None:
    program(STOPPED)
    run = api.add_run(f"flows_under_test.py:{name}")
    looked = False

    def cancel(method: str, target: str) -> None:
        nonlocal looked
        if method == "GET" and target == f"/flow_runs/{run.id}":
            if looked:
                api.force(run.id, StateType.CANCELLING)
            looked = True

    api.before = cancel
    assert execute(run) == EXIT_TERMINATED
    assert api.states(run.id) == ["Running", "Cancelling"]
    assert [proposal.state.type for proposal in api.proposals] == [StateType.RUNNING]
    assert api.messages() == ["cleaned up", "Flow run was cancelled"]
    import flows_under_test

    assert flows_under_test.seen == ["finally", ("CANCELLING", None)]


def test_ctrl_c_is_a_crash(api: FakeApi, execute: Executed, program: Write) -> None:
    program(STOPPED)
    run = api.add_run("flows_under_test.py:interrupted")
    assert execute(run) == 130
    assert api.history[run.id][-1].message == "Flow run was stopped from outside (SIGINT)."


def test_sigterm_while_the_code_is_loaded_crashes_the_run(api: FakeApi, execute: Executed, program: Write) -> None:
    program("import os, signal\nos.kill(os.getpid(), signal.SIGTERM)\nraise AssertionError")
    run = api.add_run("flows_under_test.py:go")
    assert execute(run) == EXIT_TERMINATED
    assert api.states(run.id) == ["Crashed"]


def test_sigterm_while_waiting_for_the_time_crashes_the_run(api: FakeApi, execute: Executed, program: Write) -> None:
    program("def go(): raise AssertionError")
    run = api.add_run("flows_under_test.py:go", scheduled_time=START + timedelta(seconds=5))
    execute.sleep = lambda seconds: signal.raise_signal(signal.SIGTERM)  # type: ignore[method-assign]
    assert execute(run) == EXIT_TERMINATED
    assert api.states(run.id) == ["Crashed"]


def test_sigterm_before_anything_is_known_crashes_the_run(api: FakeApi, execute: Executed) -> None:
    run = api.add_run("x.py:go")
    api.before = lambda method, target: signal.raise_signal(signal.SIGTERM) if target.startswith("/flows/") else None
    assert execute(run) == EXIT_TERMINATED
    assert api.history[run.id][-1].message == "Flow run was stopped before it began."


def test_sigterm_while_the_end_is_reported_changes_nothing(api: FakeApi, execute: Executed, program: Write) -> None:
    program("def go(): ...")
    run = api.add_run("flows_under_test.py:go")

    def late(method: str, target: str) -> None:
        if target.endswith("set_state") and api.runs[run.id].state_type is StateType.RUNNING:
            signal.raise_signal(signal.SIGTERM)

    api.before = late
    assert execute(run) == EXIT_REPORTED
    assert api.states(run.id) == ["Running", "Completed"]


def test_sigterm_in_a_hook_does_not_undo_what_the_flow_did(api: FakeApi, execute: Executed, program: Write) -> None:
    program("""
import os, signal, threading
from headgate import flow
def hangs(flow, run, state):
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(60)
@flow(on_completion=[hangs])
def go(): ...
""")
    run = api.add_run("flows_under_test.py:go")
    assert execute(run) == EXIT_REPORTED
    assert api.states(run.id) == ["Running", "Completed"]
    assert "Hooks were interrupted" in api.messages()


def test_the_signals_handler_is_put_back(api: FakeApi, execute: Executed, program: Write) -> None:
    before = signal.getsignal(signal.SIGTERM)
    program("def go(): ...")
    execute(api.add_run("flows_under_test.py:go"))
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.fixture
def _quick_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headgate.flows.lease._LONGEST_PAUSE", 0.01)
    monkeypatch.setattr("headgate.flows.lease._SHORTEST_PAUSE", 0.01)


WAITS = """
import threading
from headgate import flow
seen = []
released = threading.Event()
@flow(on_cancellation=[lambda f, r, s: seen.append("cancelled")], on_crashed=[lambda f, r, s: seen.append("crashed")])
def go():
    released.wait(30)
"""


@pytest.mark.usefixtures("_quick_lease")
def test_the_lease_is_renewed_while_user_code_runs(api: FakeApi, execute: Executed, program: Write) -> None:
    program(WAITS)
    run = api.add_run("flows_under_test.py:go")

    def release(method: str, target: str) -> None:
        if api.renewals >= 3:
            import flows_under_test

            flows_under_test.released.set()

    api.before = release
    assert execute(run) == EXIT_REPORTED
    assert api.renewals >= 3


@pytest.mark.usefixtures("_quick_lease")
def test_a_run_without_a_claim_has_no_lease_to_renew(api: FakeApi, execute: Executed, program: Write) -> None:
    program("import threading\ndef go(): threading.Event().wait(0.1)")
    assert execute(api.add_run("flows_under_test.py:go"), fence=None) == EXIT_REPORTED
    assert api.renewals == 0


@pytest.mark.usefixtures("_quick_lease")
@pytest.mark.parametrize("how", ["lost", "deleted"])
def test_a_lost_run_is_stopped_without_a_report(api: FakeApi, execute: Executed, program: Write, how: str) -> None:
    program(WAITS)
    run = api.add_run("flows_under_test.py:go")
    if how == "lost":
        api.lost.add(run.id)
    else:
        api.failing["/lease"] = 404
    assert execute(run) == EXIT_REPORTED
    assert api.states(run.id) == ["Running"]
    assert api.messages(level=30) == ["The run belongs to another holder now; this process leaves it"]
    import flows_under_test

    assert flows_under_test.seen == []


@pytest.mark.usefixtures("_quick_lease")
def test_a_run_cancelled_between_attempts_is_lost_but_told_so(api: FakeApi, execute: Executed, program: Write) -> None:
    """A run that waits for its retry is Scheduled to the server, which cancels it at once and drops its lease."""
    program(
        WAITS
        + """
@flow(retries=1, retry_delay_seconds=600, on_cancellation=[lambda f, r, s: seen.append(s.type.value)])
def fails(): raise ValueError
"""
    )
    run = api.add_run("flows_under_test.py:fails")

    def sleep(seconds: float) -> None:
        api.force(run.id, StateType.CANCELLED)
        api.lost.add(run.id)
        threading.Event().wait(30)

    execute.sleep = sleep  # type: ignore[method-assign]
    assert execute(run) == EXIT_TERMINATED
    assert api.states(run.id) == ["Running", "AwaitingRetry", "Cancelled"]
    import flows_under_test

    assert flows_under_test.seen == ["CANCELLED"]


@pytest.mark.usefixtures("_quick_lease")
def test_a_cancel_reaches_the_engine_without_its_worker(api: FakeApi, execute: Executed, program: Write) -> None:
    program(WAITS)
    run = api.add_run("flows_under_test.py:go")

    def cancel(method: str, target: str) -> None:
        if target.endswith("/lease") and api.renewals == 1:
            api.force(run.id, StateType.CANCELLING)

    api.before = cancel
    assert execute(run) == EXIT_TERMINATED
    import flows_under_test

    assert flows_under_test.seen == ["cancelled"]


@pytest.mark.usefixtures("_quick_lease")
def test_a_renewal_that_fails_is_tried_again(api: FakeApi, execute: Executed, program: Write) -> None:
    program(WAITS)
    api.failing["/lease"] = 500
    seen = threading.Event()

    def recover(method: str, target: str) -> None:
        import flows_under_test

        if target.endswith("/lease") and seen.is_set():
            api.failing.clear()
        elif target.endswith("/lease"):
            seen.set()
        if api.renewals:
            flows_under_test.released.set()

    api.before = lambda method, target: recover(method, target) if target.endswith("/lease") else None
    assert execute(api.add_run("flows_under_test.py:go")) == EXIT_REPORTED
    assert api.renewals


def test_logs_that_the_api_refuses_do_not_hold_up_the_run(
    api: FakeApi, execute: Executed, program: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    program("from headgate import flow\n@flow(log_prints=True)\ndef go(): print('x')")
    api.failing["/logs/"] = 422
    run = api.add_run("flows_under_test.py:go")
    assert execute(run) == EXIT_REPORTED
    assert api.states(run.id) == ["Running", "Completed"]
    assert "The API refused 1 log lines" in capsys.readouterr().err


def test_logs_are_sent_after_the_end_when_the_api_was_away_before(
    api: FakeApi, execute: Executed, program: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headgate.flows.execution._FLUSH_SECONDS", 0.05)
    monkeypatch.setattr(log_shipper, "_PAUSE_AFTER_FAILURE", 0.005)
    program("from headgate import flow\n@flow(log_prints=True)\ndef go(): print('the last word')")
    api.failing["/logs/"] = 500
    run = api.add_run("flows_under_test.py:go")

    def recover(method: str, target: str) -> None:
        if target.endswith("set_state") and api.runs[run.id].state_type is StateType.RUNNING:
            api.failing.clear()
            monkeypatch.setattr("headgate.flows.execution._FLUSH_SECONDS", 10)

    api.before = recover
    assert execute(run) == EXIT_REPORTED
    assert api.messages() == ["the last word"]
