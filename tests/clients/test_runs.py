"""Flows of real clients, executed by their own workers, agents and scripts."""

import signal

from prefect_client import Prefect
from project_files import write_project
from scenario import NEWEST, OLDER, TWO, scenario

from headgate.client.calls import deployments, task_runs
from headgate.schema.flow_runs import FlowRun
from headgate.schema.states import StateType


def newest(prefect: Prefect) -> FlowRun:
    """The run of a deployment that was made last, not by a schedule."""
    runs = [run for run in prefect.system.flow_runs() if not run.auto_scheduled and run.deployment_id is not None]
    return max(runs, key=lambda run: run.created)


def run(prefect: Prefect, name: str, *options: str, code: int = 0) -> FlowRun:
    """A new run of a deployment."""
    prefect("deployment", "run", name, *options, code=code)
    return newest(prefect)


def executes_runs(prefect: Prefect) -> None:
    """A worker brings runs to the right final states; their tasks, subflows and logs are seen; a run is cancelled."""
    system = prefect.system
    worker = prefect.start("worker", "start", "--pool", "local")
    lasting = run(prefect, "lasting/three")
    good = run(prefect, "family/one", "--watch")
    assert system.flow_run(good.id).state_type == StateType.COMPLETED
    bad = run(prefect, "broken/two", "--watch", code=1)
    assert "on purpose" in str(system.flow_run(bad.id).state.message)
    system.until(lambda: {"hello nobody", "the second try", "sum 20"} <= set(system.lines(good.id)), "the run's lines")
    system.until(lambda: len(system.client.send(task_runs.query())) == 4, "three task runs and the subflow's")
    assert [each for each in system.flow_runs() if each.parent_task_run_id is not None], "no subflow"

    whole = prefect("flow-run", "logs", str(good.id)).out.splitlines()
    assert any("hello nobody" in line for line in whole)
    assert len(prefect("flow-run", "logs", str(good.id), "--head", "-n", "2").out.splitlines()) < len(whole)
    assert good.name in prefect("flow-run", "ls", "--state", "Completed").text

    system.wait_for_line(lasting.id, "begun")
    prefect("flow-run", "cancel", str(lasting.id))
    system.wait_for(lasting.id, StateType.CANCELLED)
    worker.signal(signal.SIGINT)
    assert worker.wait() == 0, worker.text


WORKER = (
    *("worker start", "deployment run", "flow-run logs", "flow-run cancel", "flow-run ls"),
    *("Workers: tasks, retries of tasks, subflows, logs, failures", "Workers: cancellation", "Runs: watched to their end"),
)


@scenario(*WORKER, on=(NEWEST,))
def test_a_worker_executes_runs_with_either_database(on_own: Prefect) -> None:
    executes_runs(on_own)


@scenario(*WORKER, on=(TWO,))
def test_a_worker_of_version_2_executes_runs(deployed: Prefect) -> None:
    executes_runs(deployed)


@scenario(*WORKER, on=(OLDER,), extended=True)
def test_a_worker_of_an_older_version_3_executes_runs(deployed: Prefect) -> None:
    executes_runs(deployed)


@scenario(
    *("agent start", "deployment build", "deployment apply", "deployment set-schedule"),
    *("deployment pause-schedule", "deployment resume-schedule", "deployment run"),
    on=(TWO,),
)
def test_an_agent_executes_a_deployment_that_was_built(prefect: Prefect) -> None:
    """With its infrastructure in a block, from any queue of a pool of type `prefect-agent`."""
    write_project(prefect.directory)
    prefect("work-pool", "create", "agents", "--type", "prefect-agent")
    prefect("deployment", "build", "flows.py:family", "-n", "built", "-p", "agents", "-q", "mine", "-o", "built.yaml")
    prefect("deployment", "apply", "built.yaml")
    made = prefect.system.client.send(deployments.get_by_name("family", "built"))
    assert made.infrastructure_document_id is not None
    agent = prefect.start("agent", "start", "-p", "agents")
    built = run(prefect, "family/built", "-p", "n=1", "--watch")
    assert (built.state_type, built.work_pool_name) == (StateType.COMPLETED, "agents")
    prefect("deployment", "set-schedule", "family/built", "--interval", "3600")
    prefect("deployment", "pause-schedule", "family/built")
    prefect("deployment", "resume-schedule", "family/built")
    agent.signal(signal.SIGINT)
    agent.wait()


@scenario("flow-run retry", "flow-run watch", on=(NEWEST,))
def test_a_run_is_retried_in_place(deployed: Prefect) -> None:
    """The same run goes again; the exit code is its outcome."""
    deployed.start("worker", "start", "--pool", "local")
    bad = run(deployed, "broken/two", "--watch", code=1)
    deployed("flow-run", "retry", str(bad.id))
    deployed("flow-run", "watch", str(bad.id), code=1)
    again = deployed.system.wait_for(bad.id, StateType.FAILED)
    assert again.run_count == 2


@scenario("agent start", "deployment build", "deployment apply", "deployment run", "work-queue create", on=(TWO,))
def test_an_agent_executes_what_lies_in_queues_that_match(prefect: Prefect) -> None:
    """Without a pool, as agents of that time work: a queue that comes later is found, others are left alone."""
    write_project(prefect.directory)
    agent = prefect.start("agent", "start", "--match", "mine-")
    for name in ("mine-one", "other"):
        prefect("work-queue", "create", name)
        prefect("deployment", "build", "flows.py:family", "-n", name, "-q", name, "-o", f"{name}.yaml")
        prefect("deployment", "apply", f"{name}.yaml")
    left = run(prefect, "family/other")
    taken = run(prefect, "family/mine-one", "-p", "n=1", "--watch")
    assert taken.state_type == StateType.COMPLETED
    assert prefect.system.flow_run(left.id).state_type == StateType.SCHEDULED
    agent.signal(signal.SIGINT)
    agent.wait()
