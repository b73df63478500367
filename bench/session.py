"""One benchmark: every chosen scenario on every chosen database, the sides taking turns."""

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from traceback import format_exception

from bench.processes import Trouble
from bench.profiling import Profiler
from bench.results import Turn
from bench.shape import Scenario
from bench.sides import Side
from bench.system import Stores, System

Say = Callable[[str], None]
Keep = Callable[[Turn], None]


@dataclass(frozen=True, slots=True)
class Choice:
    """What is to be measured. `sides` begins with ours."""

    scenarios: Sequence[type[Scenario]]
    databases: Sequence[str]
    sides: Sequence[Side]
    quick: bool
    ended_runs: int | None = None
    """How many ended runs the scenario about them loads, when it is not to choose by the mode."""


@dataclass
class Session:
    """Runs the turns; each has a fresh system, which is gone when it is over. `folder` is for what they leave."""

    choice: Choice
    stores: Stores
    folder: Path
    say: Say
    profiles: Path | None = None
    """Where profiles of our servers go, when they are wanted."""
    sampler: str | None = None
    """What samples them, when it is not found by itself."""
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def run(self, keep: Keep) -> None:
        """All turns; each is kept as soon as it is over. What goes wrong in one is noted there, and the next begins."""
        for scenario, database, number, side in turns(self.choice):
            self.say(f"{scenario.name} on {database or 'any database'}, {side.name}, round {number} ...")
            keep(self._take(scenario, database, number, side))

    def _take(self, scenario: type[Scenario], database: str | None, number: int, side: Side) -> Turn:
        turn = Turn(scenario=scenario.name, side=side.name, database=database, round=number)
        start = time.monotonic()
        folder = self.folder / f"{next(self._numbers)}-{scenario.name}-{side.name}"
        try:
            self._measure(scenario, database or self.choice.databases[0], side, folder, turn)
        except Exception as error:  # whatever it is, the other turns are worth having
            turn.trouble = str(error) if isinstance(error, Trouble) else "".join(format_exception(error))
            self.say(f"  no figures: {turn.trouble}")
        turn.seconds = round(time.monotonic() - start, 1)
        if turn.load_cpu_share is not None:
            self.say(f"  {turn.seconds:g} s; the load generator took {turn.load_cpu_share:g} of a core")
        shutil.rmtree(folder, ignore_errors=True)
        return turn

    def _measure(self, scenario: type[Scenario], database: str, side: Side, folder: Path, turn: Turn) -> None:
        make = self.stores.with_schema if scenario.needs_server else self.stores.empty
        store = make(side, database)
        try:
            profiler = Profiler(self.profiles / f"{scenario.name}-{database}", self.sampler) if self.profiles else None
            with System(side, store, folder) as system:
                if profiler is not None:
                    system.server_program = profiler.program(side)
                    self.say(f"  profile: {profiler.folder}")
                if scenario.needs_server:
                    system.start_server()
                measured = scenario(system, quick=self.choice.quick, ended_runs=self.choice.ended_runs)
                measured.prepare()
                with profiler.watch(system.server) if profiler is not None else nullcontext():
                    measured.run()
                turn.areas = profiler.shares() if profiler is not None else {}
                turn.figures = measured.measure()
                turn.load_cpu_share = max((round(load.cpu_share, 2) for load in system.loads), default=None)
        finally:
            self.stores.drop(store)


def turns(choice: Choice) -> Iterator[tuple[type[Scenario], str | None, int, Side]]:
    """Scenario by scenario and database by database; in every second round the sides come the other way round."""
    for scenario in choice.scenarios:
        sides = choice.sides[:1] if scenario.only_ours else choice.sides
        wanted: list[str | None] = [each for each in scenario.databases if each in choice.databases]
        for database in wanted if scenario.databases else [None]:
            for number in range(1, 2 if choice.quick else scenario.rounds + 1):
                for side in sides if number % 2 else reversed(sides):
                    yield scenario, database, number, side
