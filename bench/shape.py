"""The one shape of a scenario: prepare, run, measure; and what measuring gives."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from enum import StrEnum
from typing import ClassVar

from msgspec import Struct

from bench.load import Loaded
from bench.numbers import percentile
from bench.system import POSTGRESQL, SQLITE, System


class Better(StrEnum):
    """Which way a figure should go."""

    MORE = "more"
    LESS = "less"


class Figure(Struct, frozen=True, kw_only=True):
    """One number. `target` is what ours has to reach, by the design; None where it asks nothing."""

    name: str
    value: float
    unit: str
    better: Better = Better.LESS
    target: float | None = None

    @property
    def is_reached(self) -> bool | None:
        """Whether the value is as good as the target; None without one."""
        if self.target is None:
            return None
        return self.value >= self.target if self.better is Better.MORE else self.value <= self.target


class Scenario(ABC):
    """One thing that is measured, on one system. Its docstring says what, and how; what it finds out stays in it."""

    name: ClassVar[str]
    databases: ClassVar[Sequence[str]] = (SQLITE, POSTGRESQL)
    """On which databases it is run; without any it is run once, as the database makes no difference."""
    rounds: ClassVar[int] = 2
    """How often each side has its turn; the quick mode does with one."""
    only_ours: ClassVar[bool] = False
    """Whether there is nothing of the peer to compare with."""
    needs_server: ClassVar[bool] = True
    """Whether a server with a fresh database runs before `prepare`."""

    def __init__(self, system: System, *, quick: bool, ended_runs: int | None = None) -> None:
        """`ended_runs`: how many to load, where a scenario is about such; None leaves it to the mode."""
        self.system = system
        self.quick = quick
        self.ended_runs = ended_runs

    @abstractmethod
    def prepare(self) -> None:
        """Set up what is needed; not measured."""

    @abstractmethod
    def run(self) -> None:
        """Do what is measured."""

    @abstractmethod
    def measure(self) -> list[Figure]:
        """The figures of what was done."""

    def choose(self, full: float, quick: float) -> float:
        """One of two lengths of time, by the mode."""
        return quick if self.quick else full


def rate(name: str, per_second: float, *, target: float | None = None, unit: str = "/s") -> Figure:
    """A figure of which more is better."""
    return Figure(name=name, value=per_second, unit=unit, better=Better.MORE, target=target)


def latencies(name: str, seconds: Sequence[float], *, p50: float | None = None, p99: float | None = None) -> list[Figure]:
    """The median and the 99th percentile, in milliseconds, with their targets; nothing when nothing was answered."""
    if not seconds:
        return []
    return [
        Figure(name=f"{name}, p50", value=percentile(seconds, 50) * 1000, unit="ms", target=p50),
        Figure(name=f"{name}, p99", value=percentile(seconds, 99) * 1000, unit="ms", target=p99),
    ]


def refusals(loaded: Loaded) -> Figure:
    """Calls that were answered with an error, or not at all."""
    return Figure(name="answers that were errors", value=sum(loaded.refused.values()), unit="", target=0)
