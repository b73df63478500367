"""Verbs for many runs in one call."""

import time
from typing import Any

from bench.shape import Figure, Scenario, rate
from bench.world import create_pool, deploy


class Bulk(Scenario):
    """10,000 runs (quick mode: 1,000) created in one call, then cancelled by filter in one, then deleted in one.

    The peer has no such calls for as many: those that it has take 50 or 100 runs.
    """

    name = "bulk"
    only_ours = True

    def prepare(self) -> None:
        create_pool(self.system)
        self.deployment = deploy(self.system).id
        self.count = int(self.choose(10_000, 1_000))

    def run(self) -> None:
        cancelled = {"type": "CANCELLING"}
        steps: dict[str, tuple[str, dict[str, Any]]] = {
            "created": ("bulk_create", {"flow_runs": [{"deployment_id": self.deployment} for _ in range(self.count)]}),
            "cancelled": ("bulk_set_state", {"all": True, "state": cancelled}),
            "deleted": ("bulk_delete", {"all": True}),
        }
        self.seconds: dict[str, float] = {}
        for name, (verb, body) in steps.items():
            begin = time.monotonic()
            self.system.call("POST", f"/flow_runs/{verb}", body)
            self.seconds[name] = time.monotonic() - begin
        self.left = self.system.call("POST", "/flow_runs/count", {})

    def measure(self) -> list[Figure]:
        return [
            *(rate(f"runs {name} in one call", self.count / seconds) for name, seconds in self.seconds.items()),
            Figure(name="runs left", value=self.left, unit="", target=0),
        ]
