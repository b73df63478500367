"""What dies on the way is recovered, and nothing is lost or done twice: workers, engines and the server, killed for real."""

import os
import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from real_system import Program, System, is_alive, own_lines, pid_of

from headgate import clock
from headgate.client.calls import deployments
from headgate.schema.flow_runs import DeploymentFlowRunCreate
from headgate.schema.states import StateCreate, StateDetails, StateType

LEASE = {"server_leases_seconds": 2, "server_leases_grace_seconds": 2, "server_services_lifeline_loop_seconds": 0.25}


@pytest.fixture(autouse=True, params=["warm", "cold"])
def _starts(request: pytest.FixtureRequest, system: System) -> None:
    """How workers start runs makes no difference to any of this."""
    system.env["HEADGATE_WORKER_WARM_PROCESSES"] = str(request.param == "warm")


@pytest.fixture
def hasty(system: System) -> System:
    """A running system whose leases are short."""
    system.start_server(**LEASE)
    system.headgate("work-pool", "create", "local", "--type", "process")
    return system


def test_a_run_outlives_its_worker(hasty: System, tmp_path: Path) -> None:
    """The engine renews the lease itself: well past the lease the run still goes on, and ends as it would have."""
    worker = hasty.start_worker()
    gate = tmp_path / "gate"
    id = hasty.create_run(hasty.deploy("flows.py:gated"), gate=str(gate))
    hasty.wait_for_line(id, "line 1")
    run = pid_of(hasty.flow_run(id))
    worker.kill()
    expected = {run, hasty.programs[0].process.pid}
    hasty.until(lambda: set(filter(is_alive, hasty.strays())) == expected, "the worker's zygotes to end with it")
    until = clock.monotonic() + 2.5 * LEASE["server_leases_seconds"]
    hasty.until(
        lambda: clock.monotonic() > until or hasty.flow_run(id).state_type is not StateType.RUNNING, "leases to pass"
    )
    assert hasty.flow_run(id).state_type is StateType.RUNNING
    gate.touch()
    hasty.wait_for(id, StateType.COMPLETED)
    assert_whole(hasty.lines(id))


def test_a_lease_shorter_than_a_heartbeat_is_kept_all_the_same(hasty: System) -> None:
    """The worker holds the lease of a command; how often it beats follows from what the server grants."""
    hasty.start_worker(worker_heartbeat_seconds=30)
    hasty.headgate("deploy", "--command", "sleep 4", "--name", "long", "--pool", "local")
    hasty.wait_for(hasty.create_run("long/long"), StateType.COMPLETED)


def test_a_run_whose_worker_and_engine_are_killed_is_crashed_within_the_lease(hasty: System, tmp_path: Path) -> None:
    worker = hasty.start_worker()
    id = hasty.create_run(hasty.deploy("flows.py:gated"), gate=str(tmp_path / "never"))
    hasty.wait_for_line(id, "line 1")
    run = hasty.until(lambda: (run := hasty.flow_run(id)).infrastructure_pid and run, "the run's process to be noted")
    worker.kill()
    os.kill(pid_of(run), signal.SIGKILL)
    run = hasty.wait_for(id, StateType.CRASHED, seconds=10)
    assert run.state is not None
    assert "taken to be dead" in (run.state.message or "")


def test_another_worker_ends_the_run_that_a_dead_one_was_to_cancel(hasty: System, tmp_path: Path) -> None:
    """#21616: Cancelled is reported when the run's processes are gone, though its worker is, and its code is deaf."""
    first = hasty.start_worker("--name", "first")
    pids = tmp_path / "pids"
    id = hasty.create_run(hasty.deploy("flows.py:deaf"), pids=str(pids))
    hasty.until(lambda: pids.exists() and hasty.flow_run(id).infrastructure_pid, "the run's process to be noted")
    parent, child = map(int, pids.read_text().split())
    first.kill()
    assert is_alive(parent)
    hasty.start_worker("--name", "second", worker_cancel_grace_seconds=0.5)
    hasty.headgate("flow-run", "cancel", str(id))
    hasty.wait_for(id, StateType.CANCELLED)
    assert not is_alive(parent)
    assert not is_alive(child)
    hasty.until(lambda: any("'second' looks after it" in line for line in hasty.lines(id)), "the second worker's word of it")


def test_a_run_that_is_silent_and_lives_is_not_lost(hasty: System, tmp_path: Path) -> None:
    """#16459: nothing of it reports for several leases; another worker sees its process, and it ends as it would have."""
    first = hasty.start_worker("--name", "first")
    gate = tmp_path / "gate"
    id = hasty.create_run(hasty.deploy("flows.py:gated"), gate=str(gate))
    hasty.wait_for_line(id, "line 1")
    run = hasty.until(lambda: (run := hasty.flow_run(id)).infrastructure_pid and run, "the run's process to be noted")
    hasty.start_worker("--name", "second")
    first.kill()
    os.kill(pid_of(run), signal.SIGSTOP)

    def names() -> list[str]:
        return [state.name for state in hasty.states(id)]

    hasty.until(lambda: names()[-2:] == ["Lost?", "Running"], "the second worker to find the run")
    until = clock.monotonic() + 3 * LEASE["server_leases_seconds"]
    hasty.until(lambda: clock.monotonic() > until or names()[-1] != "Running", "leases to pass")
    os.kill(pid_of(run), signal.SIGCONT)
    gate.touch()
    run = hasty.wait_for(id, StateType.COMPLETED)
    assert names() == ["Scheduled", "Pending", "Running", "Lost?", "Running", "Completed"]
    assert run.run_count == 1


def test_a_command_dies_with_its_worker_and_is_crashed(hasty: System, tmp_path: Path) -> None:
    """It cannot renew a lease, so it must not go on either."""
    worker = hasty.start_worker()
    pid = tmp_path / "pid"
    hasty.headgate("deploy", "--command", f"sh -c 'echo $$ > {pid}; sleep 600; true'", "--name", "long", "--pool", "local")
    id = hasty.create_run("long/long")
    hasty.until(lambda: pid.exists() and pid.read_text().endswith("\n"), "the command to begin")
    worker.kill()
    hasty.wait_for(id, StateType.CRASHED, seconds=10)
    assert not is_alive(int(pid.read_text()))


def test_a_run_that_was_claimed_and_not_begun_goes_to_another_worker(hasty: System, tmp_path: Path) -> None:
    """Its engine had started ahead of its time and was killed together with the worker."""
    deployment = hasty.deploy("flows.py:note")
    executions = tmp_path / "executions"
    found = hasty.client.send(deployments.get_by_name(*deployment.split("/")))
    soon = StateDetails(scheduled_time=clock.now() + timedelta(seconds=6))
    state = StateCreate(type=StateType.SCHEDULED, state_details=soon)
    body = DeploymentFlowRunCreate(state=state, parameters={"executions": str(executions)})
    id = hasty.client.send(deployments.create_flow_run(found.id, body)).id
    worker = hasty.start_worker("--name", "first", "--prefetch-seconds", "60")
    run = hasty.until(lambda: (run := hasty.flow_run(id)).infrastructure_pid and run, "the run's process to be noted")
    assert run.state_type is StateType.PENDING
    worker.kill()
    os.kill(pid_of(run), signal.SIGKILL)
    hasty.start_worker("--name", "second")
    run = hasty.wait_for(id, StateType.COMPLETED)
    assert run.start_time >= run.expected_start_time == soon.scheduled_time
    assert executions.read_text().split() == [str(id)]
    assert [state.type for state in hasty.states(id)] == [
        StateType.SCHEDULED,
        StateType.PENDING,
        StateType.SCHEDULED,
        StateType.PENDING,
        StateType.RUNNING,
        StateType.COMPLETED,
    ]


@pytest.mark.parametrize("end", [Program.stop, Program.kill], ids=["SIGTERM", "SIGKILL"])
def test_a_server_that_restarts_loses_nothing_of_a_run(
    running: System, tmp_path: Path, end: Callable[[Program], object]
) -> None:
    """Lines printed while it was away arrive as well, each once and in order."""
    server = running.programs[0]
    running.start_worker()
    gate, executions = tmp_path / "gate", tmp_path / "executions"
    id = running.create_run(running.deploy("flows.py:gated"), gate=str(gate), executions=str(executions))
    running.wait_for_line(id, "line 1")
    seen = len(own_lines(running.lines(id)))
    end(server)
    log = running.programs[1]
    running.until(lambda: log.text.count("line ") > seen + 20, "lines to be printed while the server is away")
    running.start_server()
    gate.touch()
    running.wait_for(id, StateType.COMPLETED)
    assert_whole(running.lines(id))
    assert len(own_lines(running.lines(id))) > seen + 20
    assert executions.read_text().split() == [str(id)]
    assert [state.name for state in running.states(id)] == ["Scheduled", "Pending", "Running", "Completed"]


def test_a_run_that_ends_while_the_server_is_away_is_completed_when_it_is_back(running: System, tmp_path: Path) -> None:
    server = running.programs[0]
    running.start_worker()
    gate = tmp_path / "gate"
    id = running.create_run(running.deploy("flows.py:gated"), gate=str(gate))
    running.wait_for_line(id, "line 1")
    server.kill()
    gate.touch()
    log = running.programs[1]
    running.until(lambda: "the last line" in log.text, "the flow to return")
    running.start_server()
    running.wait_for(id, StateType.COMPLETED)
    assert_whole(running.lines(id))


def test_a_cancelled_run_leaves_no_process_and_its_hook_is_called(running: System, tmp_path: Path) -> None:
    running.start_worker()
    hooked, pids = tmp_path / "hooked", tmp_path / "pids"
    id = running.create_run(running.deploy("flows.py:family"), hooked=str(hooked), pids=str(pids))
    running.wait_for_line(id, "both are here")
    parent, child = map(int, pids.read_text().split())
    assert is_alive(parent)
    assert is_alive(child)
    running.headgate("flow-run", "cancel", str(id))
    running.wait_for(id, StateType.CANCELLED)
    assert not is_alive(parent)
    assert not is_alive(child)
    assert hooked.read_text().startswith("family Cancel")
    names = [state.name for state in running.states(id)]
    assert names == ["Scheduled", "Pending", "Running", "Cancelling", "Cancelled"]


def test_a_worker_that_is_told_to_leave_lets_its_runs_end(running: System, tmp_path: Path) -> None:
    worker = running.start_worker()
    gate = tmp_path / "gate"
    id = running.create_run(running.deploy("flows.py:gated"), gate=str(gate))
    running.wait_for_line(id, "line 1")
    worker.signal(signal.SIGTERM)
    running.wait_for_text(worker, "Waiting up to")
    gate.touch()
    assert worker.wait() == 0, worker.text
    assert running.flow_run(id).state_type is StateType.COMPLETED
    assert "Traceback" not in worker.text


def assert_whole(lines: list[str]) -> None:
    """Every line of a `gated` run is there once, in order, up to the last."""
    printed = own_lines(lines)
    assert printed == [f"line {number + 1}" for number in range(len(printed))]
    assert lines.count("the last line") == 1
