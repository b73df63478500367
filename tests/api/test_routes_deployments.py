"""Deployments over HTTP; their schedules and runs have files of their own."""

from typing import Any
from uuid import uuid4

import pytest

NOBODY = str(uuid4())
HOURLY = {"cron": "0 * * * *", "timezone": "UTC"}
DAILY = {"interval": 86_400.0, "anchor_date": "2026-01-01T00:00:00Z", "timezone": "Europe/Berlin"}
WEEKLY = {"rrule": "FREQ=WEEKLY;BYDAY=MO", "timezone": "UTC"}
SCHEMA = {
    "title": "Parameters",
    "type": "object",
    "properties": {"n": {"default": 3, "title": "n", "type": "integer"}, "name": {"type": "string"}},
}


async def read(api: Any, deployment: dict[str, Any]) -> dict[str, Any]:
    record: dict[str, Any] = (await api.get(f"/deployments/{deployment['id']}")).json
    return record


async def test_what_a_client_sends_as_null_is_taken_away(any_api: Any) -> None:
    """Existing clients always name these fields: one that is null was in the author's file before."""
    await any_api.pool()
    flow = await any_api.flow()
    body = {"name": "nightly", "flow_id": flow["id"], "work_pool_name": "pool", "work_queue_name": "q1", "tags": ["t"]}
    told = {"version": "1", "description": "why", "path": "/srv", "entrypoint": "flows.py:hello", "concurrency_limit": 2}
    told |= {"concurrency_options": {"collision_strategy": "CANCEL_NEW"}}
    made = (await any_api.post("/deployments/", body | told)).json
    got = await any_api.post("/deployments/", body | dict.fromkeys(told) | {"work_queue_name": None, "tags": None})
    assert (got.status, got.json["id"]) == (200, made["id"])
    assert {got.json[name] for name in told} == {None}
    assert got.json["global_concurrency_limit"] is None
    assert (got.json["tags"], got.json["parameters"]) == (["t"], {})


async def test_what_a_client_leaves_out_stays(api: Any) -> None:
    flow = await api.flow()
    body = {"name": "nightly", "flow_id": flow["id"]}
    told = {"version": "1", "description": "why", "path": "/srv", "entrypoint": "flows.py:hello"}
    await api.post("/deployments/", body | told | {"concurrency_limit": 2})
    kept = (await api.post("/deployments/", body)).json
    assert told.items() <= kept.items()
    assert kept["global_concurrency_limit"]["limit"] == 2


async def test_a_deployment_is_made_in_full(api: Any) -> None:
    await api.pool()
    flow = await api.flow()
    body = {
        "name": "nightly",
        "flow_id": flow["id"],
        "paused": False,
        "schedules": [
            {
                "schedule": HOURLY,
                "active": True,
                "max_scheduled_runs": None,
                "parameters": {},
                "slug": "a",
                "replaces": None,
            },
            {"schedule": DAILY, "active": False, "slug": "b", "parameters": {"n": 4}},
            {"schedule": WEEKLY},
        ],
        "concurrency_limit": 10,
        "concurrency_options": None,
        "enforce_parameter_schema": True,
        "parameter_openapi_schema": SCHEMA,
        "parameters": {"n": 5},
        "tags": ["t1", "t2"],
        "labels": {},
        "pull_steps": [{"prefect.deployments.steps.set_working_directory": {"directory": "/srv/project"}}],
        "work_queue_name": "q1",
        "work_pool_name": "pool",
        "storage_document_id": None,
        "infrastructure_document_id": None,
        "description": "hello deployment",
        "path": None,
        "entrypoint": "flows.py:hello",
        "job_variables": {"env": {"A": "1"}},
        "version": "1",
        "version_info": {"type": "prefect:simple", "version": "1"},
    }
    got = await api.post("/deployments/", body)
    assert got.status == 201
    made = got.json
    for key in ("name", "flow_id", "paused", "parameters", "tags", "pull_steps", "work_queue_name", "work_pool_name"):
        assert made[key] == body[key]
    for key in ("description", "path", "entrypoint", "job_variables", "version", "parameter_openapi_schema"):
        assert made[key] == body[key]
    assert made["labels"] == {"prefect.flow.id": flow["id"]}
    assert (made["status"], made["last_polled"], made["created_by"]) == ("NOT_READY", None, None)
    assert made["global_concurrency_limit"]["limit"] == 10
    assert made["global_concurrency_limit"]["name"] == f"deployment:{made['id']}"
    assert {schedule["slug"]: schedule["active"] for schedule in made["schedules"]} == {"a": True, "b": False, None: True}
    assert (await api.get("/deployments/name/hello/nightly")).json == made
    assert await read(api, made) == made
    queue = (await api.get("/work_pools/pool/queues/q1")).json
    assert (queue["id"], queue["name"]) == (made["work_queue_id"], "q1")


async def test_schedules_come_back_with_no_key_that_existing_clients_forbid(api: Any) -> None:
    made = await api.deployment(schedules=[{"schedule": each} for each in (HOURLY, DAILY, WEEKLY)])
    keys = [set(each["schedule"]) for each in made["schedules"]]
    assert sorted(keys, key=sorted) == sorted(
        [{"cron", "timezone", "day_or"}, {"interval", "anchor_date", "timezone"}, {"rrule", "timezone"}], key=sorted
    )


async def test_the_same_name_again_changes_what_it_names_and_keeps_the_rest(api: Any) -> None:
    made = await api.deployment(parameters={"n": 1}, tags=["a"], description="old")
    got = await api.post("/deployments/", {"name": "nightly", "flow_id": made["flow_id"], "tags": ["b"]})
    assert got.status == 200
    assert (got.json["id"], got.json["tags"], got.json["parameters"]) == (made["id"], ["b"], {"n": 1})
    assert got.json["description"] == "old"


async def test_what_2_x_clients_send_is_understood(api: Any) -> None:
    await api.pool()
    flow = await api.flow()
    schedules = [{"schedule": HOURLY, "active": True, "max_active_runs": None, "max_scheduled_runs": None, "catchup": False}]
    body = {"name": "old", "flow_id": flow["id"], "infra_overrides": {"env": {"A": "1"}}, "manifest_path": None}
    got = await api.post("/deployments/", body | {"work_pool_name": "pool", "schedule": None, "schedules": schedules})
    assert got.status == 201
    assert got.json["job_variables"] == {"env": {"A": "1"}}
    assert len(got.json["schedules"]) == 1


@pytest.mark.parametrize(
    ("fields", "status", "body"),
    [
        ({"work_pool_name": "none"}, 404, {"detail": 'Work pool "none" not found.'}),
        ({"flow_id": NOBODY}, 409, {"detail": f"Data integrity conflict: there is no flow with id {NOBODY}."}),
    ],
)
async def test_what_a_deployment_refers_to_must_exist(
    api: Any, fields: dict[str, Any], status: int, body: dict[str, Any]
) -> None:
    flow = await api.flow()
    got = await api.post("/deployments/", {"name": "x", "flow_id": flow["id"], **fields})
    assert got.status == status
    assert got.json == body
    assert (await api.post("/deployments/count")).json == 0


@pytest.mark.parametrize(
    ("fields", "loc"),
    [
        ({"name": "a/b"}, ["name"]),
        ({"name": None}, ["name"]),
        ({"concurrency_limit": -1}, ["concurrency_limit"]),
        ({"concurrency_limit": 2**31}, ["concurrency_limit"]),
        ({"work_queue_name": "a/b"}, ["work_queue_name"]),
        ({"entrypoint": "a.py:f", "command": "ls"}, ["command"]),
        ({"schedules": [{"schedule": {"cron": "61 * * * *"}}]}, ["schedules", 0, "schedule", "cron"]),
        ({"schedules": [{"schedule": {"cron": "nonsense"}}]}, ["schedules", 0, "schedule", "cron"]),
        ({"schedules": [{"schedule": {**HOURLY, "timezone": "Mars/Base"}}]}, ["schedules", 0, "schedule", "timezone"]),
        ({"schedules": [{"schedule": {"interval": 0}}]}, ["schedules", 0, "schedule", "interval"]),
        ({"schedules": [{"schedule": {"interval": -5}}]}, ["schedules", 0, "schedule", "interval"]),
        ({"schedules": [{"schedule": {"rrule": "FREQ=NEVER"}}]}, ["schedules", 0, "schedule", "rrule"]),
        ({"schedules": [{"schedule": {}}]}, ["schedules", 0, "schedule"]),
        ({"schedules": [{"schedule": {**HOURLY, "interval": 5}}]}, ["schedules", 0, "schedule"]),
        ({"schedules": [{"schedule": {**HOURLY, "extra": 1}}]}, ["schedules", 0, "schedule", "extra"]),
        ({"schedules": [{"schedule": HOURLY, "max_scheduled_runs": 0}]}, ["schedules", 0, "max_scheduled_runs"]),
        ({"concurrency_options": {"collision_strategy": "PUSH"}}, ["concurrency_options", "collision_strategy"]),
    ],
)
async def test_a_field_that_cannot_be_is_named(api: Any, fields: dict[str, Any], loc: list[Any]) -> None:
    flow = await api.flow()
    got = await api.post("/deployments/", {"name": "x", "flow_id": flow["id"], **fields})
    assert got.status == 422, got.json
    assert got.json["exception_message"] == "Invalid request received."
    assert got.json["exception_detail"][0]["loc"] == ["body", *loc]
    assert got.json["request_body"]["name"] == fields.get("name", "x")


async def test_a_change_keeps_what_is_left_out_and_a_null_clears(api: Any) -> None:
    made = await api.deployment(description="old", tags=["a"], concurrency_limit=3, parameters={"n": 1})
    path = f"/deployments/{made['id']}"
    assert (await api.patch(path, {"description": "new"})).status == 204
    assert (await read(api, made))["tags"] == ["a"]
    assert (await api.patch(path, {"description": None, "concurrency_limit": None})).status == 204
    changed = await read(api, made)
    assert (changed["description"], changed["global_concurrency_limit"], changed["parameters"]) == (None, None, {"n": 1})
    assert changed["concurrency_limit"] is None


async def test_a_deployments_limit_is_a_record_of_its_own(api: Any) -> None:
    """Where clients of old read a number there is none; of two limits none is taken."""
    made = await api.deployment(concurrency_limit=3)
    limit = made["global_concurrency_limit"]
    assert (made["concurrency_limit"], limit["limit"], limit["name"]) == (None, 3, f"deployment:{made['id']}")
    path = f"/deployments/{made['id']}"
    assert (await api.patch(path, {"concurrency_limit": 4})).status == 204
    assert (await read(api, made))["global_concurrency_limit"]["limit"] == 4
    got = await api.patch(path, {"concurrency_limit": 2, "global_concurrency_limit_id": made["id"]})
    assert got.status == 422
    assert "cannot have both a concurrency limit and a global concurrency limit" in got.json["exception_detail"][0]["msg"]


async def test_schedules_with_slugs_are_changed_one_by_one(any_api: Any) -> None:
    """What a change does not name stays, as it was; the one that was changed last comes first."""
    each = [{"schedule": {"interval": n * 60}, "slug": slug} for n, slug in ((1, "a"), (2, "b"))]
    made = await any_api.deployment(schedules=each)
    a, b = (next(it["id"] for it in made["schedules"] if it["slug"] == slug) for slug in "ab")
    path = f"/deployments/{made['id']}"
    any_api.clock.advance(seconds=1)
    assert (await any_api.patch(path, {"schedules": [{"slug": "a", "active": False}]})).status == 204
    shown = (await read(any_api, made))["schedules"]
    assert [(it["id"], it["schedule"]["interval"], it["active"]) for it in shown] == [(a, 60.0, False), (b, 120.0, True)]
    swap = [{"slug": "b", "replaces": "a"}, {"slug": "a", "replaces": "b"}]
    assert (await any_api.patch(path, {"schedules": swap})).status == 204
    assert {it["slug"]: it["id"] for it in (await read(any_api, made))["schedules"]} == {"a": b, "b": a}
    assert (await any_api.patch(path, {"schedules": [{"schedule": {"interval": 60}}]})).status == 422
    whole = {"schedules": [{"slug": "c", "schedule": {"interval": 60}}], "whole_schedules": True}
    assert (await any_api.patch(path, whole)).status == 204
    assert [it["slug"] for it in (await read(any_api, made))["schedules"]] == ["c"]
    assert (await any_api.patch(path, {"schedules": []})).status == 204
    assert (await read(any_api, made))["schedules"] == []


async def test_a_limit_tells_how_many_of_its_slots_are_taken(api: Any) -> None:
    made = await api.deployment(concurrency_limit=3)
    assert made["global_concurrency_limit"]["active_slots"] == 0
    await api.set_state(await api.deployed_run(made), "PENDING")
    assert (await read(api, made))["global_concurrency_limit"]["active_slots"] == 1


async def test_a_deployment_can_leave_its_pool(api: Any) -> None:
    await api.pool()
    made = await api.deployment(work_pool_name="pool")
    assert made["work_queue_name"] == "default"
    await api.patch(f"/deployments/{made['id']}", {"work_pool_name": None})
    changed = await read(api, made)
    assert (changed["work_pool_name"], changed["work_queue_name"], changed["work_queue_id"]) == (None, None, None)


async def test_job_variables_that_the_pools_template_forbids_are_told(api: Any) -> None:
    template = {
        "job_configuration": {"image": "{{ image }}"},
        "variables": {"type": "object", "properties": {"image": {"type": "string"}}},
    }
    await api.pool(base_job_template=template)
    flow = await api.flow()
    body = {"name": "x", "flow_id": flow["id"], "work_pool_name": "pool", "job_variables": {"image": 5}}
    got = await api.post("/deployments/", body)
    assert got.status == 422
    assert got.json["exception_detail"][0]["loc"] == ["body", "job_variables", "image"]
    assert got.json["exception_detail"][0]["input"] == 5


async def test_pausing_and_resuming(api: Any) -> None:
    made = await api.deployment()
    got = await api.post(f"/deployments/{made['id']}/pause_deployment")
    assert (got.status, got.json) == (200, None)
    assert (await read(api, made))["paused"] is True
    assert (await api.post(f"/deployments/{made['id']}/resume_deployment")).status == 200
    assert (await read(api, made))["paused"] is False


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", b""),
        ("PATCH", "", {}),
        ("DELETE", "", b""),
        ("POST", "/pause_deployment", b""),
        ("POST", "/resume_deployment", b""),
        ("POST", "/create_flow_run", {}),
        ("GET", "/schedules", b""),
        ("POST", "/schedules", []),
    ],
)
async def test_an_unknown_deployment_is_told(api: Any, some_id: Any, method: str, path: str, body: Any) -> None:
    got = await api.send(method, f"/deployments/{some_id}{path}", body)
    assert (got.status, got.json) == (404, {"detail": "Deployment not found"})


async def test_an_unknown_name_is_told(api: Any) -> None:
    await api.flow()
    for path in ("hello/none", "none/none"):
        got = await api.get(f"/deployments/name/{path}")
        assert (got.status, got.json) == (404, {"detail": "Deployment not found"})


async def test_a_deleted_deployment_takes_its_waiting_runs_and_leaves_its_history(api: Any) -> None:
    made = await api.deployment(schedules=[{"schedule": HOURLY}])
    ran = await api.deployed_run(made)
    await api.set_state(ran, "RUNNING")
    await api.set_state(ran, "COMPLETED")
    waiting = await api.deployed_run(made)
    assert (await api.delete(f"/deployments/{made['id']}")).status == 204
    assert (await api.get(f"/flow_runs/{ran['id']}")).status == 200
    assert (await api.get(f"/flow_runs/{waiting['id']}")).status == 404
    assert (await api.post("/flow_runs/count")).json == 1


async def test_deployments_are_filtered(api: Any) -> None:
    await api.pool()
    await api.deployment("a", work_pool_name="pool", tags=["x", "y"], concurrency_limit=5)
    await api.deployment("b", flow="other", paused=True)
    for filters, names in (
        ({"name": {"any_": ["a"]}}, ["a"]),
        ({"name": {"like_": "A"}}, ["a"]),
        ({"flow_or_deployment_name": {"like_": "othe"}}, ["b"]),
        ({"paused": {"eq_": True}}, ["b"]),
        ({"is_schedule_active": {"eq_": True}}, ["a"]),
        ({"tags": {"all_": ["x"]}}, ["a"]),
        ({"tags": {"any_": ["y", "z"]}}, ["a"]),
        ({"tags": {"is_null_": True}}, ["b"]),
        ({"work_queue_name": {"any_": ["default"]}}, ["a"]),
        ({"concurrency_limit": {"ge_": 5, "le_": 5}}, ["a"]),
        ({"concurrency_limit": {"is_null_": True}}, ["b"]),
        ({"operator": "or_", "name": {"any_": ["a"]}, "paused": {"eq_": True}}, ["a", "b"]),
        ({"id": None, "name": None, "tags": None, "paused": None, "work_queue_name": None}, ["a", "b"]),
        (None, ["a", "b"]),
    ):
        body = {"deployments": filters, "sort": "NAME_ASC"}
        got = await api.post("/deployments/filter", body)
        assert [each["name"] for each in got.json] == names, filters
        assert (await api.post("/deployments/count", body)).json == len(names)
    by_pool = {"work_pools": {"name": {"any_": ["pool"]}}}
    assert [each["name"] for each in (await api.post("/deployments/filter", by_pool)).json] == ["a"]
    by_flow = {"flows": {"name": {"any_": ["other"]}}}
    assert [each["name"] for each in (await api.post("/deployments/filter", by_flow)).json] == ["b"]


@pytest.mark.parametrize("depth", [100, 450, 900, 990, 2000])
@pytest.mark.parametrize("core", ["1", r'"\u0000"'])
async def test_nested_values_are_taken_or_refused_however_deep(api: Any, depth: int, core: str) -> None:
    """Each place where people's own JSON goes, taken apart and put together again."""
    await api.pool()
    deep = b'{"a":' * depth + core.encode() + b"}" * depth
    made = await api.deployment(work_pool_name="pool", parameter_openapi_schema=SCHEMA)
    refused = core != "1"
    for method, path, body in (
        ("POST", f"/deployments/{made['id']}/create_flow_run", b'{"parameters":%s}'),
        ("POST", f"/deployments/{made['id']}/create_flow_run", b'{"job_variables":%s}'),
        ("PATCH", f"/deployments/{made['id']}", b'{"job_variables":%s}'),
        ("PATCH", f"/deployments/{made['id']}", b'{"parameter_openapi_schema":%s}'),
        ("PATCH", "/work_pools/pool", b'{"base_job_template":{"job_configuration":%s,"variables":{}}}'),
        ("PATCH", "/work_pools/pool", b'{"base_job_template":{"job_configuration":{},"variables":%s}}'),
        ("PATCH", f"/deployments/{made['id']}", b'{"job_variables":%s}'),
    ):
        got = await api.send(method, path, body % deep)
        assert got.status in ((422,) if refused else (201, 204, 422)), (path, body)
        if got.status == 201:
            assert (await api.get(f"/flow_runs/{got.json['id']}")).status == 200
    assert (await api.get(f"/deployments/{made['id']}")).status == 200
    assert (await api.get("/work_pools/pool")).status == 200
    assert (await api.post("/work_pools/pool/claim", {"worker": "w", "room": 9})).status == 200


async def test_a_parameter_schema_that_is_none_is_told_at_once(api: Any) -> None:
    flow = await api.flow()
    body = {"name": "x", "flow_id": flow["id"], "parameter_openapi_schema": {"type": "nonsense"}}
    got = await api.post("/deployments/", body | {"enforce_parameter_schema": True})
    assert got.status == 422
    assert "'nonsense' is not valid under any of the given schemas" in got.json["exception_detail"][0]["msg"]
    assert got.json["exception_detail"][0]["loc"] == ["body", "parameter_openapi_schema"]


async def test_default_parameters_that_their_schema_forbids_are_told_at_once(api: Any) -> None:
    flow = await api.flow()
    body = {"name": "x", "flow_id": flow["id"], "parameters": {"n": "notint"}, "parameter_openapi_schema": SCHEMA}
    got = await api.post("/deployments/", body | {"enforce_parameter_schema": True})
    assert got.status == 422
    (problem,) = got.json["exception_detail"]
    assert (problem["loc"], problem["input"]) == (["body", "parameters", "n"], "notint")
    for unjudged in ({}, {"enforce_parameter_schema": False}):
        made = await api.post("/deployments/", body | unjudged)
        assert made.status in (200, 201)
    path = f"/deployments/{made.json['id']}"
    assert (await api.patch(path, {"enforce_parameter_schema": True})).status == 409
    assert (await api.patch(path, {"enforce_parameter_schema": True, "parameters": {}})).status == 204


async def test_parameters_have_a_largest_size(api: Any) -> None:
    """Of a deployment and of a run, when it is made and when it is changed; just below it is fine."""
    made, run = await api.deployment(parameters={"x": "y" * 500_000}), await api.run()
    path, big = f"/deployments/{made['id']}", {"parameters": {"x": "y" * 600_000}}
    for got in (
        await api.post("/deployments/", {"name": "b", "flow_id": made["flow_id"], **big}),
        await api.patch(path, big),
        await api.post(f"{path}/create_flow_run", big),
        await api.post("/flow_runs/", {"flow_id": made["flow_id"], **big}),
        await api.patch(f"/flow_runs/{run['id']}", big),
    ):
        assert got.status == 422
        assert "over the limit of 524288" in got.json["exception_detail"][0]["msg"]


async def test_default_parameters_may_leave_out_what_runs_bring(api: Any) -> None:
    made = await api.deployment(parameter_openapi_schema=SCHEMA | {"required": ["name"]}, parameters={"n": 1})
    path = f"/deployments/{made['id']}"
    assert (await api.post(f"{path}/create_flow_run", {})).status == 409
    assert (await api.post(f"{path}/create_flow_run", {"parameters": {"name": "x"}})).status == 201
    got = await api.patch(path, {"parameters": {"n": None}})
    assert got.status == 409
    assert (await read(api, made))["parameters"] == {"n": 1}


async def test_options_that_existing_servers_refuse(api: Any) -> None:
    made = await api.deployment()
    for seconds in (59, 86_401):
        got = await api.patch(f"/deployments/{made['id']}", {"concurrency_options": {"grace_period_seconds": seconds}})
        assert got.status == 422
        assert got.json["exception_detail"][0]["loc"] == ["body", "concurrency_options", "grace_period_seconds"]
    got = await api.post("/deployments/get_scheduled_flow_runs", {})
    assert got.status == 422
    assert got.json["exception_detail"][0]["loc"] == ["body", "deployment_ids"]
