"""A system on which chaos is let loose: what its runs note, who was killed when, and what has to hold in the end."""

import os
import random
import signal
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from time import monotonic
from uuid import UUID

from real_system import Program, System, is_alive

from headgate.client.calls import flow_runs
from headgate.core.states import NEXT
from headgate.schema.filters import FlowRunFilter, FlowRunQuery, StateFilter, StateTypeFilter
from headgate.schema.states import StateType

COMPLETED = FlowRunQuery(flow_runs=FlowRunFilter(state=StateFilter(type=StateTypeFilter(any_=[StateType.COMPLETED]))))
RUNS = 60
LIMIT = 6
WORKERS = 2
BLOWS = 10
HASTE: dict[str, object] = {
    "server_leases_seconds": 4,
    "server_leases_grace_seconds": 2,
    "server_services_lifeline_loop_seconds": 0.25,
}

FLOW = """
import os, time
from headgate import flow

@flow
def work(journal: str):
    attempt = os.environ["HEADGATE__FLOW_RUN_ID"], os.environ["HEADGATE__FENCE"], os.getpid()

    def note(what):
        file = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, " ".join(map(str, (time.monotonic(), what, *attempt))).encode() + b"\\n")
        os.close(file)

    note("begin")
    time.sleep(0.1)
    note("end")
"""

FILE = """
deployments:
  - name: chaos
    entrypoint: chaos.py:work
    work_pool: {name: local}
    infra_retries: {max: 100, delay_seconds: 0, reasons: [launch_error, lost, out_of_memory, preempted, other]}
"""


@dataclass(frozen=True)
class Entry:
    """A line of the journal: when, what, of which attempt, in which process."""

    at: float
    what: str
    run: str
    fence: str
    pid: int

    @property
    def attempt(self) -> tuple[str, str]:
        """The run, and which of its attempts."""
        return self.run, self.fence


class Arena:
    """A server, workers, a journal that all runs write, and who was killed when."""

    def __init__(self, system: System, url: str, seed: int) -> None:
        self.system = system
        self.random = random.Random(seed)
        self.settings: dict[str, object] = HASTE | {"server_database_connection_url": url}
        self.journal = system.root / "journal"
        self.journal.touch()
        self.killed: dict[int, float] = {}
        self.server = system.start_server(**self.settings)
        system.headgate("work-pool", "create", "local", "--type", "process", "--concurrency-limit", str(LIMIT))
        (system.project / "chaos.py").write_text(FLOW)
        (system.project / "headgate.yaml").write_text(FILE)
        system.headgate("deploy", "--all")
        self.workers = [system.start_worker() for _ in range(WORKERS)]

    def entries(self) -> list[Entry]:
        """What the runs have noted."""
        lines = [line.split() for line in self.journal.read_text().splitlines()]
        return [Entry(float(at), what, run, fence, int(pid)) for at, what, run, fence, pid in lines]

    def strike(self) -> None:
        """Kill something, and start it again if nobody else does."""
        self.random.choice((self.kill_server, self.kill_worker, self.kill_engine, self.kill_engine))()

    def kill_server(self) -> None:
        """The only server, which comes back."""
        self.server.kill()
        self.server = self.system.start_server(**self.settings)

    def kill_worker(self) -> None:
        """One of the workers; another takes its place."""
        worker: Program = self.workers.pop(self.random.randrange(len(self.workers)))
        worker.kill()
        self.workers.append(self.system.start_worker())

    def kill_engine(self) -> None:
        """The engine of one of the runs that execute."""
        ended = {each.attempt for each in self.entries() if each.what == "end"}
        going = {each.pid for each in self.entries() if each.what == "begin" and each.attempt not in ended}
        if alive := sorted(pid for pid in going - self.killed.keys() if is_alive(pid)):
            pid = self.random.choice(alive)
            self.killed[pid] = monotonic()
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def completed(self) -> int:
        """How many runs are."""
        return self.system.client.send(flow_runs.count(COMPLETED))

    def executions(self) -> list[tuple[float, float, Entry]]:
        """From when to when each attempt executed: until it said so, or until it was killed."""
        entries = self.entries()
        ended = {each.attempt: each.at for each in entries if each.what == "end"}
        begun = [each for each in entries if each.what == "begin"]
        return [(each.at, ended.get(each.attempt) or self.killed[each.pid], each) for each in begun]

    def check(self, ids: Sequence[UUID]) -> None:
        """What has to hold, once all runs have ended."""
        executions = self.executions()
        assert {each.run for _, _, each in executions} == {str(id) for id in ids}
        assert max(Counter(each.attempt for _, _, each in executions).values()) == 1, "an attempt executed twice"
        for id in map(str, ids):
            own = sorted((begin, end) for begin, end, each in executions if each.run == id)
            assert all(end <= begin for (_, end), (begin, _) in pairwise(own)), f"attempts of {id} executed at once: {own}"
        steps = sorted([(begin, 1) for begin, _, _ in executions] + [(end, -1) for _, end, _ in executions])
        assert max(sum(change for _, change in steps[: count + 1]) for count in range(len(steps))) <= LIMIT
        for states in map(self.system.states, ids):
            assert all(later.type in NEXT[earlier.type] for earlier, later in pairwise(states)), states
