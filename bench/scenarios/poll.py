"""Asking for work, with a backlog that grows."""

from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import msgspec

from bench import backlog
from bench.load import Caller, Loaded
from bench.scenarios.transitions import propose
from bench.shape import Figure, Scenario, latencies
from bench.system import POOL
from bench.world import create_pool, create_template, deploy

AHEAD = timedelta(hours=1)
"""The backlog is due in an hour, and asked for two hours ahead: so nothing in it becomes late while it is measured."""
ROOM = 10
POLLS = 3
"""For each claim, as a claim of the peer's takes as long as ten polls."""
SIZES = (1_000, 10_000, 100_000, 1_000_000)


class Poll(Scenario):
    """The time to find ten runs, with 1,000 to a million runs waiting. One caller, one call at a time.

    `poll` is `get_scheduled_flow_runs`, on both sides. `claim` is our claim of ten runs; the peer has no such call, so its
    claim is what its worker does instead: a poll, then a proposal of Pending for each of the ten runs.
    """

    name = "poll"
    rounds = 1

    def prepare(self) -> None:
        create_pool(self.system)
        self.template = create_template(self.system, deploy(self.system))
        self.found: dict[int, Loaded] = {}

    def run(self) -> None:
        filled = 0
        for size in SIZES[:2] if self.quick else SIZES:
            due = datetime.now(UTC) + AHEAD
            backlog.load(self.system, self.template, first=filled + 1, last=size, due=due - timedelta(milliseconds=filled))
            backlog.analyze(self.system)
            filled = size
            self.found[size] = self.system.load(
                "poll:load", callers=1, seconds=self.choose(15, 3), warm_up=1, claims=self.system.side.is_ours
            )

    def measure(self) -> list[Figure]:
        return [
            figure
            for name in ("poll", "claim")
            for size, loaded in self.found.items()
            for figure in latencies(f"{name} of {ROOM}, backlog {size:,}", loaded.calls.get(name, ()), p50=2.0)
        ]


async def load(caller: Caller, *, claims: bool) -> None:
    """Polls, and a claim now and then; what was claimed goes back, where the side can do that."""
    while caller.goes_on():
        for _ in range(POLLS):
            await poll(caller, "poll")
        if claims:
            await claim_and_return(caller)
        else:
            await claim_by_polling(caller)


async def poll(caller: Caller, name: str | None) -> list[str]:
    """The ids of the first runs."""
    before = (datetime.now(UTC) + 2 * AHEAD).isoformat()
    body = msgspec.json.encode({"scheduled_before": before, "limit": ROOM})
    answer = await caller.call(name, "POST", f"/work_pools/{quote(POOL)}/get_scheduled_flow_runs", body)
    return [each["flow_run"]["id"] for each in msgspec.json.decode(answer.body)] if answer.is_good else []


async def claim_and_return(caller: Caller) -> None:
    """One claim; the return of its runs is not measured."""
    body = {"worker": "bench", "room": ROOM, "prefetch_seconds": (2 * AHEAD).total_seconds()}
    answer = await caller.call("claim", "POST", f"/work_pools/{POOL}/claim", msgspec.json.encode(body))
    leases = [
        {"flow_run_id": grant["lease"]["flow_run_id"], "fence": grant["lease"]["fence"]}
        for grant in (msgspec.json.decode(answer.body)["grants"] if answer.is_good else ())
    ]
    returned = msgspec.json.encode({"worker": "bench", "leases": leases})
    await caller.call(None, "POST", f"/work_pools/{POOL}/leases/return", returned)


async def claim_by_polling(caller: Caller) -> None:
    """What a worker of the peer does to get ten runs, timed as one."""
    async with caller.timed("claim"):
        for run in await poll(caller, None):
            await propose(caller, run, "PENDING", name=None)
