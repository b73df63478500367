"""From a call to user code, with a real worker."""

import time

from bench.processes import Trouble
from bench.shape import Figure, Scenario, latencies
from bench.system import POOL
from bench.world import create_run, deploy_code

PATIENCE = 60.0


class Trigger(Scenario):
    """From the call that creates a run to the first line of its flow, with one process worker that has nothing else to do.

    The flow's first act is to write the time into a file. The next run is created two seconds after the last one began. The
    first run is not counted: whatever is only done once is done then.
    """

    name = "trigger"
    rounds = 1

    def prepare(self) -> None:
        self.system.command("work-pool", "create", POOL, "--type", "process")
        self.deployment = deploy_code(self.system, "begin")
        self.system.start_worker()
        self.begin(0)

    def run(self) -> None:
        deadline = time.monotonic() + self.choose(50, 20)
        self.waited: list[float] = []
        while len(self.waited) < self.choose(20, 3) and time.monotonic() < deadline:
            time.sleep(2)
            self.waited.append(self.begin(len(self.waited) + 1))

    def begin(self, number: int) -> float:
        """Create run number `number`; the seconds until its code ran."""
        file = self.system.project / "begun" / str(number)
        start = time.time()
        create_run(self.system, self.deployment, parameters={"number": number})
        while not (file.exists() and (text := file.read_text())):
            if time.time() > start + PATIENCE:
                raise Trouble(f"run {number} did not begin within {PATIENCE:g} s.\n{self.system.programs[-1].last_words()}")
            time.sleep(0.001)
        return float(text) - start

    def measure(self) -> list[Figure]:
        return latencies("trigger to first line", self.waited, p50=25, p99=100)
