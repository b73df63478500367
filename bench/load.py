"""The load generator: a process of its own, in which callers make calls as fast as they are answered.

What callers do is a function of a scenario's module, `async def load(caller, **arguments)`, which goes on while
`caller.goes_on()`. Read from standard input: a `Plan`; written to the file that is named: a `Loaded`.
"""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
import uvloop
from msgspec import Struct, field

from bench.http import Answer, Connection

PAUSE_WHEN_BROKEN = 0.05
"""Seconds before a caller connects again, so that a server that is gone is not called in a tight loop."""


class Plan(Struct, kw_only=True):
    """`function` is `package.module:name`; what is called before `warm_up` seconds have passed is not measured."""

    function: str
    port: int
    callers: int
    seconds: float
    warm_up: float = 0.0
    arguments: dict[str, Any] = field(default_factory=dict)


class Loaded(Struct, kw_only=True):
    """What a load found: per name of a call the seconds that each took, and the answers that were not good."""

    seconds: float
    """From the end of the warm-up until the last caller was done."""
    total: int
    """Calls, with those of the warm-up."""
    cpu_seconds: float
    """What the load itself took of the processors, from the first call to the last."""
    wall_seconds: float
    calls: dict[str, list[float]] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    notes: list[Any] = field(default_factory=list)

    def rate(self, name: str) -> float:
        """Good answers a second."""
        return len(self.calls.get(name, ())) / self.seconds

    @property
    def cpu_share(self) -> float:
        """How much of one core the load took; near 1, it is the load that was measured."""
        return self.cpu_seconds / self.wall_seconds if self.wall_seconds else 0.0


class Clockwork:
    """What all callers of a load share: its times, its tally, and whatever its function keeps in `shared`."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.begin = time.perf_counter()
        self.measured_from = self.begin + plan.warm_up
        self.end = self.measured_from + plan.seconds
        self.calls: dict[str, list[float]] = {}
        self.refused: Counter[str] = Counter()
        self.total = 0
        self.notes: list[Any] = []
        self.shared: dict[str, Any] = {}
        self.done = False


class Caller:
    """One of a load's callers, with a connection of its own; `number` counts from 0."""

    def __init__(self, number: int, clockwork: Clockwork) -> None:
        self.number = number
        self.of = clockwork.plan.callers
        self.shared = clockwork.shared
        self._clockwork = clockwork
        self._connection = Connection("127.0.0.1", clockwork.plan.port)

    def goes_on(self) -> bool:
        """Whether there is time left, and no caller has said that all is done."""
        return not self._clockwork.done and time.perf_counter() < self._clockwork.end

    @property
    def seconds(self) -> float:
        """Since the load began."""
        return time.perf_counter() - self._clockwork.begin

    async def sleep(self, seconds: float) -> None:
        """Do nothing, but not beyond the end."""
        await asyncio.sleep(min(seconds, max(self._clockwork.end - time.perf_counter(), 0)))

    def finish(self) -> None:
        """Tell all callers that there is nothing left to be done."""
        self._clockwork.done = True

    def note(self, note: Any) -> None:
        """Hand a fact to the scenario's `measure`."""
        self._clockwork.notes.append(note)

    async def call(self, name: str | None, method: str, target: str, body: bytes = b"") -> Answer:
        """One call, counted under `name`; below `/api`. Without a name it is not measured."""
        clockwork = self._clockwork
        start = time.perf_counter()
        answer = await self._connection.call(method, f"/api{target}", body)
        clockwork.total += 1
        if name is not None and start >= clockwork.measured_from:
            if answer.is_good:
                clockwork.calls.setdefault(name, []).append(time.perf_counter() - start)
            else:
                clockwork.refused[str(answer.status)] += 1
        if answer.status == 0:
            await asyncio.sleep(PAUSE_WHEN_BROKEN)
        return answer

    @asynccontextmanager
    async def timed(self, name: str) -> AsyncIterator[None]:
        """Count what is done inside as one call under `name`."""
        start = time.perf_counter()
        yield
        if start >= self._clockwork.measured_from:
            self._clockwork.calls.setdefault(name, []).append(time.perf_counter() - start)

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


Function = Callable[..., Coroutine[Any, Any, None]]


def share(items: list[Any], caller: Caller) -> Iterator[Any]:
    """The part of `items` that is this caller's."""
    return iter(items[caller.number :: caller.of])


async def run(plan: Plan) -> Loaded:
    """Let the callers go until the time is up."""
    module, _, name = plan.function.partition(":")
    function: Function = getattr(import_module(module), name)
    clockwork = Clockwork(plan)
    callers = [Caller(number, clockwork) for number in range(plan.callers)]
    cpu = time.process_time()
    async with asyncio.TaskGroup() as tasks:
        for caller in callers:
            tasks.create_task(function(caller, **plan.arguments))
    end = time.perf_counter()
    for caller in callers:
        caller.close()
    return Loaded(
        seconds=max(end - clockwork.measured_from, 1e-9),
        total=clockwork.total,
        cpu_seconds=time.process_time() - cpu,
        wall_seconds=end - clockwork.begin,
        calls=clockwork.calls,
        refused=dict(clockwork.refused),
        notes=clockwork.notes,
    )


def main() -> None:
    """Run the plan of standard input."""
    plan = msgspec.json.decode(sys.stdin.buffer.read(), type=Plan)
    loaded = uvloop.run(run(plan))
    Path(sys.argv[1]).write_bytes(msgspec.json.encode(loaded))


if __name__ == "__main__":
    main()
