"""What is told of flows, variables, blocks, limits, artifacts and automations when they are made, changed or deleted."""

from typing import Any

import pytest
from msgspec import structs

from headgate.settings import Settings

TRIGGER = {"posture": "Reactive", "expect": ["x"]}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return structs.replace(settings, server_encryption_key="k" * 43 + "=")


async def told(api: Any, kind: str, *, id: str | None = None) -> list[tuple[str, str, dict[str, Any]]]:
    """The ends of the events' names, the names of their resources and their payloads, by time."""
    wanted: dict[str, Any] = {"event": {"prefix": [f"prefect.{kind}."]}, "order": "ASC"}
    if id:
        wanted["resource"] = {"id": [f"prefect.{kind}.{id}"]}
    got = await api.post("/events/filter", {"filter": wanted})
    events = got.json["events"]
    return [
        (each["event"].rpartition(".")[2], each["resource"]["prefect.resource.name"], each["payload"]) for each in events
    ]


async def made(api: Any, path: str, body: Any, status: int = 201) -> Any:
    got = await api.post(path, body)
    assert got.status == status, got.json
    api.clock.advance(seconds=1)
    return got.json


async def done(api: Any, method: str, path: str, body: Any = b"") -> None:
    assert (await api.send(method, path, body)).status == 204
    api.clock.advance(seconds=1)


async def test_of_a_flow(any_api: Any) -> None:
    flow = await made(any_api, "/flows/", {"name": "f", "tags": ["a"]})
    await made(any_api, "/flows/", {"name": "f"}, 200)
    await done(any_api, "PATCH", f"/flows/{flow['id']}", {"tags": ["b"]})
    await any_api.post("/flows/bulk_delete", {"flows": {"id": {"any_": [flow["id"]]}}})
    assert (await any_api.delete(f"/flows/{flow['id']}")).status == 404
    assert (await any_api.patch(f"/flows/{flow['id']}", {"tags": []})).status == 404
    first, then = ({"name": "f", "tags": [tag], "labels": {}} for tag in "ab")
    assert await told(any_api, "flow", id=flow["id"]) == [
        ("created", "f", first),
        ("updated", "f", then),
        ("deleted", "f", then),
    ]


async def test_of_a_variable(any_api: Any) -> None:
    variable = await made(any_api, "/variables/", {"name": "v", "value": {"x": 1}, "tags": ["a"]})
    assert (await any_api.post("/variables/", {"name": "v", "value": 2})).status == 409
    await done(any_api, "PATCH", "/variables/name/v", {"name": "w"})
    await done(any_api, "DELETE", f"/variables/{variable['id']}")
    payload = {"value": {"x": 1}, "tags": ["a"]}
    assert await told(any_api, "variable", id=variable["id"]) == [
        ("created", "v", {"name": "v", **payload}),
        ("updated", "w", {"name": "w", **payload}),
        ("deleted", "w", {"name": "w", **payload}),
    ]


async def test_of_a_block_and_its_type_without_secrets(any_api: Any) -> None:
    kind = await made(any_api, "/block_types/", {"name": "Creds", "slug": "creds", "description": "of it"})
    await done(any_api, "PATCH", f"/block_types/{kind['id']}", {"description": "of it"})
    await done(any_api, "PATCH", f"/block_types/{kind['id']}", {"description": "of them"})
    fields = {"properties": {}, "secret_fields": ["token", "extra.*"]}
    schema = await made(any_api, "/block_schemas/", {"block_type_id": kind["id"], "fields": fields, "capabilities": ["run"]})
    body = {"name": "mine", "block_schema_id": schema["id"], "block_type_id": kind["id"]}
    data = {"user": "alice", "token": "hunter2", "extra": {"x": "y"}, "number": 3}
    document = await made(any_api, "/block_documents/", body | {"data": data})
    await made(any_api, "/block_documents/", body | {"name": None, "is_anonymous": True, "data": data})
    await done(any_api, "PATCH", f"/block_documents/{document['id']}", {"data": {"user": "bob"}})
    await done(any_api, "DELETE", f"/block_documents/{document['id']}")
    await done(any_api, "DELETE", f"/block_types/{kind['id']}")
    of_type = await told(any_api, "block-type")
    assert [(what, payload["slug"], payload["description"]) for what, _, payload in of_type] == [
        ("created", "creds", "of it"),
        ("updated", "creds", "of them"),
        ("deleted", "creds", "of them"),
    ]
    part = {"capabilities": ["run"], "block_type": {"id": kind["id"], "name": "Creds"}}
    assert await told(any_api, "block-document") == [
        (what, "mine", {"name": "mine", "data": {"user": user}, "block_schema": part})
        for what, user in (("created", "alice"), ("updated", "bob"), ("deleted", "bob"))
    ]
    (event, *_) = (
        await any_api.post("/events/filter", {"filter": {"event": {"prefix": ["prefect.block-document."]}}})
    ).json["events"]
    assert [each["prefect.resource.role"] for each in event["related"]] == ["block-type", "block-schema"]


async def test_of_a_limit_and_a_tags_limit(any_api: Any) -> None:
    limit = await made(any_api, "/v2/concurrency_limits/", {"name": "db", "limit": 7})
    await done(any_api, "PATCH", "/v2/concurrency_limits/db", {"limit": 9})
    await done(any_api, "DELETE", f"/v2/concurrency_limits/{limit['id']}")
    rest = {"active": True, "slot_decay_per_second": 0.0}
    assert await told(any_api, "concurrency-limit") == [
        (what, "db", {"name": "db", "limit": count, **rest})
        for what, count in (("created", 7), ("updated", 9), ("deleted", 9))
    ]
    tag = await made(any_api, "/concurrency_limits/", {"tag": "dog", "concurrency_limit": 1})
    await made(any_api, "/concurrency_limits/", {"tag": "dog", "concurrency_limit": 2}, 200)
    await any_api.delete(f"/concurrency_limits/{tag['id']}")
    assert [(what, name) for what, name, _ in await told(any_api, "concurrency-limit", id=tag["id"])] == [
        ("created", "tag:dog"),
        ("updated", "tag:dog"),
        ("deleted", "tag:dog"),
    ]


async def test_of_the_latest_artifact_of_a_key(any_api: Any) -> None:
    body = {"key": "k", "type": "markdown", "description": "d"}
    first = await made(any_api, "/artifacts/", body | {"data": "v1"})
    second = await made(any_api, "/artifacts/", body | {"data": "v2"})
    await made(any_api, "/artifacts/", {"data": "without a key"})
    for each in (second, first):
        await done(any_api, "DELETE", f"/artifacts/{each['id']}")
    assert await told(any_api, "artifact-collection") == [
        (what, "k", body | {"data": data})
        for what, data in (("created", "v1"), ("updated", "v2"), ("updated", "v1"), ("deleted", "v1"))
    ]
    got = await any_api.post("/events/filter", {"filter": {"event": {"name": ["prefect.artifact-collection.deleted"]}}})
    assert got.json["events"][0]["related"] == [
        {"prefect.resource.id": f"prefect.artifact.{first['id']}", "prefect.resource.role": "latest"}
    ]


async def test_of_an_automation(any_api: Any) -> None:
    body = {"name": "a", "trigger": TRIGGER, "actions": [{"type": "do-nothing"}]}
    automation = await made(any_api, "/automations/", body)
    path = f"/automations/{automation['id']}"
    await done(any_api, "PATCH", path, {"enabled": False})
    await done(any_api, "PUT", path, body)
    await done(any_api, "DELETE", path)
    assert (await any_api.patch(path, {"enabled": False})).status == 404
    events = await told(any_api, "automation", id=automation["id"])
    assert [(what, payload["enabled"]) for what, _, payload in events] == [
        ("created", True),
        ("updated", False),
        ("updated", True),
        ("deleted", True),
    ]
    assert events[0][2] == automation
