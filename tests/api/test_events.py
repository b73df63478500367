"""Events: taken, asked for, counted, and followed as they come."""

from typing import Any
from uuid import uuid4

import msgspec
import pytest

STATE_KEYS = {
    "prefect.resource.id",
    "prefect.resource.name",
    "prefect.run-count",
    "prefect.state-message",
    "prefect.state-name",
    "prefect.state-timestamp",
    "prefect.state-type",
}


def event(name: str = "hello.world", resource: Any = "thing.1", **fields: Any) -> dict[str, Any]:
    return {
        "occurred": "2026-03-02T09:00:00Z",
        "event": name,
        "resource": {"prefect.resource.id": resource} if isinstance(resource, str) else resource,
        "related": [],
        "payload": {},
        "id": str(uuid4()),
        "follows": None,
    } | fields


def related(resource: str, role: str, **labels: str) -> dict[str, str]:
    return {"prefect.resource.id": resource, "prefect.resource.role": role, **labels}


async def find(api: Any, **wanted: Any) -> list[dict[str, Any]]:
    got = await api.post("/events/filter", {"filter": wanted or None})
    assert got.status == 200, got.json
    found: list[dict[str, Any]] = got.json["events"]
    assert got.json["total"] == len(found)
    return found


async def names(api: Any, **wanted: Any) -> list[str]:
    return [each["event"] for each in await find(api, **wanted)]


async def test_what_is_sent_is_found(api: Any) -> None:
    sent = event(related=[related("a.b", "friend", color="red")], payload={"x": [1, {"y": None}]}, follows=str(uuid4()))
    assert (await api.post("/events", [sent])).status == 204
    assert await find(api) == [sent | {"received": (await find(api))[0]["received"]}]
    await api.post("/events", [sent])  # sent again, because its answer was lost
    assert len(await find(api)) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"resource": {}},
        {"resource": {"prefect.resource.id": ""}},
        {"related": [{"prefect.resource.id": "x"}]},
        {"event": "x" * 1025},
        {"related": [related("x", "y")] * 101},
        {"id": None},
    ],
)
async def test_an_event_that_says_too_little_or_too_much_is_refused(api: Any, wrong: dict[str, Any]) -> None:
    assert (await api.post("/events", [event(**wrong)])).status == 422
    assert await find(api) == []


async def test_every_change_of_a_runs_state_is_an_event(api: Any) -> None:
    """None of them is stored: each is read off the state that was entered."""
    await api.pool()
    deployment = await api.deployment(work_pool_name="pool", tags=["b"])
    run = await api.deployed_run(deployment, tags=["a"])
    for kind in ("PENDING", "RUNNING", "COMPLETED"):
        api.clock.advance(seconds=1)
        await api.set_state(run, kind, message="said" if kind == "COMPLETED" else None)
    found = await find(api, order="ASC", event={"prefix": ["prefect.flow-run."]})
    assert [each["event"] for each in found] == [
        f"prefect.flow-run.{name}" for name in ("Scheduled", "Pending", "Running", "Completed")
    ]
    last = found[-1]
    states = (await api.get(f"/flow_run_states/?flow_run_id={run['id']}")).json
    assert last["id"] == states[-1]["id"]
    assert last["follows"] == states[-2]["id"]
    assert last["occurred"] == "2026-03-02T09:00:03Z"
    assert set(last["resource"]) == STATE_KEYS
    assert last["resource"] | {"prefect.state-timestamp": ""} == {
        "prefect.resource.id": f"prefect.flow-run.{run['id']}",
        "prefect.resource.name": run["name"],
        "prefect.run-count": "1",
        "prefect.state-message": "said",
        "prefect.state-name": "Completed",
        "prefect.state-type": "COMPLETED",
        "prefect.state-timestamp": "",
    }
    pool = (await api.get("/work_pools/pool")).json
    assert last["related"] == [
        related(f"prefect.flow.{run['flow_id']}", "flow", **{"prefect.resource.name": "hello"}),
        related(f"prefect.deployment.{deployment['id']}", "deployment", **{"prefect.resource.name": "nightly"}),
        related(f"prefect.work-queue.{run['work_queue_id']}", "work-queue", **{"prefect.resource.name": "default"}),
        related(
            f"prefect.work-pool.{pool['id']}",
            "work-pool",
            **{"prefect.resource.name": "pool", "prefect.work-pool.type": "process"},
        ),
        related("prefect.tag.a", "tag"),
        related("prefect.tag.b", "tag"),
    ]
    assert last["payload"] == {
        "intended": {"from": "RUNNING", "to": "COMPLETED"},
        "initial_state": {"type": "RUNNING", "name": "Running"},
        "validated_state": {"type": "COMPLETED", "name": "Completed", "message": "said"},
    }
    assert found[0]["payload"]["initial_state"] is None
    assert found[0]["follows"] is None


async def test_events_of_runs_and_others_are_found_together(api: Any) -> None:
    run = await api.run(state={"type": "SCHEDULED"})
    id = f"prefect.flow-run.{run['id']}"
    await api.post("/events", [event("x.seen", related=[related(id, "flow-run")]), event("x.other")])
    assert set(await names(api, any_resource={"id": [id]})) == {"prefect.flow-run.Scheduled", "x.seen"}
    assert await names(api, resource={"id": [id]}) == ["prefect.flow-run.Scheduled"]
    assert await names(api, related={"id": [id]}) == ["x.seen"]
    assert await names(api, event={"prefix": ["x.o"]}) == ["x.other"]
    assert await names(api, related={"role": ["flow"], "labels": {"prefect.resource.name": "hel*"}}) == [
        "prefect.flow-run.Scheduled"
    ]


async def test_pages_follow_each_other(api: Any) -> None:
    await api.post("/events", [event(f"e.{i}", occurred=f"2026-03-02T08:00:{i:02}Z") for i in range(5)])
    got = (await api.post("/events/filter", {"filter": {"order": "ASC"}, "limit": 2})).json
    seen = [each["event"] for each in got["events"]]
    while got["next_page"]:
        assert got["next_page"].startswith("http://localhost/api/events/filter/next?page-token=")
        got = (await api.get(got["next_page"].removeprefix("http://localhost/api"))).json
        assert got["total"] == 5
        seen += [each["event"] for each in got["events"]]
    assert seen == [f"e.{i}" for i in range(5)]


@pytest.mark.parametrize("token", ["", "nonsense", "bm9uc2Vuc2U="])
async def test_a_token_of_nobody_is_refused(api: Any, token: str) -> None:
    assert (await api.get(f"/events/filter/next?page-token={token}")).status == 403


async def test_one_event_of_each_resource(api: Any) -> None:
    await api.post("/events", [event(f"e.{i}", f"thing.{i % 2}", occurred=f"2026-03-02T08:00:{i:02}Z") for i in range(4)])
    assert await names(api, resource={"distinct": True}) == ["e.3", "e.2"]


async def test_events_are_counted_by_what_they_are(api: Any) -> None:
    named = {"prefect.resource.id": "thing.1", "prefect.resource.name": "One"}
    await api.post("/events", [event("a"), event("b"), event("b", resource="thing.2"), event("a", resource=named)])
    got = (await api.post("/events/count-by/event", {"filter": {}})).json
    assert [(each["value"], each["label"], each["count"]) for each in got] == [("a", "a", 2), ("b", "b", 2)]
    got = (await api.post("/events/count-by/resource", {"filter": {}})).json
    assert sorted((each["value"], each["count"]) for each in got) == [("thing.1", 3), ("thing.2", 1)]


async def test_events_are_counted_by_time(api: Any) -> None:
    times = ("08:10:00", "08:59:59", "09:00:00")
    await api.post("/events", [event("a", occurred=f"2026-03-02T{time}Z") for time in times])
    body = {"filter": {"occurred": {"since": "2026-03-02T07:30:00Z", "until": "2026-03-02T09:30:00Z"}}, "time_unit": "hour"}
    got = (await api.post("/events/count-by/time", body)).json
    assert [(each["value"], each["label"], each["count"]) for each in got] == [
        ("0", "2026-03-02T07:00:00+00:00", 0),
        ("1", "2026-03-02T08:00:00+00:00", 2),
        ("2", "2026-03-02T09:00:00+00:00", 1),
    ]
    assert got[0]["end_time"] == "2026-03-02T07:59:59.999999Z"
    got = await api.post("/events/count-by/time", body | {"time_unit": "second", "time_interval": 0.5})
    assert got.status == 422
    assert "too many" in got.json["detail"]


# --- over websockets


ANY = {"occurred": {"since": "2026-03-02T08:59:00Z", "until": "2027-03-02T09:00:00Z"}, "id": {"id": []}, "order": "DESC"}


async def test_events_are_taken_in_a_burst(api: Any) -> None:
    async with api.socket("/events/in") as socket:
        for number in range(300):
            await socket.send(event(f"e.{number}"))
        await socket.send("nonsense")
        await socket.send(event("last"))
    got = (await api.post("/events/filter", {"limit": 0})).json
    assert got["total"] == 301


async def test_who_follows_is_told_what_happens(api: Any) -> None:
    run = await api.run(state={"type": "SCHEDULED"})
    wanted = ANY | {
        "event": None,
        "any_resource": {"id": [f"prefect.flow-run.{run['id']}"], "id_prefix": None, "labels": None},
    }
    async with api.socket("/events/out") as socket:
        await socket.send({"type": "filter", "filter": wanted})
        told = [await socket.next()]
        await api.run()
        for kind in ("PENDING", "RUNNING"):
            await api.set_state(run, kind)
        await api.post("/events", [event("seen", related=[related(f"prefect.flow-run.{run['id']}", "flow-run")])])
        await api.set_state(run, "COMPLETED")
        told += [await socket.next() for _ in range(4)]
    assert all(each["type"] == "event" for each in told)
    assert {each["event"]["event"] for each in told} == {
        "prefect.flow-run.Scheduled",
        "prefect.flow-run.Pending",
        "prefect.flow-run.Running",
        "prefect.flow-run.Completed",
        "seen",
    }
    stored = {each["id"]: each for each in await find(api)}
    for each in told:
        assert each["event"] | {"received": 0} == stored[each["event"]["id"]] | {"received": 0}


async def test_a_cancellation_reaches_who_follows_and_who_comes_back(api: Any) -> None:
    run = await api.run(state={"type": "RUNNING"})
    wanted = ANY | {"event": {"name": ["prefect.flow-run.Cancelling"], "prefix": None}}
    async with api.socket("/events/out") as socket:
        await socket.send({"type": "filter", "filter": wanted, "backfill": False})
        await socket.taken()
        await api.set_state(run, "CANCELLING")
        first = await socket.next()
    async with api.socket("/events/out") as again:
        await again.send({"type": "filter", "filter": wanted})
        assert (await again.next())["event"] == first["event"]
    assert first["event"]["resource"]["prefect.resource.id"] == f"prefect.flow-run.{run['id']}"


@pytest.mark.parametrize("frame", ["nonsense", {"type": "auth"}, {"type": "filter", "filter": {"event": 3}}])
async def test_what_is_no_filter_ends_it(api: Any, frame: Any) -> None:
    async with api.socket("/events/out") as socket:
        await socket.send(frame if isinstance(frame, str) else msgspec.json.encode(frame).decode())
        assert await socket.next() is None
        assert socket.closed[0] == 1002


# --- task runs


def task_event(flow_run: str, task_run: str, kind: str, occurred: str, **task: Any) -> dict[str, Any]:
    return event(
        f"prefect.task-run.{kind.title()}",
        occurred=occurred,
        resource={
            "prefect.resource.id": f"prefect.task-run.{task_run}",
            "prefect.resource.name": "add-cb4",
            "prefect.state-type": kind,
            "prefect.orchestration": "client",
        },
        related=[related(f"prefect.flow-run.{flow_run}", "flow-run", **{"prefect.resource.name": "lorikeet"})],
        payload={
            "intended": {"from": None, "to": kind},
            "initial_state": None,
            "validated_state": {"type": kind, "name": kind.title(), "message": "", "state_details": {}, "data": None},
            "task_run": {
                "name": "add-cb4",
                "task_key": "add-fb77d04a",
                "dynamic_key": "cb4ea84a",
                "empirical_policy": {"max_retries": 0, "retry_delay_seconds": 0.0, "retries": 0, "retry_delay": 0},
                "tags": [],
                "labels": {},
                "task_inputs": {"x": [], "y": []},
                "run_count": 1,
                "flow_run_run_count": 1,
                "total_run_time": 0.5,
            }
            | task,
        },
    )


async def test_task_runs_are_what_events_tell_of_them(api: Any) -> None:
    run, task = await api.run(), str(uuid4())
    told = [
        task_event(run["id"], task, kind, f"2026-03-02T08:59:5{second}Z")
        for second, kind in enumerate(("PENDING", "RUNNING", "COMPLETED"))
    ]
    async with api.socket("/events/in") as socket:
        for each in (told[2], told[0], told[1], event("prefect.task-run.Odd", resource=told[0]["resource"])):
            await socket.send(each)
    got = (await api.get(f"/task_runs/{task}")).json
    assert (got["state_type"], got["name"], got["flow_run_id"]) == ("COMPLETED", "add-cb4", run["id"])
    assert got["state"]["id"] == told[2]["id"]
    assert got["total_run_time"] == 0.5
    states = (await api.get(f"/task_run_states/?task_run_id={task}")).json
    assert [state["type"] for state in states] == ["PENDING", "RUNNING", "COMPLETED"]
    assert len(await find(api, event={"prefix": ["prefect.task-run."]})) == 4
