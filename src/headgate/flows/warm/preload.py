"""Importing a flow's code once for many runs, and judging whether that is any different from importing it in each."""

import importlib.util
import os
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headgate.flows import outcomes, prefect_flows
from headgate.flows.entrypoints import load_flow
from headgate.flows.loading import enter
from headgate.flows.warm import chance, moment, traces
from headgate.flows.warm.wire import Preload, Stamp, Unfit, stamp_of

_ENGINES_OWN = ("asyncio", "headgate.client.http", "encodings.idna")
"""What engines import later, if at all, for the sake of their start."""

_INSTALLED = ("/site-packages/", "/dist-packages/")
_MOST_OUTPUT = 1_000_000


@dataclass(slots=True)
class Imported:
    """An import that every run may share: the files that it read, what it printed, the generators that it made."""

    files: list[Stamp]
    output: bytes = b""
    generators: chance.Generators = field(default_factory=chance.Generators)


def import_ahead() -> None:
    """Have the modules of the engine that are imported late."""
    for name in _ENGINES_OWN:
        importlib.import_module(name)


def imported(order: Preload) -> Imported | Unfit:
    """Import the code as a run's engine would, in the environment and the directories that the order names."""
    os.environb.clear()
    os.environb.update(order.environment)
    with _watched() as files, _captured() as output, chance.noted() as generators:
        try:
            os.chdir(order.directory)
            for directory in order.directories:
                enter(directory)
            prefect_flows.import_ahead(Path(order.entrypoint.rpartition(":")[0]).absolute())
            before, state = traces.taken(), random.getstate()
            with moment.noted(_is_own) as asked:
                load_flow(order.entrypoint, base=Path.cwd())
        except BaseException as error:
            return Unfit(f"could not be imported: {outcomes.describe(error)}", _stamps(files), failed=True)
        traces.settle()
        reason = _difference(before, state) or _question(asked)
    if reason is not None:
        return Unfit(reason, _stamps(files))
    if not all(stamp.is_current() for stamp in files.values()):
        return Unfit("reads files that change meanwhile", [], failed=True)
    return Imported(_stamps(files), output[0], generators)


def _difference(before: traces.Traces, state: Any) -> str | None:
    if chance.used_since(state):
        return "draws or seeds random numbers"
    return traces.left_since(before)


def _question(asked: set[str]) -> str | None:
    return f"asks for {' and '.join(sorted(asked))}" if asked else None


@contextmanager
def _captured() -> Iterator[list[bytes]]:
    """What is written to stdout and stderr inside, as the one item of the list, afterwards."""
    output: list[bytes] = []
    kept = os.dup(1), os.dup(2)
    file = os.memfd_create("headgate-import")
    os.dup2(file, 1)
    os.dup2(file, 2)
    try:
        yield output
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        output.append(os.pread(file, _MOST_OUTPUT, 0))
        os.dup2(kept[0], 1)
        os.dup2(kept[1], 2)
        for descriptor in (file, *kept):
            os.close(descriptor)


_watching: dict[str, Stamp] | None = None


@contextmanager
def _watched() -> Iterator[dict[str, Stamp]]:
    """The files that are read inside, each with the stamp that it had just before."""
    global _watching
    sys.addaudithook(_note_open)
    files: dict[str, Stamp] = {}
    _watching = files
    try:
        yield files
    finally:
        _watching = None


def _note_open(event: str, arguments: tuple[Any, ...]) -> None:
    if _watching is None or event != "open" or not isinstance(arguments[0], str | bytes):
        return
    if _is_for_writing(*arguments[1:3]):
        return
    path = _source_of(os.path.abspath(os.fsdecode(arguments[0])))
    if path not in _watching and not _is_given(path):
        _watching[path] = stamp_of(path)


def _is_for_writing(mode: str | None, flags: int) -> bool:
    return bool(set(mode) & set("wax+")) if mode else bool(flags & (os.O_WRONLY | os.O_RDWR))


def _source_of(path: str) -> str:
    if not path.endswith(".pyc"):
        return path
    try:
        return importlib.util.source_from_cache(path)
    except ValueError:
        return path


def _is_given(path: str) -> bool:
    """Whether a file comes with Python, an installed package or the system: there only installations change anything."""
    return path.startswith((_LIBRARY, "/proc/", "/sys/", "/dev/")) or any(part in path for part in _INSTALLED)


_OURS = str(Path(outcomes.__file__).parents[1]) + os.sep


def _is_own(path: str) -> bool:
    """Whether code is the user's: of a file that neither we nor an installation brought."""
    return not path.startswith(("<", _OURS)) and not _is_given(path)


_LIBRARY = os.path.dirname(os.__file__) + os.sep


def _stamps(files: dict[str, Stamp]) -> list[Stamp]:
    return [*files.values(), *map(stamp_of, traces.sites())]
