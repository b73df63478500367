"""What clients of the wire see of concurrency limits: paths, statuses, headers and the words that they compare."""

from typing import Any
from uuid import uuid4

import pytest

V2 = "/v2/concurrency_limits"
V1 = "/concurrency_limits"


async def make(api: Any, name: str = "db", limit: int = 10, **fields: Any) -> dict[str, Any]:
    got = await api.post(f"{V2}/", {"name": name, "limit": limit, **fields})
    assert got.status == 201, got.json
    made: dict[str, Any] = got.json
    return made


async def test_a_limit_is_created_read_changed_and_deleted(api: Any) -> None:
    made = await make(api, slot_decay_per_second=0.5)
    assert (made["active"], made["active_slots"], made["avg_slot_occupancy_seconds"]) == (True, 0, 2.0)
    assert (await api.get(f"{V2}/db")).json == (await api.get(f"{V2}/{made['id']}")).json == made
    assert (await api.post(f"{V2}/", {"name": "db", "limit": 1})).status == 409
    assert (await api.patch(f"{V2}/db", {"limit": 3, "active": None})).status == 204
    assert (await api.post(f"{V2}/filter")).json[0]["limit"] == 3
    assert (await api.delete(f"{V2}/{made['id']}")).status == 204
    for got in (await api.get(f"{V2}/db"), await api.patch(f"{V2}/db", {}), await api.delete(f"{V2}/{uuid4()}")):
        assert (got.status, got.json) == (404, {"detail": "Concurrency Limit not found"})


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/", {"name": "a/b", "limit": 1}),
        ("/", {"name": "db", "limit": -1}),
        ("/", {"name": "db", "limit": 1, "slot_decay_per_second": -1}),
        ("/increment", {"names": ["db"], "slots": 0}),
        ("/increment", {"names": [], "slots": 1}),
        ("/increment", {"names": ["db"], "slots": 1, "mode": "other"}),
        ("/increment-with-lease", {"names": ["db"], "slots": 1, "lease_duration": 59}),
        ("/increment-with-lease", {"names": ["db"], "slots": 1, "lease_duration": 86401}),
        ("/increment-with-lease", {"names": ["db"], "slots": 1, "holder": {"type": "person", "id": str(uuid4())}}),
        ("/increment-with-lease", {"names": ["db"], "slots": 1, "holder": {"type": "task_run", "id": str(uuid4()), "x": 1}}),
        ("/decrement", {"names": ["db"], "slots": 0}),
        ("/decrement", {"names": ["db"], "slots": 1, "occupancy_seconds": 0}),
        ("/filter", {"limit": 201}),
    ],
)
async def test_what_makes_no_sense_is_refused(api: Any, path: str, body: Any) -> None:
    assert (await api.post(V2 + path, body)).status == 422


async def test_slots_that_are_taken_are_locked_with_when_to_come_back(api: Any) -> None:
    made = await make(api, active_slots=10)
    got = await api.post(f"{V2}/increment", {"names": ["db"], "slots": 1, "mode": "concurrency"})
    assert (got.status, got.json) == (423, {"detail": "Locked"})
    assert float(got.headers["retry-after"]) == pytest.approx(0.2)
    assert (await api.post(f"{V2}/decrement", {"names": ["db"], "slots": 1})).json == [
        {"id": made["id"], "name": "db", "limit": 10}
    ]
    assert (await api.post(f"{V2}/increment", {"names": ["db"], "slots": 1})).status == 200


async def test_words_that_clients_compare(api: Any) -> None:
    await make(api, limit=1)
    got = await api.post(f"{V2}/increment", {"names": ["db"], "slots": 2})
    assert (got.status, got.json) == (422, {"detail": "Slots requested is greater than the limit"})
    got = await api.post(f"{V2}/increment", {"names": ["db"], "slots": 1, "mode": "rate_limit"})
    assert got.status == 422
    assert got.json["detail"].endswith("The following limits do not have a decay configured: 'db'")


async def test_a_tagged_task_without_any_limit_gets_a_lease_of_nothing(api: Any) -> None:
    body = {"names": ["tag:x"], "slots": 1, "mode": "concurrency", "lease_duration": 60, "holder": None}
    got = await api.post(f"{V2}/increment-with-lease", body)
    assert (got.status, got.json["limits"]) == (200, [])
    assert (await api.post(f"{V2}/decrement-with-lease", {"lease_id": got.json["lease_id"]})).status == 204


async def test_a_lease_is_renewed_until_it_ends(api: Any) -> None:
    await make(api)
    holder = {"type": "flow_run", "id": str(uuid4())}
    body = {"names": ["db"], "slots": 3, "lease_duration": 60, "holder": holder}
    lease = (await api.post(f"{V2}/increment-with-lease", body)).json["lease_id"]
    assert (await api.post(f"{V2}/leases/{lease}/renew", {"lease_duration": 300})).status == 204
    assert (await api.get(f"{V2}/db")).json["active_slots"] == 3
    assert (await api.post(f"{V2}/decrement-with-lease", {"lease_id": lease})).status == 204
    assert (await api.get(f"{V2}/db")).json["active_slots"] == 0
    got = await api.post(f"{V2}/leases/{lease}/renew")
    assert (got.status, got.json) == (410, {"detail": "Lease not found - it may have expired or been revoked"})


async def test_limits_of_tags_as_older_clients_ask_for_them(api: Any) -> None:
    assert (await api.post(f"{V1}/", {"tag": "dog", "concurrency_limit": 1})).status == 201
    got = await api.post(f"{V1}/", {"tag": "dog", "concurrency_limit": 1})
    assert (got.status, got.json["tag"], got.json["active_slots"]) == (200, "dog", [])
    run, other = str(uuid4()), str(uuid4())
    taken = await api.post(f"{V1}/increment", {"names": ["dog", "cat"], "task_run_id": run})
    assert taken.json == [{"id": got.json["id"], "name": "dog", "limit": 1}]
    full = await api.post(f"{V1}/increment", {"names": ["dog"], "task_run_id": other})
    assert (full.status, full.headers["retry-after"]) == (423, "30.0")
    assert (await api.get(f"{V1}/tag/dog")).json["active_slots"] == [run]
    assert (await api.post(f"{V1}/tag/dog/reset", {"slot_override": [other]})).status == 200
    assert [each["active_slots"] for each in (await api.post(f"{V1}/filter", {"limit": 5})).json] == [[other]]
    assert (await api.post(f"{V1}/tag/dog/reset")).json is None
    assert (await api.get(f"{V1}/{got.json['id']}")).json["active_slots"] == []
    assert (await api.post(f"{V1}/decrement", {"names": ["dog"], "task_run_id": run})).status == 200
    assert (await api.delete(f"{V1}/{got.json['id']}")).status == 200
    assert (await api.delete(f"{V1}/tag/dog")).status == 404


async def test_a_deployments_limit_is_read_and_changed_by_its_name(api: Any) -> None:
    deployment = await api.deployment(concurrency_limit=3)
    limit = deployment["global_concurrency_limit"]
    assert limit["name"] == f"deployment:{deployment['id']}"
    assert (await api.get(f"{V2}/{limit['name']}")).json == limit
    assert (await api.patch(f"{V2}/{limit['name']}", {"limit": 4})).status == 204
    assert (await api.get(f"/deployments/{deployment['id']}")).json["global_concurrency_limit"]["limit"] == 4
