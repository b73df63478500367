"""The channel of 3.x workers, frame by frame."""

from typing import Any
from uuid import uuid4

import pytest

CONSUMER = "01a200d8-0000-7000-8000-000000000001"
TEMPLATE = {"job_configuration": {"command": "{{ command }}"}, "variables": {"properties": {"command": {"type": "string"}}}}
PATH = "/work_pools/pool/workers/connect"


def hello(**changes: Any) -> dict[str, Any]:
    """A hello as the process worker sends it."""
    payload = {
        "consumer_id": CONSUMER,
        "worker_name": "w1",
        "worker_type": "process",
        "heartbeat_interval_seconds": 30,
        "supported_channel_versions": ["work_pool_worker_channel.v1"],
        "requested_capabilities": ["worker_heartbeat.v1", "work_pool_snapshot.v1"],
        "work_queue_names": [],
        "handled_cleanup_kinds": [],
        "max_cleanup_concurrency": 0,
        "create_pool_if_not_found": True,
        "default_base_job_template": TEMPLATE,
        "worker_metadata": None,
    }
    return frame("worker.hello.v1", payload | changes)


def beat(**changes: Any) -> dict[str, Any]:
    payload = {"consumer_id": CONSUMER, "worker_name": "w1", "heartbeat_interval_seconds": 30}
    return frame("worker.heartbeat.v1", payload | changes)


def frame(kind: str, payload: Any) -> dict[str, Any]:
    return {"type": kind, "id": str(uuid4()), "sent_at": "2026-03-02T09:00:00Z", "payload": payload}


async def worker(api: Any) -> dict[str, Any]:
    (found,) = (await api.post("/work_pools/pool/workers/filter")).json
    return found  # type: ignore[no-any-return]


async def test_a_worker_is_ready_after_its_hello(api: Any) -> None:
    await api.pool()
    await api.queue("q1")
    async with api.socket(PATH) as socket:
        await socket.send(hello())
        ready = await socket.next()
    assert set(ready) == {"type", "id", "sent_at", "payload"}
    assert ready["type"] == "worker.ready.v1"
    payload = ready["payload"]
    queues, snapshot = payload.pop("resolved_work_queues"), payload.pop("initial_snapshot")
    assert payload == {
        "consumer_id": CONSUMER,
        "worker_id": None,
        "selected_channel_version": "work_pool_worker_channel.v1",
        "effective_heartbeat_interval_seconds": 30,
        "accepted_capabilities": ["worker_heartbeat.v1", "work_pool_snapshot.v1"],
        "rejected_capabilities": [],
        "effective_max_cleanup_concurrency": 0,
    }
    assert [queue["name"] for queue in queues] == ["default", "q1"]
    assert (snapshot["snapshot_sequence"], snapshot["reason"]) == (1, "initial")
    pool = (await api.get("/work_pools/pool")).json
    assert snapshot["work_pool"] | {"updated": 0} == pool | {"updated": 0}
    assert pool["status"] == "READY"
    assert pool["base_job_template"] == TEMPLATE  # it had none
    found = await worker(api)
    assert (found["name"], found["type"], found["status"]) == ("w1", "process", "ONLINE")


async def test_what_the_server_does_not_do_is_rejected(api: Any) -> None:
    await api.pool()
    wanted = ["worker_heartbeat.v1", "cleanup_delivery.v1", "work_pool_snapshot.v1"]
    async with api.socket(PATH) as socket:
        await socket.send(hello(requested_capabilities=wanted, max_cleanup_concurrency=1))
        payload = (await socket.next())["payload"]
    assert payload["accepted_capabilities"] == ["worker_heartbeat.v1", "work_pool_snapshot.v1"]
    assert payload["rejected_capabilities"] == ["cleanup_delivery.v1"]


async def test_a_missing_pool_is_made_if_the_worker_asks_for_it(api: Any) -> None:
    async with api.socket(PATH) as socket:
        await socket.send(hello())
        made = (await socket.next())["payload"]["initial_snapshot"]["work_pool"]
    assert (made["name"], made["type"], made["base_job_template"]) == ("pool", "process", TEMPLATE)
    assert made == (await api.get("/work_pools/pool")).json


@pytest.mark.parametrize(
    ("path", "changes", "closed"),
    [
        (PATH, {"create_pool_if_not_found": False}, (1008, "authorization_failed")),
        ("/work_pools/prefect-x/workers/connect", {}, (1008, "authorization_failed")),
        (PATH, {"work_queue_names": ["nowhere"]}, (1008, "authorization_failed")),
        (PATH, {"supported_channel_versions": ["v9"]}, (1008, "unsupported_version")),
        (PATH, {"requested_capabilities": ["worker_heartbeat.v1"]}, (1002, "protocol_error")),
        (PATH, {"worker_name": ""}, (1002, "protocol_error")),
        (PATH, {"heartbeat_interval_seconds": 0}, (1002, "protocol_error")),
        (PATH, {"default_base_job_template": {"variables": {}}}, (1002, "protocol_error")),
    ],
)
async def test_a_worker_that_cannot_be_served_is_told_why(
    api: Any, path: str, changes: dict[str, Any], closed: tuple[int, str]
) -> None:
    async with api.socket(path) as socket:
        await socket.send(hello(**changes))
        assert await socket.next() is None
        assert socket.closed == closed
    assert (await api.post("/work_pools/filter")).json == []  # nothing is left of it


@pytest.mark.parametrize("first", ["nonsense", {"type": "worker.hello.v1"}, beat()])
async def test_what_is_no_hello_ends_the_channel(api: Any, first: Any) -> None:
    async with api.socket(PATH) as socket:
        await socket.send(first)
        assert await socket.next() is None
        assert socket.closed == (1002, "protocol_error")


async def test_heartbeats_keep_the_worker_online(api: Any) -> None:
    await api.pool()
    async with api.socket(PATH) as socket:
        await socket.send(hello())
        await socket.next()
        api.clock.advance(seconds=80)
        assert (await worker(api))["status"] == "ONLINE"
        api.clock.advance(seconds=20)
        assert (await worker(api))["status"] == "OFFLINE"
        await socket.send(beat())
        await api.patch("/work_pools/pool", {"is_paused": True})  # its snapshot comes after the heartbeat was taken
        await socket.next()
        found = await worker(api)
        assert (found["status"], found["last_heartbeat_time"]) == ("ONLINE", "2026-03-02T09:01:40Z")


@pytest.mark.parametrize("changes", [{"worker_name": "w2"}, {"consumer_id": str(uuid4())}])
async def test_a_heartbeat_of_somebody_else_ends_the_channel(api: Any, changes: dict[str, Any]) -> None:
    await api.pool()
    async with api.socket(PATH) as socket:
        await socket.send(hello())
        await socket.next()
        await socket.send(beat(**changes))
        assert await socket.next() is None
        assert socket.closed == (1002, "protocol_error")


async def test_a_worker_is_told_of_what_changes_in_its_pool(api: Any) -> None:
    await api.pool(base_job_template=TEMPLATE)
    async with api.socket(PATH) as socket:
        await socket.send(hello())
        await socket.next()
        for number, change in enumerate(({"is_paused": True}, {"is_paused": False}, {"concurrency_limit": 3}), 2):
            await api.patch("/work_pools/pool", {"description": f"nobody is told of this one, {number}"})
            await api.patch("/work_pools/pool", change)
            told = await socket.next()
            assert told["type"] == "work_pool.snapshot.v1"
            payload = told["payload"]
            assert (payload["snapshot_sequence"], payload["reason"]) == (number, "work_pool_updated")
            assert payload["work_pool"].items() >= change.items()
            assert payload["work_pool"] == (await api.get("/work_pools/pool")).json


async def test_a_worker_is_told_of_what_becomes_of_its_queues(api: Any) -> None:
    await api.pool(base_job_template=TEMPLATE)
    await api.queue("mine")
    changes = [
        (api.post, "", {"name": "new"}, "work_queue_created"),
        (api.patch, "/mine", {"is_paused": True}, "work_queue_updated"),
        (api.delete, "/mine", b"", "work_queue_deleted"),
    ]
    async with api.socket(PATH) as of_all, api.socket(PATH) as of_one:
        await of_all.send(hello())
        await of_all.next()
        await of_one.send(hello(worker_name="w2", work_queue_names=["mine"]))
        await of_one.next()
        for send, path, body, reason in changes:
            await (send(f"/work_pools/pool/queues{path}", body) if body else send(f"/work_pools/pool/queues{path}"))
            assert (await of_all.next())["payload"]["reason"] == reason
            if reason != "work_queue_created":
                assert (await of_one.next())["payload"]["reason"] == reason


async def test_a_worker_whose_pool_is_deleted_is_sent_away(api: Any) -> None:
    await api.pool()
    async with api.socket(PATH) as socket:
        await socket.send(hello())
        await socket.next()
        await api.delete("/work_pools/pool")
        assert await socket.next() is None
        assert socket.closed == (1008, "authorization_failed")
