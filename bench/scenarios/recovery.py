"""What becomes of a run whose worker dies."""

import time

from bench.shape import Figure, Scenario
from bench.system import POOL
from bench.world import create_pool, create_run, deploy

PATIENCE = 45.0


class Recovery(Scenario):
    """From a worker's death, right after it was given a run, until the run is offered to another one; default settings.

    The worker is a caller that takes the run and is not heard of again: ours claims, the peer's proposes Pending. Another
    one polls twice a second, for 45 seconds. A dash is a run that was not offered again in that time.
    """

    name = "recovery"
    rounds = 1

    def prepare(self) -> None:
        create_pool(self.system)
        self.run_id = create_run(self.system, deploy(self.system))
        self.seconds: float | None = None

    def run(self) -> None:
        if self.system.side.is_ours:
            self.system.call("POST", f"/work_pools/{POOL}/claim", {"worker": "dead", "room": 1})
        else:
            self.system.call("POST", f"/flow_runs/{self.run_id}/set_state", {"state": {"type": "PENDING"}})
        start = time.monotonic()
        while self.seconds is None and time.monotonic() < start + PATIENCE:
            if self.system.call("POST", f"/work_pools/{POOL}/get_scheduled_flow_runs", {"limit": 1}):
                self.seconds = time.monotonic() - start
            time.sleep(0.5)

    def measure(self) -> list[Figure]:
        if self.seconds is None:
            return []
        return [Figure(name="worker death to run offered again", value=self.seconds, unit="s", target=30.0)]
