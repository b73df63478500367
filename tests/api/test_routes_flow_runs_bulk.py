"""Many flow runs at once over HTTP; what existing clients send to calls of these names, and read from them."""

from typing import Any
from uuid import uuid4

import pytest


async def test_runs_of_a_deployment_are_created_as_existing_clients_ask(api: Any) -> None:
    deployment = await api.deployment()
    got = await api.post(f"/deployments/{deployment['id']}/create_flow_run/bulk", [{"name": "a"}, {"tags": ["t"]}])
    assert got.status == 200
    assert [each["status"] for each in got.json["results"]] == ["CREATED", "CREATED"]
    [first, second] = [(await api.get(f"/flow_runs/{each['flow_run_id']}")).json for each in got.json["results"]]
    assert (first["name"], second["tags"], second["deployment_id"]) == ("a", ["t"], deployment["id"])


async def test_runs_of_several_deployments_are_created(api: Any, some_id: Any) -> None:
    one, two = await api.deployment("one"), await api.deployment("two")
    body = [{"deployment_id": each} for each in (one["id"], str(some_id), two["id"])]
    results = (await api.post("/flow_runs/bulk_create", {"flow_runs": body})).json["results"]
    assert results[1] == {"status": "FAILED", "flow_run_id": None, "error": "Deployment not found"}
    created = [(await api.get(f"/flow_runs/{results[place]['flow_run_id']}")).json["deployment_id"] for place in (0, 2)]
    assert created == [one["id"], two["id"]]


async def test_states_are_set_as_existing_clients_ask(api: Any) -> None:
    run, other = await api.run(), await api.run("other")
    body = {"flow_runs": {"id": {"any_": [run["id"]]}}, "state": {"type": "RUNNING"}, "force": False, "limit": 50}
    got = await api.post("/flow_runs/bulk_set_state", body)
    assert got.status == 200
    state = (await api.get(f"/flow_runs/{run['id']}")).json["state"]
    answer = {"status": "ACCEPT", "state": state, "details": {"type": "accept_details"}}
    assert got.json["results"] == [{"flow_run_id": run["id"], **answer}]
    assert {key: got.json[key] for key in ("matched", "changed", "refused", "next")} == {
        "matched": 1,
        "changed": 1,
        "refused": {},
        "next": None,
    }
    names = [(await api.get(f"/flow_runs/{each['id']}")).json["state_name"] for each in (run, other)]
    assert names == ["Running", "Pending"]


async def test_runs_are_deleted_as_existing_clients_ask(api: Any) -> None:
    runs = [await api.run(name=f"run-{number}") for number in range(3)]
    got = await api.post("/flow_runs/bulk_delete", {"flow_runs": {"name": {"like_": "run-"}}, "limit": 2})
    assert (got.status, got.json["deleted"]) == (200, [run["id"] for run in runs[:2]])
    assert (got.json["matched"], got.json["changed"], got.json["next"]) == (3, 2, runs[1]["id"])
    assert [run["id"] for run in (await api.post("/flow_runs/filter")).json] == [runs[2]["id"]]


@pytest.mark.parametrize("path", ["/flow_runs/bulk_delete", "/flow_runs/bulk_set_state"])
@pytest.mark.parametrize("filters", [{}, {"flow_runs": {}}, {"flow_runs": None, "flows": {"name": None}}])
async def test_what_says_nothing_is_refused(api: Any, path: str, filters: dict[str, Any]) -> None:
    await api.run()
    body = {"state": {"type": "CANCELLING"}, **filters}
    got = await api.post(path, body)
    assert got.status == 422
    (problem,) = got.json["exception_detail"]
    assert problem["loc"] == ["body", "all"]
    assert "all: true" in problem["msg"]
    assert (await api.post(path, {"all": True, **body})).json["changed"] == 1


@pytest.mark.parametrize("body", [[], [{}]])
async def test_runs_of_a_deployment_that_is_not_there(api: Any, body: list[Any]) -> None:
    got = await api.post(f"/deployments/{uuid4()}/create_flow_run/bulk", body)
    assert (got.status, got.json["detail"]) == (404, "Deployment not found")


@pytest.mark.parametrize(
    ("path", "body", "place"),
    [
        ("/flow_runs/bulk_delete", {"all": True, "limit": 0}, "limit"),
        ("/flow_runs/bulk_delete", {"all": True, "limit": 10_001}, "limit"),
        ("/flow_runs/bulk_delete", {"flow_runs": {"nmae": {"any_": ["x"]}}}, "flow_runs"),
        ("/flow_runs/bulk_set_state", {"all": True}, "state"),
        ("/flow_runs/bulk_create", {"flow_runs": [{"name": "no deployment"}]}, "flow_runs"),
        ("/flow_runs/bulk_create", {"flow_runs": [{}] * 10_001}, "flow_runs"),
    ],
)
async def test_what_is_wrong_is_named(api: Any, path: str, body: dict[str, Any], place: str) -> None:
    got = await api.post(path, body)
    assert got.status == 422
    assert place in str(got.json["exception_detail"])
