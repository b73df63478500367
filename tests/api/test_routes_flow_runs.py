"""Flow runs over HTTP; their states are in `test_routes_states`."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest


async def test_a_run_of_a_flow_alone_is_pending_because_its_caller_executes_it(api: Any) -> None:
    flow = await api.flow()
    body = {
        "state": None,
        "name": None,
        "flow_id": flow["id"],
        "flow_version": "33c1",
        "parameters": {"a": 1},
        "context": {"x": 1},
        "parent_task_run_id": str(uuid4()),
        "empirical_policy": {"retries": 0, "retry_delay": 0},
        "tags": ["t"],
    }
    got = await api.post("/flow_runs/", body)
    assert got.status == 201
    run = got.json
    assert (run["state_type"], run["state_name"], run["next_scheduled_start_time"]) == ("PENDING", "Pending", None)
    for key in ("flow_id", "flow_version", "parameters", "context", "parent_task_run_id", "tags"):
        assert run[key] == body[key]
    assert (run["empirical_policy"]["retries"], run["empirical_policy"]["retry_delay"]) == (0, 0)
    assert (await api.get(f"/flow_runs/{run['id']}")).json == run


async def test_a_run_may_start_in_any_state(api: Any) -> None:
    run = await api.run(state={"type": "SCHEDULED"}, name="mine")
    assert (run["state_type"], run["name"], run["next_scheduled_start_time"]) == (
        "SCHEDULED",
        "mine",
        "2026-03-02T09:00:00Z",
    )


async def test_the_same_key_gets_the_same_run(api: Any) -> None:
    flow = await api.flow()
    first = await api.post("/flow_runs/", {"flow_id": flow["id"], "idempotency_key": "k"})
    again = await api.post("/flow_runs/", {"flow_id": flow["id"], "idempotency_key": "k"})
    assert (first.status, again.status) == (201, 200)
    assert first.json["id"] == again.json["id"]


async def test_what_a_run_refers_to_must_exist(api: Any, some_id: Any) -> None:
    assert (await api.post("/flow_runs/", {"flow_id": str(some_id)})).status == 409
    flow = await api.flow()
    got = await api.post("/flow_runs/", {"flow_id": flow["id"], "work_pool_name": "none"})
    assert (got.status, got.json) == (404, {"detail": 'Work pool "none" not found.'})


async def test_a_change_keeps_what_is_left_out_and_a_null_clears(api: Any) -> None:
    run = await api.run(tags=["a"], flow_version="1")
    path = f"/flow_runs/{run['id']}"
    policy = {
        "max_retries": 0,
        "retry_delay_seconds": 0.0,
        "retries": 2,
        "retry_delay": [1, 2.5],
        "pause_keys": [],
        "resuming": False,
        "retry_type": None,
    }
    assert (await api.patch(path, {"infrastructure_pid": "28369"})).status == 204
    assert (await api.patch(path, {"flow_version": "2", "empirical_policy": policy})).status == 204
    assert (await api.patch(path, {"name": "renamed", "parameters": {"n": 1}})).status == 204
    changed = (await api.get(path)).json
    assert (changed["infrastructure_pid"], changed["flow_version"], changed["tags"]) == ("28369", "2", ["a"])
    assert (changed["name"], changed["parameters"]) == ("renamed", {"n": 1})
    assert changed["empirical_policy"] == policy
    await api.patch(path, {"infrastructure_pid": None, "flow_version": None, "name": None})
    changed = (await api.get(path)).json
    assert (changed["infrastructure_pid"], changed["flow_version"], changed["name"]) == (None, None, "renamed")


async def test_labels_are_added(api: Any) -> None:
    run = await api.run(labels={"a": 1})
    labels = {"prefect.worker.name": "w1", "prefect.work-pool.id": str(uuid4()), "n": 1.5}
    assert (await api.patch(f"/flow_runs/{run['id']}/labels", labels)).status == 204
    assert (await api.get(f"/flow_runs/{run['id']}")).json["labels"] == run["labels"] | labels


@pytest.mark.parametrize(
    ("method", "path", "body", "answer"),
    [
        ("GET", "", b"", {"detail": "Flow run not found"}),
        ("PATCH", "", {}, {"detail": "Flow run not found"}),
        ("DELETE", "", b"", {"detail": "Flow run not found"}),
        ("PATCH", "/labels", {}, {"exception_message": "Flow run not found"}),
    ],
)
async def test_an_unknown_run_is_told(
    api: Any, some_id: Any, method: str, path: str, body: Any, answer: dict[str, str]
) -> None:
    got = await api.send(method, f"/flow_runs/{some_id}{path}", body)
    assert (got.status, got.json) == (404, answer)


async def test_a_deleted_run_is_gone_with_its_states_and_logs(api: Any) -> None:
    run = await api.run()
    line = {"name": "x", "level": 20, "message": "m", "timestamp": "2026-03-02T09:00:00Z", "flow_run_id": run["id"]}
    await api.post("/logs/", [line])
    assert (await api.delete(f"/flow_runs/{run['id']}")).status == 204
    assert (await api.get(f"/flow_runs/{run['id']}")).status == 404
    assert (await api.get(f"/flow_run_states/?flow_run_id={run['id']}")).json == []
    assert (await api.post("/logs/filter")).json == []


async def test_runs_are_filtered(api: Any) -> None:
    """Every operator of the grammar picks one of two runs that differ in everything."""
    await api.pool()
    parent = str(uuid4())
    deployment = await api.deployment(work_pool_name="pool", work_queue_name="q")
    one = await api.deployed_run(deployment, name="blue-fox", tags=["x", "y"], idempotency_key="k1")
    await api.set_state(one, "RUNNING")
    api.clock.advance(seconds=10)
    await api.set_state(one, "FAILED", name="Broken")
    due = (api.clock.time + timedelta(hours=1)).isoformat()
    two = await api.run(
        "other",
        name="red-owl",
        idempotency_key="k2",
        parent_task_run_id=parent,
        flow_version="2",
        state={"type": "SCHEDULED", "state_details": {"scheduled_time": due}},
    )
    ids = {one["id"]: 1, two["id"]: 2}
    cases: list[tuple[dict[str, Any] | None, list[int]]] = [
        ({"id": {"any_": [one["id"]]}}, [1]),
        ({"id": {"any_": [one["id"]], "not_any_": None}}, [1]),
        ({"id": {"not_any_": [one["id"]]}}, [2]),
        ({"id": {"not_any_": []}}, [1, 2]),
        ({"id": {"any_": []}}, []),
        ({"name": {"any_": ["blue-fox"]}}, [1]),
        ({"name": {"like_": "OWL"}}, [2]),
        ({"name": {"like_": "_"}}, []),
        ({"name": {"like_": "%"}}, [1, 2]),
        ({"name": {"like_": "b%x"}}, [1]),
        ({"tags": {"all_": ["x", "y"]}}, [1]),
        ({"tags": {"all_": ["x", "z"]}}, []),
        ({"tags": {"any_": ["y", "z"]}}, [1]),
        ({"tags": {"is_null_": True}}, [2]),
        ({"deployment_id": {"any_": [deployment["id"]]}}, [1]),
        ({"deployment_id": {"is_null_": True}}, [2]),
        ({"work_queue_name": {"any_": ["q"]}}, [1]),
        ({"work_queue_name": {"is_null_": True}}, [2]),
        ({"work_queue_name": {"operator": "or_", "any_": ["q"], "is_null_": True}}, [1, 2]),
        ({"state": {"type": {"any_": ["FAILED"]}}}, [1]),
        ({"state": {"type": {"not_any_": ["FAILED"]}}}, [2]),
        ({"state": {"name": {"any_": ["Broken"]}}}, [1]),
        ({"state": {"name": {"not_any_": ["Broken"]}}}, [2]),
        ({"state": {"operator": "or_", "type": {"any_": ["FAILED"]}, "name": {"any_": ["Scheduled"]}}}, [1, 2]),
        ({"state": {"operator": "and_", "type": {"any_": ["FAILED"]}, "name": {"any_": ["Scheduled"]}}}, []),
        ({"flow_version": {"any_": ["2"]}}, [2]),
        ({"start_time": {"before_": "2026-03-02T09:00:00Z"}}, [1]),
        ({"start_time": {"after_": "2026-03-02T09:00:01Z"}}, [2]),  # it has not begun: when it is to
        ({"start_time": {"is_null_": True}}, [2]),
        ({"end_time": {"after_": "2026-03-02T09:00:10", "is_null_": None}}, [1]),
        ({"end_time": {"is_null_": True}}, [2]),
        ({"expected_start_time": {"before_": "2026-03-02T09:30:00+00:00"}}, [1]),
        ({"expected_start_time": {"after_": "2026-03-02 09:30:00+00:00"}}, [2]),
        ({"next_scheduled_start_time": {"after_": "2026-03-02T09:30:00Z"}}, [2]),
        ({"parent_task_run_id": {"any_": [parent]}}, [2]),
        ({"parent_task_run_id": {"is_null_": True}}, [1]),
        ({"parent_flow_run_id": {"any_": [str(uuid4())]}}, []),
        ({"idempotency_key": {"any_": ["k1"]}}, [1]),
        ({"idempotency_key": {"not_any_": ["k1"]}}, [2]),
        ({"operator": "or_", "name": {"any_": ["blue-fox"]}, "flow_version": {"any_": ["2"]}}, [1, 2]),
        ({"operator": "and_", "name": {"any_": ["blue-fox"]}, "flow_version": {"any_": ["2"]}}, []),
        (dict.fromkeys(("id", "name", "tags", "state", "created_by", "idempotency_key", "parent_flow_run_id")), [1, 2]),
        ({}, [1, 2]),
        (None, [1, 2]),
    ]
    for filters, found in cases:
        body = {"flow_runs": filters}
        got = await api.post("/flow_runs/filter", body)
        assert sorted(ids[run["id"]] for run in got.json) == found, filters
        assert (await api.post("/flow_runs/count", body)).json == len(found)


async def test_runs_are_found_by_what_they_hang_on(api: Any) -> None:
    await api.pool()
    deployment = await api.deployment(work_pool_name="pool", work_queue_name="q")
    run = await api.deployed_run(deployment)
    await api.run("other")
    for filters in (
        {"flows": {"name": {"any_": ["hello"]}}},
        {"deployments": {"name": {"like_": "night"}}},
        {"work_pools": {"name": {"any_": ["pool"]}, "id": None, "type": None}},
        {"work_pool_queues": {"name": {"any_": ["q"]}}},
        {"work_queues": {"name": {"startswith_": ["q"]}}},
        {"flows": {"name": {"any_": ["hello"]}}, "work_pools": {"type": {"any_": ["process"]}}, "task_runs": None},
    ):
        assert [each["id"] for each in (await api.post("/flow_runs/filter", filters)).json] == [run["id"]], filters
    assert (await api.post("/flow_runs/filter", {"work_pools": {"name": {"any_": ["none"]}}})).json == []


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("ID_DESC", "cba"),
        (None, "cba"),
        ("START_TIME_ASC", "bac"),
        ("START_TIME_DESC", "cab"),
        ("EXPECTED_START_TIME_ASC", "bac"),
        ("EXPECTED_START_TIME_DESC", "cab"),
        ("NAME_ASC", "abc"),
        ("NAME_DESC", "cba"),
        ("NEXT_SCHEDULED_START_TIME_ASC", "bac"),
    ],
)
async def test_runs_are_sorted(api: Any, sort: str | None, order: str) -> None:
    for name, hours in (("a", 2), ("b", 1), ("c", 3)):
        due = (api.clock.time + timedelta(hours=hours)).isoformat()
        await api.run(name=name, state={"type": "SCHEDULED", "state_details": {"scheduled_time": due}})
    got = await api.post("/flow_runs/filter", {"sort": sort})
    assert "".join(run["name"] for run in got.json) == order


async def test_runs_are_sorted_by_their_end(api: Any) -> None:
    for name in "abc":
        run = await api.run(name=name)
        api.clock.advance(seconds=1)
        if name != "b":
            await api.set_state(run, "COMPLETED")
    got = await api.post("/flow_runs/filter", {"sort": "END_TIME_DESC"})
    assert "".join(run["name"] for run in got.json) == "cab"


async def test_an_engine_keeps_its_runs_lease(api: Any) -> None:
    await api.pool()
    await api.deployed_run(await api.deployment(work_pool_name="pool"))
    (grant,) = (await api.post("/work_pools/pool/claim", {"worker": "w"})).json["grants"]
    lease = grant["lease"]
    api.clock.advance(seconds=5)
    got = await api.post(f"/flow_runs/{lease['flow_run_id']}/lease", lease)
    assert got.json == {"expires_at": "2026-03-02T09:00:25Z", "lost": [], "cancel": [], "drain": False}
    stale = await api.post(f"/flow_runs/{lease['flow_run_id']}/lease", lease | {"fence": 0})
    assert stale.json["lost"] == [lease["flow_run_id"]]


# --- explanations


async def test_a_run_explains_itself(api: Any) -> None:
    await api.pool(is_paused=True)
    run = await api.deployed_run(await api.deployment(work_pool_name="pool"))
    got = await api.get(f"/flow_runs/{run['id']}/explain")
    assert got.status == 200
    assert (got.json["waiting"], got.json["summary"]) == (True, "Work pool 'pool' is paused since 2026-03-02 09:00:00 UTC.")
    assert [gate["kind"] for gate in got.json["gates"]] == ["pool paused", "no worker"]
    assert (got.json["position"], got.json["due_at"]) == ({"ahead": 0, "starting": 0, "more": False}, "2026-03-02T09:00:00Z")


async def test_what_is_not_there_cannot_be_explained(api: Any) -> None:
    got = await api.get("/flow_runs/019cad25-6000-7000-8000-000000000000/explain")
    assert (got.status, got.json) == (404, {"detail": "Flow run not found"})


async def test_policies_of_older_names_count_where_the_newer_are_not_given(any_api: Any) -> None:
    api = any_api
    old = await api.run(empirical_policy={"max_retries": 3, "retry_delay_seconds": 2})
    policy = (await api.get(f"/flow_runs/{old['id']}")).json["empirical_policy"]
    assert (policy["retries"], policy["retry_delay"]) == (3, 2)
    both = await api.run(empirical_policy={"max_retries": 3, "retries": 0, "retry_delay_seconds": 2, "retry_delay": 0})
    assert (both["empirical_policy"]["retries"], both["empirical_policy"]["retry_delay"]) == (0, 0)


async def test_job_variables_are_changed_of_deployed_runs_that_wait(api: Any) -> None:
    await api.pool()
    run = await api.deployed_run(await api.deployment(work_pool_name="pool"))
    path = f"/flow_runs/{run['id']}"
    assert (await api.patch(path, {"job_variables": {"name": "x"}})).status == 204
    assert (await api.get(path)).json["job_variables"] == {"name": "x"}
    await api.set_state(run, "PENDING")
    late = await api.patch(path, {"job_variables": {}, "name": "other"})
    assert (late.status, late.json["detail"]) == (400, "Job variables for a flow run in state PENDING cannot be updated")
    assert (await api.get(path)).json["name"] == run["name"]
    assert (await api.patch(path, {"name": "other"})).status == 204
    alone = await api.run(state={"type": "SCHEDULED"})
    refused = await api.patch(f"/flow_runs/{alone['id']}", {"job_variables": {"a": 1}})
    assert (refused.status, refused.json["detail"]) == (400, "A deployment for the flow run could not be found")


async def test_runs_that_have_not_begun_are_found_by_when_they_are_to(any_api: Any) -> None:
    api = any_api
    times = [("waits", "SCHEDULED", "2026-03-03T09:00:00Z"), ("runs", "RUNNING", None)]
    for name, kind, time in times:
        await api.run(name=name, state={"type": kind, "state_details": {"scheduled_time": time}})

    async def found(**bounds: Any) -> list[str]:
        query = {"flow_runs": {"start_time": bounds}, "sort": "NAME_ASC"}
        return [each["name"] for each in (await api.post("/flow_runs/filter", query)).json]

    assert await found(after_="2026-03-02T00:00:00Z") == ["runs", "waits"]
    assert await found(after_="2026-03-02T12:00:00Z") == ["waits"]
    assert await found(before_="2026-03-02T12:00:00Z") == ["runs"]
    assert await found(is_null_=True) == ["waits"]


async def test_labels_come_down_from_flows_and_deployments(any_api: Any) -> None:
    api = any_api
    flow = (await api.post("/flows/", {"name": "labelled", "labels": {"team": "a", "x": 1}})).json
    alone = (await api.post("/flow_runs/", {"flow_id": flow["id"], "labels": {"x": 2}})).json
    for nested in ({"x": {"y": 1}}, {"x": [1]}, {"x": None}):
        assert (await api.post("/flow_runs/", {"flow_id": flow["id"], "labels": nested})).status == 422
        assert (await api.patch(f"/flow_runs/{alone['id']}/labels", nested)).status == 422
    assert alone["labels"] == {"team": "a", "x": 2, "prefect.flow.id": flow["id"]}
    body = {"name": "d", "flow_id": flow["id"], "labels": {"y": 3}}
    made = (await api.post("/deployments/", body)).json
    assert made["labels"] == {"team": "a", "x": 1, "y": 3, "prefect.flow.id": flow["id"]}
    run = (await api.post(f"/deployments/{made['id']}/create_flow_run", {"labels": {"y": 4}})).json
    assert run["labels"] == made["labels"] | {"y": 4, "prefect.deployment.id": made["id"]}
    parent = await api.run(state={"type": "RUNNING"})
    task = (await api.post("/task_runs/", {"flow_run_id": parent["id"], "task_key": "k", "dynamic_key": "0"})).json
    body = {"flow_id": flow["id"], "name": "child", "parent_task_run_id": task["id"], "state": {"type": "RUNNING"}}
    await api.post("/flow_runs/", body)
    graph = (await api.get(f"/flow_runs/{parent['id']}/graph-v2")).json
    assert [node["label"] for _, node in graph["nodes"]] == ["labelled / child"]
