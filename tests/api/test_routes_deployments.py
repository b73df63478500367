"""Deployments and their schedules over HTTP."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

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
        ({"flow_id": str(uuid4())}, 409, None),
    ],
)
async def test_what_a_deployment_refers_to_must_exist(
    api: Any, fields: dict[str, Any], status: int, body: dict[str, Any] | None
) -> None:
    flow = await api.flow()
    got = await api.post("/deployments/", {"name": "x", "flow_id": flow["id"], **fields})
    assert got.status == status
    assert body is None or got.json == body
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
        ({"schedules": [{"schedule": HOURLY, "slug": "a"}, {"schedule": DAILY, "slug": "a"}]}, ["schedules", 1, "slug"]),
        ({"schedules": [{"schedule": HOURLY, "max_scheduled_runs": 0}]}, ["schedules", 0, "max_scheduled_runs"]),
        ({"concurrency_options": {"collision_strategy": "PUSH"}}, ["concurrency_options", "collision_strategy"]),
        ({"parameter_openapi_schema": {"type": "nonsense"}}, None),
    ],
)
async def test_a_field_that_cannot_be_is_named(api: Any, fields: dict[str, Any], loc: list[Any] | None) -> None:
    flow = await api.flow()
    got = await api.post("/deployments/", {"name": "x", "flow_id": flow["id"], **fields})
    if loc is None:
        assert got.status in (201, 422)
        return
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


# --- schedules


async def test_schedules_are_added_read_changed_and_deleted(api: Any) -> None:
    made = await api.deployment()
    path = f"/deployments/{made['id']}/schedules"
    body = [
        {"schedule": DAILY, "active": True, "max_scheduled_runs": None, "parameters": {}, "slug": None, "replaces": None}
    ]
    got = await api.post(path, body)
    assert got.status == 201
    (schedule,) = got.json
    assert (await api.get(path)).json == [schedule]
    assert (await api.patch(f"{path}/{schedule['id']}", {"active": False})).status == 204
    (changed,) = (await api.get(path)).json
    assert (changed["active"], changed["schedule"]) == (False, schedule["schedule"])
    assert (await api.patch(f"{path}/{schedule['id']}", {"schedule": HOURLY, "slug": "h"})).status == 204
    (changed,) = (await api.get(path)).json
    assert (changed["schedule"]["cron"], changed["slug"], changed["active"]) == ("0 * * * *", "h", False)
    assert (await api.delete(f"{path}/{schedule['id']}")).status == 204
    assert (await api.get(path)).json == []
    for method in ("PATCH", "DELETE"):
        gone = await api.send(method, f"{path}/{schedule['id']}", {} if method == "PATCH" else b"")
        assert (gone.status, gone.json) == (404, {"detail": "Schedule not found"})


async def test_a_schedule_of_another_deployment_is_not_found(api: Any) -> None:
    one, other = await api.deployment("a", schedules=[{"schedule": HOURLY}]), await api.deployment("b")
    got = await api.delete(f"/deployments/{other['id']}/schedules/{one['schedules'][0]['id']}")
    assert got.status == 404


async def test_a_wrong_schedule_among_added_ones_is_named_and_none_is_added(api: Any) -> None:
    made = await api.deployment()
    path = f"/deployments/{made['id']}/schedules"
    got = await api.post(path, [{"schedule": HOURLY}, {"schedule": {"cron": "x"}}])
    assert got.status == 422
    assert got.json["exception_detail"][0]["input"] == "x"
    assert 1 in got.json["exception_detail"][0]["loc"]
    assert (await api.get(path)).json == []


async def test_a_schedule_makes_its_runs_at_once_and_takes_them_back(api: Any) -> None:
    made = await api.deployment(parameters={"n": 1}, schedules=[{"schedule": HOURLY, "slug": "h", "parameters": {"m": 2}}])
    (schedule,) = made["schedules"]
    runs = (await api.post("/flow_runs/filter", {"sort": "EXPECTED_START_TIME_ASC"})).json
    assert [run["expected_start_time"] for run in runs] == [f"2026-03-02T{hour}:00:00Z" for hour in (10, 11, 12)]
    first = runs[0]
    assert first["auto_scheduled"] is True
    assert first["parameters"] == {"n": 1, "m": 2}
    assert "auto-scheduled" in first["tags"]
    assert first["idempotency_key"] == f"scheduled {made['id']} {schedule['id']} 2026-03-02 10:00:00+00:00"
    assert first["created_by"] == {"id": schedule["id"], "type": "SCHEDULE", "display_value": "h"}
    path = f"/deployments/{made['id']}/schedules/{schedule['id']}"
    await api.patch(path, {"active": False})
    assert (await api.post("/flow_runs/count")).json == 0
    await api.patch(path, {"active": True})
    assert (await api.post("/flow_runs/count")).json == 3
    by_schedule = {"flow_runs": {"created_by": {"operator": "and_", "id_": [schedule["id"]], "type_": ["SCHEDULE"]}}}
    assert (await api.post("/flow_runs/count", by_schedule)).json == 3
    by_hand = {"flow_runs": {"created_by": {"is_null_": True}}}
    assert (await api.post("/flow_runs/count", by_hand)).json == 0


async def test_a_deploy_keeps_schedules_and_their_switches(api: Any) -> None:
    made = await api.deployment(schedules=[{"schedule": HOURLY}, {"schedule": WEEKLY, "active": False, "slug": "w"}])
    again = {"name": "nightly", "flow_id": made["flow_id"]}
    got = await api.post("/deployments/", again | {"schedules": [{"schedule": WEEKLY, "slug": "w"}, {"schedule": DAILY}]})
    before = {each["slug"]: each for each in made["schedules"]}
    after = {each["slug"]: each for each in got.json["schedules"]}
    assert after["w"]["id"] == before["w"]["id"]
    assert after["w"]["active"] is False
    assert after[None]["schedule"]["interval"] == 86_400.0
    cleared = await api.patch(f"/deployments/{made['id']}", {"schedules": []})
    assert cleared.status == 204
    assert (await read(api, made))["schedules"] == []


# --- runs of a deployment


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
    assert (await read(api, one))["status"] == "READY"
    assert (await read(api, one))["last_polled"] == "2026-03-02T09:00:00Z"
    assert (await read(api, other))["status"] == "NOT_READY"
    await api.post(f"/deployments/{one['id']}/pause_deployment")
    assert await poll() == []


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
