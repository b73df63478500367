"""Task runs over HTTP, as clients know them that leave their orchestration to the server, on both databases."""

from typing import Any
from uuid import uuid4

import pytest

from headgate.schema.filters import TaskRunSort

KEYS = {"task_key": "add-1", "dynamic_key": "0"}


@pytest.fixture
async def running(any_api: Any) -> dict[str, Any]:
    """A flow run that runs."""
    run: dict[str, Any] = await any_api.run(state={"type": "RUNNING"}, labels={"team": "a"})
    return run


async def made(api: Any, **fields: Any) -> dict[str, Any]:
    got = await api.post("/task_runs/", KEYS | fields)
    assert got.status in (200, 201), got.json
    task: dict[str, Any] = got.json
    return task


async def propose(api: Any, task: dict[str, Any], kind: str, *, force: bool = False, **state: Any) -> Any:
    return await api.post(f"/task_runs/{task['id']}/set_state", {"state": {"type": kind, **state}, "force": force})


async def test_a_task_run_is_created_once(any_api: Any, running: dict[str, Any]) -> None:
    api = any_api
    got = await api.post("/task_runs/", KEYS | {"flow_run_id": running["id"], "labels": {"own": 1}, "tags": ["t"]})
    assert got.status == 201
    task = got.json
    assert (task["state"]["type"], task["state_name"], task["tags"]) == ("PENDING", "Pending", ["t"])
    assert task["labels"] == running["labels"] | {"prefect.flow-run.id": running["id"], "own": 1}
    assert task["state"]["state_details"]["task_run_id"] == task["id"]
    assert task["state"]["state_details"]["flow_run_id"] == running["id"]
    assert task["name"]
    again = await api.post("/task_runs/", KEYS | {"flow_run_id": running["id"]})
    assert (again.status, again.json["id"]) == (200, task["id"])
    alone = await api.post("/task_runs/", KEYS)
    assert (alone.status, alone.json["flow_run_id"]) == (201, None)
    assert (await api.post("/task_runs/", KEYS)).json["id"] == alone.json["id"]
    id = str(uuid4())
    own = await api.post("/task_runs/", KEYS | {"dynamic_key": "1", "id": id, "name": "mine", "state": {"type": "RUNNING"}})
    assert (own.json["id"], own.json["name"], own.json["run_count"]) == (id, "mine", 1)
    taken = await api.post("/task_runs/", KEYS | {"dynamic_key": "2", "id": id})
    assert (taken.status, id in taken.json["detail"]) == (409, True)
    missing = await api.post("/task_runs/", KEYS | {"flow_run_id": str(uuid4())})
    assert missing.status == 409
    assert (await api.get(f"/task_runs/{task['id']}")).json == task


async def test_a_task_runs_fields(any_api: Any) -> None:
    """What comes is what is there; what is left out has its default."""
    policy = {"retries": 3, "retry_delay": [1.0, 2.5], "retry_jitter_factor": 0.5}
    fields = {
        "name": "n",
        "cache_key": "k",
        "cache_expiration": "2026-03-02T09:00:00Z",
        "task_version": "v",
        "empirical_policy": policy,
        "task_inputs": {"x": [{"input_type": "task_run", "id": str(uuid4())}]},
    }
    task = await made(any_api, **fields)
    assert task["empirical_policy"] == {"max_retries": 0, "retry_delay_seconds": 0.0} | policy
    assert {name: task[name] for name in fields if name != "empirical_policy"} == {
        name: value for name, value in fields.items() if name != "empirical_policy"
    }
    plain = await made(any_api, dynamic_key="1")
    assert plain["empirical_policy"]["retries"] is None
    assert (plain["labels"], plain["task_inputs"], plain["run_count"], plain["total_run_time"]) == ({}, {}, 0, 0.0)


async def test_a_task_run_is_renamed_and_deleted(any_api: Any, running: dict[str, Any]) -> None:
    api, missing = any_api, uuid4()
    task = await made(api, flow_run_id=running["id"])
    assert (await api.patch(f"/task_runs/{task['id']}", {"name": "other"})).status == 204
    assert (await api.get(f"/task_runs/{task['id']}")).json["name"] == "other"
    line = {"name": "x", "level": 20, "message": "m", "timestamp": "2026-03-02T09:00:00Z", "flow_run_id": running["id"]}
    await api.post("/logs/", [line, line | {"task_run_id": task["id"]}])
    assert (await api.delete(f"/task_runs/{task['id']}")).status == 204
    assert (await api.get(f"/task_run_states/?task_run_id={task['id']}")).json == []
    assert [each["task_run_id"] for each in (await api.post("/logs/filter")).json] == [None]
    for got, detail in (
        (await api.get(f"/task_runs/{missing}"), "Task not found"),
        (await api.delete(f"/task_runs/{missing}"), "Task not found"),
        (await api.patch(f"/task_runs/{missing}", {"name": "x"}), "Task run not found"),
        (await api.get(f"/task_run_states/{missing}"), "Flow run state not found"),
    ):
        assert (got.status, got.json) == (404, {"detail": detail})
    got = await api.post(f"/task_runs/{missing}/set_state", {"state": {"type": "RUNNING"}})
    assert (got.status, got.json) == (404, {"exception_message": f"Task run with id {missing} not found"})


async def test_a_run_through_its_states(any_api: Any, running: dict[str, Any]) -> None:
    """As a 2.x engine leads a task with one retry to its end."""
    api = any_api
    task = await made(api, flow_run_id=running["id"], empirical_policy={"retries": 1, "retry_delay": 30})
    first = await propose(api, task, "RUNNING")
    assert (first.status, first.json["status"], first.json["details"]) == (201, "ACCEPT", {"type": "accept_details"})
    api.clock.advance(seconds=2)
    failed = await propose(api, task, "FAILED", message="no")
    assert (failed.status, failed.json["status"]) == (201, "REJECT")
    assert failed.json["details"] == {"type": "reject_details", "reason": "Retrying"}
    assert failed.json["state"]["name"] == "AwaitingRetry"
    early = await propose(api, task, "RUNNING")
    assert (early.status, early.json["status"], early.json["details"]["delay_seconds"]) == (200, "WAIT", 30)
    api.clock.advance(seconds=30)
    assert (await propose(api, task, "RUNNING")).json["state"]["name"] == "Retrying"
    api.clock.advance(seconds=3)
    done = await propose(api, task, "COMPLETED", data={"type": "reference", "key": "k"})
    assert done.json["state"]["data"] == {"type": "reference", "key": "k"}
    task = (await api.get(f"/task_runs/{task['id']}")).json
    assert (task["run_count"], task["flow_run_run_count"], task["total_run_time"]) == (2, 1, 5.0)
    assert task["end_time"] == task["state"]["timestamp"]
    states = (await api.get(f"/task_run_states/?task_run_id={task['id']}")).json
    assert [each["name"] for each in states] == ["Pending", "Running", "AwaitingRetry", "Retrying", "Completed"]
    assert (await api.get(f"/task_run_states/{states[2]['id']}")).json == states[2]
    again = await propose(api, task, "RUNNING")
    assert (again.status, again.json["status"], again.json["state"]) == (200, "REJECT", states[-1])
    aborted = await propose(api, task, "CRASHED")
    assert (aborted.status, aborted.json["status"], aborted.json["state"]) == (200, "ABORT", states[-1])
    assert (await propose(api, task, "RUNNING", force=True)).json["status"] == "ACCEPT"


async def test_a_result_under_a_cache_key_is_used_until_it_expires(any_api: Any, running: dict[str, Any]) -> None:
    api = any_api
    details = {"cache_key": "k", "cache_expiration": "2026-03-02T10:00:00Z"}
    first = await made(api, flow_run_id=running["id"])
    await propose(api, first, "RUNNING", state_details={"cache_key": "k"})
    await propose(api, first, "COMPLETED", data={"value": 1}, state_details=details)
    second = await made(api, flow_run_id=running["id"], dynamic_key="1")
    got = await propose(api, second, "RUNNING", state_details={"cache_key": "k"})
    assert got.json["details"]["reason"] == "Retrieved state from cache"
    assert (got.json["state"]["name"], got.json["state"]["data"]) == ("Cached", {"value": 1})
    assert got.json["state"]["state_details"]["task_run_id"] == second["id"]
    for dynamic_key, about in (("2", {"cache_key": "k", "refresh_cache": True}), ("3", {"cache_key": "other"})):
        task = await made(api, flow_run_id=running["id"], dynamic_key=dynamic_key)
        assert (await propose(api, task, "RUNNING", state_details=about)).json["status"] == "ACCEPT"
    api.clock.advance(hours=1)
    third = await made(api, flow_run_id=running["id"], dynamic_key="4")
    assert (await propose(api, third, "RUNNING", state_details={"cache_key": "k"})).json["status"] == "ACCEPT"


async def test_a_flow_run_that_is_stopped_starts_no_task(any_api: Any, running: dict[str, Any]) -> None:
    api = any_api
    task = await made(api, flow_run_id=running["id"])
    await api.set_state(running, "PAUSED", state_details={"pause_timeout": "2026-03-02T10:00:00Z"})
    paused = await propose(api, task, "RUNNING")
    assert (paused.json["status"], paused.json["state"]["name"]) == ("REJECT", "NotReady")
    assert paused.json["state"]["state_details"]["pause_timeout"] == "2026-03-02T10:00:00Z"
    await api.set_state(running, "CANCELLING")
    assert (await propose(api, task, "RUNNING")).json["status"] == "ABORT"
    assert (await propose(api, task, "CANCELLED")).json["status"] == "ACCEPT"


async def test_the_task_that_stands_for_a_flow_run_is_where_that_is(any_api: Any, running: dict[str, Any]) -> None:
    """Whoever moves the child on: its caller, or a worker's claim."""
    api = any_api
    await api.pool()
    tasks = [await made(api, flow_run_id=running["id"], dynamic_key=str(n)) for n in range(2)]
    child = await api.run(parent_task_run_id=tasks[0]["id"])
    deployed = await api.deployed_run(await api.deployment(work_pool_name="pool"), parent_task_run_id=tasks[1]["id"])
    assert child["state"]["state_details"]["task_run_id"] == tasks[0]["id"]
    for kind in ("RUNNING", "COMPLETED"):
        await api.set_state(child, kind)
    claimed = await api.post("/work_pools/pool/claim", {"worker": "w", "room": 1})
    assert [grant["flow_run"]["id"] for grant in claimed.json["grants"]] == [deployed["id"]]
    names = [["Pending", "Pending", "Running", "Completed"], ["Pending", "Scheduled", "Pending"]]
    for task, run, expected in zip(tasks, (child, deployed), names, strict=True):
        states = (await api.get(f"/task_run_states/?task_run_id={task['id']}")).json
        assert [state["name"] for state in states] == expected
        assert {state["state_details"]["child_flow_run_id"] for state in states[1:]} == {run["id"]}
        assert states[-1]["state_details"]["flow_run_id"] == running["id"]
    of_parent = {"flow_runs": {"parent_flow_run_id": {"any_": [running["id"]]}}}
    assert (await api.post("/flow_runs/count", of_parent)).json == 2
    assert (await api.post("/task_runs/count", {"task_runs": {"subflow_runs": {"exists_": True}}})).json == 2


async def test_task_runs_are_found_counted_and_paged(any_api: Any, running: dict[str, Any]) -> None:
    api = any_api
    tasks = [await made(api, flow_run_id=running["id"], dynamic_key=str(n), name=f"t{2 - n}") for n in range(3)]
    await made(api, dynamic_key="alone")
    of_run = {"flow_runs": {"id": {"any_": [running["id"]]}}}
    assert (await api.post("/task_runs/count")).json == 4
    assert (await api.post("/task_runs/count", of_run)).json == 3
    assert (await api.post("/task_runs/count", {"flows": {"name": {"any_": ["hello"]}}})).json == 3
    assert (await api.post("/task_runs/count", {"task_runs": {"flow_run_id": {"is_null_": True}}})).json == 1
    by_name = of_run | {"sort": "NAME_ASC"}
    assert [each["name"] for each in (await api.post("/task_runs/filter", by_name)).json] == ["t0", "t1", "t2"]
    page = (await api.post("/task_runs/paginate", by_name | {"limit": 2, "page": 2})).json
    assert [each["id"] for each in page.pop("results")] == [tasks[0]["id"]]
    assert page == {"count": 3, "limit": 2, "pages": 2, "page": 2}
    empty = (await api.post("/task_runs/paginate", {"limit": 0})).json
    assert empty == {"results": [], "count": 4, "limit": 0, "pages": 0, "page": 1}
    for sort in TaskRunSort:
        assert len((await api.post("/task_runs/filter", {"sort": sort})).json) == 4
    await propose(api, tasks[1], "RUNNING")
    api.clock.advance(seconds=5)
    first = (await api.post("/task_runs/filter", {"sort": "DURATION_DESC", "limit": 1})).json[0]
    assert (first["id"], first["estimated_run_time"]) == (tasks[1]["id"], 5.0)
    for limit, detail in ((201, "less than or equal to 200"), (-1, "greater than or equal to 0")):
        got = await api.post("/task_runs/filter", {"limit": limit})
        assert (got.status, got.json) == (422, {"detail": f"Invalid limit: must be {detail}."})


async def test_the_history_of_task_runs(any_api: Any, running: dict[str, Any]) -> None:
    """Interval by interval, all of them, with sums of what ran and of how late it began."""
    api = any_api
    tasks = []
    for n in range(3):
        tasks.append(await made(api, flow_run_id=running["id"], dynamic_key=str(n)))
        api.clock.advance(minutes=1)
    await propose(api, tasks[0], "RUNNING")
    api.clock.advance(seconds=30)
    body = {
        "history_start": "2026-03-02T09:00:00Z",
        "history_end": "2026-03-02T09:02:30Z",
        "history_interval_seconds": 60,
    }
    got = (await api.post("/task_runs/history", body)).json
    assert [each["interval_start"] for each in got] == [f"2026-03-02T09:0{n}:00Z" for n in range(3)]
    assert got[-1]["interval_end"] == "2026-03-02T09:03:00Z"
    first = {"state_type": "RUNNING", "state_name": "Running", "count_runs": 1}
    assert got[0]["states"] == [first | {"sum_estimated_run_time": 30.0, "sum_estimated_lateness": 180.0}]
    late = {"state_type": "PENDING", "state_name": "Pending", "count_runs": 1, "sum_estimated_run_time": 0.0}
    assert got[1]["states"] == [late | {"sum_estimated_lateness": 150.0}]
    other = body | {"task_runs": {"id": {"any_": [tasks[1]["id"]]}}}
    assert [len(each["states"]) for each in (await api.post("/task_runs/history", other)).json] == [0, 1, 0]
    assert (await api.post("/task_runs/history", body | {"history_end": body["history_start"]})).json == []
    many = body | {"history_end": "2026-03-03T09:00:00Z", "history_interval_seconds": 1}
    assert len((await api.post("/task_runs/history", many)).json) == 500
    short = await api.post("/task_runs/history", body | {"history_interval_seconds": 0.9})
    assert (short.status, short.json) == (422, {"detail": "History interval must not be less than 1 second."})


async def test_tagged_tasks_run_in_the_slots_of_their_tags(any_api: Any, running: dict[str, Any]) -> None:
    """A slot is free again when its task neither runs nor is being cancelled; a limit of 0 would be waited for for ever."""
    api = any_api
    await api.post("/concurrency_limits/", {"tag": "db", "concurrency_limit": 1})
    first, second = [await made(api, flow_run_id=running["id"], dynamic_key=str(n), tags=["db", "free"]) for n in range(2)]
    assert (await propose(api, first, "RUNNING")).json["status"] == "ACCEPT"
    held = await propose(api, second, "RUNNING")
    assert (held.status, held.json["status"], held.json["details"]["type"]) == (200, "WAIT", "wait_details")
    assert held.json["details"]["delay_seconds"] > 0
    assert "db" in held.json["details"]["reason"]
    await propose(api, first, "CANCELLING")
    assert (await propose(api, second, "RUNNING")).json["status"] == "WAIT"
    await propose(api, first, "CANCELLED")
    assert (await propose(api, second, "RUNNING")).json["status"] == "ACCEPT"
    assert (await api.get("/concurrency_limits/tag/db")).json["active_slots"] == [second["id"]]
    await api.post("/concurrency_limits/", {"tag": "db", "concurrency_limit": 0})
    third = await made(api, flow_run_id=running["id"], dynamic_key="3", tags=["db"])
    assert (await propose(api, third, "RUNNING")).json["status"] == "ABORT"
    assert (await propose(api, third, "RUNNING", force=True)).json["status"] == "ACCEPT"


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        (
            {"empirical_policy": {"retry_delay": [1] * 51}},
            ["empirical_policy", "retry_delay"],
            "Value error, Can not configure more than 50 retry delays per task.",
        ),
        (
            {"empirical_policy": {"retry_jitter_factor": -0.5}},
            ["empirical_policy", "retry_jitter_factor"],
            "Value error, `retry_jitter_factor` must be >= 0.",
        ),
        (
            {"cache_key": "x" * 2001},
            ["cache_key"],
            "Value error, Cache key exceeded maximum allowed length of 2000 characters.",
        ),
    ],
)
async def test_policies_and_keys_beyond_measure_are_refused(
    api: Any, running: dict[str, Any], body: dict[str, Any], field: list[str], message: str
) -> None:
    got = await api.post("/task_runs/", {"flow_run_id": running["id"], "task_key": "k", "dynamic_key": "0", **body})
    problem = got.json["exception_detail"][0]
    assert (got.status, problem["loc"], problem["msg"]) == (422, ["body", *field], message)


async def test_a_task_run_that_begins_scheduled_has_a_time(any_api: Any, running: dict[str, Any]) -> None:
    api = any_api
    body = {"flow_run_id": running["id"], "task_key": "k", "dynamic_key": "0", "state": {"type": "SCHEDULED"}}
    made = (await api.post("/task_runs/", body)).json
    assert made["next_scheduled_start_time"] == made["state"]["state_details"]["scheduled_time"] == "2026-03-02T09:00:00Z"
    policy = {"max_retries": 2, "retry_delay_seconds": 3}
    old = (await api.post("/task_runs/", body | {"dynamic_key": "1", "empirical_policy": policy})).json
    assert (old["empirical_policy"]["retries"], old["empirical_policy"]["retry_delay"]) == (2, 3)
