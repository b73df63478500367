"""The command line."""

import time

from bench.numbers import median
from bench.shape import Figure, Scenario


class Help(Scenario):
    """The time that `--help` takes, from the start of the process to its end; the median of ten (quick mode: three)."""

    name = "help"
    databases = ()
    needs_server = False

    def prepare(self) -> None:
        self.system.command("--help")  # the first one compiles

    def run(self) -> None:
        self.seconds = [self.time_help() for _ in range(int(self.choose(10, 3)))]

    def time_help(self) -> float:
        """One `--help`."""
        start = time.perf_counter()
        self.system.command("--help")
        return time.perf_counter() - start

    def measure(self) -> list[Figure]:
        return [Figure(name="--help", value=median(self.seconds) * 1000, unit="ms", target=60.0)]
