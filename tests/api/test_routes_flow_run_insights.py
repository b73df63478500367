"""Flow runs besides their records: pages, histories, graphs, inputs and resumptions, logs as a file; on both databases."""

from typing import Any
from uuid import uuid4

import pytest

TASK = {"task_key": "add-1", "dynamic_key": "0"}


@pytest.fixture
async def running(any_api: Any) -> dict[str, Any]:
    run: dict[str, Any] = await any_api.run(state={"type": "RUNNING"}, name="mine/own")
    return run


async def test_one_state_by_its_id(any_api: Any, running: dict[str, Any]) -> None:
    await any_api.set_state(running, "COMPLETED")
    states = (await any_api.get(f"/flow_run_states/?flow_run_id={running['id']}")).json
    for state in states:
        assert (await any_api.get(f"/flow_run_states/{state['id']}")).json == state
    missing = await any_api.get(f"/flow_run_states/{uuid4()}")
    assert (missing.status, missing.json) == (404, {"detail": "Flow run state not found"})


async def test_numbered_pages(any_api: Any) -> None:
    runs = [await any_api.run(name=f"r{n}") for n in range(3)]
    page = (await any_api.post("/flow_runs/paginate", {"sort": "NAME_ASC", "limit": 2, "page": 2})).json
    assert [run["id"] for run in page.pop("results")] == [runs[2]["id"]]
    assert page == {"count": 3, "limit": 2, "pages": 2, "page": 2}
    for name in ("b", "a"):
        await any_api.flow(name)
    page = (await any_api.post("/flows/paginate", {"limit": 2})).json
    assert ([flow["name"] for flow in page["results"]], page["count"], page["pages"]) == (["a", "b"], 3, 2)
    assert (await any_api.post("/flows/paginate", {"page": 0})).status == 422


async def test_flows_that_match_are_deleted(any_api: Any) -> None:
    await any_api.run()
    kept, gone = await any_api.flow("kept"), await any_api.flow("hello")
    got = await any_api.post("/flows/bulk_delete", {"flows": {"name": {"any_": ["hello"]}}})
    assert (got.status, got.json) == (200, {"deleted": [gone["id"]]})
    assert [flow["id"] for flow in (await any_api.post("/flows/filter")).json] == [kept["id"]]
    assert (await any_api.post("/flow_runs/count")).json == 0


async def test_history_and_lateness(any_api: Any) -> None:
    await any_api.run(state={"type": "SCHEDULED"})
    any_api.clock.advance(minutes=1)
    started = await any_api.run(state={"type": "SCHEDULED"})
    any_api.clock.advance(seconds=20)
    await any_api.set_state(started, "RUNNING")
    any_api.clock.advance(seconds=10)
    body = {
        "history_start": "2026-03-02T09:00:00Z",
        "history_end": "2026-03-02T09:02:00Z",
        "history_interval_seconds": 60,
    }
    first, second = (await any_api.post("/flow_runs/history", body)).json
    about = {"state_type": "SCHEDULED", "state_name": "Scheduled", "count_runs": 1, "sum_estimated_run_time": 0.0}
    assert first["states"] == [about | {"sum_estimated_lateness": 90.0}]
    assert second["states"][0]["sum_estimated_run_time"] == 10.0
    assert second["states"][0]["sum_estimated_lateness"] == 20.0
    assert (await any_api.post("/flow_runs/lateness")).json == 55.0
    assert (await any_api.post("/flow_runs/lateness", {"flows": {"name": {"any_": ["other"]}}})).json is None


async def test_inputs_of_a_run(any_api: Any, running: dict[str, Any]) -> None:
    at = f"/flow_runs/{running['id']}/input"
    for n in range(3):
        assert (await any_api.post(at, {"key": f"k-{n}", "value": f'{{"n": {n}}}', "sender": "me"})).status == 201
        any_api.clock.advance(seconds=1)
    again = await any_api.post(at, {"key": "k-0", "value": "x"})
    assert (again.status, again.json) == (409, {"detail": "A flow run input with this key already exists."})
    nowhere = await any_api.post(f"/flow_runs/{uuid4()}/input", {"key": "k", "value": "x"})
    assert (nowhere.status, nowhere.json) == (404, {"detail": "Flow run not found"})
    value = await any_api.get(f"{at}/k-1")
    assert (value.body, value.headers["content-type"]) == (b'{"n": 1}', "text/plain; charset=utf-8")
    found = (await any_api.post(f"{at}/filter", {"prefix": "k-"})).json
    assert [(each["key"], each["sender"]) for each in found] == [("k-0", "me")]
    found = (await any_api.post(f"{at}/filter", {"prefix": "k-", "limit": 9, "exclude_keys": ["k-0"]})).json
    assert [each["key"] for each in found] == ["k-1", "k-2"]
    assert (await any_api.post(f"{at}/filter", {"prefix": "K"})).json == []
    assert (await any_api.delete(f"{at}/k-1")).status == 204
    for got in (await any_api.delete(f"{at}/k-1"), await any_api.get(f"{at}/k-1")):
        assert (got.status, got.json) == (404, {"detail": "Flow run input not found"})
    await any_api.delete(f"/flow_runs/{running['id']}")
    assert (await any_api.post(f"{at}/filter", {"prefix": ""})).json == []


async def test_a_paused_run_is_resumed(any_api: Any, running: dict[str, Any]) -> None:
    at = f"/flow_runs/{running['id']}/resume"
    refused = await any_api.post(at)
    assert refused.status == 200
    assert refused.json["details"] == {"type": "abort_details", "reason": "Cannot resume a flow run that is not paused."}
    await any_api.set_state(running, "PAUSED")
    resumed = await any_api.post(at)
    assert (resumed.status, resumed.json["status"], resumed.json["state"]["type"]) == (201, "ACCEPT", "RUNNING")
    missing = await any_api.post(f"/flow_runs/{uuid4()}/resume")
    assert missing.status == 404


async def test_a_run_that_waits_for_an_input_is_resumed_with_one_that_fits(any_api: Any, running: dict[str, Any]) -> None:
    at, inputs = f"/flow_runs/{running['id']}/resume", f"/flow_runs/{running['id']}/input"
    keyset = {"schema": "ask-schema", "response": "ask-response"}
    await any_api.set_state(running, "PAUSED", state_details={"run_input_keyset": keyset})
    assert (await any_api.post(at)).json["details"]["reason"] == "Run input schema not found."
    schema = '{"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}'
    await any_api.post(inputs, {"key": "ask-schema", "value": schema})
    for wrong in ({}, {"run_input": {"x": "many"}}):
        got = await any_api.post(at, wrong)
        assert (got.status, got.json["status"], got.json["state"]["type"]) == (200, "REJECT", "PAUSED")
        assert got.json["details"]["reason"].startswith("Reason: Validation failed")
    broken = {"run_input": {"x": {"__prefect_kind": "json", "value": "{no"}}}
    got = await any_api.post(at, broken)
    assert (got.status, got.json["status"]) == (200, "REJECT")
    assert got.json["details"]["reason"].startswith("Error hydrating run input: Invalid JSON")
    got = await any_api.post(at, {"run_input": {"x": {"__prefect_kind": "json", "value": "7"}}})
    assert (got.status, got.json["state"]["type"]) == (201, "RUNNING")
    assert (await any_api.get(f"{inputs}/ask-response")).json == {"x": 7}


async def test_a_suspended_run_goes_back_to_its_queue(any_api: Any) -> None:
    await any_api.pool()
    run = await any_api.deployed_run(await any_api.deployment(work_pool_name="pool"), state={"type": "RUNNING"})
    await any_api.set_state(run, "PAUSED", name="Suspended", state_details={"pause_reschedule": True})
    got = await any_api.post(f"/flow_runs/{run['id']}/resume")
    assert (got.status, got.json["state"]["type"], got.json["state"]["name"]) == (201, "SCHEDULED", "Resuming")


async def test_the_graph_of_a_run(any_api: Any, running: dict[str, Any]) -> None:
    """Tasks in the order in which they began, with those whose results they took; a flow run in place of its task."""
    api = any_api

    async def task(n: int, **fields: Any) -> dict[str, Any]:
        body = TASK | {"dynamic_key": str(n), "name": f"t{n}", "flow_run_id": running["id"]}
        made: dict[str, Any] = (await api.post("/task_runs/", body | {"state": {"type": "RUNNING"}} | fields)).json
        api.clock.advance(seconds=1)
        return made

    first = await task(0)
    taken = {"input_type": "task_run", "id": first["id"]}
    second = await task(1, task_inputs={"x": [taken, {"input_type": "constant", "type": "int"}], "y": [taken]})
    stands = await task(2, task_inputs={"__parents__": [taken]})
    child = await api.run("child", parent_task_run_id=stands["id"], state={"type": "RUNNING"})
    inputs = {"x": [{"input_type": "flow_run", "id": child["id"]}, {"input_type": "parameter", "id": first["id"]}]}
    waits = await task(3, state={"type": "PENDING"}, task_inputs=inputs)
    graph = (await api.get(f"/flow_runs/{running['id']}/graph-v2")).json
    assert [(id, node["id"], node["kind"]) for id, node in graph["nodes"]] == [
        (first["id"], first["id"], "task-run"),
        (second["id"], second["id"], "task-run"),
        (child["id"], child["id"], "flow-run"),
        (waits["id"], waits["id"], "task-run"),
    ]
    nodes = dict(graph["nodes"])
    assert nodes[second["id"]]["parents"] == [{"id": first["id"]}]
    assert nodes[first["id"]]["children"] == [{"id": second["id"]}]
    assert (nodes[child["id"]]["children"], nodes[waits["id"]]["parents"]) == ([{"id": waits["id"]}], [{"id": child["id"]}])
    assert nodes[child["id"]]["encapsulating"] == [{"id": first["id"]}]
    assert graph["root_node_ids"] == [first["id"], child["id"]]
    assert [state["name"] for state in graph["states"]] == ["Running"]
    plain = (await api.get(f"/flow_runs/{running['id']}/graph")).json
    assert {each["id"]: each["upstream_dependencies"] for each in plain}[second["id"]] == [taken]
    assert len(plain) == 4
    await api.post(f"/task_runs/{first['id']}/set_state", {"state": {"type": "COMPLETED"}})
    api.clock.advance(minutes=1)
    later = (await api.get(f"/flow_runs/{running['id']}/graph-v2?since={api.clock().isoformat()[:19]}Z")).json
    assert [id for id, _ in later["nodes"]] == [second["id"], child["id"], waits["id"]]
    without_zone = await api.get(f"/flow_runs/{running['id']}/graph-v2?since={api.clock().isoformat()[:19]}")
    assert without_zone.json == later
    missing = await api.get(f"/flow_runs/{uuid4()}/graph-v2")
    assert missing.status == 404


async def test_a_graph_shows_what_its_runs_left(any_api: Any, running: dict[str, Any]) -> None:
    task = (await any_api.post("/task_runs/", TASK | {"flow_run_id": running["id"], "state": {"type": "RUNNING"}})).json

    async def left(**fields: Any) -> str:
        body = {"type": "markdown", "data": "x", "flow_run_id": running["id"]} | fields
        id: str = (await any_api.post("/artifacts/", body)).json["id"]
        return id

    of_run = await left()
    old, latest = await left(task_run_id=task["id"], key="k"), await left(task_run_id=task["id"], key="k")
    progress = await left(task_run_id=task["id"], type="progress", data=50.0)
    await left(task_run_id=task["id"], type="result")
    await left(flow_run_id=(await any_api.run())["id"])
    graph = (await any_api.get(f"/flow_runs/{running['id']}/graph-v2")).json
    shown = [*graph["artifacts"], *graph["nodes"][0][1]["artifacts"]]
    assert [(each["id"], each["is_latest"], each["data"]) for each in shown] == [
        (of_run, True, None),
        (old, False, None),
        (latest, True, None),
        (progress, True, 50.0),
    ]


async def test_logs_as_a_file(any_api: Any, running: dict[str, Any]) -> None:
    """All lines, however many pages that are."""
    line = {"name": "x", "level": 20, "timestamp": "2026-03-02T09:00:00Z", "flow_run_id": running["id"]}
    await any_api.post("/logs/", [line | {"message": f'say "{n}",\nagain'} for n in range(201)])
    got = await any_api.get(f"/flow_runs/{running['id']}/logs/download")
    assert (got.status, got.headers["content-type"]) == (200, "text/csv; charset=utf-8")
    assert "filename*=UTF-8''mine%2Fown-logs.csv" in got.headers["content-disposition"]
    text = got.body.decode()
    assert text.startswith("timestamp,level,flow_run_id,task_run_id,message\r\n2026-03-02 09:00:00+00:00,20,")
    assert text.count(',"say ""') == 201
    missing = await any_api.get(f"/flow_runs/{uuid4()}/logs/download")
    assert (missing.status, missing.json) == (404, {"detail": "Flow run not found"})


async def test_what_the_peers_pages_ask(any_api: Any, running: dict[str, Any]) -> None:
    api = any_api
    deployment = await api.deployment()
    waits = await api.deployed_run(deployment)
    flow, other = running["flow_id"], str(uuid4())
    counts = (await api.post("/ui/flows/count-deployments", {"flow_ids": [flow, other]})).json
    assert counts == {flow: 1, other: 0}
    following = (await api.post("/ui/flows/next-runs", {"flow_ids": [flow, other]})).json
    assert (following[flow]["id"], following[other]) == (waits["id"], None)
    task = (await api.post("/task_runs/", TASK | {"flow_run_id": running["id"], "state": {"type": "RUNNING"}})).json
    named = (await api.get(f"/ui/task_runs/{task['id']}")).json
    assert (named["id"], named["flow_run_name"]) == (task["id"], "mine/own")
    tasks = (await api.post("/ui/flow_runs/count-task-runs", {"flow_run_ids": [running["id"], waits["id"]]})).json
    assert tasks == {running["id"]: 1, waits["id"]: 0}
    assert (await api.post("/ui/task_runs/count")).json["RUNNING"] == 1
    api.clock.advance(minutes=10)
    for kind in ("FAILED", "COMPLETED"):
        body = TASK | {"dynamic_key": kind, "flow_run_id": running["id"], "state": {"type": "RUNNING"}}
        made = (await api.post("/task_runs/", body)).json
        await api.post(f"/task_runs/{made['id']}/set_state", {"state": {"type": kind}})
    window = {"after_": "2026-03-02T09:00:00Z", "before_": "2026-03-02T09:19:30Z"}
    tallies = (await api.post("/ui/task_runs/dashboard/counts", {"task_runs": {"start_time": window}})).json
    assert (len(tallies), tallies[10]) == (20, {"completed": 1, "failed": 1})
    assert sum(each["completed"] + each["failed"] for each in tallies) == 2
    missing = await api.post("/ui/task_runs/dashboard/counts", {"task_runs": {}})
    assert (missing.status, missing.json) == (422, {"detail": "task_runs.start_time.after_ is required"})
    points = (await api.post("/ui/flow_runs/history", {"limit": 1000})).json
    assert {point["id"] for point in points} == {running["id"], waits["id"]}
    by_id = {point["id"]: point for point in points}
    assert (by_id[running["id"]]["duration"], by_id[waits["id"]]["lateness"]) == (600.0, 600.0)


async def test_values_are_judged_by_a_schema(any_api: Any) -> None:
    schema = {
        "type": "object",
        "properties": {"x": {"type": "integer"}, "list": {"type": "array", "items": {"type": "string"}}},
        "required": ["x"],
    }

    async def judge(values: Any, schema: Any = schema) -> Any:
        return await any_api.post("/ui/schemas/validate", {"schema": schema, "values": values})

    assert (await judge({"x": 1})).json == {"valid": True, "errors": []}
    verdict = (await judge({"x": "a", "list": ["b", 1]})).json
    assert not verdict["valid"]
    places = {each["property"]: each["errors"] for each in verdict["errors"]}
    assert isinstance(places["x"][0], str)
    assert places["list"][0]["index"] == 1
    assert (await judge({})).json["errors"]
    assert (await judge({}, {"type": "nonsense"})).status == 422


async def test_a_suspended_run_does_not_suspend_again_where_it_did(any_api: Any) -> None:
    """It begins from its top, in the attempt that it was in."""
    api = any_api
    await api.pool()
    run = await api.deployed_run(await api.deployment(work_pool_name="pool"), state={"type": "RUNNING"})
    details = {"pause_reschedule": True, "pause_key": "k"}
    assert (await api.set_state(run, "PAUSED", name="Suspended", state_details=details)).json["status"] == "ACCEPT"
    await api.post(f"/flow_runs/{run['id']}/resume")
    policy = (await api.get(f"/flow_runs/{run['id']}")).json["empirical_policy"]
    assert (policy["pause_keys"], policy["resuming"]) == (["k"], True)
    for kind in ("PENDING", "RUNNING"):
        assert (await api.set_state(run, kind)).json["status"] == "ACCEPT"
    again = await api.set_state(run, "PAUSED", name="Suspended", state_details=details)
    assert (again.status, again.json["status"], again.json["state"]["type"]) == (200, "REJECT", "RUNNING")
    assert again.json["details"]["reason"] == "This suspend has already fired."
    read = (await api.get(f"/flow_runs/{run['id']}")).json
    assert (read["run_count"], read["empirical_policy"]["resuming"]) == (1, False)
    await api.set_state(run, "FAILED")
    await api.set_state(run, "SCHEDULED")
    assert (await api.get(f"/flow_runs/{run['id']}")).json["empirical_policy"]["pause_keys"] == []


async def test_a_pause_ends_in_time(any_api: Any, running: dict[str, Any]) -> None:
    api = any_api
    await api.set_state(running, "PAUSED", state_details={"pause_timeout": "2026-03-02T10:00:00Z"})
    api.clock.advance(hours=2)
    late = await api.post(f"/flow_runs/{running['id']}/resume")
    assert (late.status, late.json["status"], late.json["state"]["type"]) == (201, "REJECT", "FAILED")
    nobody = await api.run(state={"type": "RUNNING"})
    suspended = await api.set_state(nobody, "PAUSED", name="Suspended", state_details={"pause_reschedule": True})
    assert suspended.json["details"]["reason"] == "Cannot suspend flows without a deployment."
