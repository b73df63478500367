"""What existing clients read of refusals of deployments and runs: the status, and the words under `detail`."""

from typing import Any
from uuid import uuid4

import pytest

TEMPLATE = {
    "job_configuration": {"one": "{{ a }}", "two": "{{ b }}"},
    "variables": {"properties": {"a": {"type": "integer"}, "b": {"type": "string", "default": "x"}}, "required": ["a"]},
}
SCHEMA = {"type": "object", "properties": {"x": {"type": "integer"}}}
MISSING = "Validation failed. Failure reason: 'a' is a required property"
WRONG = "Validation failed for field 'a'. Failure reason: 's' is not of type 'integer'"


async def in_pool(api: Any, variables: dict[str, Any]) -> Any:
    """The answer to a deployment with job variables in a pool that needs `a`."""
    await api.post("/work_pools/", {"name": "strict", "type": "process", "base_job_template": TEMPLATE})
    flow = await api.flow()
    body = {"name": "d", "flow_id": flow["id"], "work_pool_name": "strict", "job_variables": variables}
    return await api.post("/deployments/", body)


async def test_a_deployments_variables(any_api: Any) -> None:
    got = await in_pool(any_api, {"a": "s"})
    assert (got.status, got.json["detail"]) == (422, f"Error creating deployment: {WRONG}")
    assert got.json["exception_detail"][0]["loc"] == ["body", "job_variables", "a"]


@pytest.mark.parametrize("body", [b"", {}, {"job_variables": {}}, {"job_variables": {"x": 1}}])
async def test_what_a_deployment_and_its_run_lack(any_api: Any, body: Any) -> None:
    """Variables that the pool does not know are no help, and no error."""
    made = (await in_pool(any_api, {})).json
    got = await any_api.post(f"/deployments/{made['id']}/create_flow_run", body)
    assert (got.status, got.json["detail"]) == (422, f"Error creating flow run: {MISSING}")


async def test_a_runs_variables(any_api: Any) -> None:
    made = (await in_pool(any_api, {"a": 1})).json
    path = f"/deployments/{made['id']}/create_flow_run"
    got = await any_api.post(path, {"job_variables": {"a": "s"}})
    assert (got.status, got.json["detail"]) == (422, f"Error creating flow run: {WRONG}")
    run = (await any_api.post(path, {"job_variables": {"b": "y"}})).json
    assert run["job_variables"] == {"b": "y"}
    got = await any_api.patch(f"/flow_runs/{run['id']}", {"job_variables": {"a": "s"}})
    assert (got.status, got.json["detail"]) == (422, f"Error updating flow run: {WRONG}")
    assert (await any_api.post(path, {})).json["job_variables"] == {}


async def test_parameters_that_a_change_brings(any_api: Any) -> None:
    made = await any_api.deployment(parameter_openapi_schema=SCHEMA, enforce_parameter_schema=True)
    got = await any_api.patch(f"/deployments/{made['id']}", {"parameters": {"x": "s"}})
    words = "Error updating deployment: Validation failed for field 'x'. Failure reason: 's' is not of type 'integer'"
    assert (got.status, got.json) == (409, {"detail": words})


@pytest.mark.parametrize("kind", ["storage", "infrastructure"])
async def test_block_documents_that_are_not_there(any_api: Any, kind: str) -> None:
    flow, id = await any_api.flow(), str(uuid4())
    got = await any_api.post("/deployments/", {"name": "d", "flow_id": flow["id"], f"{kind}_document_id": id})
    assert got.status == 409
    assert f"Could not find {kind} block with id: {id}" in got.json["detail"]
    made = await any_api.deployment()
    for value, status in ((id, 409), (None, 204)):
        assert (await any_api.patch(f"/deployments/{made['id']}", {f"{kind}_document_id": value})).status == status


async def test_a_slug_that_is_taken(any_api: Any) -> None:
    schedule = {"schedule": {"interval": 3600}, "slug": "s"}
    flow = await any_api.flow()
    got = await any_api.post("/deployments/", {"name": "d", "flow_id": flow["id"], "schedules": [schedule, schedule]})
    assert got.status == 409
    assert "Schedule slugs must be unique within a deployment" in got.json["detail"]
    made = await any_api.deployment(schedules=[schedule])
    assert (await any_api.post(f"/deployments/{made['id']}/schedules", [schedule])).status == 409
