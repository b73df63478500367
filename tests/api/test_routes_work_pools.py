"""Work pools and the poll of existing clients over HTTP."""

from datetime import timedelta
from typing import Any

import pytest

TEMPLATE = {
    "job_configuration": {"command": "{{ command }}"},
    "variables": {"type": "object", "properties": {"command": {"type": "string"}}},
}


async def test_a_pool_is_made_with_its_default_queue(api: Any) -> None:
    got = await api.post(
        "/work_pools/", {"name": "pool", "type": "process", "base_job_template": TEMPLATE, "is_paused": False}
    )
    assert got.status == 201
    pool = got.json
    assert pool == {
        "id": pool["id"],
        "created": "2026-03-02T09:00:00Z",
        "updated": "2026-03-02T09:00:00Z",
        "name": "pool",
        "description": None,
        "type": "process",
        "base_job_template": TEMPLATE,
        "is_paused": False,
        "concurrency_limit": None,
        "status": "NOT_READY",
        "default_queue_id": pool["default_queue_id"],
        "storage_configuration": {
            "bundle_upload_step": None,
            "bundle_execution_step": None,
            "default_result_storage_block_id": None,
        },
        "active_slots": pool["active_slots"],
        "pause": None,
        "launch_rate": None,
        "launch_limit": None,
        "fair_share": False,
    }
    queue = (await api.get("/work_pools/pool/queues/default")).json
    assert queue["id"] == pool["default_queue_id"]
    assert (queue["priority"], queue["description"]) == (1, "The work pool's default queue.")
    assert (await api.get("/work_pools/pool")).json == pool


async def test_without_a_type_a_pool_is_for_agents_and_has_no_status(api: Any) -> None:
    pool = (await api.post("/work_pools/", {"name": "agents"})).json
    assert (pool["type"], pool["status"], pool["base_job_template"]) == ("prefect-agent", None, {})


async def test_a_taken_name_is_told(api: Any) -> None:
    await api.pool()
    got = await api.post("/work_pools/", {"name": "pool"})
    assert (got.status, got.json) == (409, {"detail": "A work pool with this name already exists."})


async def test_clients_that_fail_at_a_storage_of_results_are_not_told_of_it(api: Any) -> None:
    old, new = {"user_agent": "prefect/3.3.7 (API 0.8.4)"}, {"user_agent": "prefect/3.4.0 (API 0.8.4)"}
    steps = {"bundle_upload_step": None, "bundle_execution_step": None}
    body = {"name": "pool", "type": "process"}
    assert (await api.post("/work_pools/", body, **old)).json["storage_configuration"] == steps
    assert (await api.get("/work_pools/pool", **old)).json["storage_configuration"] == steps
    assert (await api.post("/work_pools/filter", **old)).json[0]["storage_configuration"] == steps
    told = (await api.get("/work_pools/pool", **new)).json["storage_configuration"]
    assert told == steps | {"default_result_storage_block_id": None}


def with_default(kind: str, id: str) -> dict[str, Any]:
    """A template whose one variable is a block document, if nobody says otherwise."""
    variable = {"type": kind, "default": {"$ref": {"block_document_id": id}}}
    return {"job_configuration": {"block": "{{ block }}"}, "variables": {"properties": {"block": variable}}}


async def test_documents_that_are_defaults_must_be_there_and_fit(api: Any) -> None:
    kind = (await api.post("/block_types/", {"name": "kind", "slug": "kind"})).json
    fields = {"type": "object", "properties": {"foo": {"type": "string"}}, "secret_fields": ["foo"]}
    schema = (await api.post("/block_schemas/", {"block_type_id": kind["id"], "fields": fields})).json
    body = {"name": "mine", "data": {"foo": "bar"}, "block_schema_id": schema["id"], "block_type_id": kind["id"]}
    document = (await api.post("/block_documents/", body)).json
    await api.pool("other")
    for send, path, more in (
        (api.post, "/work_pools/", {"name": "pool", "type": "process"}),
        (api.patch, "/work_pools/other", {}),
    ):
        for id in ("nonsense", kind["id"]):
            got = await send(path, {"base_job_template": with_default("object", id), **more})
            assert (got.status, got.json) == (404, {"detail": "Block not found."})
        got = await send(path, {"base_job_template": with_default("string", document["id"]), **more})
        assert got.status == 422
        assert got.json["detail"].endswith("Failure reason: {'foo': '********'} is not of type 'string'")
        assert (await send(path, {"base_job_template": with_default("object", document["id"]), **more})).status in (201, 204)


async def test_of_the_peers_own_pools_little_can_be_changed(api: Any) -> None:
    for got in (await api.delete("/work_pools/Prefect-x"), await api.patch("/work_pools/Prefect-x", {"description": "x"})):
        assert got.status == 403
    assert (await api.patch("/work_pools/Prefect-x", {"is_paused": True, "concurrency_limit": 5})).status == 404


@pytest.mark.parametrize("name", ["prefect", "Prefect-x", "prefectish"])
async def test_the_peers_own_names_are_refused(api: Any, name: str) -> None:
    got = await api.post("/work_pools/", {"name": name})
    assert got.status == 403
    assert got.json == {"detail": "Work pools starting with 'Prefect' are reserved for internal use."}


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        ({"name": "a/b"}, ["name"]),
        ({"name": ""}, ["name"]),
        ({}, ["name"]),
        ({"name": "x", "concurrency_limit": -1}, ["concurrency_limit"]),
        ({"name": "x", "concurrency_limit": 2**63}, ["concurrency_limit"]),
        ({"name": "x", "concurrency_limit": 1.5}, ["concurrency_limit"]),
        ({"name": "x", "base_job_template": {"variables": {}}}, ["base_job_template", "job_configuration"]),
        ({"name": "x", "base_job_template": {"job_configuration": {}}}, ["base_job_template", "variables"]),
        ({"name": "x", "is_paused": "yes"}, ["is_paused"]),
    ],
)
async def test_a_field_that_cannot_be_is_named(api: Any, body: dict[str, Any], loc: list[Any]) -> None:
    got = await api.post("/work_pools/", body)
    assert got.status == 422, got.json
    assert got.json["exception_detail"][0]["loc"] == ["body", *loc]


async def test_a_change_keeps_what_is_left_out_and_a_null_clears(api: Any) -> None:
    await api.pool(concurrency_limit=5, description="old")
    assert (await api.patch("/work_pools/pool", {"is_paused": True})).status == 204
    changed = (await api.get("/work_pools/pool")).json
    assert (changed["is_paused"], changed["status"], changed["concurrency_limit"]) == (True, "PAUSED", 5)
    await api.patch("/work_pools/pool", {"concurrency_limit": None, "description": None, "is_paused": False})
    changed = (await api.get("/work_pools/pool")).json
    assert (changed["concurrency_limit"], changed["description"], changed["status"]) == (None, None, "NOT_READY")
    await api.patch("/work_pools/pool", {"concurrency_limit": 0, "base_job_template": TEMPLATE})
    changed = (await api.get("/work_pools/pool")).json
    assert (changed["concurrency_limit"], changed["base_job_template"]) == (0, TEMPLATE)


async def test_pools_are_deleted_and_their_deployments_stay(api: Any) -> None:
    await api.pool()
    deployment = await api.deployment(work_pool_name="pool")
    assert (await api.delete("/work_pools/pool")).status == 204
    assert (await api.get("/work_pools/pool")).status == 404
    left = (await api.get(f"/deployments/{deployment['id']}")).json
    assert (left["work_pool_name"], left["work_queue_id"]) == (None, None)
    assert (await api.post("/work_queues/filter")).json == []


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", b""),
        ("PATCH", "", {"is_paused": True}),
        ("DELETE", "", b""),
        ("POST", "/get_scheduled_flow_runs", {}),
        ("POST", "/queues", {"name": "q"}),
        ("POST", "/queues/filter", {}),
        ("POST", "/workers/filter", {}),
        ("POST", "/workers/heartbeat", {"name": "w"}),
        ("POST", "/claim", {"worker": "w"}),
        ("POST", "/leases/renew", {"worker": "w"}),
    ],
)
async def test_an_unknown_pool_is_told(api: Any, method: str, path: str, body: Any) -> None:
    got = await api.send(method, f"/work_pools/none{path}", body)
    assert (got.status, got.json) == (404, {"detail": 'Work pool "none" not found.'})


async def test_a_name_with_a_nul_is_no_pools_name(api: Any) -> None:
    assert (await api.get("/work_pools/a\0b")).status == 404


async def test_pools_are_filtered_and_counted(api: Any) -> None:
    one = await api.pool("b")
    await api.pool("a", type="docker")
    for filters, names in (
        (None, ["a", "b"]),
        ({"operator": "and_", "id": {"any_": [one["id"], one["id"]]}, "name": None, "type": None}, ["b"]),
        ({"name": {"any_": ["a"]}}, ["a"]),
        ({"type": {"any_": ["docker"]}}, ["a"]),
        ({"operator": "or_", "name": {"any_": ["a"]}, "type": {"any_": ["process"]}}, ["a", "b"]),
    ):
        got = await api.post("/work_pools/filter", {"limit": None, "offset": 0, "work_pools": filters})
        assert [pool["name"] for pool in got.json] == names
        assert (await api.post("/work_pools/count", {"work_pools": filters})).json == len(names)


# --- the poll


async def poll(api: Any, pool: str = "pool", **body: Any) -> list[str]:
    got = await api.post(f"/work_pools/{pool}/get_scheduled_flow_runs", body)
    assert got.status == 200, got.json
    return [each["flow_run"]["id"] for each in got.json]


async def test_a_poll_shows_due_runs_and_takes_none(api: Any) -> None:
    pool = await api.pool()
    made = await api.deployment(work_pool_name="pool")
    run = await api.deployed_run(made)
    got = await api.post(
        "/work_pools/pool/get_scheduled_flow_runs",
        {"work_queue_names": [], "scheduled_before": "2026-03-02 09:00:10.652804+00:00"},
    )
    (found,) = got.json
    assert (found["work_pool_id"], found["work_queue_id"]) == (pool["id"], made["work_queue_id"])
    assert found["flow_run"] == (await api.get(f"/flow_runs/{run['id']}")).json
    assert await poll(api) == [run["id"]]


async def test_a_poll_sees_as_far_as_it_asks(api: Any) -> None:
    await api.pool()
    made = await api.deployment(work_pool_name="pool")
    due = [api.clock.time + timedelta(minutes=minutes) for minutes in (0, 10, 20)]
    runs = [
        (await api.deployed_run(made, state={"type": "SCHEDULED", "state_details": {"scheduled_time": at.isoformat()}}))[
            "id"
        ]
        for at in due
    ]
    assert await poll(api, scheduled_before=due[0].isoformat()) == runs[:1]
    assert await poll(api, scheduled_before=due[1].isoformat()) == runs[:2]
    assert await poll(api, scheduled_before=due[2].isoformat(), scheduled_after=due[1].isoformat()) == runs[1:]
    assert await poll(api, scheduled_before=due[2].isoformat(), limit=1) == runs[:1]
    assert await poll(api) == runs


async def test_a_poll_makes_queues_and_deployments_ready(api: Any) -> None:
    await api.pool()
    made = await api.deployment(work_pool_name="pool", work_queue_name="q")
    await poll(api, work_queue_names=["q"])
    queues = {each["name"]: each for each in (await api.post("/work_pools/pool/queues/filter")).json}
    assert (queues["q"]["status"], queues["q"]["last_polled"]) == ("READY", "2026-03-02T09:00:00Z")
    assert (queues["default"]["status"], queues["default"]["last_polled"]) == ("NOT_READY", None)
    assert (await api.get(f"/deployments/{made['id']}")).json["status"] == "READY"
    api.clock.advance(seconds=61)
    assert (await api.get(f"/deployments/{made['id']}")).json["status"] == "NOT_READY"


async def test_a_poll_of_queues_shows_only_their_runs_the_best_queue_first(api: Any) -> None:
    await api.pool()
    last = await api.deployed_run(await api.deployment("a", work_pool_name="pool", work_queue_name="last"))
    first = await api.deployed_run(await api.deployment("b", work_pool_name="pool"))
    assert await poll(api) == [first["id"], last["id"]]
    assert await poll(api, work_queue_names=["last"]) == [last["id"]]
    assert await poll(api, work_queue_names=["last", "default"]) == [first["id"], last["id"]]
    assert await poll(api, work_queue_names=None) == [first["id"], last["id"]]


async def test_an_unknown_queue_is_told(api: Any) -> None:
    await api.pool()
    got = await api.post("/work_pools/pool/get_scheduled_flow_runs", {"work_queue_names": ["nosuchq"]})
    assert (got.status, got.json) == (404, {"detail": "Work pool queue 'pool/nosuchq' not found."})


@pytest.mark.parametrize("what", ["pool", "queue", "deployment"])
async def test_nothing_paused_shows_anything(api: Any, what: str) -> None:
    await api.pool()
    made = await api.deployment(work_pool_name="pool")
    run = await api.deployed_run(made)
    path = {
        "pool": "/work_pools/pool",
        "queue": f"/work_queues/{made['work_queue_id']}",
        "deployment": f"/deployments/{made['id']}",
    }[what]
    field = "paused" if what == "deployment" else "is_paused"
    await api.patch(path, {field: True})
    assert await poll(api) == []
    await api.patch(path, {field: False})
    assert await poll(api) == [run["id"]]


@pytest.mark.parametrize("what", ["pool", "queue", "deployment"])
async def test_no_more_is_shown_than_fits(api: Any, what: str) -> None:
    await api.pool(concurrency_limit=2 if what == "pool" else None)
    await api.queue("q", concurrency_limit=2 if what == "queue" else None)
    limit = 2 if what == "deployment" else None
    made = await api.deployment(work_pool_name="pool", work_queue_name="q", concurrency_limit=limit)
    runs = [await api.deployed_run(made) for _ in range(4)]
    assert await poll(api) == [run["id"] for run in runs[:2]]
    await api.set_state(runs[0], "PENDING")
    assert await poll(api) == [runs[1]["id"]]
    await api.set_state(runs[0], "RUNNING")
    assert await poll(api) == [runs[1]["id"]]
    await api.set_state(runs[0], "COMPLETED")
    assert await poll(api) == [run["id"] for run in runs[1:3]]


async def test_a_poll_for_no_runs_shows_none_and_for_less_is_refused(api: Any) -> None:
    await api.pool()
    await api.deployed_run(await api.deployment(work_pool_name="pool"))
    assert await poll(api, limit=0) == []
    for limit in (-1, 2**63):
        got = await api.post("/work_pools/pool/get_scheduled_flow_runs", {"limit": limit})
        assert got.status == 422
        assert got.json["exception_detail"][0]["loc"] == ["body", "limit"]


# --- the preview


async def test_a_preview_has_runs_and_projections_by_time(api: Any) -> None:
    await api.pool()
    schedule = {"schedule": {"interval": 3600, "anchor_date": "2026-03-02T09:00:00Z"}, "max_scheduled_runs": 1}
    deployment = await api.deployment(work_pool_name="pool", schedules=[schedule])
    late = await api.deployed_run(deployment, state={"type": "SCHEDULED"})
    api.clock.advance(seconds=30)
    got = await api.post("/work_pools/pool/preview", {"hours": 2})
    assert (got.status, got.json["until"], got.json["cut"]) == (200, "2026-03-02T11:00:30Z", False)
    entries = got.json["entries"]
    assert [(each["scheduled_time"], each["projected"], each["late_by_seconds"]) for each in entries] == [
        ("2026-03-02T09:00:00Z", False, 30.0),
        ("2026-03-02T10:00:00Z", False, 0.0),
        ("2026-03-02T11:00:00Z", True, 0.0),
    ]
    assert [each["flow_run"] and each["flow_run"]["id"] for each in entries][::2] == [late["id"], None]
    assert {each["flow_name"] for each in entries} == {"hello"}
    assert (await api.post("/work_pools/pool/preview")).json["entries"] == entries[:2]


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        ({"hours": 0}, "hours"),
        ({"hours": 8785}, "hours"),
        ({"limit": 0}, "limit"),
        ({"limit": 1001}, "limit"),
        ({"hours": 1, "until": "2026-03-02T10:00:00Z"}, "until"),
    ],
)
async def test_a_preview_that_makes_no_sense_is_refused(api: Any, body: dict[str, Any], loc: str) -> None:
    await api.pool()
    got = await api.post("/work_pools/pool/preview", body)
    assert got.status == 422
    assert got.json["exception_detail"][0]["loc"] == ["body", loc]


async def test_a_preview_of_nothing_that_exists_is_not_found(api: Any) -> None:
    await api.pool()
    assert (await api.post("/work_pools/nowhere/preview")).status == 404
    assert (await api.post("/work_pools/pool/preview", {"work_queue_names": ["nowhere"]})).status == 404


# --- the explanation


async def test_a_pool_explains_itself(api: Any) -> None:
    await api.pool(concurrency_limit=0)
    run = await api.deployed_run(await api.deployment(work_pool_name="pool"))
    got = await api.get("/work_pools/pool/explain")
    assert got.status == 200
    (queue,) = got.json["queues"]
    assert (queue["name"], queue["due"], queue["served"]) == ("default", 1, False)
    assert (queue["oldest"]["flow_run_id"], queue["oldest"]["gate"]["kind"]) == (run["id"], "no worker")
    assert (await api.get("/work_pools/nowhere/explain")).status == 404


@pytest.mark.parametrize("name", [" ", "''", "' '", '""'])
async def test_a_name_is_more_than_spaces_and_quotes(api: Any, name: str) -> None:
    got = await api.post("/work_pools/", {"name": name, "type": "process"})
    assert got.status == 422
    assert got.json["exception_detail"][0]["loc"] == ["body", "name"]
    assert "name cannot be an empty string" in got.json["exception_detail"][0]["msg"]


async def test_the_words_that_clients_look_for_stand_in_a_templates_refusal(api: Any) -> None:
    await api.pool()
    halved: dict[str, Any] = {"job_configuration": {}}
    undeclared = {"job_configuration": {"a": {"b": "{{ other }}"}}, "variables": {"properties": {"c": {}}}}
    for template, words in (
        (halved, "must contain both a `job_configuration` key and a `variables` key."),
        (undeclared, "uses the following undeclared variable(s): other."),
    ):
        for got in (
            await api.post("/work_pools/", {"name": "new", "base_job_template": template}),
            await api.patch("/work_pools/pool", {"base_job_template": template}),
        ):
            assert got.status == 422
            assert words in got.json["exception_detail"][0]["msg"]
