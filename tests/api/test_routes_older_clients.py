"""What clients of old and the peer's own pages ask of pools, queues and deployments."""

from typing import Any
from uuid import uuid4

import pytest

CRON = {"cron": "0 9 * * *", "timezone": "UTC"}


async def test_occupancy(api: Any) -> None:
    await api.pool(concurrency_limit=3)
    queue = await api.queue("q1")
    run = await api.deployed_run(await api.deployment(work_pool_name="pool", work_queue_name="q1"))
    await api.set_state(run, "PENDING")
    shown = (await api.post("/work_pools/pool/concurrency_status", {"page": 1, "flow_run_limit": 200})).json
    assert (shown["active_slots"], shown["concurrency_limit"], shown["count"], shown["limit"]) == (1, 3, 2, 200)
    held = next(each for each in shown["queues"] if each["queue_name"] == "q1")["flow_runs"]
    seen = [(each["id"], each["state_type"], each["time_in_current_state"]) for each in held]
    assert seen == [(run["id"], "PENDING", 0.0)]
    shown = (await api.post(f"/work_queues/{queue['id']}/concurrency_status", {"page": 1})).json
    assert (shown["count"], shown["pages"], shown["flow_runs"]) == (1, 1, held)
    assert (await api.post("/work_pools/none/concurrency_status")).status == 404
    assert (await api.post(f"/work_queues/{uuid4()}/concurrency_status")).status == 404


async def test_a_queue_is_changed_and_deleted_by_name(api: Any) -> None:
    await api.pool()
    await api.queue("q1")
    assert (await api.patch("/work_pools/pool/queues/q1", {"is_paused": True})).status == 204
    assert (await api.get("/work_pools/pool/queues/q1")).json["status"] == "PAUSED"
    assert (await api.delete("/work_pools/pool/queues/q1")).status == 204
    for got in (await api.patch("/work_pools/pool/queues/q1", {}), await api.delete("/work_pools/pool/queues/q1")):
        assert got.status == 404


async def test_deployments_are_paged_by_number(api: Any) -> None:
    for name in ("a", "b", "c"):
        await api.deployment(name)
    page = (await api.post("/deployments/paginate", {"limit": 2, "page": 2})).json
    assert ([each["name"] for each in page["results"]], page["count"], page["pages"], page["page"]) == (["c"], 3, 2, 2)
    assert (await api.post("/deployments/paginate")).json["limit"] == 200
    assert (await api.post("/deployments/paginate", {"page": 0})).status == 422
    assert (await api.post("/deployments/paginate", {"limit": 201})).status == 422


async def test_deployments_are_deleted_by_filter(api: Any) -> None:
    made = [await api.deployment(name) for name in ("a", "b", "c")]
    ids = [each["id"] for each in made[:2]]
    assert (await api.post("/deployments/bulk_delete", {})).status == 422
    got = await api.post("/deployments/bulk_delete", {"deployments": {"id": {"any_": [*ids, str(uuid4())]}}})
    assert sorted(got.json["deleted"]) == sorted(ids)
    assert [each["name"] for each in (await api.post("/deployments/filter")).json] == ["c"]


@pytest.mark.parametrize("verb", ["pause_deployment", "set_schedule_inactive"])
async def test_older_words_for_a_pause(api: Any, verb: str) -> None:
    made = await api.deployment(schedule=CRON, is_schedule_active=True)
    assert (made["schedule"]["cron"], made["is_schedule_active"], len(made["schedules"])) == ("0 9 * * *", True, 1)
    assert (await api.post(f"/deployments/{made['id']}/{verb}")).status == 200
    read = (await api.get(f"/deployments/{made['id']}")).json
    assert (read["paused"], read["is_schedule_active"]) == (True, False)
    assert (await api.post(f"/deployments/{made['id']}/set_schedule_active")).status == 200
    assert (await api.get(f"/deployments/{made['id']}")).json["paused"] is False
    await api.patch(f"/deployments/{made['id']}", {"is_schedule_active": False, "schedule": None})
    read = (await api.get(f"/deployments/{made['id']}")).json
    assert (read["paused"], len(read["schedules"])) == (True, 1)


async def test_a_deployment_without_a_schema_has_an_empty_one(api: Any) -> None:
    made = await api.deployment(parameter_openapi_schema=None)
    assert made["parameter_openapi_schema"] == {}


async def test_a_deployment_shares_a_named_limit(api: Any) -> None:
    """It is shown as the limit of its own would be; one that is not there is an error, a null takes it away."""
    limit = (await api.post("/v2/concurrency_limits/", {"name": "database", "limit": 3})).json
    made = await api.deployment(global_concurrency_limit_id=limit["id"])
    assert made["global_concurrency_limit"] == limit
    path = f"/deployments/{made['id']}"
    got = await api.patch(path, {"global_concurrency_limit_id": str(uuid4())})
    assert (got.status, got.json["detail"]) == (404, "Concurrency limit not found")
    assert (await api.get(path)).json["global_concurrency_limit"]["id"] == limit["id"]
    assert (await api.patch(path, {"global_concurrency_limit_id": None})).status == 204
    assert (await api.get(path)).json["global_concurrency_limit"] is None


async def test_runs_of_the_past_are_made_on_demand_and_once(api: Any) -> None:
    made = await api.deployment(schedule=CRON)
    runs = {"deployments": {"id": {"any_": [made["id"]]}}}
    before = (await api.post("/flow_runs/count", runs)).json
    span = {"start_time": "2026-02-01T00:00:00Z", "end_time": "2026-02-10T00:00:00Z", "min_runs": 5, "min_time": 0}
    for _ in range(2):
        assert (await api.post(f"/deployments/{made['id']}/schedule", span)).status == 200
        assert (await api.post("/flow_runs/count", runs)).json == before + 5
    assert (await api.post(f"/deployments/{made['id']}/schedule", span | {"min_runs": 100, "max_runs": 7})).status == 200
    assert (await api.post("/flow_runs/count", runs)).json == before + 7
    assert (await api.post(f"/deployments/{uuid4()}/schedule")).status == 404


async def test_the_queue_of_a_deployment(api: Any) -> None:
    await api.pool()
    there = await api.deployment("a", work_pool_name="pool")
    nowhere = await api.deployment("b")
    assert [each["name"] for each in (await api.get(f"/deployments/{there['id']}/work_queue_check")).json] == ["default"]
    assert (await api.get(f"/deployments/{nowhere['id']}/work_queue_check")).json == []
    assert (await api.get(f"/deployments/{uuid4()}/work_queue_check")).status == 404
