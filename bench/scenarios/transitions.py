"""Moving runs from state to state."""

from datetime import UTC, datetime, timedelta

from bench import backlog
from bench.load import Caller, share
from bench.shape import Figure, Scenario, latencies, rate, refusals
from bench.world import create_pool, create_template, deploy

CALLERS = 16
AHEAD = timedelta(hours=1)
"""No run becomes late while it is measured."""
STATES = ("PENDING", "RUNNING", "COMPLETED")


class Transitions(Scenario):
    """State transitions. 16 callers take runs through Pending, Running and Completed, a `set_state` each.

    The server's processor time is that of its process over the whole load, by the number of all calls.
    """

    name = "transitions"

    def prepare(self) -> None:
        create_pool(self.system)
        template = create_template(self.system, deploy(self.system))
        self.seconds, self.warm_up = self.choose(10, 4), self.choose(3, 1)
        count = int((self.seconds + self.warm_up) * self.system.side.calls_a_second / len(STATES))
        now = datetime.now(UTC)
        self.runs = backlog.load(self.system, template, first=1, last=count, due=now + AHEAD, begins=now)
        backlog.analyze(self.system)

    def run(self) -> None:
        server, store = self.system.server, self.system.store
        assert server is not None
        before, database_before = server.cpu_seconds, store.cpu_seconds
        self.loaded = self.system.load(
            "transitions:load", callers=CALLERS, seconds=self.seconds, warm_up=self.warm_up, runs=self.runs
        )
        self.cpu_seconds = server.cpu_seconds - before
        self.database_cpu_seconds = store.cpu_seconds - database_before

    def measure(self) -> list[Figure]:
        figures = [
            rate("transitions", self.loaded.rate("set_state"), target=5000),
            *latencies("set_state", self.loaded.calls.get("set_state", ())),
            Figure(name="server CPU per transition", value=self._milliseconds(self.cpu_seconds), unit="ms", target=0.2),
            Figure(name="proposals that were not accepted", value=len(self.loaded.notes), unit="", target=0),
            refusals(self.loaded),
        ]
        if self.database_cpu_seconds:
            value = self._milliseconds(self.database_cpu_seconds)
            figures.insert(-2, Figure(name="database CPU per transition", value=value, unit="ms"))
        return figures

    def _milliseconds(self, cpu_seconds: float) -> float:
        return cpu_seconds / max(self.loaded.total, 1) * 1000


async def load(caller: Caller, *, runs: list[str]) -> None:
    """Take one run after the other to its end."""
    for run in share(runs, caller):
        for state in STATES:
            if not caller.goes_on():
                return
            if not await propose(caller, run, state):
                caller.note({"refused": state})


async def propose(caller: Caller, run: str, state: str, *, name: str | None = "set_state") -> bool:
    """Propose a state; whether it was accepted."""
    answer = await caller.call(name, "POST", f"/flow_runs/{run}/set_state", b'{"state":{"type":"%b"}}' % state.encode())
    return answer.is_good and b'"status":"ACCEPT"' in answer.body
