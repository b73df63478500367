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
