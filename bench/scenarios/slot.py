"""How soon a freed slot is taken."""

from datetime import UTC, datetime, timedelta

import msgspec

from bench import backlog
from bench.load import Caller
from bench.scenarios.transitions import propose
from bench.shape import Figure, Scenario, latencies
from bench.system import POOL
from bench.world import create_pool, create_template, deploy

HELD_SECONDS = 0.1
PAUSE = 0.05


class Slot(Scenario):
    """From the proposal of Completed that frees a pool's only slot until another worker has been given the next run.

    Two callers take turns: each claims a run, holds it for 100 ms and completes it. Our claims are held open by the server;
    the peer's caller polls every 50 ms, far more often than its worker does, and proposes Pending.
    """

    name = "slot"
    rounds = 1

    def prepare(self) -> None:
        create_pool(self.system, limit=1)
        template = create_template(self.system, deploy(self.system))
        due = datetime.now(UTC) - timedelta(seconds=2)
        backlog.load(self.system, template, first=1, last=1000, due=due)
        backlog.analyze(self.system)

    def run(self) -> None:
        function = "claim_in_turn" if self.system.side.is_ours else "poll_in_turn"
        self.loaded = self.system.load(f"slot:{function}", callers=2, seconds=self.choose(20, 5), warm_up=1)

    def measure(self) -> list[Figure]:
        return latencies("freed slot to next start", self.loaded.notes, p50=50, p99=50)


async def claim_in_turn(caller: Caller) -> None:
    """Wait for a run by an open claim."""
    body = msgspec.json.encode({"worker": f"worker-{caller.number}", "room": 1, "wait_seconds": 2})
    while caller.goes_on():
        answer = await caller.call("claim", "POST", f"/work_pools/{POOL}/claim", body)
        for grant in msgspec.json.decode(answer.body)["grants"] if answer.is_good else ():
            await hold(caller, grant["flow_run"]["id"])


async def poll_in_turn(caller: Caller) -> None:
    """Ask again and again."""
    body = msgspec.json.encode({"limit": 1})
    while caller.goes_on():
        answer = await caller.call("poll", "POST", f"/work_pools/{POOL}/get_scheduled_flow_runs", body)
        for each in msgspec.json.decode(answer.body) if answer.is_good else ():
            if await propose(caller, each["flow_run"]["id"], "PENDING"):
                await hold(caller, each["flow_run"]["id"])
        await caller.sleep(PAUSE)


async def hold(caller: Caller, run: str) -> None:
    """Keep the slot for a while; notes how long it was free before, when the other one had it."""
    freed = caller.shared.pop("freed", None)
    if freed is not None:
        caller.note(caller.seconds - freed)
    await propose(caller, run, "RUNNING")
    await caller.sleep(HELD_SECONDS)
    caller.shared["freed"] = caller.seconds
    await propose(caller, run, "COMPLETED")
