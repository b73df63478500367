"""Events of pools, queues and deployments: made, changed, deleted, ready or not."""

from typing import Any

from test_worker_channel import hello

TEMPLATE = {"job_configuration": {"command": "{{ command }}"}, "variables": {"properties": {"command": {"type": "string"}}}}


class Told:
    """What was told since it was last asked."""

    def __init__(self, api: Any) -> None:
        self.api = api
        self.count = 0

    async def news(self) -> list[dict[str, Any]]:
        got = (await self.api.post("/events/filter", {"filter": {"order": "ASC"}})).json
        before, self.count = self.count, got["total"]
        found: list[dict[str, Any]] = got["events"][before:]
        return found

    async def names(self) -> list[str]:
        return [each["event"].removeprefix("prefect.") for each in await self.news()]

    async def updates(self) -> Any:
        (event,) = await self.news()
        assert event["payload"]["updated_fields"] == [*event["payload"]["updates"]]
        return event["payload"]["updates"]


def pool_labels(pool: Any) -> dict[str, str]:
    return {
        "prefect.resource.id": f"prefect.work-pool.{pool['id']}",
        "prefect.resource.name": pool["name"],
        "prefect.resource.role": "work-pool",
        "prefect.work-pool.type": pool["type"],
    }


def labels(kind: str, record: Any) -> dict[str, str]:
    id, name = f"prefect.{kind}.{record['id']}", record["name"]
    return {"prefect.resource.id": id, "prefect.resource.name": name, "prefect.resource.role": kind}


async def test_a_pool_from_its_making_to_its_end(any_api: Any) -> None:
    told = Told(any_api)
    pool = await any_api.pool()
    queue, made, status = await told.news()
    assert [each["event"] for each in (queue, made, status)] == [
        "prefect.work-queue.created",
        "prefect.work-pool.created",
        "prefect.work-pool.not-ready",
    ]
    assert made["resource"] == status["resource"] == pool_labels(pool)
    default = {"prefect.resource.id": f"prefect.work-queue.{pool['default_queue_id']}"}
    assert made["related"] == [default | {"prefect.resource.role": "default-queue"}]
    assert (queue["resource"]["prefect.resource.id"], queue["related"]) == (*default.values(), [pool_labels(pool)])
    await any_api.patch("/work_pools/pool", {"description": "new", "concurrency_limit": 30, "is_paused": False})
    assert await told.updates() == {
        "description": {"from": None, "to": "new"},
        "concurrency_limit": {"from": None, "to": 30},
    }
    await any_api.patch("/work_pools/pool", {"is_paused": True, "concurrency_limit": 5})
    assert await told.names() == ["work-pool.updated", "work-pool.paused"]
    await any_api.patch("/work_pools/pool", {"is_paused": True})
    assert await told.names() == []
    await any_api.patch("/work_pools/pool", {"is_paused": False})
    assert await told.names() == ["work-pool.not-ready"]
    await any_api.queue("extra")
    await any_api.delete("/work_pools/pool")
    assert await told.names() == ["work-queue.created", "work-queue.deleted", "work-queue.deleted", "work-pool.deleted"]


async def test_a_pool_is_ready_with_its_first_worker(api: Any) -> None:
    await api.pool()
    told = Told(api)
    await told.news()
    for _ in range(2):
        await api.post("/work_pools/pool/workers/heartbeat", {"name": "w"})
    assert await told.names() == ["work-pool.ready"]
    for paused in (True, False):
        await api.patch("/work_pools/pool", {"is_paused": paused})
        await api.post("/work_pools/pool/workers/heartbeat", {"name": "w"})
    assert await told.names() == ["work-pool.paused", "work-pool.ready"]


async def test_a_queue_from_its_making_to_its_end(any_api: Any) -> None:
    told = Told(any_api)
    pool = await any_api.pool()
    queue = await any_api.queue("q")
    assert (await told.names())[-1] == "work-queue.created"
    path = f"/work_queues/{queue['id']}"
    await any_api.patch(path, {"is_paused": True, "concurrency_limit": 3})
    news = await told.news()
    assert [each["event"] for each in news] == ["prefect.work-queue.updated", "prefect.work-queue.paused"]
    for each in news:
        assert (each["resource"], each["related"]) == (labels("work-queue", queue), [pool_labels(pool)])
    await any_api.patch(path, {"is_paused": True, "concurrency_limit": 3})
    assert await told.names() == []
    await any_api.patch("/work_pools/pool/queues/q", {"name": "r", "description": "new", "priority": 5})
    assert await told.updates() == {
        "name": {"from": "q", "to": "r"},
        "description": {"from": "", "to": "new"},
        "priority": {"from": 2, "to": 5},
    }
    await any_api.patch(path, {"is_paused": False})
    assert await told.names() == ["work-queue.not-ready"]
    await any_api.patch(path, {"last_polled": any_api.clock().isoformat()})
    await any_api.delete(path)
    assert await told.names() == ["work-queue.ready", "work-queue.deleted"]


async def test_a_deployment_from_its_making_to_its_end(any_api: Any) -> None:
    pool = await any_api.pool()
    told = Told(any_api)
    await told.news()
    body = {"work_pool_name": "pool", "parameters": {"x": 1}}
    deployment = await any_api.deployment(**body)
    _its_flow, made = await told.news()
    named = {"id": deployment["id"], "name": "nightly"}
    assert made["event"] == "prefect.deployment.created"
    assert made["resource"] | {"prefect.resource.role": "deployment"} == labels("deployment", named)
    assert made["related"] == [
        labels("flow", {"id": deployment["flow_id"], "name": "hello"}),
        labels("work-queue", {"id": deployment["work_queue_id"], "name": "default"}),
        pool_labels(pool),
    ]
    await any_api.deployment(**body)
    assert await told.names() == []
    path = f"/deployments/{deployment['id']}"
    await any_api.patch(path, {"parameters": {"x": 2}, "job_variables": {"y": 3}})
    assert await told.updates() == {
        "parameters": {"from": {"x": 1}, "to": {"x": 2}},
        "infra_overrides": {"from": {}, "to": {"y": 3}},
    }
    await any_api.post(f"{path}/pause_deployment")
    assert await told.updates() == {"paused": {"from": False, "to": True}}
    await any_api.delete(path)
    assert await told.names() == ["deployment.deleted"]
    assert (await any_api.delete(path)).status == 404


async def test_a_worker_that_joins_by_its_channel_makes_its_pool_ready(api: Any) -> None:
    await api.pool()
    told = Told(api)
    await told.news()
    async with api.socket("/work_pools/pool/workers/connect") as socket:
        await socket.send(hello(default_base_job_template=TEMPLATE))
        await socket.next()
    changed, ready = await told.news()
    assert changed["payload"]["updates"] == {"base_job_template": {"from": {}, "to": TEMPLATE}}
    assert (changed["event"], ready["event"]) == ("prefect.work-pool.updated", "prefect.work-pool.ready")
    async with api.socket("/work_pools/new/workers/connect") as socket:
        await socket.send(hello())
        await socket.next()
    assert await told.names() == ["work-queue.created", "work-pool.created", "work-pool.ready"]
    async with api.socket("/work_pools/other/workers/connect") as socket:
        await socket.send(hello(work_queue_names=["missing"]))
        await socket.next()
    assert await told.names() == []
