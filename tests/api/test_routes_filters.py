"""What all `/filter` routes have in common: pages, nulls, bare lists, and which unknown keys are refused."""

from typing import Any

import pytest

COLLECTIONS = {
    "flows": "/flows/filter",
    "deployments": "/deployments/filter",
    "flow_runs": "/flow_runs/filter",
    "work_pools": "/work_pools/filter",
    "work_queues": "/work_queues/filter",
    "logs": "/logs/filter",
    "queues of a pool": "/work_pools/pool/queues/filter",
    "workers": "/work_pools/pool/workers/filter",
}
ALL = pytest.mark.parametrize("path", COLLECTIONS.values(), ids=COLLECTIONS)
COUNTED = ["/flows/count", "/deployments/count", "/flow_runs/count", "/work_pools/count"]


@pytest.fixture
async def filled(api: Any) -> Any:
    """Three records and more of every collection."""
    await api.pool()
    for n in range(3):
        await api.pool(f"pool-{n}")
        await api.queue(f"q{n}")
        run = await api.deployed_run(await api.deployment(f"d{n}", flow=f"f{n}", work_pool_name="pool"))
        await api.post("/work_pools/pool/workers/heartbeat", {"name": f"w{n}"})
        line = {"name": "x", "level": 20, "message": "m", "timestamp": "2026-03-02T09:00:00Z", "flow_run_id": run["id"]}
        await api.post("/logs/", [line])
    return api


@ALL
@pytest.mark.parametrize("body", [b"", {}, {"limit": None, "offset": None, "sort": None}, {"limit": 200, "offset": 0}])
async def test_the_answer_is_a_bare_list_of_all(filled: Any, path: str, body: Any) -> None:
    got = await filled.post(path, body)
    assert got.status == 200
    assert isinstance(got.json, list)
    assert len(got.json) >= 3


@ALL
async def test_pages_follow_each_other_until_an_empty_one(filled: Any, path: str) -> None:
    every = [record["id"] for record in (await filled.post(path)).json]
    seen = []
    while page := (await filled.post(path, {"limit": 2, "offset": len(seen)})).json:
        assert len(page) <= 2
        seen += [record["id"] for record in page]
    assert seen == every
    assert len(set(seen)) == len(seen)


@ALL
async def test_a_page_that_is_too_large_is_told_as_existing_clients_read_it(filled: Any, path: str) -> None:
    got = await filled.post(path, {"limit": 201})
    assert (got.status, got.json) == (422, {"detail": "Invalid limit: must be less than or equal to 200."})
    got = await filled.post(path, {"limit": -1})
    assert (got.status, got.json) == (422, {"detail": "Invalid limit: must be greater than or equal to 0."})


@ALL
@pytest.mark.parametrize(("field", "value"), [("offset", -1), ("offset", 2**63), ("limit", "many")])
async def test_a_page_that_cannot_be_is_named(filled: Any, path: str, field: str, value: Any) -> None:
    got = await filled.post(path, {field: value})
    assert got.status == 422
    (problem,) = got.json["exception_detail"]
    assert (problem["loc"], problem["input"]) == (["body", field], value)


@ALL
async def test_a_page_far_beyond_the_end_is_empty(filled: Any, path: str) -> None:
    assert (await filled.post(path, {"offset": 2**63 - 1})).json == []


@ALL
async def test_unknown_keys_beside_the_filters_are_passed_over(filled: Any, path: str) -> None:
    body = {"bogus": 1, "logs": {"id": {"any_": []}}, "concurrency_limits": None}
    assert len((await filled.post(path, body)).json) >= 3


OWN = {
    "flows": ("flows", "/flows/filter"),
    "deployments": ("deployments", "/deployments/filter"),
    "flow_runs": ("flow_runs", "/flow_runs/filter"),
    "work_pools": ("work_pools", "/work_pools/filter"),
    "work_queues": ("work_queues", "/work_queues/filter"),
    "logs": ("logs", "/logs/filter"),
    "workers": ("workers", "/work_pools/pool/workers/filter"),
}


@pytest.mark.parametrize(("key", "path"), OWN.values(), ids=OWN)
async def test_unknown_keys_inside_a_filter_are_refused_by_name(filled: Any, key: str, path: str) -> None:
    got = await filled.post(path, {key: {"bogus": 1}})
    assert got.status == 422
    (problem,) = got.json["exception_detail"]
    assert problem["loc"] == ["body", key, "bogus"]
    assert (problem["type"], problem["input"]) == ("extra_forbidden", 1)


@pytest.mark.parametrize(("key", "path"), OWN.values(), ids=OWN)
async def test_a_combination_that_is_none_is_refused(filled: Any, key: str, path: str) -> None:
    got = await filled.post(path, {key: {"operator": "xor_"}})
    assert got.json["exception_detail"][0]["loc"] == ["body", key, "operator"]


@pytest.mark.parametrize("path", ["/flows/filter", "/deployments/filter", "/flow_runs/filter", "/logs/filter"])
async def test_a_sort_that_is_none_is_refused(api: Any, path: str) -> None:
    got = await api.post(path, {"sort": "BY_MOOD"})
    assert got.status == 422
    (problem,) = got.json["exception_detail"]
    assert (problem["loc"], problem["input"], problem["type"]) == (["body", "sort"], "BY_MOOD", "enum")


@pytest.mark.parametrize("path", COUNTED)
async def test_counts_are_bare_numbers_whatever_the_page(filled: Any, path: str) -> None:
    for body in (b"", {}, {"limit": 1, "offset": 1}):
        got = await filled.post(path, body)
        assert got.status == 200
        assert got.json >= 3


@pytest.mark.parametrize(
    ("path", "body", "loc"),
    [
        ("/flow_runs/filter", {"flow_runs": {"id": {"any_": ["x"]}}}, ["flow_runs", "id", "any_", 0]),
        (
            "/flow_runs/filter",
            {"flow_runs": {"state": {"type": {"any_": ["X"]}}}},
            ["flow_runs", "state", "type", "any_", 0],
        ),
        ("/flow_runs/filter", {"flow_runs": {"start_time": {"before_": "x"}}}, ["flow_runs", "start_time", "before_"]),
        ("/flow_runs/filter", {"flow_runs": {"name": {"any_": ["a", "\0"]}}}, ["flow_runs", "name", "any_", 1]),
        (
            "/deployments/filter",
            {"deployments": {"concurrency_limit": {"ge_": 2**31}}},
            ["deployments", "concurrency_limit", "ge_"],
        ),
        ("/logs/filter", {"logs": {"level": {"le_": -(2**40)}}}, ["logs", "level", "le_"]),
        ("/logs/filter", {"logs": {"text": {}}}, ["logs", "text", "query"]),
        ("/work_pools/pool/workers/filter", {"workers": {"status": {"any_": ["ASLEEP"]}}}, ["workers", "status", "any_", 0]),
        ("/flows/filter", [], []),
    ],
)
async def test_a_value_that_cannot_be_is_named_down_to_its_place(api: Any, path: str, body: Any, loc: list[Any]) -> None:
    await api.pool()
    got = await api.post(path, body)
    assert got.status == 422
    assert got.json["exception_detail"][0]["loc"] == ["body", *loc]
