"""Work queues over HTTP, inside a pool and across pools."""

from typing import Any

import pytest


async def ranks(api: Any) -> dict[str, int]:
    got = await api.post("/work_pools/pool/queues/filter", {"work_queues": None, "limit": None, "offset": None})
    return {queue["name"]: queue["priority"] for queue in got.json}


async def test_a_queue_is_made_in_its_pool(api: Any) -> None:
    pool = await api.pool()
    body = {
        "name": "q",
        "description": None,
        "is_paused": False,
        "concurrency_limit": None,
        "priority": None,
        "filter": None,
    }
    got = await api.post("/work_pools/pool/queues", body)
    assert got.status == 201
    queue = got.json
    assert queue == {
        "id": queue["id"],
        "created": "2026-03-02T09:00:00Z",
        "updated": "2026-03-02T09:00:00Z",
        "name": "q",
        "description": "",
        "is_paused": False,
        "concurrency_limit": None,
        "priority": 2,
        "work_pool_id": pool["id"],
        "filter": None,
        "last_polled": None,
        "work_pool_name": "pool",
        "status": "NOT_READY",
        "active_slots": queue["active_slots"],
        "pause": None,
    }
    assert (await api.get("/work_pools/pool/queues/q")).json == queue
    assert (await api.get(f"/work_queues/{queue['id']}")).json == queue


async def test_priorities_are_unique_and_a_taken_one_moves_the_others_down(api: Any) -> None:
    await api.pool()
    await api.queue("b")
    await api.queue("c")
    await api.queue("first", priority=1)
    assert await ranks(api) == {"first": 1, "default": 2, "b": 3, "c": 4}
    queue = (await api.get("/work_pools/pool/queues/c")).json
    await api.patch(f"/work_queues/{queue['id']}", {"priority": 2})
    assert await ranks(api) == {"first": 1, "c": 2, "default": 3, "b": 4}


async def test_a_taken_name_is_told_with_both_names(api: Any) -> None:
    await api.pool()
    await api.queue("q")
    got = await api.post("/work_pools/pool/queues", {"name": "q"})
    assert got.status == 409
    assert got.json == {"detail": "A work queue with name 'q' already exists in pool 'pool'."}
    other = await api.queue("r")
    assert (await api.patch(f"/work_queues/{other['id']}", {"name": "q"})).status == 409


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        ({"name": "a/b"}, ["name"]),
        ({"name": "q", "priority": 0}, ["priority"]),
        ({"name": "q", "priority": 2**31}, ["priority"]),
        ({"name": "q", "concurrency_limit": -1}, ["concurrency_limit"]),
        ({"name": "q", "concurrency_limit": 2**31}, ["concurrency_limit"]),
    ],
)
async def test_a_field_that_cannot_be_is_named(api: Any, body: dict[str, Any], loc: list[Any]) -> None:
    await api.pool()
    got = await api.post("/work_pools/pool/queues", body)
    assert got.status == 422
    assert got.json["exception_detail"][0]["loc"] == ["body", *loc]


async def test_a_change_keeps_what_is_left_out_and_a_null_clears(api: Any) -> None:
    await api.pool()
    queue = await api.queue("q", concurrency_limit=4, description="old")
    path = f"/work_queues/{queue['id']}"
    assert (await api.patch(path, {"is_paused": True})).status == 204
    changed = (await api.get(path)).json
    assert (changed["is_paused"], changed["status"], changed["concurrency_limit"]) == (True, "PAUSED", 4)
    await api.patch(path, {"concurrency_limit": None, "description": None, "name": "renamed"})
    changed = (await api.get(path)).json
    assert (changed["concurrency_limit"], changed["description"], changed["name"]) == (None, None, "renamed")
    assert changed["priority"] == queue["priority"]


async def test_a_time_without_a_zone_is_utc(api: Any) -> None:
    await api.pool()
    queue = await api.queue("q")
    assert (await api.patch(f"/work_queues/{queue['id']}", {"last_polled": "2026-03-02T09:00:00"})).status == 204
    assert (await api.get(f"/work_queues/{queue['id']}")).json["last_polled"] == "2026-03-02T09:00:00Z"


async def test_a_deleted_queue_leaves_its_deployments_and_runs_to_the_default_one(api: Any) -> None:
    await api.pool()
    deployment = await api.deployment(work_pool_name="pool", work_queue_name="q")
    run = await api.deployed_run(deployment)
    assert (await api.delete(f"/work_queues/{deployment['work_queue_id']}")).status == 204
    for path in (f"/deployments/{deployment['id']}", f"/flow_runs/{run['id']}"):
        assert (await api.get(path)).json["work_queue_name"] == "default"


async def test_the_default_queue_stays(api: Any) -> None:
    pool = await api.pool()
    got = await api.delete(f"/work_queues/{pool['default_queue_id']}")
    assert got.status == 422
    assert "'default'" in got.json["exception_detail"][0]["msg"]
    assert (await api.patch("/work_pools/pool/queues/default", {"name": "x"})).status == 204
    assert (await api.delete("/work_pools/pool/queues/x")).status == 422


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("PATCH", ""), ("DELETE", "")])
async def test_an_unknown_queue_is_told(api: Any, some_id: Any, method: str, path: str) -> None:
    got = await api.send(method, f"/work_queues/{some_id}{path}", {} if method == "PATCH" else b"")
    assert (got.status, got.json) == (404, {"detail": "Work Queue not found."})


async def test_an_unknown_name_is_told_with_its_pool(api: Any) -> None:
    await api.pool()
    got = await api.get("/work_pools/pool/queues/none")
    assert (got.status, got.json) == (404, {"detail": "Work pool queue 'pool/none' not found."})


async def test_queues_are_filtered_in_one_pool_and_in_all(api: Any) -> None:
    await api.pool()
    await api.pool("other")
    one = await api.queue("q1")
    await api.queue("q2")
    await api.queue("x", pool="other")
    for filters, names in (
        ({"name": {"any_": ["default"]}}, ["default"]),
        ({"name": {"startswith_": ["q"]}}, ["q1", "q2"]),
        ({"name": {"startswith_": ["q2", "d"]}}, ["default", "q2"]),
        ({"name": {"startswith_": []}}, []),
        ({"id": {"any_": [one["id"]]}}, ["q1"]),
        (None, ["default", "q1", "q2"]),
    ):
        got = await api.post("/work_pools/pool/queues/filter", {"work_queues": filters})
        assert [queue["name"] for queue in got.json] == names
    every = (await api.post("/work_queues/filter")).json
    assert sorted((queue["work_pool_name"], queue["name"]) for queue in every) == [
        ("other", "default"),
        ("other", "x"),
        ("pool", "default"),
        ("pool", "q1"),
        ("pool", "q2"),
    ]
    page = {"work_queues": {"name": {"startswith_": ["q"]}}, "limit": 100, "offset": 0}
    assert len((await api.post("/work_queues/filter", page)).json) == 2
    assert (await api.post("/work_queues/filter", page | {"offset": 100})).json == []


async def test_a_queues_health(api: Any) -> None:
    await api.pool()
    queue = await api.queue("q")
    path = f"/work_queues/{queue['id']}/status"
    policy = {"maximum_late_runs": 0, "maximum_seconds_since_last_polled": 60}
    assert (await api.get(path)).json == {
        "healthy": False,
        "late_runs_count": 0,
        "last_polled": None,
        "health_check_policy": policy,
    }
    await api.post("/work_pools/pool/get_scheduled_flow_runs", {"work_queue_names": ["q"]})
    assert (await api.get(path)).json["healthy"] is True
    api.clock.advance(seconds=61)
    assert (await api.get(path)).json["healthy"] is False


async def test_agents_create_and_find_queues_without_a_pool(api: Any) -> None:
    """As an agent that is started with a queue's name does: it looks, and creates what is not there."""
    assert (await api.get("/work_queues/name/legacy")).status == 404
    body = {
        "name": "legacy",
        "description": None,
        "is_paused": False,
        "concurrency_limit": None,
        "priority": None,
        "filter": None,
    }
    got = await api.post("/work_queues/", body)
    assert (got.status, got.json["work_pool_name"]) == (201, "default-agent-pool")
    assert (await api.get("/work_queues/name/legacy")).json == got.json
    assert (await api.get("/work_pools/default-agent-pool")).json["type"] == "prefect-agent"
    assert (await api.post("/work_queues/", body)).status == 409


async def test_a_queues_runs_are_listed_bare(api: Any) -> None:
    """A list of runs, as agents and existing command lines read it."""
    deployment = await api.deployment(work_queue_name="legacy")
    run = await api.deployed_run(deployment)
    path = f"/work_queues/{deployment['work_queue_id']}"
    agent = "019cad25-6000-7000-8000-00000000a9e7"
    due = {"limit": 10, "scheduled_before": "2026-03-02 09:00:15.5+00:00", "agent_id": agent}
    for body in (due, {"limit": None, "scheduled_before": None}, b""):
        got = await api.post(f"{path}/get_runs", body)
        assert got.status == 200
        assert [each["id"] for each in got.json] == [run["id"]]
    assert got.json == [(await api.get(f"/flow_runs/{run['id']}")).json]
    assert (await api.get(path)).json["last_polled"] == "2026-03-02T09:00:00Z"
    before = {"scheduled_before": "2026-03-02T08:59:59+00:00"}
    assert (await api.post(f"{path}/get_runs", before)).json == []


async def test_runs_of_a_queue_that_is_not_there(api: Any, some_id: Any) -> None:
    for got in (await api.post(f"/work_queues/{some_id}/get_runs", {}), await api.get(f"/work_queues/{some_id}/status")):
        assert (got.status, got.json) == (404, {"exception_message": "Work Queue not found."})


async def test_a_poll_shows_a_page_at_most(api: Any) -> None:
    pool = await api.pool()
    for path in ("/work_pools/pool/get_scheduled_flow_runs", f"/work_queues/{pool['default_queue_id']}/get_runs"):
        assert (await api.post(path, {"limit": 200})).status == 200
        got = await api.post(path, {"limit": 201})
        assert (got.status, got.json) == (422, {"detail": "Invalid limit: must be less than or equal to 200."})


@pytest.mark.parametrize(("header", "polled"), [("true", False), ("1", False), ("false", True), (None, True)])
async def test_a_page_that_shows_a_queues_runs_does_not_poll_it(any_api: Any, header: str | None, polled: bool) -> None:
    """Nobody is there who would run them. A poll is told of the queue's deployments as well."""
    await any_api.pool()
    queue = await any_api.queue("q")
    deployment = await any_api.deployment(work_pool_name="pool", work_queue_name="q")
    await any_api.deployed_run(deployment, name="waits")
    headers = {} if header is None else {"x_prefect_ui": header}
    got = await any_api.post(f"/work_queues/{queue['id']}/get_runs", {}, **headers)
    assert [run["name"] for run in got.json] == ["waits"]
    expected = ("READY", "2026-03-02T09:00:00Z") if polled else ("NOT_READY", None)
    for path in (f"/work_queues/{queue['id']}", f"/deployments/{deployment['id']}"):
        found = (await any_api.get(path)).json
        assert (found["status"], found["last_polled"]) == expected
