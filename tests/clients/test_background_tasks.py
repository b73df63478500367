"""Tasks of real clients that are put off by one process and run by another, which serves them."""

import signal

from prefect_client import Prefect
from real_system import Program, System
from scenario import ALL, THREE, scenario

from headgate.client.calls import task_runs, task_workers
from headgate.schema.states import StateType
from headgate.schema.task_runs import TaskRun

TASKS = """
from pathlib import Path

from prefect import task


@task(log_prints=True)
def double(n):
    with (Path(__file__).parent / "doubled").open("a") as file:
        file.write(f"{2 * n}\\n")
    return 2 * n


@task
def fail():
    raise ValueError("on purpose")
"""

SERVING = """
from prefect.{module} import serve
from tasks import double, fail

if __name__ == "__main__":
    serve(double, fail)
"""

PUTTING_OFF = """
from tasks import double, fail

if __name__ == "__main__":
    for n in range({count}):
        double.{verb}(n)
    fail.{verb}()
"""

SCHEDULING = {"PREFECT_EXPERIMENTAL_ENABLE_TASK_SCHEDULING": "true"}
"""Without this, 2.x knows nothing of it."""


def put_off(prefect: Prefect, count: int) -> None:
    """Have a process put so many tasks off, and one that fails."""
    (prefect.directory / "tasks.py").write_text(TASKS)
    prefect.env |= SCHEDULING if prefect.is_2 else {}
    verb = "submit" if prefect.is_2 else "delay"
    (prefect.directory / "putting_off.py").write_text(PUTTING_OFF.format(verb=verb, count=count))
    assert prefect.start("putting_off.py", program="python").wait() == 0


def ended(system: System, count: int) -> list[TaskRun] | None:
    """The task runs, when there are so many and all are over."""
    runs = system.client.send(task_runs.query())
    over = [run for run in runs if run.state_type in (StateType.COMPLETED, StateType.FAILED)]
    return over if len(over) == count else None


def doubled(prefect: Prefect) -> list[int]:
    """What was computed, each as often as it was."""
    return sorted(int(line) for line in (prefect.directory / "doubled").read_text().split())


def check_both_ways(prefect: Prefect, server: Program) -> None:
    """What was put off before somebody served it is run, and then what is put off while it is served; each once."""
    system = prefect.system
    runs = system.until(lambda: ended(system, 4), "the tasks that waited")
    assert sorted(run.state_type for run in runs) == [StateType.COMPLETED] * 3 + [StateType.FAILED]
    put_off(prefect, 8)
    runs = system.until(lambda: ended(system, 13), "the tasks that came later")
    assert sum(run.state_type is StateType.COMPLETED for run in runs) == 11
    assert doubled(prefect) == sorted(2 * n for n in (*range(3), *range(8)))
    assert all(run.flow_run_id is None for run in runs)
    [worker] = system.client.send(task_workers.query())
    assert len(worker.task_keys) == 2
    server.signal(signal.SIGTERM)
    server.wait()
    system.until(lambda: not system.client.send(task_workers.query()), "that nobody serves them")


@scenario("Scripts: tasks put off (`task.delay()`, in 2.20 `task.submit()`), and `serve(task)`", on=ALL, extended=True)
def test_tasks_are_put_off_and_served(prefect: Prefect) -> None:
    put_off(prefect, 3)
    module = "task_server" if prefect.is_2 else "task_worker"
    (prefect.directory / "serving.py").write_text(SERVING.format(module=module))
    check_both_ways(prefect, prefect.start("serving.py", program="python"))


@scenario("task serve", on=THREE, extended=True)
def test_tasks_are_served_by_a_command(prefect: Prefect) -> None:
    put_off(prefect, 3)
    check_both_ways(prefect, prefect.start("task", "serve", "tasks.py:double", "tasks.py:fail"))
