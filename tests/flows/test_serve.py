"""`serve`: a process that runs its deployments' due runs in children, and leaves in order."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from fake_api import FakeApi

from headgate import flow, serve
from headgate.errors import ConfigError
from headgate.schema.flow_runs import DeploymentFlowRunCreate, FlowRun
from headgate.schema.states import StateCreate, StateDetails, StateType

Write = Callable[..., Path]

PROGRAM = """
import os, threading
from headgate import flow, get_run_logger, serve
from headgate.flows import serve as serving

@flow(log_prints=True)
def quick(n: int = 1):
    print("quick", n, os.getcwd())

@flow(on_cancellation=[lambda f, r, s: get_run_logger().info("hooked")])
def slow():
    get_run_logger().info("slow began")
    while not os.path.exists("finish"):
        threading.Event().wait(0.01)
    get_run_logger().info("slow ended")

@flow
def dies():
    os.kill(os.getpid(), 9)

if __name__ == "__main__":
    sys_modules = __import__("sys").modules
    sys_modules["headgate.flows.serve"]._POLL_SECONDS = 0.05
    serve(quick.to_deployment("q", parameters={"n": 7}), slow.to_deployment("s"), dies.to_deployment("d"), limit=3)
"""


@pytest.fixture
def server(api: FakeApi, url: str, program: Write) -> Iterator[subprocess.Popen[str]]:
    """A serving process whose deployments are registered."""
    program(PROGRAM, "served_flows.py")
    env = {
        **os.environ,
        "HEADGATE_LOGGING_TO_API_BATCH_INTERVAL": "0.01",
        "HEADGATE_WORKER_CANCEL_GRACE_SECONDS": "10",
        "HEADGATE_WORKER_SHUTDOWN_GRACE_SECONDS": "20",
        "PYTHONUNBUFFERED": "1",
    }
    process = subprocess.Popen(
        [sys.executable, "served_flows.py"], env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        api.wait_until(lambda: any(target.endswith("get_scheduled_flow_runs") for _, target in api.calls))
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def trigger(api: FakeApi, name: str, **body: Any) -> FlowRun:
    deployment = next(each for each in api.deployments.values() if each.name == name)
    with api.changed:
        return api._create_run(str(deployment.id), DeploymentFlowRunCreate(**body))


def ended(api: FakeApi, id: UUID, *states: str) -> bool:
    return api.states(id)[-len(states) :] == list(states)


def leave(process: subprocess.Popen[str], number: int = signal.SIGTERM) -> str:
    process.send_signal(number)
    return process.communicate(timeout=30)[0]


def test_due_runs_are_claimed_and_executed_where_the_code_is(api: FakeApi, server: subprocess.Popen[str]) -> None:
    run = trigger(api, "q")
    later = StateDetails(scheduled_time=datetime.now(UTC) + timedelta(hours=1))
    not_due = trigger(api, "q", state=StateCreate(type=StateType.SCHEDULED, state_details=later))
    api.wait_until(lambda: ended(api, run.id, "Completed"))
    assert api.states(run.id) == ["Pending", "Running", "Completed"]
    assert api.messages() == [f"quick 7 {Path.cwd()}"]
    assert api.runs[not_due.id].state_type is StateType.SCHEDULED
    assert [(proposal.fence, proposal.take_lease) for proposal in api.proposals] == [(None, True), (1, False), (1, False)]
    shown = leave(server)
    assert "Serving 'quick/q'. Run it: headgate deployment run 'quick/q'" in shown
    assert f"- quick 7 {Path.cwd()}" in shown


def test_a_run_that_somebody_else_took_is_left(api: FakeApi, server: subprocess.Popen[str]) -> None:
    def steal(method: str, target: str) -> None:
        for run in api.runs.values():
            if target == f"/flow_runs/{run.id}/set_state" and run.state_type is StateType.SCHEDULED:
                api.force(run.id, StateType.PENDING)

    api.before = steal
    run = trigger(api, "q")
    api.wait_until(lambda: len(api.proposals) == 1)
    count = len(api.calls)
    api.wait_until(lambda: len(api.calls) > count + 3)
    assert api.states(run.id) == ["Pending"]


def test_no_more_runs_are_taken_than_the_limit_allows(api: FakeApi, server: subprocess.Popen[str]) -> None:
    runs = [trigger(api, "s") for _ in range(5)]
    api.wait_until(lambda: api.messages().count("slow began") == 3)
    count = len(api.calls)
    api.wait_until(lambda: len(api.calls) > count + 5)
    assert sum(run.state_type is StateType.SCHEDULED for run in api.runs.values()) == 2
    Path("finish").touch()
    api.wait_until(lambda: all(ended(api, run.id, "Completed") for run in runs))


def test_a_cancelled_run_is_stopped_and_reported(api: FakeApi, server: subprocess.Popen[str]) -> None:
    run = trigger(api, "s")
    api.wait_until(lambda: "slow began" in api.messages())
    api.force(run.id, StateType.CANCELLING)
    api.wait_until(lambda: ended(api, run.id, "Cancelling", "Cancelled"))
    assert "hooked" in api.messages()


def test_a_child_that_dies_is_reported_crashed_with_the_cause(api: FakeApi, server: subprocess.Popen[str]) -> None:
    run = trigger(api, "d")
    api.wait_until(lambda: ended(api, run.id, "Running", "Crashed"))
    assert "exit code 137: killed (SIGKILL), often out of memory" in (api.history[run.id][-1].message or "")
    assert api.proposals[-1].fence == 1


def test_leaving_pauses_the_deployments_and_waits_for_the_runs(api: FakeApi, server: subprocess.Popen[str]) -> None:
    run = trigger(api, "s")
    api.wait_until(lambda: "slow began" in api.messages())
    server.send_signal(signal.SIGINT)
    api.wait_until(lambda: all(each.paused for each in api.deployments.values()))
    Path("finish").touch()
    shown = server.communicate(timeout=30)[0]
    assert ended(api, run.id, "Running", "Completed")
    assert "Waiting up to 20 s for 1 runs; Ctrl-C again stops them now." in shown
    assert server.returncode == 0


def test_a_second_signal_stops_the_runs(api: FakeApi, server: subprocess.Popen[str]) -> None:
    run = trigger(api, "s")
    api.wait_until(lambda: "slow began" in api.messages())
    server.send_signal(signal.SIGINT)
    api.wait_until(lambda: all(each.paused for each in api.deployments.values()))
    leave(server, signal.SIGINT)
    assert ended(api, run.id, "Running", "Crashed")
    assert server.returncode == 0


def test_serving_goes_on_when_the_api_stumbles(api: FakeApi, server: subprocess.Popen[str]) -> None:
    api.failing["get_scheduled_flow_runs"] = 500
    count = len(api.calls)
    api.wait_until(lambda: len(api.calls) > count + 3)
    api.failing.clear()
    run = trigger(api, "q")
    api.wait_until(lambda: ended(api, run.id, "Completed"))


@flow
def local(): ...


def test_without_a_server_there_is_nothing_to_serve_for() -> None:
    with pytest.raises(ConfigError, match="needs a running server"):
        serve(local)
    with pytest.raises(ConfigError, match="needs a running server"):
        local.serve("x", cron="* * * * *", limit=1, pause_on_shutdown=False)
