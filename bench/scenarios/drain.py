"""Many workers and a queue that has to be emptied."""

from datetime import UTC, datetime, timedelta

import msgspec

from bench import backlog
from bench.load import Caller, Loaded
from bench.numbers import percentile
from bench.scenarios.transitions import propose
from bench.shape import Better, Figure, Scenario, rate
from bench.system import POOL
from bench.world import create_pool, create_template, deploy

WORKERS = 50
ROOM = 5
SECONDS = 45.0
"""After which those that are left are left."""


class Drain(Scenario):
    """50 workers empty a pool of 2,000 due runs (400 in the quick mode), whose limit of 250 they never reach.

    A worker here is a caller that asks for up to five runs, and proposes Running and Completed for each. Ours claims them;
    the peer's has to poll and to propose Pending, as its own worker does. `by polling` is ours with the peer's calls.
    Counted are the runs that were accepted into Running more than once. The rate is that of the first 95 of 100 runs, or of
    those that were completed within 45 seconds.
    """

    name = "drain"
    rounds = 1
    limit = WORKERS * ROOM

    def prepare(self) -> None:
        create_pool(self.system, limit=self.limit)
        self.template = create_template(self.system, deploy(self.system))
        self.count = int(self.choose(2000, 400))
        self.filled = 0
        self.drained: dict[str, Loaded] = {}

    def run(self) -> None:
        if self.system.side.is_ours:
            self.drained["drain"] = self.drain("claim_all")
            self.drained["drain by polling"] = self.drain("poll_all")
        else:
            self.drained["drain"] = self.drained["drain by polling"] = self.drain("poll_all")

    def drain(self, function: str) -> Loaded:
        """Load as many runs as are wanted, due now, and let the workers at them."""
        due = datetime.now(UTC) - timedelta(milliseconds=self.filled + self.count)
        backlog.load(self.system, self.template, first=self.filled + 1, last=self.filled + self.count, due=due)
        backlog.analyze(self.system)
        self.filled += self.count
        return self.system.load(f"drain:{function}", callers=WORKERS, seconds=SECONDS, count=self.count)

    def measure(self) -> list[Figure]:
        return [figure for name, loaded in self.drained.items() for figure in self._figures(name, loaded)]

    def _figures(self, name: str, loaded: Loaded) -> list[Figure]:
        completed = sorted(note["completed"] for note in loaded.notes if "completed" in note)
        begun = [note["running"] for note in loaded.notes if "running" in note]
        twice = len(begun) - len(set(begun))
        target = 1000 if name == "drain" else None
        return [
            rate(f"{name}: runs completed", throughput(completed), target=target),
            Figure(name=f"{name}: runs completed in time", value=len(completed), unit="", better=Better.MORE),
            Figure(name=f"{name}: runs accepted into Running twice", value=twice, unit="", target=0),
        ]


def throughput(completed: list[float]) -> float:
    """Runs a second until 95 of 100 were completed; the times are seconds since the beginning, in order."""
    if not completed:
        return 0.0
    end = percentile(completed, 95)
    return sum(time <= end for time in completed) / end


async def claim_all(caller: Caller, *, count: int, held_seconds: float = 0.0) -> None:
    """A worker that claims."""
    body = msgspec.json.encode({"worker": f"worker-{caller.number}", "room": ROOM, "wait_seconds": 1})
    while caller.goes_on():
        answer = await caller.call("claim", "POST", f"/work_pools/{POOL}/claim", body)
        if answer.is_good:
            for grant in msgspec.json.decode(answer.body)["grants"]:
                await execute(caller, grant["flow_run"]["id"], count=count, held_seconds=held_seconds)


async def poll_all(caller: Caller, *, count: int, held_seconds: float = 0.0) -> None:
    """A worker that polls, and takes what it can get."""
    body = msgspec.json.encode({"limit": ROOM})
    while caller.goes_on():
        answer = await caller.call("poll", "POST", f"/work_pools/{POOL}/get_scheduled_flow_runs", body)
        found = msgspec.json.decode(answer.body) if answer.is_good else []
        for each in found:
            run = each["flow_run"]["id"]
            if await propose(caller, run, "PENDING"):
                await execute(caller, run, count=count, held_seconds=held_seconds)
        if not found:
            await caller.sleep(0.05)


async def execute(caller: Caller, run: str, *, count: int, held_seconds: float) -> None:
    """Take a run that is Pending to its end; notes what was accepted, and when."""
    begin = caller.seconds
    if await propose(caller, run, "RUNNING"):
        caller.note({"running": run})
        if held_seconds:
            await caller.sleep(held_seconds)
        end = caller.seconds
        if await propose(caller, run, "COMPLETED"):
            caller.note({"completed": caller.seconds, "span": (begin, end)})
            caller.shared["completed"] = completed = caller.shared.get("completed", 0) + 1
            if completed >= count:
                caller.finish()
