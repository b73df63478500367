"""`prefect work-pool`: what its commands say, and what stands on the server afterwards."""

import json

import pytest
from prefect_client import Prefect
from scenario import NEWEST, scenario

from headgate.client.calls import work_pools
from headgate.errors import NotFound
from headgate.schema.work_pools import WorkPool


def pool(prefect: Prefect, name: str) -> WorkPool:
    """A pool as it stands on the server."""
    return prefect.system.client.send(work_pools.get(name))


@scenario("work-pool create", "work-pool ls", "work-pool inspect", "work-pool delete")
def test_a_pool_is_made_shown_and_deleted(prefect: Prefect) -> None:
    assert "Created work pool 'one'" in prefect("work-pool", "create", "one", "--type", "process").text
    assert "already exists" in prefect("work-pool", "create", "one", "--type", "process", code=1).text
    prefect("work-pool", "create", "two", "--type", "process", "--paused")
    assert (pool(prefect, "one").is_paused, pool(prefect, "two").is_paused) == (False, True)
    assert set(pool(prefect, "one").base_job_template) == {"job_configuration", "variables"}

    assert "one" in prefect("work-pool", "ls").text
    assert "denotes a paused pool" in prefect("work-pool", "ls", "--verbose").text
    assert "two (**)" in prefect("work-pool", "ls").text
    shown = prefect("work-pool", "inspect", "one").text
    assert "name='one'" in shown
    assert "type='process'" in shown
    assert "not found" in prefect("work-pool", "inspect", "none", code=1).text

    assert "Deleted work pool 'one'" in prefect("work-pool", "delete", "one").text
    with pytest.raises(NotFound):
        pool(prefect, "one")
    prefect("work-pool", "delete", "one", code=1)


@scenario("work-pool create")
def test_a_pool_is_overwritten_made_the_default_and_refused(prefect: Prefect) -> None:
    assert "Set 'one' as default" in prefect("work-pool", "create", "one", "--type", "process", "--set-as-default").text
    prefect("work-pool", "create", "one", "--type", "process", "--paused", "--overwrite")
    assert pool(prefect, "one").is_paused
    prefect("work-pool", "create", "prefect-mine", "--type", "process", code=1)
    assert "Unknown work pool type" in prefect("work-pool", "create", "two", "--type", "nonsense", code=1).text


@scenario(
    *("work-pool pause", "work-pool resume", "work-pool update"),
    *("work-pool set-concurrency-limit", "work-pool clear-concurrency-limit"),
)
def test_a_pool_is_changed(prefect: Prefect) -> None:
    prefect("work-pool", "create", "one", "--type", "process")
    assert "Paused work pool 'one'" in prefect("work-pool", "pause", "one").text
    assert pool(prefect, "one").is_paused
    assert "Resumed work pool 'one'" in prefect("work-pool", "resume", "one").text
    assert not pool(prefect, "one").is_paused

    prefect("work-pool", "set-concurrency-limit", "one", "3")
    assert pool(prefect, "one").concurrency_limit == 3
    prefect("work-pool", "clear-concurrency-limit", "one")
    assert pool(prefect, "one").concurrency_limit is None

    template = pool(prefect, "one").base_job_template
    template["variables"]["properties"]["extra"] = {"type": "integer", "default": 4}
    (prefect.directory / "template.json").write_text(json.dumps(template))
    prefect("work-pool", "update", "one", "--description", "mine", "--concurrency-limit", "7")
    prefect("work-pool", "update", "one", "--base-job-template", "template.json")
    changed = pool(prefect, "one")
    assert (changed.description, changed.concurrency_limit) == ("mine", 7)
    assert changed.base_job_template == template

    for command in ("pause", "resume", "clear-concurrency-limit"):
        prefect("work-pool", command, "none", code=1)
    prefect("work-pool", "set-concurrency-limit", "none", "3", code=1)
    prefect("work-pool", "update", "none", "--description", "x", code=1)


@scenario("work-pool preview", "work-pool get-default-base-job-template")
def test_a_pool_says_what_is_next_and_what_its_type_is_made_of(prefect: Prefect) -> None:
    prefect("work-pool", "create", "one", "--type", "process")
    assert prefect("work-pool", "preview", "one").code == 0
    template = prefect("work-pool", "get-default-base-job-template", "--type", "process").text
    assert "job_configuration" in template
    prefect("work-pool", "get-default-base-job-template", "--type", "nonsense", code=None)


@scenario("work-pool slots", on=(NEWEST,))
def test_the_slots_of_a_pool_are_shown(prefect: Prefect) -> None:
    prefect("work-pool", "create", "one", "--type", "process")
    prefect("work-pool", "set-concurrency-limit", "one", "3")
    shown = prefect("work-pool", "slots", "one", "--output", "json").json
    assert (shown["active_slots"], shown["concurrency_limit"]) == (0, 3)
    prefect("work-pool", "slots", "none", code=1)
