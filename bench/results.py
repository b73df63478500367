"""What a benchmark found, as it is kept in a file, and brought together in rows of both sides."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Struct, field

from bench.machine import Machine
from bench.numbers import median, times_better
from bench.shape import Better, Figure
from bench.sides import OURS, PEER


class Turn(Struct, kw_only=True):
    """One scenario on one side and database, once. `trouble` says why there are no figures."""

    scenario: str
    side: str
    database: str | None
    round: int
    figures: list[Figure] = field(default_factory=list)
    load_cpu_share: float | None = None
    """How much of one core the load generator took, at most."""
    seconds: float = 0.0
    trouble: str | None = None
    areas: dict[str, float] = field(default_factory=dict)
    """Where our server's time went, as shares of it, where that was looked at."""
    measured: str | None = None
    """When, and beside what load, where it was measured again later than the rest."""


class Results(Struct, kw_only=True):
    """All turns of one benchmark, with what they were measured on."""

    date: datetime
    quick: bool
    machine: Machine
    versions: dict[str, str]
    turns: list[Turn] = field(default_factory=list)
    profiled: list[Turn] = field(default_factory=list)
    """Short turns of ours, of what missed a target: not for their figures, but for their `areas`."""


class Row(Struct, frozen=True, kw_only=True):
    """One figure of both sides: each the median of its rounds."""

    scenario: str
    database: str | None
    figure: str
    unit: str
    better: Better
    ours: float | None
    theirs: float | None
    target: float | None

    @property
    def times_better(self) -> float | None:
        """How many times better ours is; None for a count, which is right or wrong."""
        if self.ours is None or self.theirs is None or not self.unit:
            return None
        return times_better(self.ours, self.theirs, more_is_better=self.better is Better.MORE)

    @property
    def is_reached(self) -> bool | None:
        """Whether ours is as good as the target; None without one, or without a figure."""
        if self.ours is None:
            return None
        return Figure(name="", value=self.ours, unit="", better=self.better, target=self.target).is_reached


def write(results: Results, folder: Path) -> Path:
    """Keep the results in a file named after their time; the file."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{results.date:%Y%m%d-%H%M%S}.json"
    file.write_bytes(msgspec.json.format(msgspec.json.encode(results)) + b"\n")
    return file


def read(file: Path) -> Results:
    """The results in a file."""
    return msgspec.json.decode(file.read_bytes(), type=Results)


def updated(results: Results, later: Results) -> Results:
    """The results with those scenarios replaced, as a whole, that were measured again later, and with those that are new."""
    when = f"{later.date:%Y-%m-%d %H:%M} UTC, load before {later.machine.load_before:g}"
    again = {turn.scenario for turn in later.turns}
    kept, sampled = (
        [turn for turn in turns if turn.scenario not in again]
        + [msgspec.structs.replace(turn, measured=turn.measured or when) for turn in newer]
        for turns, newer in ((results.turns, later.turns), (results.profiled, later.profiled))
    )
    return msgspec.structs.replace(results, quick=results.quick or later.quick, turns=kept, profiled=sampled)


def rows(results: Results) -> Iterator[Row]:
    """A row for each scenario, database and figure, in the order in which they were measured."""
    values: dict[tuple[str, str | None, str], dict[str, list[float]]] = {}
    figures: dict[tuple[str, str | None, str], Figure] = {}
    for turn in results.turns:
        for figure in turn.figures:
            key = turn.scenario, turn.database, figure.name
            figures.setdefault(key, figure)
            values.setdefault(key, {}).setdefault(turn.side, []).append(figure.value)
    for key, figure in figures.items():
        scenario, database, name = key
        yield Row(
            scenario=scenario,
            database=database,
            figure=name,
            unit=figure.unit,
            better=figure.better,
            ours=_median(values[key].get(OURS)),
            theirs=_median(values[key].get(PEER)),
            target=figure.target,
        )


def _median(values: list[float] | None) -> float | None:
    return median(values) if values else None
