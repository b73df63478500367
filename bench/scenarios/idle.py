"""What a worker without work asks of a server."""

import time

from bench.counting import CountingProxy
from bench.shape import Figure, Scenario
from bench.system import POOL


class Idle(Scenario):
    """Requests and bytes that one process worker sends in a minute in which there is nothing to run.

    It calls the server through a proxy that counts. What it sends in its first five seconds, when it joins, is left out.
    """

    name = "idle"
    rounds = 1
    databases = ()

    def prepare(self) -> None:
        self.system.command("work-pool", "create", POOL, "--type", "process")

    def run(self) -> None:
        with CountingProxy(self.system.port) as proxy:
            worker = self.system.start_worker(self.system.env(proxy.port))
            time.sleep(5)
            requests, sent, cpu = proxy.requests, proxy.bytes, worker.cpu_seconds
            self.seconds = self.choose(60, 10)
            time.sleep(self.seconds)
            self.requests, self.bytes = proxy.requests - requests, proxy.bytes - sent
            self.cpu = worker.cpu_seconds - cpu
            self.megabytes = worker.resident_megabytes
            worker.stop()

    def measure(self) -> list[Figure]:
        minutes = self.seconds / 60
        return [
            Figure(name="requests", value=self.requests / minutes, unit="/min"),
            Figure(name="kilobytes sent", value=self.bytes / 1000 / minutes, unit="/min"),
            Figure(name="CPU", value=self.cpu / minutes, unit="s/min"),
            Figure(name="memory", value=self.megabytes, unit="MB"),
        ]
