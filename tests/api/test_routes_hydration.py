"""Parameters of deployments and of their runs that name where their value comes from, on both databases."""

from typing import Any

SCHEMA = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
VARIABLE = {"__prefect_kind": "workspace_variable", "variable_name": "answer"}


async def test_a_run_gets_the_values_and_they_are_checked(any_api: Any) -> None:
    await any_api.post("/variables/", {"name": "answer", "value": 42})
    made = await any_api.deployment(parameters={"y": 1}, parameter_openapi_schema=SCHEMA)
    path = f"/deployments/{made['id']}/create_flow_run"
    for wrapped, value in ((VARIABLE, 42), ({"__prefect_kind": "json", "value": "5"}, 5)):
        got = await any_api.post(path, {"parameters": {"x": wrapped}})
        assert (got.status, got.json["parameters"]) == (201, {"x": value, "y": 1})
    got = await any_api.post(path, {"parameters": {"x": {"__prefect_kind": "json", "value": '"no"'}}})
    assert got.status == 409
    got = await any_api.post(path + "/bulk", [{"parameters": {"x": VARIABLE}}])
    run = await any_api.get(f"/flow_runs/{got.json['results'][0]['flow_run_id']}")
    assert run.json["parameters"]["x"] == 42


async def test_what_cannot_be_had_is_told_and_no_run_is_made(any_api: Any) -> None:
    made = await any_api.deployment()
    path = f"/deployments/{made['id']}/create_flow_run"
    got = await any_api.post(path, {"parameters": {"x": VARIABLE}})
    words = "Error hydrating flow run parameters: Variable 'answer' not found in workspace."
    assert (got.status, got.json) == (400, {"detail": words})
    assert (await any_api.post("/flow_runs/count", {})).json == 0


async def test_a_deployment_keeps_the_values(any_api: Any) -> None:
    await any_api.post("/variables/", {"name": "answer", "value": 42})
    made = await any_api.deployment(parameters={"x": VARIABLE}, parameter_openapi_schema=SCHEMA)
    assert made["parameters"] == {"x": 42}
    path = f"/deployments/{made['id']}"
    assert (await any_api.patch(path, {"parameters": {"x": {"__prefect_kind": "json", "value": "6"}}})).status == 204
    assert (await any_api.get(path)).json["parameters"] == {"x": 6}
    got = await any_api.patch(path, {"parameters": {"x": {"__prefect_kind": "json", "value": "{"}}})
    assert got.status == 400
    assert got.json["detail"].startswith("Error hydrating deployment parameters: Invalid JSON: ")


async def test_a_flow_run_without_a_deployment_keeps_what_it_was_given(any_api: Any) -> None:
    flow = await any_api.flow()
    got = await any_api.post("/flow_runs/", {"flow_id": flow["id"], "parameters": {"x": VARIABLE}})
    assert (got.status, got.json["parameters"]) == (201, {"x": VARIABLE})


async def test_a_queue_is_chosen_in_a_pool_only(any_api: Any) -> None:
    made = await any_api.deployment(work_pool_name=None, work_queue_name=None)
    got = await any_api.post(f"/deployments/{made['id']}/create_flow_run", {"work_queue_name": "q"})
    assert got.status == 400
    assert "'q'" in got.json["detail"]
