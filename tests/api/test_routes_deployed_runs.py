"""Runs of deployments over HTTP: what they take over, and how a serving process finds them."""

from datetime import timedelta
from typing import Any

import pytest

SCHEMA = {
    "title": "Parameters",
    "type": "object",
    "properties": {"n": {"default": 3, "title": "n", "type": "integer"}, "name": {"type": "string"}},
}


async def test_a_run_takes_over_what_its_deployment_says(api: Any) -> None:
    await api.pool()
    made = await api.deployment(
        work_pool_name="pool",
        parameters={"n": 1, "name": "x"},
        tags=["a", "b"],
        version="7",
        job_variables={"env": {"A": "1"}},
    )
    got = await api.post(
        f"/deployments/{made['id']}/create_flow_run",
        {
            "state": {
                "type": "SCHEDULED",
                "name": "Scheduled",
                "message": None,
                "state_details": {"scheduled_time": "2026-03-02 10:00:00+00:00", "traceparent": None},
                "data": None,
            },
            "name": None,
            "parameters": {"n": 7},
            "context": {},
            "tags": ["b", "cli"],
            "idempotency_key": None,
            "parent_task_run_id": None,
            "job_variables": {"env": {"B": "2"}},
            "labels": {"who": "me"},
        },
    )
    assert got.status == 201
    run = got.json
    assert run["parameters"] == {"n": 7, "name": "x"}
    assert run["tags"] == ["a", "b", "cli"]
    assert run["job_variables"] == {"env": {"B": "2"}}
    assert run["labels"] == {"prefect.flow.id": made["flow_id"], "prefect.deployment.id": made["id"], "who": "me"}
    assert (run["deployment_version"], run["work_pool_name"], run["work_queue_name"]) == ("7", "pool", "default")
    assert (run["state_type"], run["state_name"], run["run_count"]) == ("SCHEDULED", "Scheduled", 0)
    assert run["expected_start_time"] == run["next_scheduled_start_time"] == "2026-03-02T10:00:00Z"
    assert run["state"]["state_details"]["scheduled_time"] == "2026-03-02T10:00:00Z"
    assert run["state"]["state_details"]["flow_run_id"] == run["id"]
    assert run["name"]


@pytest.mark.parametrize("body", [b"", {}, {"state": None, "parameters": None, "tags": None, "job_variables": None}])
async def test_without_a_state_a_run_is_due_now(api: Any, body: Any) -> None:
    made = await api.deployment()
    got = await api.post(f"/deployments/{made['id']}/create_flow_run", body)
    assert got.status == 201
    assert got.json["next_scheduled_start_time"] == "2026-03-02T09:00:00Z"


async def test_the_same_key_gets_the_same_run(api: Any) -> None:
    made = await api.deployment()
    path = f"/deployments/{made['id']}/create_flow_run"
    first = await api.post(path, {"idempotency_key": "k", "parameters": {"n": 1}})
    again = await api.post(path, {"idempotency_key": "k", "parameters": {"n": 2}})
    assert (first.status, again.status) == (201, 200)
    assert again.json["id"] == first.json["id"]
    assert again.json["parameters"] == {"n": 1}
    other = await api.deployment("other", flow="another")
    assert (await api.post(f"/deployments/{other['id']}/create_flow_run", {"idempotency_key": "k"})).status == 201


async def test_parameters_that_the_schema_forbids_are_told_in_the_words_that_clients_print(api: Any) -> None:
    made = await api.deployment(parameter_openapi_schema=SCHEMA)
    path = f"/deployments/{made['id']}/create_flow_run"
    got = await api.post(path, {"parameters": {"n": "notint"}})
    assert got.status == 409
    assert got.json == {
        "detail": "Error creating flow run: Validation failed for field 'n'. "
        "Failure reason: 'notint' is not of type 'integer'"
    }
    assert (await api.post(path, {"parameters": {"unknown": 1}})).status == 201
    assert (await api.post(path, {"parameters": {"n": "x"}, "enforce_parameter_schema": False})).status == 201


async def test_a_deployment_may_let_any_parameters_pass(api: Any) -> None:
    made = await api.deployment(parameter_openapi_schema=SCHEMA, enforce_parameter_schema=False)
    assert (await api.post(f"/deployments/{made['id']}/create_flow_run", {"parameters": {"n": "x"}})).status == 201


async def test_a_paused_deployment_still_takes_runs(api: Any) -> None:
    made = await api.deployment(paused=True)
    assert (await api.post(f"/deployments/{made['id']}/create_flow_run", {})).status == 201


async def test_a_run_may_go_to_a_queue_of_its_own(api: Any) -> None:
    await api.pool()
    made = await api.deployment(work_pool_name="pool")
    run = await api.deployed_run(made, work_queue_name="fast")
    assert (run["work_queue_name"], run["work_pool_name"]) == ("fast", "pool")
    assert (await api.get("/work_pools/pool/queues/fast")).json["id"] == run["work_queue_id"]


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        ({"priority": 1001}, ["priority"]),
        ({"empirical_policy": {"retries": -1}}, ["empirical_policy", "retries"]),
        ({"empirical_policy": {"retry_delay": 1e300}}, ["empirical_policy", "retry_delay"]),
        ({"empirical_policy": {"retry_delay": [1, -1]}}, ["empirical_policy", "retry_delay", 1]),
        ({"idempotency_key": "k" * 501}, ["idempotency_key"]),
        ({"parameters": {"a": {"b": "\0"}}}, ["parameters", "a", "b"]),
        ({"tags": ["ok", "\0"]}, ["tags", 1]),
        (
            {"state": {"type": "SCHEDULED", "state_details": {"scheduled_time": "soon"}}},
            ["state", "state_details", "scheduled_time"],
        ),
    ],
)
async def test_a_field_of_a_run_that_cannot_be_is_named(api: Any, body: dict[str, Any], loc: list[Any]) -> None:
    made = await api.deployment()
    got = await api.post(f"/deployments/{made['id']}/create_flow_run", body)
    assert got.status == 422, got.json
    assert got.json["exception_detail"][0]["loc"] == ["body", *loc]


async def test_a_process_that_serves_deployments_finds_their_due_runs(api: Any) -> None:
    one, other = await api.deployment("a"), await api.deployment("b")
    due = await api.deployed_run(one)
    await api.deployed_run(other)
    later = (api.clock.time + timedelta(minutes=5)).isoformat()
    ahead = await api.deployed_run(one, state={"type": "SCHEDULED", "state_details": {"scheduled_time": later}})

    async def poll(**body: Any) -> list[str]:
        got = await api.post("/deployments/get_scheduled_flow_runs", {"deployment_ids": [one["id"]], **body})
        assert got.status == 200
        return [run["id"] for run in got.json]

    assert await poll() == [due["id"]]
    assert await poll(scheduled_before=later) == [due["id"], ahead["id"]]
    assert await poll(scheduled_before=later, limit=1) == [due["id"]]
    assert await poll(deployment_ids=[]) == []
    assert (await api.get(f"/deployments/{one['id']}")).json["status"] == "READY"
    assert (await api.get(f"/deployments/{one['id']}")).json["last_polled"] == "2026-03-02T09:00:00Z"
    assert (await api.get(f"/deployments/{other['id']}")).json["status"] == "NOT_READY"
    await api.post(f"/deployments/{one['id']}/pause_deployment")
    assert await poll() == []


async def test_an_ended_run_does_not_lead_to_a_pool_that_is_gone(any_api: Any) -> None:
    """What its ids led to would not be found."""
    await any_api.pool()
    run = await any_api.deployed_run(await any_api.deployment(work_pool_name="pool"))
    for kind in ("PENDING", "RUNNING", "COMPLETED"):
        await any_api.set_state(run, kind)
    names = ("work_queue_id", "work_pool_id", "work_queue_name", "work_pool_name")
    assert None not in [(await any_api.get(f"/flow_runs/{run['id']}")).json[name] for name in names]
    await any_api.delete("/work_pools/pool")
    assert {(await any_api.get(f"/flow_runs/{run['id']}")).json[name] for name in names} == {None}


@pytest.mark.parametrize("name", ["", None])
async def test_a_run_is_never_without_a_name(api: Any, name: str | None) -> None:
    run = await api.run(name="load")
    assert (await api.patch(f"/flow_runs/{run['id']}", {"name": name})).status == 204
    assert (await api.get(f"/flow_runs/{run['id']}")).json["name"] == "load"
