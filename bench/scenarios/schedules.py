"""Runs that schedules make, and whether they start in time."""

import time
from datetime import UTC, datetime, timedelta

import msgspec

from bench.load import Caller, share
from bench.scenarios.transitions import propose
from bench.shape import Figure, Scenario, latencies
from bench.system import POOL
from bench.world import create_pool, deploy

CALLERS = 8
LATE = 15.0
FIRES = 2
ANCHOR = "2020-01-01T00:00:00Z"


class Schedules(Scenario):
    """500 deployments, each with a schedule of one run a minute, all on the minute: how many of 1,000 runs start in time.

    Eight callers take the runs as workers do, ours by claims, the peer's by polls and proposals, each of its own part of
    what it is shown; and propose Running. Late is a run that was not accepted into Running within 15 seconds of its time.
    The quick mode does with 50 deployments, every 20 seconds.
    """

    name = "schedules"
    rounds = 1

    def prepare(self) -> None:
        create_pool(self.system)
        self.count, self.interval = (50, 20) if self.quick else (500, 60)
        schedule = {"schedule": {"interval": self.interval, "anchor_date": ANCHOR, "timezone": "UTC"}, "active": True}
        for number in range(self.count):
            deploy(self.system, f"bench-{number}", schedules=[schedule])

    def run(self) -> None:
        now = time.time()
        self.first = (now // self.interval + 1) * self.interval
        last = self.first + (FIRES - 1) * self.interval
        self.loaded = self.system.load(
            "schedules:claim_due" if self.system.side.is_ours else "schedules:poll_due",
            callers=CALLERS,
            seconds=last + LATE - now,
        )

    def measure(self) -> list[Figure]:
        last = self.first + (FIRES - 1) * self.interval
        delays = [delay for due, delay in self.loaded.notes if self.first <= due <= last]
        late = self.count * FIRES - sum(delay <= LATE for delay in delays)
        return [
            Figure(name=f"of {self.count * FIRES:,} runs, late by more than 15 s", value=late, unit="", target=0),
            *latencies("delay of those that started", delays),
        ]


async def claim_due(caller: Caller) -> None:
    """Claim what is due, and set it Running."""
    body = msgspec.json.encode({"worker": f"worker-{caller.number}", "room": 20, "wait_seconds": 2})
    while caller.goes_on():
        answer = await caller.call("claim", "POST", f"/work_pools/{POOL}/claim", body)
        for grant in msgspec.json.decode(answer.body)["grants"] if answer.is_good else ():
            await begin(caller, grant["flow_run"])


async def poll_due(caller: Caller) -> None:
    """Poll for what is due, and take this caller's part."""
    while caller.goes_on():
        body = msgspec.json.encode({"limit": 200, "scheduled_before": datetime.now(UTC).isoformat()})
        answer = await caller.call("poll", "POST", f"/work_pools/{POOL}/get_scheduled_flow_runs", body)
        found = msgspec.json.decode(answer.body) if answer.is_good else []
        for each in share(found, caller):
            if await propose(caller, each["flow_run"]["id"], "PENDING"):
                await begin(caller, each["flow_run"])
        if not found:
            await caller.sleep(0.5)


async def begin(caller: Caller, run: dict[str, str]) -> None:
    """Set a run Running; notes when it was due, and how long after that it began."""
    if await propose(caller, run["id"], "RUNNING"):
        due = datetime.fromisoformat(run["expected_start_time"].replace("Z", "+00:00"))
        caller.note((due.timestamp(), (datetime.now(UTC) - due) / timedelta(seconds=1)))
