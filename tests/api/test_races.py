"""Clients that poll and workers that claim, at once, over HTTP and two servers: limits hold, and no run is given twice."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from headgate.client.transport import Request
from headgate.clock import FrozenClock
from headgate.server import app_of, call_app
from headgate.services.scope import Scope
from headgate.services.wakeups import Wakeups
from headgate.store.database import Database

WITHIN = 120.0
OLD = {"user-agent": "prefect/2.20.27 (API 0.8.4)"}
NEW = {"user-agent": "prefect/3.9.1 (API 0.8.4)", "x-prefect-worker-name": "w"}
LIMITS = {"pool": 4, "queue": 3, "deployment": 2}


@dataclass
class Race:
    """Two servers on one database, and what their callers hold: each run from after it was given until before its end."""

    apps: list[Any]
    clock: FrozenClock
    total: int
    given: Counter[str] = field(default_factory=Counter)
    holding: Counter[str] = field(default_factory=Counter)
    most: Counter[str] = field(default_factory=Counter)
    by: Counter[str] = field(default_factory=Counter)
    finished: int = 0

    async def send(self, number: int, method: str, target: str, body: Any, headers: dict[str, str] | None = None) -> Any:
        """One call to one of the servers."""
        sent = {"content-type": "application/json"} | (headers or {})
        app = self.apps[number % len(self.apps)]
        response = await call_app(app, Request(method, target, msgspec.json.encode(body), sent, 60.0))
        assert response.status < 300, response.body
        return msgspec.json.decode(response.body)

    async def propose(self, number: int, run: dict[str, Any], kind: str, **fields: Any) -> str:
        state = {"type": kind, "state_details": {"transition_id": str(uuid4())}}
        answer = await self.send(number, "POST", f"/flow_runs/{run['id']}/set_state", {"state": state, **fields})
        return str(answer["status"])

    async def poll(self, number: int, headers: dict[str, str]) -> None:
        """A worker of an existing client, but for the pause between its polls; these leave some to the others."""
        while self.finished < self.total and self.by["polls"] < self.total * 2 // 3:
            before = (self.clock() + timedelta(seconds=10)).isoformat(sep=" ")
            body = {"work_queue_names": [], "scheduled_before": before}
            for each in await self.send(number, "POST", "/work_pools/pool/get_scheduled_flow_runs", body, headers):
                if await self.propose(number, each["flow_run"], "PENDING") == "ACCEPT":
                    await self.execute(number, each["flow_run"], "polls")

    async def claim(self, number: int) -> None:
        """A worker of ours; these leave some to the others."""
        body = {"worker": f"w{number}", "room": 2, "wait_seconds": 20}
        while self.finished < self.total and self.by["claims"] < self.total // 2:
            answer = await self.send(number, "POST", "/work_pools/pool/claim", body)
            for grant in answer["grants"]:
                await self.execute(number, grant["flow_run"], "claims", fence=grant["lease"]["fence"])

    async def execute(self, number: int, run: dict[str, Any], how: str, **fields: Any) -> None:
        """From the moment that a run was given out to its end; runs of a grant are counted when their turn comes."""
        kinds = ["pool", *(["queue"] if run["work_queue_name"] == "q" else []), run["deployment_id"]]
        self.given[run["id"]] += 1
        self.by[how] += 1
        self.holding.update(kinds)
        self.most |= self.holding
        assert await self.propose(number, run, "RUNNING", **fields) == "ACCEPT"
        self.holding.subtract(kinds)
        assert await self.propose(number, run, "COMPLETED", **fields) == "ACCEPT"
        self.finished += 1


@pytest.fixture
async def race(scope: Scope, clock: FrozenClock, database_url: str, open_url: Callable[[str], Awaitable[Database]]) -> Race:
    other = await open_url(database_url)
    return Race([app_of(scope), app_of(replace(scope, store=other, wakeups=Wakeups(other)))], clock, 36)


async def test_both_kinds_of_client_share_all_limits(race: Race) -> None:
    """A pool's, a queue's and a deployment's at once. Polls are held and woken, too, so nobody advances the clock."""
    await race.send(0, "POST", "/work_pools/", {"name": "pool", "type": "process", "concurrency_limit": LIMITS["pool"]})
    await race.send(0, "POST", "/work_pools/pool/queues", {"name": "q", "concurrency_limit": LIMITS["queue"]})
    flow = await race.send(0, "POST", "/flows/", {"name": "f"})
    made = []
    for name, queue, limit in (("a", "q", LIMITS["deployment"]), ("b", "q", None), ("c", "default", None)):
        about = {"name": name, "flow_id": flow["id"], "work_pool_name": "pool", "work_queue_name": queue}
        made.append(await race.send(0, "POST", "/deployments/", about | {"concurrency_limit": limit}))
    for deployment in made:
        await race.send(0, "POST", f"/deployments/{deployment['id']}/create_flow_run/bulk", [{}] * (race.total // len(made)))
    callers = [race.poll(0, OLD), race.poll(1, NEW), race.poll(0, NEW), race.poll(1, OLD)]
    callers += [race.claim(number) for number in range(4)]

    async def go_on() -> None:
        """Runs that were told to wait for a slot are due again half a minute later."""
        while race.finished < race.total:
            await asyncio.sleep(0.05)
            race.clock.advance(seconds=10)

    async with asyncio.timeout(WITHIN):
        tasks = [asyncio.create_task(each) for each in (*callers, go_on())]
        while race.finished < race.total:
            done, _ = await asyncio.wait(tasks, timeout=0.1, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
    assert len(race.given) == race.total
    assert set(race.given.values()) == {1}
    assert race.most["pool"] <= LIMITS["pool"]
    assert race.most["queue"] <= LIMITS["queue"]
    assert race.most[made[0]["id"]] <= LIMITS["deployment"]
    assert set(race.by) == {"polls", "claims"}
