"""Many short runs at once, with a real worker."""

import time

from bench.shape import Figure, Scenario, rate
from bench.system import POOL
from bench.world import create_run, deploy_code

PATIENCE = 60.0


class Burst(Scenario):
    """20 and 100 runs of a flow that does nothing, created at once, through one process worker without a limit.

    The rate is over the time from the first call until the last run is Completed, or of those that are within 60 seconds.
    """

    name = "burst"
    rounds = 1
    sizes = (20, 100)

    def prepare(self) -> None:
        self.system.command("work-pool", "create", POOL, "--type", "process")
        self.deployment = deploy_code(self.system, "pass_by")
        self.system.start_worker()
        self.burst(1)

    def run(self) -> None:
        sizes = self.sizes[:1] if self.quick else self.sizes
        self.rates = {size: self.burst(size) for size in sizes}

    def burst(self, size: int) -> float:
        """Runs completed a second, of `size`."""
        before = self.completed()
        start = time.perf_counter()
        for number in range(size):
            create_run(self.system, self.deployment, parameters={"number": number})
        while (done := self.completed() - before) < size and time.perf_counter() < start + PATIENCE:
            time.sleep(0.02)
        return done / (time.perf_counter() - start)

    def completed(self) -> int:
        """How many runs are Completed."""
        query = {"flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}}
        count: int = self.system.call("POST", "/flow_runs/count", query)
        return count

    def measure(self) -> list[Figure]:
        return [rate(f"burst of {size} no-op flows", per_second, target=100) for size, per_second in self.rates.items()]
