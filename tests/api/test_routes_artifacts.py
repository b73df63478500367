"""Artifacts over HTTP: versions under a key, and the runs that left them."""

from typing import Any
from uuid import uuid4

import pytest


async def artifact(api: Any, key: str | None = "report", **fields: Any) -> Any:
    api.clock.advance(seconds=1)
    got = await api.post("/artifacts/", {"key": key, **fields})
    assert got.status == 201, got.json
    return got.json


async def ids(api: Any, body: Any = b"", path: str = "/artifacts/filter") -> list[str]:
    got = await api.post(path, body)
    assert got.status == 200, got.json
    return [each["id"] for each in got.json]


@pytest.mark.parametrize("data", [None, "# hi", 0.5, [1, {"a": None}], {"z": 1, "a": 2}])
async def test_one_holds_any_data(any_api: Any, data: Any) -> None:
    made = await artifact(any_api, type="markdown", description="d", data=data, metadata_={"a": "b"})
    assert list(made) == [
        "id",
        "created",
        "updated",
        "key",
        "type",
        "description",
        "data",
        "metadata_",
        "flow_run_id",
        "task_run_id",
    ]
    assert (made["data"], made["metadata_"], made["flow_run_id"]) == (data, {"a": "b"}, None)
    assert (await any_api.get(f"/artifacts/{made['id']}")).json == made
    assert (await any_api.post("/artifacts/", {})).json["key"] is None


async def test_the_latest_of_a_key_is_the_one_that_was_made_last(any_api: Any) -> None:
    first, other, second = [await artifact(any_api, key) for key in ("report", "other", "report")]
    await artifact(any_api, None)
    assert (await any_api.get("/artifacts/report/latest")).json == second | {"latest_id": second["id"]}
    path = "/artifacts/latest/filter"
    assert await ids(any_api, path=path) == [second["id"], other["id"]]
    assert await ids(any_api, {"sort": "KEY_ASC", "limit": 1}, path) == [other["id"]]
    assert await ids(any_api, {"artifacts": {"latest_id": {"any_": [first["id"]]}}}, path) == []
    assert await ids(any_api, {"artifacts": {"key": {"like_": "EP_RT"}}}, path) == [second["id"]]
    assert (await any_api.post("/artifacts/latest/count", {})).json == 2
    assert (await any_api.post("/artifacts/count", {})).json == 4
    assert (await any_api.delete(f"/artifacts/{second['id']}")).status == 204
    assert (await any_api.get("/artifacts/report/latest")).json["id"] == first["id"]


async def test_they_are_found_and_ordered(any_api: Any) -> None:
    run, task = str(uuid4()), str(uuid4())
    a = await artifact(any_api, "a", type="table", flow_run_id=run)
    b = await artifact(any_api, "b", type="link", task_run_id=task)
    c = await artifact(any_api, None)
    a, b, c = a["id"], b["id"], c["id"]
    assert await ids(any_api) == [c, b, a]
    for sort, wanted in (("CREATED_DESC", [c, b, a]), ("KEY_ASC", [a, b]), ("KEY_DESC", [b, a])):
        assert [each for each in await ids(any_api, {"sort": sort}) if each in wanted] == wanted
    assert await ids(any_api, {"limit": 1, "offset": 1}) == [b]
    for field, condition, wanted in [
        ("id", {"any_": [a, c]}, [c, a]),
        ("key", {"any_": ["a"]}, [a]),
        ("key", {"exists_": True}, [b, a]),
        ("key", {"exists_": False}, [c]),
        ("flow_run_id", {"any_": [run]}, [a]),
        ("task_run_id", {"any_": [task]}, [b]),
        ("type", {"any_": ["table"]}, [a]),
        ("type", {"not_any_": ["table"]}, [b]),
    ]:
        assert await ids(any_api, {"artifacts": {field: condition}}) == wanted, field
    either = {"operator": "or_", "key": {"any_": ["a"]}, "type": {"any_": ["link"]}}
    assert await ids(any_api, {"artifacts": either}) == [b, a]
    assert (await any_api.post("/artifacts/count", {"artifacts": either})).json == 2


async def test_they_are_found_by_their_runs_and_go_with_them(any_api: Any) -> None:
    run = await any_api.run(name="mine", tags=["x"])
    task = (await any_api.post("/task_runs/", {"task_key": "t", "dynamic_key": "0", "flow_run_id": run["id"]})).json
    mine = (await artifact(any_api, flow_run_id=run["id"], task_run_id=task["id"]))["id"]
    await artifact(any_api)
    for body in (
        {"flow_runs": {"name": {"any_": ["mine"]}}},
        {"flows": {"name": {"any_": ["hello"]}}},
        {"task_runs": {"id": {"any_": [task["id"]]}}},
        {"flow_runs": {"tags": {"all_": ["x"]}}, "flows": {"name": {"any_": ["hello"]}}},
    ):
        assert await ids(any_api, body) == [mine], body
    assert await ids(any_api, {"flow_runs": {"name": {"any_": ["other"]}}}) == []
    assert await ids(any_api, {"deployments": {"name": {"any_": ["other"]}}}) == []
    assert (await any_api.delete(f"/flow_runs/{run['id']}")).status == 204
    assert (await any_api.get(f"/artifacts/{mine}")).status == 404
    assert len(await ids(any_api)) == 1


async def test_a_change_leaves_what_it_does_not_name(any_api: Any) -> None:
    made = await artifact(any_api, data={"a": 1}, description="d")
    any_api.clock.advance(seconds=1)
    path = f"/artifacts/{made['id']}"
    assert (await any_api.patch(path, {"data": None})).status == 204
    changed = (await any_api.get(path)).json
    assert (changed["data"], changed["description"]) == (None, "d")
    assert changed["updated"] > made["updated"]
    await any_api.patch(path, {"description": None, "metadata_": {"x": "y"}})
    changed = (await any_api.get(path)).json
    assert (changed["description"], changed["metadata_"]) == (None, {"x": "y"})


async def test_what_is_missing_or_badly_named_is_told(any_api: Any) -> None:
    nobody = f"/artifacts/{uuid4()}"
    for got in [
        await any_api.get(nobody),
        await any_api.patch(nobody, {"data": 1}),
        await any_api.delete(nobody),
        await any_api.get("/artifacts/nobody/latest"),
    ]:
        assert (got.status, got.json) == (404, {"detail": "Artifact not found."})
    for key in ("A b", "a_b", "", "ü"):
        assert (await any_api.post("/artifacts/", {"key": key})).status == 422
