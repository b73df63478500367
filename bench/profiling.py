"""Where the time of our server goes while a scenario runs: by py-spy where it is installed, else by cProfile."""

import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.environments import ROOT
from bench.processes import Program
from bench.sides import Side

SAMPLES_A_SECOND = 200
SHOWN = 40
AREAS = (
    ("headgate/api/", "our API: routes, decoding, encoding"),
    ("headgate/services/", "our use cases"),
    ("headgate/core/", "our rules"),
    ("headgate/store/sqlite.py", "SQLite, and what calls it"),
    ("headgate/store/", "our statements and records"),
    ("headgate/", "the rest of ours"),
    ("asyncpg/", "the driver of PostgreSQL"),
    ("uvicorn/", "the HTTP server"),
    ("asyncio/runners.py", "the event loop, sockets and what runs there in C"),
)
"""Where a function is, by the beginning of its file's name; the first that fits."""
ELSEWHERE = "Python's library and others"

WAITING = ("_worker (", "SqliteDatabase._write_until_closed (", "wait (")
"""Innermost functions in which a thread waits for work; a sampler does not always see that it does."""


class Profiler:
    """Writes into `folder`, which each turn has for itself."""

    def __init__(self, folder: Path, sampler: str | None = None) -> None:
        self.folder = folder
        beside = Path(sys.executable).with_name("py-spy")
        self._sampler = sampler or (str(beside) if beside.exists() else shutil.which("py-spy"))

    def program(self, side: Side) -> tuple[str, ...]:
        """What to start the server by. A sampler looks on from outside; cProfile has to start it."""
        if self._sampler is not None:
            return side.program
        return (sys.executable, "-P", str(ROOT / "bench" / "profiled.py"), str(self.folder))

    @contextmanager
    def watch(self, server: Program | None) -> Iterator[None]:
        """Sample what the server does inside; only when it is not idle does it count."""
        if self._sampler is None or server is None:
            yield
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        options = ["--format", "raw", "--rate", str(SAMPLES_A_SECOND), "--threads", "--duration", "3600"]
        command = [self._sampler, "record", "--pid", str(server.pid), "--output", str(self._stacks), *options]
        with (self.folder / "py-spy.log").open("wb") as log:
            sampler = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            yield
        finally:
            sampler.send_signal(signal.SIGINT)
            sampler.wait()
            if stacks := self._read():
                (self.folder / "hot.txt").write_text(summary(stacks))

    def shares(self) -> dict[str, float]:
        """The areas that were sampled; none without a sampler."""
        return areas(self._read())

    @property
    def _stacks(self) -> Path:
        return self.folder / "stacks.txt"

    def _read(self) -> list[str]:
        return self._stacks.read_text("utf-8", "replace").splitlines() if self._stacks.exists() else []


def areas(stacks: Iterable[str]) -> dict[str, float]:
    """The share of the samples that each area has, by innermost functions; the largest first."""
    counts: Counter[str] = Counter()
    for functions, number in _busy(stacks):
        file = functions[-1].rpartition("(")[2]
        counts[next((area for start, area in AREAS if file.startswith(start)), ELSEWHERE)] += number
    return {area: count / counts.total() for area, count in counts.most_common()}


def _busy(stacks: Iterable[str]) -> Iterator[tuple[list[str], int]]:
    """The functions that a thread was in that did not wait, the outermost first, and how many samples say so."""
    for line in stacks:
        stack, _, number = line.rpartition(" ")
        functions = [_without_line(frame) for frame in stack.split(";")]
        if not functions[-1].startswith(WAITING):
            yield functions, int(number)


def summary(stacks: Iterable[str]) -> str:
    """The functions of stacks `outer;inner COUNT`, by their share of samples: by themselves, and with what they called."""
    own: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    for functions, number in _busy(stacks):
        own[functions[-1]] += number
        for function in set(functions):
            whole[function] += number
    total = max(own.total(), 1)
    parts = []
    for title, counts in (("by themselves", own), ("with what they called", whole)):
        lines = [f"{count / total:6.1%}  {function}" for function, count in counts.most_common(SHOWN)]
        parts.append(f"{total} samples; functions {title}:\n" + "\n".join(lines) + "\n")
    return "\n".join(parts)


def _without_line(frame: str) -> str:
    """`run (store/sqlite.py:88)` is the same function on every line."""
    head, colon, line = frame.rpartition(":")
    return f"{head})" if colon and line.removesuffix(")").isdigit() else frame
