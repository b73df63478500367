"""The main job with real processes: deploy, schedule, claim, execute, log, complete."""

import shutil
import signal
from pathlib import Path

import pytest
from real_system import PROJECT, PYTHON, System, own_lines

from headgate.client.calls import deployments
from headgate.schema.states import StateType

EXAMPLES = PROJECT.parents[2] / "examples"


@pytest.fixture
def on_either_database(system: System, empty_url: str) -> System:
    """A running system with the example in its project, on each kind of database in turn."""
    system.start_server(server_database_connection_url=empty_url)
    system.headgate("work-pool", "create", "local", "--type", "process")
    shutil.copy(EXAMPLES / "inventory.py", system.project)
    return system


def test_a_schedule_becomes_completed_runs_with_logs(on_either_database: System) -> None:
    system = on_either_database
    system.start_worker()
    system.headgate(
        "deploy", "inventory.py:inventory", "--name", "often", "--pool", "local", "--interval", "2", "--param", "path=out"
    )

    def two_completed() -> list[str]:
        rows = system.json("flow-run", "ls", "--flow-name", "inventory", "--state-type", "COMPLETED")
        return [row["id"] for row in rows if row["auto_scheduled"]][:2] if len(rows) >= 2 else []

    ids = system.until(two_completed, "two completed runs")
    for id in ids:
        lines = [line["message"] for line in system.json("flow-run", "logs", id)]
        assert any(line.startswith("found ") for line in lines)
        assert any(line.startswith("wrote ") for line in lines)
        run = system.json("flow-run", "inspect", id)
        assert run["state"]["name"] == "Completed"
        assert run["run_count"] == 1
        assert run["total_run_time"] > 0
    assert "# Installed Python distributions" in (system.project / "out" / "inventory.md").read_text()


def test_a_watched_run_is_shown_from_scheduled_to_completed(running: System) -> None:
    running.start_worker()
    deployment = running.deploy("flows.py:talkative")
    shown = running.headgate("deployment", "run", deployment, "--param", "count=3", "--watch")
    places = [shown.index(text) for text in ("Scheduled", "Pending", "Running", "line 1", "line 2", "line 3", "Completed")]
    assert places == sorted(places), shown


def test_a_failing_flow_is_failed_with_its_traceback_in_its_logs(running: System) -> None:
    shutil.copy(EXAMPLES / "inventory.py", running.project)
    running.start_worker()
    deployment = running.deploy("inventory.py:inventory")
    shown = running.headgate("deployment", "run", deployment, "--param", "fail=true", "--watch", code=1)
    assert "Failed" in shown
    [run] = running.flow_runs()
    assert run.state is not None
    assert run.state_type is StateType.FAILED
    assert "ValueError: Told to fail by fail=True" in (run.state.message or "")
    [trace] = [line for line in running.lines(run.id) if "Traceback" in line]
    assert 'inventory.py", line' in trace
    assert "raise ValueError(" in trace
    assert "ValueError: Told to fail by fail=True" in trace
    assert not (running.project / "inventory").exists()


def test_a_command_is_completed_and_its_output_is_its_log(running: System) -> None:
    running.start_worker()
    command = (
        "python3 -c \"import os, sys; print('line', *sys.argv[1:]); print(os.environ['HEADGATE_PARAMETERS'])\" {{ word }} x"
    )
    running.headgate("deploy", "--command", command, "--name", "say", "--pool", "local", "--param", "word=two words")
    run = running.wait_for(running.create_run("say/say"), StateType.COMPLETED)
    lines = running.lines(run.id)
    assert "line two words x" in lines
    assert '{"word": "two words"}' in lines


def test_a_failing_command_is_failed_with_its_exit_code(running: System) -> None:
    running.start_worker()
    running.headgate("deploy", "--command", "sh -c 'echo line 1; exit 3'", "--name", "bad", "--pool", "local")
    run = running.wait_for(running.create_run("bad/bad"), StateType.FAILED)
    assert run.state is not None
    assert "exit code 3" in (run.state.message or "")
    assert own_lines(running.lines(run.id)) == ["line 1"]


def test_two_workers_execute_every_run_exactly_once(running: System, tmp_path: Path) -> None:
    for _ in range(2):
        running.start_worker("--limit", "4")
    deployment = running.deploy("flows.py:note")
    executions = tmp_path / "executions"
    ids = [running.create_run(deployment, executions=str(executions)) for _ in range(20)]
    for id in ids:
        running.wait_for(id, StateType.COMPLETED)
    assert sorted(executions.read_text().split()) == sorted(map(str, ids))


def test_a_run_knows_what_it_is(running: System) -> None:
    running.start_worker()
    deployment = running.deploy("flows.py:facts", "--tag", "blue")
    run = running.wait_for(running.create_run(deployment, word="red"), StateType.COMPLETED)
    about, timing, place = own_lines(running.lines(run.id))
    assert about == f"line {run.id} {run.name} {{'word': 'red'}} 1 ['blue'] facts test"
    assert timing == f"line {run.deployment_id} {run.expected_start_time}"
    assert place == f"line in {running.project}"


def test_a_script_runs_a_deployment_and_gets_its_end(running: System) -> None:
    running.start_worker()
    deployment = running.deploy("flows.py:talkative")
    script = (
        f"from headgate import run_deployment\nrun = run_deployment({deployment!r}, parameters={{'count': 1}}, timeout=60)"
    )
    done = running.run(PYTHON, "-c", f"{script}\nprint(run.id, run.state_name)")
    assert done.returncode == 0, done.stderr
    id, state = done.stdout.split()
    assert state == "Completed"
    assert [str(run.id) for run in running.flow_runs()] == [id]


def test_serving_executes_runs_and_pauses_the_deployment_when_it_leaves(running: System) -> None:
    script = "from flows import talkative; talkative.serve(name='served', parameters={'count': 2})"
    serving = running.start(PYTHON, "-c", script, name="serving")
    running.wait_for_text(serving, "Ctrl-C stops it.")
    run = running.wait_for(running.create_run("talkative/served"), StateType.COMPLETED)
    assert own_lines(running.lines(run.id)) == ["line 1", "line 2"]
    serving.signal(signal.SIGINT)
    assert serving.wait() == 0, serving.text
    assert "Traceback" not in serving.text
    assert running.client.send(deployments.get_by_name("talkative", "served")).paused


def test_a_million_printed_lines_end_with_the_last_one(running: System) -> None:
    """Those that the API cannot take in time are dropped and counted, the last ones never."""
    running.start_worker()
    deployment = running.deploy("flows.py:talkative", "--job-variable", "stream_output=false")
    run = running.create_run(deployment, count=1_000_000)
    running.wait_for(run, StateType.COMPLETED, seconds=120)
    tail = running.headgate("flow-run", "logs", str(run), "--tail", "3")
    assert "| line 1000000" in tail.splitlines()[-1]
