"""Proposals over HTTP: status, answer and history, as existing clients know them."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

# How a run gets into a state that proposals alone may not lead to.
PATHS = {
    "SCHEDULED": (),
    "PENDING": ("PENDING",),
    "RUNNING": ("PENDING", "RUNNING"),
    "PAUSED": ("PENDING", "RUNNING", "PAUSED"),
    "CANCELLING": ("PENDING", "RUNNING", "CANCELLING"),
    "COMPLETED": ("PENDING", "RUNNING", "COMPLETED"),
    "FAILED": ("PENDING", "RUNNING", "FAILED"),
    "CRASHED": ("PENDING", "RUNNING", "CRASHED"),
    "CANCELLED": ("CANCELLED",),
}


async def in_state(api: Any, kind: str, **fields: Any) -> dict[str, Any]:
    run: dict[str, Any] = await api.deployed_run(await api.deployment(), **fields)
    for step in PATHS[kind]:
        got = await api.set_state(run, step)
        assert got.json["status"] == "ACCEPT", got.json
    return run


CLAIMED_TWICE = "This run is in a PENDING state and cannot transition to a PENDING state."
NOT_RUNNING = "Cannot pause flows that are not currently running."
PAUSED = "This run cannot transition to the PENDING state from the PAUSED state."
CANCELLING = "Cannot transition flows that are cancelling to a state other than Cancelled."


@pytest.mark.parametrize(
    ("start", "to", "status", "answer", "reason", "then"),
    [
        ("SCHEDULED", "PENDING", 201, "ACCEPT", None, "PENDING"),
        ("SCHEDULED", "RUNNING", 201, "ACCEPT", None, "RUNNING"),
        ("SCHEDULED", "PAUSED", 200, "REJECT", NOT_RUNNING, "SCHEDULED"),
        ("PENDING", "PAUSED", 200, "REJECT", NOT_RUNNING, "PENDING"),
        ("PAUSED", "PAUSED", 200, "REJECT", NOT_RUNNING, "PAUSED"),
        ("PAUSED", "PENDING", 200, "REJECT", PAUSED, "PAUSED"),
        (
            "SCHEDULED",
            "CANCELLING",
            201,
            "REJECT",
            "Scheduled flow run has no infrastructure to terminate.",
            "CANCELLED",
        ),
        ("PENDING", "PENDING", 200, "ABORT", CLAIMED_TWICE, "PENDING"),
        ("PENDING", "RUNNING", 201, "ACCEPT", None, "RUNNING"),
        ("PENDING", "CANCELLING", 201, "ACCEPT", None, "CANCELLING"),
        ("RUNNING", "PENDING", 200, "ABORT", CLAIMED_TWICE.replace("a PENDING", "a RUNNING", 1), "RUNNING"),
        ("RUNNING", "RUNNING", 201, "ACCEPT", None, "RUNNING"),
        ("RUNNING", "COMPLETED", 201, "ACCEPT", None, "COMPLETED"),
        ("RUNNING", "FAILED", 201, "ACCEPT", None, "FAILED"),
        ("RUNNING", "CRASHED", 201, "ACCEPT", None, "CRASHED"),
        ("RUNNING", "PAUSED", 201, "ACCEPT", None, "PAUSED"),
        ("RUNNING", "CANCELLING", 201, "ACCEPT", None, "CANCELLING"),
        ("CANCELLING", "RUNNING", 200, "REJECT", CANCELLING, "CANCELLING"),
        ("CANCELLING", "COMPLETED", 200, "REJECT", CANCELLING, "CANCELLING"),
        ("CANCELLING", "CRASHED", 200, "REJECT", CANCELLING, "CANCELLING"),
        ("CANCELLING", "CANCELLED", 201, "ACCEPT", None, "CANCELLED"),
        ("CANCELLED", "CANCELLING", 200, "ABORT", "Run is already in terminal state CANCELLED.", "CANCELLED"),
        ("COMPLETED", "FAILED", 200, "ABORT", "Run is already in terminal state COMPLETED.", "COMPLETED"),
        ("COMPLETED", "SCHEDULED", 201, "ACCEPT", None, "SCHEDULED"),
        ("FAILED", "SCHEDULED", 201, "ACCEPT", None, "SCHEDULED"),
    ],
)
async def test_a_proposal_is_answered_as_existing_clients_expect(
    api: Any, start: str, to: str, status: int, answer: str, reason: str | None, then: str
) -> None:
    run = await in_state(api, start)
    got = await api.set_state(run, to)
    assert (got.status, got.json["status"]) == (status, answer)
    details = {"type": f"{answer.lower()}_details"} | ({"reason": reason} if reason else {})
    assert got.json["details"] == details
    now = (await api.get(f"/flow_runs/{run['id']}")).json
    assert (now["state_type"], now["state"]["type"]) == (then, then)
    assert got.json["state"] == now["state"]


async def test_a_child_that_its_parent_runs_again_begins_and_ends_again(api: Any) -> None:
    task_run = await api.post("/task_runs/", {"task_key": "child", "dynamic_key": "0", "flow_run_id": None})
    flow = await api.post("/flows/", {"name": "child"})
    body = {"flow_id": flow.json["id"], "parent_task_run_id": task_run.json["id"], "state": {"type": "PENDING"}}
    run = (await api.post("/flow_runs/", body)).json
    for to in ("RUNNING", "COMPLETED", "RUNNING"):
        assert (await api.set_state(run, to)).json["status"] == "ACCEPT"
    again = (await api.get(f"/flow_runs/{run['id']}")).json
    assert (again["state_type"], again["run_count"], again["end_time"]) == ("RUNNING", 2, None)
    kept = await api.set_state(run, "COMPLETED", data={"storage_key": "x"})
    assert kept.json["status"] == "ACCEPT"
    refused = await api.set_state(run, "RUNNING")
    assert (refused.json["status"], refused.json["state"]) == ("REJECT", kept.json["state"])


async def test_a_replay_gets_the_state_that_the_first_call_made(api: Any) -> None:
    run = await in_state(api, "SCHEDULED")
    details = {"transition_id": str(uuid4())}
    first = await api.set_state(run, "PENDING", state_details=details)
    again = await api.set_state(run, "PENDING", state_details=details)
    assert (first.status, again.status) == (201, 200)
    assert again.json["status"] == "REJECT"
    assert again.json["details"]["reason"] == "This run has already made this state transition."
    assert again.json["state"] == first.json["state"]
    assert len((await api.get(f"/flow_run_states/?flow_run_id={run['id']}")).json) == 2


async def test_a_claimed_run_may_be_called_submitting(api: Any) -> None:
    run = await in_state(api, "PENDING")
    got = await api.set_state(run, "PENDING", name="Submitting")
    assert (got.status, got.json["state"]["name"]) == (201, "Submitting")
    again = await api.set_state(run, "PENDING", name="Submitting")
    assert (again.status, again.json["status"], again.json["details"]["reason"]) == (200, "ABORT", CLAIMED_TWICE)


@pytest.mark.parametrize(
    ("start", "reason"),
    [
        ("SCHEDULED", None),
        ("PENDING", "Only scheduled flows can be marked late."),
        ("FAILED", "Only scheduled flows can be marked late."),
    ],
)
async def test_scheduled_runs_can_be_late_once(api: Any, start: str, reason: str | None) -> None:
    run = await in_state(api, start)
    got = await api.set_state(run, "SCHEDULED", name="Late")
    assert got.json["details"].get("reason") == reason
    assert got.json["status"] == ("REJECT" if reason else "ACCEPT")
    again = await api.set_state(run, "SCHEDULED", name="Late")
    assert again.json["details"]["reason"] == (reason or "This flow run is already marked late.")


@pytest.mark.parametrize("force", [False, True])
async def test_a_run_that_ends_before_it_began_began_at_its_end(any_api: Any, force: bool) -> None:
    api = any_api
    run = await api.run(state={"type": "SCHEDULED"})
    api.clock.advance(seconds=30)
    await api.set_state(run, "CANCELLING", force=force)
    now = (await api.get(f"/flow_runs/{run['id']}")).json
    assert (now["state_type"], now["start_time"], now["end_time"]) == ("CANCELLED", *["2026-03-02T09:00:30Z"] * 2)
    assert (now["run_count"], now["estimated_start_time_delta"]) == (0, 30.0)


async def test_what_ran_a_run_again_is_told_in_its_policy(any_api: Any) -> None:
    api = any_api
    await api.pool()
    made = await api.deployment(work_pool_name="pool")
    run = await api.deployed_run(made, empirical_policy={"retries": 2})

    async def policy(*states: str, **fields: Any) -> Any:
        for kind in states:
            await api.set_state(run, kind, **fields)
        got = (await api.get(f"/flow_runs/{run['id']}")).json["empirical_policy"]
        return got["retry_type"], got["pause_keys"], got["resuming"]

    assert await policy("RUNNING", "PAUSED", state_details={"pause_key": "k"}) == (None, ["k"], False)
    assert await policy("RUNNING") == (None, ["k"], False)
    assert await policy("FAILED") == ("in_process", [], False)  # its pauses fire again
    assert await policy("RUNNING") == ("in_process", [], False)
    assert await policy("FAILED") == (None, [], False)
    assert await policy("SCHEDULED") == ("reschedule", [], False)
    _, keys, _ = await policy("RUNNING", "PAUSED")
    assert len(keys) == 1  # a pause that names no key has one of its own
    assert await policy("SCHEDULED") == ("reschedule", [], False)
    assert await policy("PAUSED", force=True, state_details={"pause_key": "k"}) == ("reschedule", [], False)


async def test_a_pause_forgets_what_an_earlier_attempt_was_given(any_api: Any) -> None:
    api = any_api
    run = await api.run(state={"type": "RUNNING"})
    for key in ("k-schema", "k-response", "other"):
        await api.post(f"/flow_runs/{run['id']}/input", {"key": key, "value": "1"})
    keyset = {"schema": "k-schema", "response": "k-response"}
    await api.set_state(run, "PAUSED", state_details={"run_input_keyset": keyset})
    left = await api.post(f"/flow_runs/{run['id']}/input/filter", {"prefix": ""})
    assert [each["key"] for each in left.json] == ["other"]


async def test_starting_before_the_time_waits(api: Any) -> None:
    due = (api.clock.time + timedelta(seconds=1.4)).isoformat()
    run = await in_state(api, "PENDING", state={"type": "SCHEDULED", "state_details": {"scheduled_time": due}})
    got = await api.set_state(run, "RUNNING")
    assert got.status == 200
    assert got.json["status"] == "WAIT"
    assert got.json["details"] == {
        "type": "wait_details",
        "delay_seconds": 2,
        "reason": "Scheduled time is in the future",
    }
    # The delay is in whole seconds; the state tells the time exactly.
    assert (got.json["state"]["type"], got.json["state"]["state_details"]["scheduled_time"]) == (
        "PENDING",
        "2026-03-02T09:00:01.400000Z",
    )
    api.clock.advance(seconds=2)
    assert (await api.set_state(run, "RUNNING")).status == 201


async def test_a_failure_with_retries_left_is_turned_into_a_wait(api: Any) -> None:
    policy = {"retries": 1, "retry_delay": 3}
    run = await in_state(api, "RUNNING", empirical_policy=policy)
    failed = await api.set_state(run, "FAILED", message="ValueError: first", data={"storage_key": "x", "deep": [1, None]})
    assert (failed.status, failed.json["status"], failed.json["details"]["reason"]) == (201, "REJECT", "Retrying")
    state = failed.json["state"]
    assert (state["type"], state["name"], state["message"]) == ("SCHEDULED", "AwaitingRetry", "ValueError: first")
    assert state["data"] == {"storage_key": "x", "deep": [1, None]}
    assert state["state_details"]["scheduled_time"] == "2026-03-02T09:00:03Z"
    assert state["state_details"]["flow_run_id"] == run["id"]
    assert (await api.set_state(run, "RUNNING")).json["status"] == "WAIT"
    api.clock.advance(seconds=3)
    assert (await api.set_state(run, "RUNNING")).json["status"] == "ACCEPT"
    assert (await api.set_state(run, "FAILED")).json["status"] == "ACCEPT"
    assert (await api.get(f"/flow_runs/{run['id']}")).json["run_count"] == 2


async def test_a_run_without_a_deployment_is_not_rescheduled_unless_forced(api: Any) -> None:
    run = await api.run()
    await api.set_state(run, "RUNNING")
    await api.set_state(run, "FAILED")
    refused = await api.set_state(run, "SCHEDULED")
    assert (refused.status, refused.json["status"]) == (200, "ABORT")
    assert refused.json["details"]["reason"] == "Cannot reschedule a run without an associated deployment."
    forced = await api.set_state(run, "SCHEDULED", force=True)
    assert (forced.status, forced.json["status"]) == (201, "ACCEPT")


async def test_the_answer_has_every_detail_of_a_state(api: Any) -> None:
    run = await in_state(api, "SCHEDULED")
    transition = str(uuid4())
    got = await api.set_state(
        run, "PENDING", message="mine", state_details={"transition_id": transition, "untrackable_result": True}
    )
    state = got.json["state"]
    assert state["message"] == "mine"
    assert state["state_details"] == {
        "flow_run_id": run["id"],
        "task_run_id": None,
        "child_flow_run_id": None,
        "scheduled_time": "2026-03-02T09:00:00Z",
        "cache_key": None,
        "cache_expiration": None,
        "deferred": False,
        "untrackable_result": True,
        "pause_timeout": None,
        "pause_reschedule": False,
        "pause_key": None,
        "run_input_keyset": None,
        "refresh_cache": None,
        "retriable": None,
        "transition_id": transition,
        "task_parameters_id": None,
        "traceparent": None,
        "deployment_concurrency_lease_id": None,
    }


async def test_the_figures_of_a_run_follow_its_states(api: Any) -> None:
    run = await in_state(api, "SCHEDULED")
    api.clock.advance(seconds=2)
    await api.set_state(run, "PENDING")
    api.clock.advance(seconds=3)
    await api.set_state(run, "RUNNING")
    api.clock.advance(seconds=10)
    running = (await api.get(f"/flow_runs/{run['id']}")).json
    assert running["start_time"] == "2026-03-02T09:00:05Z"
    assert (running["end_time"], running["total_run_time"], running["estimated_run_time"]) == (None, 0.0, 10.0)
    assert (running["run_count"], running["estimated_start_time_delta"]) == (1, 5.0)
    await api.set_state(run, "COMPLETED")
    api.clock.advance(seconds=10)
    done = (await api.get(f"/flow_runs/{run['id']}")).json
    assert (done["end_time"], done["total_run_time"]) == ("2026-03-02T09:00:15Z", 10.0)
    assert (done["estimated_run_time"], done["next_scheduled_start_time"]) == (10.0, None)
    assert done["expected_start_time"] == "2026-03-02T09:00:00Z"


async def test_the_history_is_kept_oldest_first(api: Any) -> None:
    run = await in_state(api, "COMPLETED")
    got = await api.get(f"/flow_run_states/?flow_run_id={run['id']}")
    assert [state["type"] for state in got.json] == ["SCHEDULED", "PENDING", "RUNNING", "COMPLETED"]
    assert (await api.get(f"/flow_run_states/?flow_run_id={uuid4()}")).json == []
    missing = await api.get("/flow_run_states/")
    assert missing.status == 422
    assert missing.json["exception_detail"][0]["loc"] == ["query", "flow_run_id"]


async def test_an_unknown_run_is_told_under_the_key_that_clients_read(api: Any, some_id: Any) -> None:
    got = await api.set_state({"id": some_id}, "RUNNING")
    assert got.status == 404
    assert got.json == {"exception_message": f"Flow run with id {some_id} not found"}


async def test_a_type_that_is_none_is_told(api: Any) -> None:
    run = await in_state(api, "SCHEDULED")
    got = await api.set_state(run, "SLEEPING")
    assert got.status == 422
    (problem,) = got.json["exception_detail"]
    assert (problem["loc"], problem["input"]) == (["body", "state", "type"], "SLEEPING")


async def test_what_existing_clients_send_beside_the_state_is_passed_over(api: Any) -> None:
    run = await in_state(api, "SCHEDULED")
    state = {"id": str(uuid4()), "timestamp": "2026-03-02T09:00:00+00:00", "type": "PENDING", "surprise": 1}
    got = await api.post(f"/flow_runs/{run['id']}/set_state", {"state": state, "surprise": 1})
    assert got.status == 201
    assert got.json["state"]["id"] != state["id"]


async def test_what_a_program_printed_into_a_message_cannot_stop_its_report(api: Any) -> None:
    run = await in_state(api, "RUNNING")
    got = await api.set_state(run, "CRASHED", message="bad \0 byte, and a path C:\\u0000x")
    assert (got.status, got.json["state"]["message"]) == (201, "bad \ufffd byte, and a path C:\\u0000x")


async def test_a_stale_fence_says_no_more(api: Any) -> None:
    run = await in_state(api, "PENDING")
    body = {"state": {"type": "RUNNING"}, "fence": 99, "force": True}
    got = await api.post(f"/flow_runs/{run['id']}/set_state", body)
    assert (got.status, got.json["status"]) == (200, "ABORT")


class TestLimits:
    """Existing clients claim by proposing Pending: that is admitted under the same limits as a claim."""

    @pytest.mark.parametrize(
        ("pool", "deployment", "reason"),
        [
            ({"concurrency_limit": 1}, {}, "Work pool concurrency limit reached."),
            ({}, {"concurrency_limit": 1}, "Deployment concurrency limit reached."),
        ],
    )
    async def test_a_run_that_finds_no_slot_waits_for_one(
        self, api: Any, pool: dict[str, Any], deployment: dict[str, Any], reason: str
    ) -> None:
        await api.pool(**pool)
        made = await api.deployment(work_pool_name="pool", **deployment)
        first, second = await api.deployed_run(made), await api.deployed_run(made)
        assert (await api.set_state(first, "PENDING")).json["status"] == "ACCEPT"
        got = await api.set_state(second, "PENDING")
        assert (got.status, got.json["status"], got.json["details"]["reason"]) == (201, "REJECT", reason)
        state = got.json["state"]
        assert (state["type"], state["name"]) == ("SCHEDULED", "AwaitingConcurrencySlot")
        # Its own time: polls hand it out when there is a slot, and not before.
        assert state["state_details"]["scheduled_time"] == "2026-03-02T09:00:00Z"
        await api.set_state(first, "CANCELLED")
        assert (await api.set_state(second, "PENDING")).json["status"] == "ACCEPT"

    async def test_a_full_queue_holds_back_its_own_runs_only(self, api: Any) -> None:
        await api.pool()
        await api.queue("narrow", concurrency_limit=0)
        narrow = await api.deployment("a", work_pool_name="pool", work_queue_name="narrow")
        wide = await api.deployment("b", work_pool_name="pool")
        got = await api.set_state(await api.deployed_run(narrow), "PENDING")
        assert got.json["details"]["reason"] == "Work queue concurrency limit reached."
        assert (await api.set_state(await api.deployed_run(wide), "PENDING")).json["status"] == "ACCEPT"
