"""Agents over HTTP: their claims, leases, and the list of them."""

from typing import Any
from uuid import uuid4

import pytest

AGENT = "00000000-0000-0000-0000-0000000000a1"


async def claim(api: Any, **fields: Any) -> Any:
    got = await api.post("/agents/claim", {"agent_id": AGENT} | fields)
    assert got.status == 200, got.json
    return got.json


async def test_a_claim_makes_an_agent_known(api: Any) -> None:
    answer = await claim(api, name="mine", pool="p", queues=["q"], heartbeat_interval_seconds=5)
    assert answer == {
        "grants": [],
        "cancel": [],
        "drain": False,
        "held": [],
        "strays": [],
        "pools": [{"name": "p", "type": "prefect-agent", "base_job_template": {}, "paused": False}],
    }
    got = await api.get(f"/agents/{AGENT}")
    assert got.json == {
        "id": AGENT,
        "created": "2026-03-02T09:00:00Z",
        "updated": "2026-03-02T09:00:00Z",
        "name": "mine",
        "work_pool_name": "p",
        "work_queue_names": ["q"],
        "work_queue_prefix": None,
        "last_heartbeat_time": "2026-03-02T09:00:00Z",
        "heartbeat_interval_seconds": 5.0,
        "status": "ONLINE",
        "draining": False,
    }
    assert (await api.post("/agents/filter")).json == [got.json]
    api.clock.advance(seconds=16)
    assert (await api.get(f"/agents/{AGENT}")).json["status"] == "OFFLINE"
    online = await api.post("/agents/filter", {"agents": {"status": {"any_": ["ONLINE"]}}})
    assert online.json == []


async def test_a_granted_run_is_renewed_and_given_back(api: Any) -> None:
    await claim(api, pool="p", room=0)
    await api.deployed_run(await api.deployment(work_pool_name="p"))
    (grant,) = (await claim(api, pool="p"))["grants"]
    assert grant["flow_run"]["work_pool_name"] == "p"
    lease = {name: grant["lease"][name] for name in ("flow_run_id", "fence")}
    renewed = await api.post("/agents/leases/renew", {"agent_id": AGENT, "leases": [lease]})
    assert (renewed.status, renewed.json["lost"], renewed.json["drain"]) == (200, [], False)
    returned = await api.post("/agents/leases/return", {"agent_id": AGENT, "name": "mine", "leases": [lease]})
    assert (returned.status, returned.body) == (204, b"")
    run = (await api.get(f"/flow_runs/{lease['flow_run_id']}")).json
    assert run["state"]["message"] == "Agent 'mine' gave it back before it was started."


async def test_an_agent_is_drained_and_forgotten(api: Any) -> None:
    await claim(api, pool="p")
    assert (await api.post(f"/agents/{AGENT}/drain")).status == 204
    assert (await claim(api, pool="p"))["drain"] is True
    assert (await api.delete(f"/agents/{AGENT}")).status == 204
    for got in (
        await api.get(f"/agents/{AGENT}"),
        await api.post(f"/agents/{AGENT}/drain"),
        await api.delete(f"/agents/{AGENT}"),
    ):
        assert (got.status, got.json) == (404, {"detail": f"Agent {AGENT} not found."})


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, 422),
        ({"queues": ["q"], "match": "q"}, 422),
        ({"match": ""}, 422),
        ({"pool": "a/b"}, 422),
        ({"pool": "p", "room": 1001}, 422),
        ({"pool": "prefect-x"}, 403),
        ({"pool": "nowhere", "make_pool": False}, 404),
    ],
)
async def test_senseless_claims_are_refused(api: Any, fields: dict[str, Any], status: int) -> None:
    got = await api.post("/agents/claim", {"agent_id": str(uuid4())} | fields)
    assert got.status == status, got.json
    assert (await api.post("/agents/filter")).json == []
