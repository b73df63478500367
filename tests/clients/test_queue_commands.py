"""`prefect work-queue`: in a pool and without one."""

import pytest
from prefect_client import Prefect
from scenario import NEWEST, scenario

from headgate.client.calls import work_pools, work_queues
from headgate.errors import NotFound
from headgate.schema.work_queues import WorkQueue

AGENT_POOL = "default-agent-pool"


def queue(prefect: Prefect, name: str, pool: str = "one") -> WorkQueue:
    """A queue as it stands on the server."""
    return prefect.system.client.send(work_queues.get_by_name(pool, name))


@scenario("work-queue create", "work-queue ls", "work-queue inspect", "work-queue delete")
def test_a_queue_of_a_pool_is_made_shown_and_deleted(prefect: Prefect) -> None:
    prefect("work-pool", "create", "one", "--type", "process")
    prefect("work-queue", "create", "first", "--pool", "one", "--priority", "1", "--limit", "5")
    prefect("work-queue", "create", "second", "--pool", "one")
    assert (queue(prefect, "first").priority, queue(prefect, "first").concurrency_limit) == (1, 5)
    assert "already exists" in prefect("work-queue", "create", "first", "--pool", "one", code=1).text
    prefect("work-queue", "create", "first", "--pool", "none", code=1)

    listed = prefect("work-queue", "ls", "--pool", "one").text
    assert all(name in listed for name in ("default", "first", "second"))
    assert "second" in prefect("work-queue", "ls", "--match", "sec").text
    assert "first" not in prefect("work-queue", "ls", "--match", "sec").text
    shown = prefect("work-queue", "inspect", "first", "--pool", "one").text
    assert "name='first'" in shown
    assert "concurrency_limit=5" in shown
    prefect("work-queue", "inspect", "none", "--pool", "one", code=1)

    prefect("work-queue", "delete", "first", "--pool", "one")
    with pytest.raises(NotFound):
        queue(prefect, "first")
    prefect("work-queue", "delete", "first", "--pool", "one", code=1)


@scenario(
    *("work-queue create", "work-queue ls", "work-queue inspect", "work-queue pause", "work-queue resume"),
    *("work-queue preview", "work-queue read-runs", "work-queue delete"),
)
def test_a_queue_without_a_pool_lies_in_the_agents_pool(prefect: Prefect) -> None:
    prefect("work-queue", "create", "mine")
    assert prefect.system.client.send(work_pools.get(AGENT_POOL)).type == "prefect-agent"
    assert "mine" in prefect("work-queue", "ls").text
    assert "name='mine'" in prefect("work-queue", "inspect", "mine").text
    prefect("work-queue", "pause", "mine", "--pool", AGENT_POOL)
    assert queue(prefect, "mine", AGENT_POOL).is_paused
    prefect("work-queue", "resume", "mine")
    assert not queue(prefect, "mine", AGENT_POOL).is_paused
    prefect("work-queue", "preview", "mine")
    assert "0 runs" in prefect("work-queue", "read-runs", "mine").text
    prefect("work-queue", "delete", "mine")
    assert "mine" not in prefect("work-queue", "ls").text


@scenario(
    *("work-queue pause", "work-queue resume", "work-queue set-concurrency-limit", "work-queue clear-concurrency-limit"),
    *("work-queue preview", "work-queue read-runs"),
)
def test_a_queue_of_a_pool_is_changed(prefect: Prefect) -> None:
    prefect("work-pool", "create", "one", "--type", "process")
    prefect("work-queue", "create", "first", "--pool", "one")
    prefect("work-queue", "pause", "first", "--pool", "one")
    assert queue(prefect, "first").is_paused
    prefect("work-queue", "resume", "first", "--pool", "one")
    assert not queue(prefect, "first").is_paused
    prefect("work-queue", "set-concurrency-limit", "first", "4", "--pool", "one")
    assert queue(prefect, "first").concurrency_limit == 4
    prefect("work-queue", "clear-concurrency-limit", "first", "--pool", "one")
    assert queue(prefect, "first").concurrency_limit is None
    prefect("work-queue", "preview", "first", "--pool", "one")
    prefect("work-queue", "read-runs", "first", "--pool", "one")
    for command in (("pause",), ("resume",), ("clear-concurrency-limit",), ("set-concurrency-limit", "4")):
        prefect("work-queue", command[0], "none", *command[1:], "--pool", "one", code=1)


@scenario("work-queue slots", on=(NEWEST,))
def test_the_slots_of_a_queue_are_shown(prefect: Prefect) -> None:
    prefect("work-pool", "create", "one", "--type", "process")
    prefect("work-queue", "create", "first", "--pool", "one", "--limit", "2")
    shown = prefect("work-queue", "slots", "first", "--pool", "one", "--output", "json").json
    assert (shown["active_slots"], shown["concurrency_limit"]) == (0, 2)
