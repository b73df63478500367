"""Limits that flows of clients take by themselves: on tasks by their tags, and on any code by a name."""

from prefect_client import Prefect
from scenario import NEWEST, TWO, scenario

from headgate.client.calls import concurrency_limits

LIMITED = """
import os
import time
from urllib.request import urlopen

from prefect import flow, task
from prefect.concurrency.sync import concurrency


@task(tags=["small"])
def in_turn():
    with open("turns", "a") as file:
        file.write("begin\\n")
    time.sleep(0.5)
    with open("turns", "a") as file:
        file.write("end\\n")


@flow
def limited():
    turns = [in_turn.submit() for _ in range(2)]
    with concurrency("database", occupy=2):
        print(urlopen(os.environ["PREFECT_API_URL"] + "/v2/concurrency_limits/database").read().decode(), flush=True)
    for turn in turns:
        turn.result()


if __name__ == "__main__":
    limited()
"""


@scenario(
    *("Limits: of tags, for tasks", "Limits: by name, for any code"),
    *("global-concurrency-limit create", "concurrency-limit create"),
    on=(NEWEST, TWO),
    extended=True,
)
def test_flows_take_slots_of_limits(on_own: Prefect) -> None:
    """On either database: tasks of one tag run in turn, and the slots of a name are taken and given back."""
    on_own("global-concurrency-limit", "create", "database", "--limit", "3")
    on_own("concurrency-limit", "create", "small", "1")
    done = on_own.script(LIMITED)
    assert '"active_slots":2' in done.text
    assert (on_own.directory / "turns").read_text().split() == ["begin", "end"] * 2
    assert on_own.system.client.send(concurrency_limits.get("database")).active_slots == 0


DEPLOYED_TWICE = """
import os
import time
from pathlib import Path

from prefect import flow
from prefect.client.orchestration import get_client

TURNS = Path(__file__).with_name("turns")


def slot(word):
    with TURNS.open("a") as file:
        file.write(word + "\\n")


@flow
def first():
    slot("begin")
    time.sleep(0.3)
    slot("end")


@flow
def second():
    first.fn()


def deployments():
    for each in (first, second):
        source = each.from_source(source=str(Path(__file__).parent), entrypoint=f"{Path(__file__).name}:{each.name}")
        yield each.name, source.deploy("shared", work_pool_name="local", print_next_steps=False)


if __name__ == "__main__":
    with get_client(sync_client=True) as client:
        limit = client.request("GET", "/v2/concurrency_limits/database").json()["id"]
        for name, id in deployments():
            client.request("PATCH", "/deployments/{id}", path_params={"id": id}, json={"global_concurrency_limit_id": limit})
        for name, id in deployments():
            assert client.read_deployment(id).global_concurrency_limit.name == "database"
            for _ in range(3):
                client.create_flow_run_from_deployment(id)
"""


@scenario(
    "Limits: shared by deployments",
    *("global-concurrency-limit create", "work-pool create"),
    on=(NEWEST,),
    extended=True,
)
def test_deployments_share_a_limit(on_own: Prefect) -> None:
    """On either database: six runs of two deployments run one by one, and deploying again does not take the limit away."""
    on_own("global-concurrency-limit", "create", "database", "--limit", "1")
    on_own.script(DEPLOYED_TWICE)
    on_own.start("worker", "start", "--pool", "local")
    system, turns = on_own.system, on_own.directory / "turns"
    system.until(lambda: turns.exists() and len(turns.read_text().split()) >= 12, "the runs' words", seconds=120)
    assert turns.read_text().split() == ["begin", "end"] * 6
    system.until(lambda: system.client.send(concurrency_limits.get("database")).active_slots == 0, "an end of all runs")
