"""Chaos over several servers on one PostgreSQL, behind a balancer: servers are killed, PostgreSQL is restarted without a
shutdown, a server is cut off from it in silence and comes back; workers and engines are killed, too.

The same has to hold as for one server. `HEADGATE_CHAOS_RUNS` and `HEADGATE_CHAOS_SEED` make it longer, or another.
"""

import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from arena import FILE, FLOW, HASTE, LIMIT, WORKERS, Arena
from real_system import HEADGATE, Program, System, as_env, free_port
from relays import Balancer, Gate, Wires

RUNS = int(os.environ.get("HEADGATE_CHAOS_RUNS", "50"))
SEED = int(os.environ.get("HEADGATE_CHAOS_SEED", "1"))
SERVERS = 3
RUNS_PER_BLOW = 7
CUT_SECONDS = 3.0
QUICK: dict[str, object] = HASTE | {
    "server_services_lease_seconds": 2,
    "server_database_timeout": 2,
    "server_database_connection_timeout": 2,
}


@pytest.fixture
def dialect() -> str:
    return "postgresql"


@pytest.fixture
def wires() -> Iterator[Wires]:
    with Wires() as made:
        yield made


class Cluster(Arena):
    """Servers, each with a way of its own to the database, and a balancer in front of them."""

    def __init__(self, system: System, url: str, postgresql: Any, wires: Wires) -> None:
        self.system = system
        self.random = random.Random(SEED)
        self.postgresql = postgresql
        self.struck: Counter[str] = Counter()
        self.journal = system.root / "journal"
        self.journal.touch()
        self.killed = {}
        self.gates = [Gate(wires, url) for _ in range(SERVERS)]
        self.ports = [free_port() for _ in range(SERVERS)]
        self.servers = [self.start(0)]  # the first makes the schema
        self.servers += [self.start(number) for number in range(1, SERVERS)]
        self.balancer = Balancer(wires, system.port, lambda: self.ports)
        system.until(system.answers, "the balancer to answer")
        system.headgate("work-pool", "create", "local", "--type", "process", "--concurrency-limit", str(LIMIT))
        (system.project / "chaos.py").write_text(FLOW)
        (system.project / "headgate.yaml").write_text(FILE)
        system.headgate("deploy", "--all")
        self.workers = [system.start_worker() for _ in range(WORKERS)]

    def start(self, number: int) -> Program:
        """One of the servers."""
        env = as_env(QUICK | {"server_database_connection_url": self.gates[number].url})
        port = str(self.ports[number])
        program = self.system.start(HEADGATE, "server", "start", "--port", port, name=f"server{number}", env=env)
        self.system.wait_for_text(program, "OpenAPI")
        return program

    def strike(self) -> None:
        blows = [self.kill_server, self.crash, self.kill_engine, self.cut_off, self.kill_worker]
        blow = blows[sum(self.struck.values()) % len(blows)]  # each in its turn; whom it hits is random
        self.struck[blow.__name__] += 1
        blow()

    def kill_server(self) -> None:
        number = self.random.randrange(SERVERS)
        self.servers[number].kill()
        self.servers[number] = self.start(number)

    def crash(self) -> None:
        """PostgreSQL, which comes back: what was committed is there, whoever was connected is not."""
        self.postgresql.crash()

    def cut_off(self) -> None:
        """One of the servers, for longer than it leads without renewal."""
        gate = self.random.choice(self.gates)
        gate.cut()
        time.sleep(CUT_SECONDS)
        gate.mend()


@pytest.fixture
async def lasting_url(empty_url: str, postgresql: Any) -> str:
    """Of a database whose commits outlive a crash of PostgreSQL."""
    name = urlsplit(empty_url).path.strip("/")
    await postgresql.run(f"ALTER DATABASE {name} SET synchronous_commit = on")
    return empty_url


def test_servers_and_their_database_may_fail_and_the_rules_hold(
    system: System, lasting_url: str, postgresql: Any, wires: Wires
) -> None:
    cluster = Cluster(system, lasting_url, postgresql, wires)
    began = time.monotonic()
    ids = [system.create_run("work/chaos", journal=str(cluster.journal)) for _ in range(RUNS)]
    for share in range(RUNS_PER_BLOW, RUNS, RUNS_PER_BLOW):
        system.until(lambda share=share: len(cluster.entries()) >= 2 * share, f"{share} runs to execute")  # type: ignore[misc]
        cluster.strike()
    system.until(lambda: cluster.completed() == RUNS, "all runs to complete", seconds=120)
    attempts = len(cluster.executions())
    print(f"{RUNS} runs, {attempts} executions, {time.monotonic() - began:.1f} s, {dict(cluster.struck)}")
    cluster.check(ids)
