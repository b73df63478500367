"""Creating runs over REST."""

from typing import Any

from bench.load import Caller
from bench.shape import Figure, Scenario, latencies, rate, refusals
from bench.world import create_pool, deploy

CALLERS = 16


class Create(Scenario):
    """Runs of a deployment created over REST. 16 callers ask for one run at a time, each as soon as it has its answer."""

    name = "create"

    def prepare(self) -> None:
        create_pool(self.system)
        self.deployment = deploy(self.system)

    def run(self) -> None:
        self.loaded = self.system.load(
            "create:load",
            callers=CALLERS,
            seconds=self.choose(10, 4),
            warm_up=self.choose(3, 1),
            deployment=self.deployment.id,
        )

    def measure(self) -> list[Figure]:
        return [
            rate("runs created", self.loaded.rate("create"), target=4000),
            *latencies("create", self.loaded.calls.get("create", ())),
            refusals(self.loaded),
        ]


async def load(caller: Caller, *, deployment: str, **_: Any) -> None:
    """Create one run after the other."""
    while caller.goes_on():
        await caller.call("create", "POST", f"/deployments/{deployment}/create_flow_run", b"{}")
