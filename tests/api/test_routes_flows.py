"""Flows over HTTP."""

from typing import Any

import pytest


async def test_a_flow_is_made_once_and_answered_again_under_its_name(api: Any) -> None:
    made = await api.post("/flows/", {"name": "hello", "tags": ["a"], "labels": {"team": "x"}})
    again = await api.post("/flows/", {"name": "hello", "tags": ["b"]})
    assert (made.status, again.status) == (201, 200)
    assert made.json == again.json
    assert made.json["tags"] == ["a"]
    assert made.json["labels"] == {"team": "x"}
    assert made.json["created"].endswith("Z")


async def test_a_flow_is_read_by_its_id_and_by_its_name(api: Any) -> None:
    flow = await api.flow("a flow: with spaces, and ünïcode")
    assert (await api.get(f"/flows/{flow['id']}")).json == flow
    assert (await api.get("/flows/name/a flow: with spaces, and ünïcode")).json == flow


async def test_what_is_left_out_of_a_change_stays(api: Any) -> None:
    flow = await api.flow()
    assert (await api.patch(f"/flows/{flow['id']}", {"tags": ["x"]})).status == 204
    assert (await api.patch(f"/flows/{flow['id']}", {"labels": {"a": 1}})).status == 204
    assert (await api.patch(f"/flows/{flow['id']}", {})).status == 204
    changed = (await api.get(f"/flows/{flow['id']}")).json
    assert (changed["tags"], changed["labels"], changed["name"]) == (["x"], {"a": 1}, "hello")


async def test_a_deleted_flow_is_gone_with_its_deployments_and_runs(api: Any) -> None:
    deployment = await api.deployment()
    run = await api.deployed_run(deployment)
    assert (await api.delete(f"/flows/{deployment['flow_id']}")).status == 204
    for path in (f"/flows/{deployment['flow_id']}", f"/deployments/{deployment['id']}", f"/flow_runs/{run['id']}"):
        assert (await api.get(path)).status == 404


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_an_unknown_flow_is_told(api: Any, method: str, some_id: Any) -> None:
    got = await api.send(method, f"/flows/{some_id}", {} if method == "PATCH" else b"")
    assert (got.status, got.json) == (404, {"detail": "Flow not found"})


async def test_an_unknown_name_is_told(api: Any) -> None:
    assert (await api.get("/flows/name/none")).json == {"detail": "Flow not found"}


async def test_flows_are_filtered_sorted_and_counted(api: Any) -> None:
    for name in ("beta", "alpha", "gamma"):
        await api.flow(name)
        api.clock.advance(seconds=1)
    names = [flow["name"] for flow in (await api.post("/flows/filter", {"sort": "NAME_ASC"})).json]
    assert names == ["alpha", "beta", "gamma"]
    newest = (await api.post("/flows/filter", {"sort": "CREATED_DESC"})).json
    assert [flow["name"] for flow in newest] == ["gamma", "alpha", "beta"]
    wanted = {"flows": {"name": {"like_": "LPH"}}}
    assert [flow["name"] for flow in (await api.post("/flows/filter", wanted)).json] == ["alpha"]
    assert (await api.post("/flows/count", wanted)).json == 1
    assert (await api.post("/flows/count")).json == 3


async def test_flows_are_found_by_what_hangs_on_them(api: Any) -> None:
    await api.flow("alone")
    deployment = await api.deployment("nightly", flow="deployed")
    run = await api.deployed_run(deployment)
    for filters in (
        {"deployments": {"name": {"any_": ["nightly"]}}},
        {"flow_runs": {"id": {"any_": [run["id"]]}}},
        {"flows": {"deployment": {"operator": "and_", "is_null_": False}}},
    ):
        assert [flow["name"] for flow in (await api.post("/flows/filter", filters)).json] == ["deployed"]
    alone = {"flows": {"deployment": {"is_null_": True}}}
    assert [flow["name"] for flow in (await api.post("/flows/filter", alone)).json] == ["alone"]


@pytest.mark.parametrize("name", ["", "a/b", "50%", "a&b", "<b>", "x" * 256])
async def test_a_name_that_cannot_stand_in_a_path_or_an_index_is_told(api: Any, name: str) -> None:
    got = await api.post("/flows/", {"name": name})
    assert got.status == 422
    (problem,) = got.json["exception_detail"]
    assert problem["loc"] == ["body", "name"]
    assert problem["input"] == name
