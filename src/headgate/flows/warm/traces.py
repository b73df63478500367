"""What an import leaves behind in a process, as far as a fork would not pass it on as it is: threads, open files, …"""

import os
import signal
import stat
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from headgate.flows.run_logger import LOGGER

_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


@dataclass(frozen=True, slots=True)
class Traces:
    """The state of a process that must be the same after an import as before it."""

    descriptors: frozenset[int]
    handlers: tuple[Any, ...]
    timers: tuple[Any, ...]
    directory: str
    settings: dict[str, str]
    log: tuple[Any, ...]


def taken() -> Traces:
    """The present state."""
    return Traces(
        descriptors=frozenset(_descriptors()),
        handlers=tuple(map(signal.getsignal, sorted(signal.valid_signals()))),
        timers=tuple(map(signal.getitimer, (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF))),
        directory=os.getcwd(),
        settings={name: value for name, value in os.environ.items() if name.startswith(("HEADGATE_", "PREFECT_"))},
        log=(LOGGER.level, tuple(LOGGER.handlers), LOGGER.propagate),
    )


def left_since(before: Traces) -> str | None:
    """What is different now and would not be the same in a fork, as the end of a sentence about the code; else None."""
    after = taken()
    if opened := after.descriptors - before.descriptors:
        return f"leaves open {', '.join(sorted(set(map(_name_of, opened))))}"
    if _has_children():
        return "starts processes"
    for differs, what in _CHANGES:
        if differs(before, after):
            return what
    return unrest()


_CHANGES: tuple[tuple[Callable[[Traces, Traces], bool], str], ...] = (
    (lambda before, after: before.descriptors != after.descriptors, "closes what it did not open"),
    (lambda before, after: before.handlers != after.handlers, "sets signal handlers"),
    (lambda before, after: before.timers != after.timers, "sets a timer"),
    (lambda before, after: before.directory != after.directory, "changes the working directory"),
    (lambda before, after: before.settings != after.settings, "changes settings of Headgate in its environment"),
    (lambda before, after: before.log != after.log, "changes the logger of runs"),
)


def unrest() -> str | None:
    """Why this process must not be forked: it has more than one thread. None when all is still."""
    threads = threading.active_count()
    if threads == 1:
        threads = _tasks()
    return None if threads == 1 else f"has {threads} threads"


def settle() -> None:
    """Have threads of native libraries end that end before every fork (OpenBLAS's do): by one."""
    if threading.active_count() > 1 or _tasks() == 1:
        return
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def memory() -> int:
    """Resident memory of this process, in bytes."""
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * _PAGE


def sites() -> list[str]:
    """The directories of installed packages: an installation adds to them, or takes something out."""
    return [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]


def close_all_but(*kept: int) -> None:
    """Close every other open file of this process."""
    for descriptor in _descriptors():
        if descriptor not in kept:
            os.close(descriptor)


def _descriptors() -> list[int]:
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            os.fstat(int(name))
        except OSError:  # that of the listing itself
            continue
        found.append(int(name))
    return found


def _tasks() -> int:
    return len(os.listdir("/proc/self/task"))


def _has_children() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _name_of(descriptor: int) -> str:
    if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
        return "a socket"
    return os.readlink(f"/proc/self/fd/{descriptor}")
