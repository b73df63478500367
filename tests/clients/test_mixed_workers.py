"""Workers of three kinds at one pool: none of them may break its limit, or execute what another does."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from bench.environments import Environment
from prefect_client import Prefect, client_environment
from scenario import NEWEST, TWO, scenario

from headgate.client.calls import task_runs, workers
from headgate.schema.states import StateType

RUNS = 8
FLOWS = """
import os
import time
from pathlib import Path

from prefect import flow


@flow
def counted(number: int):
    with Path(__file__).with_name("times").open("a") as file:
        begin = time.monotonic()
        time.sleep(0.5)
        file.write(f"{number} {begin} {time.monotonic()} {os.environ['WHO']}\\n")
"""
DEPLOYMENTS = """
deployments:
- name: mixed
  entrypoint: flows.py:counted
  work_pool: {name: mixed}
"""


MIXED = "Workers: of 3.x, of 2.x and `headgate worker` at one pool with a limit"


@scenario(MIXED, on=(NEWEST,))
def test_workers_of_three_kinds_share_a_limit(
    prefect: Prefect, environment_of: Callable[[str], Environment], tmp_path: Path
) -> None:
    share_a_limit(prefect, environment_of, tmp_path)


@pytest.mark.parametrize("dialect", ["postgresql"])
@scenario(MIXED, on=(NEWEST,), extended=True)
def test_workers_of_three_kinds_share_a_limit_on_postgresql(
    at_own: Callable[..., Prefect], empty_url: str, environment_of: Callable[[str], Environment], tmp_path: Path
) -> None:
    share_a_limit(at_own(server_database_connection_url=empty_url), environment_of, tmp_path)


def share_a_limit(prefect: Prefect, environment_of: Callable[[str], Environment], tmp_path: Path) -> None:
    """Never more than two runs at once, and each once. Each worker takes one at a time, so that no single one gets all."""
    system = prefect.system
    (prefect.directory / "flows.py").write_text(FLOWS)
    (prefect.directory / "prefect.yaml").write_text(DEPLOYMENTS)
    prefect("work-pool", "create", "mixed", "--type", "process")
    prefect("work-pool", "set-concurrency-limit", "mixed", "2")
    prefect("--no-prompt", "deploy", "--all")
    older = str(environment_of(TWO).program("prefect"))
    start = ("worker", "start", "--pool", "mixed", "--limit", "1")
    prefect.started.append(
        system.start(
            older,
            *start,
            name="older",
            env=client_environment(tmp_path / "older", system.url) | {"WHO": "older"},
            cwd=prefect.directory,
        )
    )
    prefect.start(*start, env={"WHO": "newer"})
    native = str(environment_of(NEWEST).program("headgate"))
    prefect.started.append(
        system.start(native, *start, name="native", env=prefect.env | {"WHO": "native"}, cwd=prefect.directory)
    )
    system.until(lambda: len(asking(prefect)) == 3, "three workers")

    made = [system.create_run("counted/mixed", number=number) for number in range(RUNS)]
    for id in made:
        system.wait_for(id, StateType.COMPLETED)
    times = [line.split() for line in (prefect.directory / "times").read_text().splitlines()]
    assert Counter(int(number) for number, *_ in times) == Counter(range(RUNS))
    assert len({who for *_, who in times}) > 1, times
    changes = sorted([(float(begin), 1) for _, begin, *_ in times] + [(float(end), -1) for _, _, end, _ in times])
    assert max(sum(step for _, step in changes[: count + 1]) for count in range(len(changes))) <= 2


def asking(prefect: Prefect) -> list[str]:
    """The names of those that have asked for work."""
    return [each.name for each in prefect.system.client.send(workers.query("mixed"))]


@scenario("`headgate worker`: flows of that release, with tasks and subflows", on=(NEWEST, TWO))
def test_our_worker_executes_flows_of_clients(deployed: Prefect, environment_of: Callable[[str], Environment]) -> None:
    """Started where both are installed."""
    system = deployed.system
    native = str(environment_of(deployed.release).program("headgate"))
    deployed.started.append(
        system.start(native, "worker", "start", "--pool", "local", name="native", env=deployed.env, cwd=deployed.directory)
    )
    deployed("deployment", "run", "family/one", "--watch")
    [good] = [each for each in system.flow_runs() if not each.auto_scheduled and each.deployment_id is not None]
    assert good.state_type == StateType.COMPLETED
    system.until(lambda: {"hello nobody", "the second try", "sum 20"} <= set(system.lines(good.id)), "the run's lines")
    system.until(lambda: len(system.client.send(task_runs.query())) == 4, "three task runs and the subflow's")
    deployed("deployment", "run", "broken/two", "--watch", code=1)
