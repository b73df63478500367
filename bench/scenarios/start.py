"""Starting a server, and what it takes when it has nothing to do."""

import time

from bench.shape import Figure, Scenario


class Start(Scenario):
    """A server's first start, with an empty home and database; its second; and its memory when it has nothing to do.

    Timed is from the start of the process until `/health` is answered. The memory is what is resident, in all its processes,
    ten seconds later (three in the quick mode); the processor time is what it takes in these seconds.
    """

    name = "start"
    needs_server = False

    def prepare(self) -> None:
        """Nothing: an empty home is what is measured."""

    def run(self) -> None:
        self.first_seconds = self.system.start_server()
        self.system.programs[-1].stop()
        self.second_seconds = self.system.start_server()
        assert self.system.server is not None
        before, self.idle_seconds = self.system.server.cpu_seconds, self.choose(10, 3)
        time.sleep(self.idle_seconds)
        self.idle_cpu = self.system.server.cpu_seconds - before
        self.megabytes = self.system.server.resident_megabytes

    def measure(self) -> list[Figure]:
        return [
            Figure(name="first start", value=self.first_seconds, unit="s", target=1.0),
            Figure(name="start", value=self.second_seconds, unit="s", target=0.5),
            Figure(name="idle memory", value=self.megabytes, unit="MB", target=80.0),
            Figure(name="idle CPU", value=self.idle_cpu / self.idle_seconds * 100, unit="% of a core"),
        ]
