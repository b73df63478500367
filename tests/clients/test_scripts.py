"""Flows of real clients that are run by their own scripts: called, served, and started by name."""

import signal

from prefect_client import Prefect
from project_files import write_project
from scenario import scenario

from headgate.schema.states import StateType

CALLED = """
from flows import family

if __name__ == "__main__":
    family(n=1)
"""

SERVED = """
from flows import family

if __name__ == "__main__":
    family.serve(name="served")
"""

STARTED = """
from prefect.deployments import run_deployment

if __name__ == "__main__":
    ended = run_deployment("family/served", parameters={"n": 2}, timeout=60, poll_interval=1)
    assert ended.state.is_completed(), ended.state
"""


@scenario("Scripts: `python flow.py`")
def test_a_script_calls_a_flow(prefect: Prefect) -> None:
    write_project(prefect.directory)
    (prefect.directory / "called.py").write_text(CALLED)
    assert prefect.start("called.py", program="python").wait() == 0
    [parent] = [each for each in prefect.system.flow_runs() if each.parent_task_run_id is None]
    assert parent.state_type == StateType.COMPLETED
    prefect.system.until(lambda: "sum 4" in prefect.system.lines(parent.id), "its lines")


@scenario("Scripts: `flow.serve()`", "Scripts: `run_deployment()`")
def test_a_served_flow_is_started_by_name(prefect: Prefect) -> None:
    write_project(prefect.directory)
    (prefect.directory / "served.py").write_text(SERVED)
    server = prefect.start("served.py", program="python")
    prefect.system.wait_for_text(server, "family/served")
    prefect.script(STARTED)
    [parent] = [each for each in prefect.system.flow_runs() if each.parent_task_run_id is None]
    assert parent.state_type == StateType.COMPLETED
    assert parent.parameters["n"] == 2
    server.signal(signal.SIGINT)
    server.wait()


SENT = """
from pathlib import Path

from prefect import flow

if __name__ == "__main__":
    found = flow.from_source(source=str(Path(__file__).parent), entrypoint="flows.py:family")
    found.deploy(name="sent", work_pool_name="local", parameters={"n": 4}, print_next_steps=False)
"""

AWAITED = STARTED.replace("family/served", "family/sent")


@scenario("Scripts: `flow.from_source()` and `flow.deploy()` to a process pool", "worker start")
def test_a_flow_is_deployed_from_its_source(prefect: Prefect) -> None:
    """Who starts it waits for its end."""
    write_project(prefect.directory)
    prefect("work-pool", "create", "local", "--type", "process")
    prefect.script(SENT)
    prefect.start("worker", "start", "--pool", "local")
    prefect.script(AWAITED)
    [parent] = [each for each in prefect.system.flow_runs() if each.parent_task_run_id is None]
    assert parent.parameters["n"] == 2
    prefect.system.wait_for_line(parent.id, "sum 8")


@scenario("flow serve", extended=True)
def test_a_flow_is_served_by_a_command(prefect: Prefect) -> None:
    write_project(prefect.directory)
    server = prefect.start("flow", "serve", "flows.py:family", "--name", "served")
    prefect.system.wait_for_text(server, "family/served")
    prefect.script(STARTED)
    server.signal(signal.SIGINT)
    server.wait()
