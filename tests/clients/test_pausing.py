"""Runs that wait for somebody: paused in their process or suspended out of it, and resumed by a client."""

from uuid import UUID

from prefect_client import Prefect
from scenario import ALL, NEWEST, TWO, scenario

from headgate.schema.flow_runs import FlowRun
from headgate.schema.states import StateType

FLOWS = """
import time
from prefect import flow, pause_flow_run, suspend_flow_run, task


@task
def step(number):
    time.sleep(0.2)
    return number


@flow(log_prints=True)
def pauses():
    step(1)
    pause_flow_run(timeout=60, poll_interval=1)
    print("went on")


@flow(log_prints=True)
def asks():
    print(f"hello {pause_flow_run(wait_for_input=str, timeout=60, poll_interval=1)}")


@flow(log_prints=True)
def suspends():
    step(1)
    suspend_flow_run(timeout=60)
    print("came back")


@flow(log_prints=True)
def steps():
    for number in range(300):
        print(f"step {step(number)}")


if __name__ == "__main__":
    import sys
    globals()[sys.argv[1]]()
"""
DEPLOYMENTS = """
deployments:
- {name: one, entrypoint: "flows.py:suspends", work_pool: {name: local}}
- {name: one, entrypoint: "flows.py:steps", work_pool: {name: local}}
"""


def called(prefect: Prefect, name: str) -> FlowRun:
    """A run that a script began, once it is paused."""
    (prefect.directory / "flows.py").write_text(FLOWS)
    prefect.start("flows.py", name, program="python")
    system = prefect.system
    [run] = system.until(system.flow_runs, "the run")
    return system.wait_for(run.id, StateType.PAUSED)


def resume(prefect: Prefect, id: UUID, *more: str) -> None:
    """Have the client resume a run."""
    given = ", ".join([repr(str(id)), *more])
    prefect.script(f"from prefect import resume_flow_run\n\nif __name__ == '__main__':\n    resume_flow_run({given})\n")


@scenario("Runs: paused and resumed", on=ALL)
def test_a_paused_run_goes_on_in_its_process(prefect: Prefect) -> None:
    run = called(prefect, "pauses")
    resume(prefect, run.id)
    prefect.system.wait_for(run.id, StateType.COMPLETED)
    prefect.system.wait_for_line(run.id, "went on")


@scenario("Runs: paused for an input, and resumed with it", on=(NEWEST, TWO), extended=True)
def test_a_paused_run_is_given_its_input(prefect: Prefect) -> None:
    run = called(prefect, "asks")
    resume(prefect, run.id, 'run_input={"value": "ada"}')
    prefect.system.wait_for(run.id, StateType.COMPLETED)
    prefect.system.wait_for_line(run.id, "hello ada")


def deployed_run(prefect: Prefect, name: str) -> FlowRun:
    """A run of a deployment, which a worker executes."""
    (prefect.directory / "flows.py").write_text(FLOWS)
    (prefect.directory / "prefect.yaml").write_text(DEPLOYMENTS)
    prefect("work-pool", "create", "local", "--type", "process")
    prefect("--no-prompt", "deploy", "--all")
    prefect.start("worker", "start", "--pool", "local")
    return prefect.system.flow_run(prefect.system.create_run(f"{name}/one"))


@scenario("Runs: suspended by their flow, and resumed", on=(NEWEST, TWO), extended=True)
def test_a_run_that_suspends_itself_comes_back_by_the_worker(prefect: Prefect) -> None:
    run = deployed_run(prefect, "suspends")
    prefect.system.wait_for(run.id, StateType.PAUSED)
    resume(prefect, run.id)
    prefect.system.wait_for(run.id, StateType.COMPLETED)
    assert begun(prefect, run.id) == 2
    prefect.system.wait_for_line(run.id, "came back")


@scenario("Runs: suspended from outside, and resumed", on=(NEWEST, TWO), extended=True)
def test_a_run_is_suspended_by_somebody_else(prefect: Prefect) -> None:
    """Its process ends; after it was resumed it is executed anew."""
    system = prefect.system
    run = deployed_run(prefect, "steps")
    system.wait_for_line(run.id, "step 0")
    name = repr(str(run.id))
    prefect.script(
        f"from prefect import suspend_flow_run\n\nif __name__ == '__main__':\n    suspend_flow_run(flow_run_id={name})\n"
    )
    suspended = system.wait_for(run.id, StateType.PAUSED)
    assert suspended.state_name == "Suspended"
    resume(prefect, run.id)
    system.until(lambda: begun(prefect, run.id) == 2, "that it runs again")
    system.until(lambda: system.lines(run.id).count("step 0") == 2, "its first step again")


def begun(prefect: Prefect, id: UUID) -> int:
    """How often a run was begun, or gone on with."""
    return sum(state.type is StateType.RUNNING for state in prefect.system.states(id))
