"""`headgate import prefect` from real servers: what stands there comes over, once, and clients go on with it here."""

from urllib.request import urlopen

import pytest
from prefect_client import Prefect, client_environment
from project_files import with_project
from real_system import free_port
from scenario import NEWEST, TWO, scenario

from headgate.client.calls import concurrency_limits, deployments, variables, work_pools, work_queues
from headgate.schema.states import StateType

SAVED = """
from prefect.blocks.system import Secret
from prefect.variables import Variable

if __name__ == "__main__":
    Secret(value="hidden").save("mine")
    Variable.set("word", "here")
"""
LOADED = """
from prefect.blocks.system import Secret
from prefect.variables import Variable

if __name__ == "__main__":
    assert Secret.load("mine").get() == "hidden"
    word = Variable.get("word")
    assert getattr(word, "value", word) == "here", word
"""
SECONDS_TO_START = 120.0


@pytest.fixture
def theirs(prefect: Prefect) -> str:
    """The API of a server of that release, where somebody has worked for a while."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/api"
    ours, env = prefect.env, client_environment(prefect.home, url)
    prefect.start("server", "start", "--host", "127.0.0.1", "--port", str(port), env=env)
    prefect.system.until(lambda: answers(url), "their server", seconds=SECONDS_TO_START)
    prefect.env = env
    with_project(prefect)
    prefect("work-pool", "set-concurrency-limit", "local", "7")
    prefect("work-queue", "create", "urgent", "--pool", "local", "--priority", "1", "--limit", "2")
    prefect("global-concurrency-limit", "create", "database", "--limit", "3")
    prefect("concurrency-limit", "create", "small", "4")
    prefect("deployment", "schedule", "create", "broken/two", "--interval", "1800")
    prefect.script(SAVED)
    if prefect.is_2:
        prefect("work-pool", "create", "agents", "--type", "prefect-agent")
        prefect("deployment", "build", "flows.py:family", "-n", "built", "-p", "agents", "-o", "built.yaml", "--apply")
    prefect.env = ours
    return url


def answers(url: str) -> bool:
    """Whether a server does."""
    try:
        return bool(urlopen(f"{url}/health", timeout=10).read() == b"true")
    except OSError:
        return False


@scenario("Servers: moved from by `headgate import prefect`", "worker start", on=(NEWEST, TWO), extended=True)
def test_what_stands_on_their_server_comes_over_once(prefect: Prefect, theirs: str) -> None:
    system = prefect.system
    plan = system.headgate("import", "prefect", theirs, "--dry-run")
    assert "+ deployment 'family/one'" in plan
    assert system.client.send(deployments.query()) == []
    system.headgate("import", "prefect", theirs, "--yes")

    made = system.client.send(deployments.get_by_name("family", "one"))
    assert (made.parameters["n"], made.work_queue_name, set(made.tags)) == (5, "special", {"a", "b"})
    assert sorted(each.active for each in made.schedules) == [False, True]
    assert len(system.client.send(deployments.get_by_name("broken", "two")).schedules) == 1
    assert system.client.send(work_pools.get("local")).concurrency_limit == 7
    queue = system.client.send(work_queues.get_by_name("local", "urgent"))
    assert (queue.priority, queue.concurrency_limit) == (1, 2)
    assert system.client.send(concurrency_limits.get("database")).limit == 3
    assert system.client.send(variables.get_by_name("word")).value == "here"
    prefect.script(LOADED)
    if prefect.is_2:
        built = system.client.send(deployments.get_by_name("family", "built"))
        assert built.work_pool_name == "agents"

    again = system.headgate("import", "prefect", theirs, "--yes")
    assert "Nothing to do" in again or "Plan: 0 to create, 0 to change" in again, again

    prefect.start("worker", "start", "--pool", "local")
    system.wait_for(system.create_run("family/one"), StateType.COMPLETED)


@scenario("transfer", "worker start", on=(NEWEST,), extended=True)
def test_what_stands_on_their_server_is_transferred_by_the_client(prefect: Prefect, theirs: str) -> None:
    """And run here by its worker."""
    system = prefect.system
    prefect.profiles(there=theirs, here=system.url)
    done = prefect.alone("transfer", "--from", "there", "--to", "here")
    assert "Failed" not in done, done
    made = system.client.send(deployments.get_by_name("family", "one"))
    assert (made.parameters["n"], made.work_queue_name, set(made.tags)) == (5, "special", {"a", "b"})
    assert sorted(each.active for each in made.schedules) == [False, True]
    assert system.client.send(work_pools.get("local")).concurrency_limit == 7
    queue = system.client.send(work_queues.get_by_name("local", "urgent"))
    assert (queue.priority, queue.concurrency_limit) == (1, 2)
    assert system.client.send(concurrency_limits.get("database")).limit == 3
    assert system.client.send(variables.get_by_name("word")).value == "here"
    prefect.script(LOADED)
    prefect.start("worker", "start", "--pool", "local")
    system.wait_for(system.create_run("family/one"), StateType.COMPLETED)
