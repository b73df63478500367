"""Workers and claims over HTTP."""

from typing import Any
from uuid import uuid4

import pytest


async def workers(api: Any, **filters: Any) -> list[str]:
    got = await api.post("/work_pools/pool/workers/filter", {"workers": filters or None})
    assert got.status == 200, got.json
    return [worker["name"] for worker in got.json]


@pytest.mark.parametrize("interval", [30, 30.0, None])
async def test_a_heartbeat_makes_a_worker_known_and_its_pool_ready(api: Any, interval: float | None) -> None:
    pool = await api.pool()
    got = await api.post("/work_pools/pool/workers/heartbeat", {"name": "w 1", "heartbeat_interval_seconds": interval})
    assert (got.status, got.body) == (204, b"")
    (worker,) = (await api.post("/work_pools/pool/workers/filter")).json
    assert worker == {
        "id": worker["id"],
        "created": "2026-03-02T09:00:00Z",
        "updated": "2026-03-02T09:00:00Z",
        "name": "w 1",
        "work_pool_id": pool["id"],
        "type": None,
        "last_heartbeat_time": "2026-03-02T09:00:00Z",
        "heartbeat_interval_seconds": interval,
        "status": "ONLINE",
        "draining": False,
    }
    assert (await api.get("/work_pools/pool")).json["status"] == "READY"


async def test_further_heartbeats_keep_the_one_worker_alive(api: Any) -> None:
    await api.pool()
    for _ in range(3):
        await api.post("/work_pools/pool/workers/heartbeat", {"name": "w", "heartbeat_interval_seconds": 5})
        api.clock.advance(seconds=10)
    (worker,) = (await api.post("/work_pools/pool/workers/filter")).json
    assert (worker["status"], worker["last_heartbeat_time"]) == ("ONLINE", "2026-03-02T09:00:20Z")
    api.clock.advance(seconds=6)
    assert (await api.post("/work_pools/pool/workers/filter")).json[0]["status"] == "OFFLINE"


async def test_workers_are_filtered(api: Any) -> None:
    await api.pool()
    for name in ("old", "new"):
        await api.post("/work_pools/pool/workers/heartbeat", {"name": name, "heartbeat_interval_seconds": 5})
        api.clock.advance(seconds=12)
    assert await workers(api) == ["new", "old"]
    assert await workers(api, status={"any_": ["ONLINE"]}) == ["new"]
    assert await workers(api, status={"not_any_": ["ONLINE"]}) == ["old"]
    assert await workers(api, last_heartbeat_time={"before_": "2026-03-02T09:00:05Z"}) == ["old"]
    assert await workers(api, last_heartbeat_time={"after_": "2026-03-02T09:00:05Z"}) == ["new"]


async def test_a_worker_is_drained(api: Any) -> None:
    await api.pool()
    await api.post("/work_pools/pool/leases/renew", {"worker": "w", "joins_as": str(uuid4())})
    assert (await api.post("/work_pools/pool/workers/w/drain")).status == 204
    (worker,) = (await api.post("/work_pools/pool/workers/filter")).json
    assert worker["draining"] is True
    assert (await api.post("/work_pools/pool/claim", {"worker": "w"})).json["drain"] is True
    assert (await api.post("/work_pools/pool/leases/renew", {"worker": "w"})).json["drain"] is True
    missing = await api.post("/work_pools/pool/workers/other/drain")
    assert (missing.status, missing.json) == (404, {"detail": "Worker 'other' not found in pool 'pool'."})


async def test_a_forgotten_worker_is_gone(api: Any) -> None:
    await api.pool()
    await api.post("/work_pools/pool/workers/heartbeat", {"name": "w"})
    assert (await api.delete("/work_pools/pool/workers/w")).status == 204
    assert await workers(api) == []
    got = await api.delete("/work_pools/pool/workers/w")
    assert got.status == 404
    assert "'w'" in got.json["detail"]


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        ({"name": ""}, ["name"]),
        ({}, ["name"]),
        ({"name": "w", "heartbeat_interval_seconds": -1}, ["heartbeat_interval_seconds"]),
        ({"name": "w", "heartbeat_interval_seconds": 1e308}, ["heartbeat_interval_seconds"]),
        ({"name": "w", "heartbeat_interval_seconds": "soon"}, ["heartbeat_interval_seconds"]),
    ],
)
async def test_a_field_of_a_heartbeat_that_cannot_be_is_named(api: Any, body: dict[str, Any], loc: list[Any]) -> None:
    await api.pool()
    got = await api.post("/work_pools/pool/workers/heartbeat", body)
    assert got.status == 422
    assert got.json["exception_detail"][0]["loc"] == ["body", *loc]


# --- claims


async def test_a_claim_gives_a_run_with_all_that_it_takes_to_start_it(api: Any) -> None:
    template = {
        "job_configuration": {"command": "{{ command }}"},
        "variables": {"type": "object", "properties": {"command": {"type": "string"}, "env": {"type": "object"}}},
    }
    await api.pool(base_job_template=template)
    made = await api.deployment(work_pool_name="pool", job_variables={"command": "a", "env": {"A": "1"}})
    run = await api.deployed_run(made, job_variables={"command": "b"})
    got = await api.post("/work_pools/pool/claim", {"worker": "w", "worker_type": "process", "room": 5})
    assert got.status == 200
    answer = got.json
    (grant,) = answer["grants"]
    assert grant["lease"] == {"flow_run_id": run["id"], "fence": 1, "expires_at": "2026-03-02T09:00:20Z"}
    assert (grant["flow_run"]["id"], grant["flow_run"]["state_type"], grant["flow_run"]["fence"]) == (
        run["id"],
        "PENDING",
        1,
    )
    assert (grant["flow"]["name"], grant["deployment"]["id"]) == ("hello", made["id"])
    assert grant["job_variables"] == {"command": "b", "env": {"A": "1"}}
    assert (grant["work_queue_name"], answer["base_job_template"], answer["paused"]) == ("default", template, False)
    assert (await api.post("/work_pools/pool/claim", {"worker": "w"})).json["grants"] == []
    assert await workers(api) == ["w"]


async def test_claims_hold_every_limit_with_polls_and_each_other(api: Any) -> None:
    await api.pool(concurrency_limit=3)
    made = await api.deployment(work_pool_name="pool")
    runs = [await api.deployed_run(made) for _ in range(5)]
    await api.set_state(runs[4], "PENDING")
    claimed = []
    for worker in ("v", "w"):
        got = await api.post("/work_pools/pool/claim", {"worker": worker, "room": 5})
        claimed += [grant["flow_run"]["id"] for grant in got.json["grants"]]
    assert claimed == [run["id"] for run in runs[:2]]


async def test_a_worker_hears_of_runs_that_it_has_to_stop(api: Any) -> None:
    await api.pool()
    run = await api.deployed_run(await api.deployment(work_pool_name="pool"))
    (grant,) = (await api.post("/work_pools/pool/claim", {"worker": "w"})).json["grants"]
    await api.set_state(run, "CANCELLING")
    assert (await api.post("/work_pools/pool/claim", {"worker": "w", "room": 0})).json["cancel"] == [run["id"]]
    lease = {name: grant["lease"][name] for name in ("flow_run_id", "fence")}
    renewed = await api.post("/work_pools/pool/leases/renew", {"worker": "w", "leases": [lease]})
    assert (renewed.status, renewed.json["cancel"], renewed.json["lost"]) == (200, [run["id"]], [])


async def test_a_claim_that_is_given_back_waits_again_under_its_old_time(api: Any) -> None:
    await api.pool()
    run = await api.deployed_run(await api.deployment(work_pool_name="pool"))
    (grant,) = (await api.post("/work_pools/pool/claim", {"worker": "w"})).json["grants"]
    api.clock.advance(seconds=1)
    got = await api.post("/work_pools/pool/leases/return", {"worker": "w", "leases": [grant["lease"]]})
    assert got.status == 204
    now = (await api.get(f"/flow_runs/{run['id']}")).json
    assert (now["state_type"], now["next_scheduled_start_time"]) == ("SCHEDULED", "2026-03-02T09:00:00Z")
    (again,) = (await api.post("/work_pools/pool/claim", {"worker": "v"})).json["grants"]
    assert again["lease"]["fence"] > grant["lease"]["fence"]


@pytest.mark.parametrize(
    ("path", "who"),
    [("/work_pools/pool/claim", {"worker": "w"}), ("/agents/claim", {"agent_id": str(uuid4()), "pool": "pool"})],
)
async def test_a_claim_may_look_ahead_as_far_as_a_year(api: Any, path: str, who: dict[str, str]) -> None:
    await api.pool()
    state = {"type": "SCHEDULED", "state_details": {"scheduled_time": "2026-12-01T00:00:00Z"}}
    run = await api.deployed_run(await api.deployment(work_pool_name="pool"), state=state)
    year = 31_536_000
    assert (await api.post(path, who | {"prefetch_seconds": year + 1})).status == 422
    (grant,) = (await api.post(path, who | {"prefetch_seconds": year})).json["grants"]
    assert grant["flow_run"]["id"] == run["id"]


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        ({}, ["worker"]),
        ({"worker": "w", "room": -1}, ["room"]),
        ({"worker": "w", "room": 1001}, ["room"]),
        ({"worker": "w", "wait_seconds": 31}, ["wait_seconds"]),
        ({"worker": "w", "prefetch_seconds": -1}, ["prefetch_seconds"]),
        ({"worker": "w", "queues": ["a/b"]}, ["queues", 0]),
        ({"worker": "w", "worker_type": "docker"}, ["worker_type"]),
        ({"worker": "w", "heartbeat_interval_seconds": -1}, ["heartbeat_interval_seconds"]),
    ],
)
async def test_a_field_of_a_claim_that_cannot_be_is_named(api: Any, body: dict[str, Any], loc: list[Any]) -> None:
    await api.pool()
    got = await api.post("/work_pools/pool/claim", body)
    assert got.status == 422, got.json
    assert got.json["exception_detail"][0]["loc"] == ["body", *loc]


async def test_a_worker_may_have_any_name(any_api: Any) -> None:
    await any_api.pool()
    path = "/work_pools/pool/workers"
    for name, status in (("site/50% <a&b>", 204), ("x" * 255, 204), ("", 422), ("x" * 256, 422)):
        assert (await any_api.post(f"{path}/heartbeat", {"name": name})).status == status
    assert {each["name"] for each in (await any_api.post(f"{path}/filter", {})).json} == {"site/50% <a&b>", "x" * 255}
