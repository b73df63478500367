"""Many runs, one after the other, for as long as it takes to see whether something grows."""

from contextlib import AbstractContextManager, nullcontext

import msgspec

from bench.load import Caller, Loaded
from bench.numbers import percentile
from bench.scenarios.transitions import propose
from bench.shape import Figure, Scenario, rate
from bench.system import POOL, PostgresqlStore
from bench.world import create_pool, deploy

CLAIMERS = 8
AHEAD = 500
"""So many runs wait, more or less, whatever the claimers take."""
AT_ONCE = 20
FILLING = 3
"""After so many stretches SQLite's caches, of 16 MB for each connection, have filled."""


class Soak(Scenario):
    """Runs are created, claimed by ten and completed without a pause, in stretches of equal length.

    What the server's memory grows by is told from the fourth stretch on, per 100,000 runs: until then caches fill. On
    PostgreSQL the same is done once more while another session leaves a transaction open, as a backup does, so that no dead
    row can be cleaned away: the claims of its last stretch are compared with those before.
    """

    name = "soak"
    rounds = 1
    only_ours = True

    def prepare(self) -> None:
        create_pool(self.system)
        self.deployment = deploy(self.system).id
        self.stretch = self.choose(30, 3)

    def run(self) -> None:
        self.memory: list[float] = []
        self.free = self.stretches(5)
        self.pinned = []
        with self.pin() as is_pinned:
            if is_pinned:
                self.pinned = self.stretches(5)

    def pin(self) -> AbstractContextManager[bool]:
        """A transaction that stays open, where the database knows such a thing."""
        store = self.system.store
        return store.server.snapshot(store.name) if isinstance(store, PostgresqlStore) else nullcontext(False)

    def stretches(self, count: int) -> list[Loaded]:
        """The loads of some stretches; notes what the server holds after each."""
        loads = []
        for _ in range(count):
            load = self.system.load("soak:turn_over", callers=CLAIMERS + 1, seconds=self.stretch, deployment=self.deployment)
            loads.append(load)
            assert self.system.server is not None
            self.memory.append(self.system.server.resident_megabytes)
        return loads

    def measure(self) -> list[Figure]:
        runs = sum(len(load.notes) for load in self.free)
        later = sum(len(load.notes) for load in self.free[FILLING:])
        growth = (self.memory[len(self.free) - 1] - self.memory[FILLING - 1]) / later * 100_000
        figures = [
            rate("runs from creation to Completed", runs / sum(load.seconds for load in self.free)),
            Figure(name="claim, p99, first stretch", value=_p99(self.free[0]), unit="ms"),
            Figure(name="claim, p99, last stretch", value=_p99(self.free[-1]), unit="ms"),
            Figure(name="memory", value=self.memory[len(self.free) - 1], unit="MB"),
            Figure(name="memory for 100,000 further runs", value=growth, unit="MB"),
        ]
        if self.pinned:
            figures += [
                Figure(name="claim, p99, first stretch of an open transaction", value=_p99(self.pinned[0]), unit="ms"),
                Figure(name="claim, p99, last stretch of an open transaction", value=_p99(self.pinned[-1]), unit="ms"),
            ]
        return figures


def _p99(load: Loaded) -> float:
    return percentile(load.calls["claim"], 99) * 1000


async def turn_over(caller: Caller, *, deployment: str) -> None:
    """The first caller creates runs; the others take them to their end."""
    if caller.number == 0:
        await create(caller, deployment)
    else:
        await complete(caller)


async def create(caller: Caller, deployment: str) -> None:
    """Keep some waiting."""
    body = msgspec.json.encode({"flow_runs": [{"deployment_id": deployment}] * AT_ONCE})
    while caller.goes_on():
        if caller.shared.get("created", 0) - caller.shared.get("claimed", 0) >= AHEAD:
            await caller.sleep(0.002)
            continue
        answer = await caller.call("create", "POST", "/flow_runs/bulk_create", body)
        if answer.is_good:
            caller.shared["created"] = caller.shared.get("created", 0) + AT_ONCE


async def complete(caller: Caller) -> None:
    """A worker with room for ten."""
    body = msgspec.json.encode({"worker": f"worker-{caller.number}", "room": 10, "wait_seconds": 1})
    while caller.goes_on():
        answer = await caller.call("claim", "POST", f"/work_pools/{POOL}/claim", body)
        for grant in msgspec.json.decode(answer.body)["grants"] if answer.is_good else ():
            caller.shared["claimed"] = caller.shared.get("claimed", 0) + 1
            run = grant["flow_run"]["id"]
            if await propose(caller, run, "RUNNING") and await propose(caller, run, "COMPLETED"):
                caller.note(0)
