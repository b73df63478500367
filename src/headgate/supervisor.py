"""Several server processes behind one listening socket: started, watched, started again when they die, and ended together.

They are forked, so that they share the pages of all that is imported, and they share the socket, so that a connection
that waits to be accepted is not lost with any of them. The supervisor runs no event loop and no thread of its own.
"""

import contextlib
import logging
import os
import selectors
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from headgate.clock import monotonic
from headgate.errors import HeadgateError

READY = b"\0"
"""What a process writes once it answers; one that cannot start writes why instead."""

_STOP_SECONDS = 20.0
_SETTLED_SECONDS = 5.0
"""A process that lived for longer is started again at once; others after a pause that doubles."""
_LONGEST_PAUSE = 30.0
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)

_LOG = logging.getLogger("headgate.server")

Run = Callable[[Callable[[], None], int], None]
"""Serves until told to stop; is given what to call once it answers, and what is closed once nobody watches any more."""


@dataclass(slots=True)
class _Process:
    """A server process; `said` is what came from it before it answered."""

    pid: int
    pipe: int
    began: float
    said: bytes = b""
    ready: bool = False


class Supervisor:
    """`count` processes that each `run`; `tell` is called with their pids whenever all answer."""

    def __init__(self, count: int, run: Run, tell: Callable[[Sequence[int]], None]) -> None:
        self._count = count
        self._run = run
        self._tell = tell
        self._processes: dict[int, _Process] = {}
        self._selector = selectors.DefaultSelector()
        self._stopping = False
        self._was_ready = False
        self._failures = 0
        self._start_at = monotonic()

    def run(self) -> None:
        """Until SIGTERM or SIGINT; `HeadgateError`, once, when they cannot start."""
        self._leash, self._leashed = os.pipe()
        self._wake, wakes = socket.socketpair()
        with self._wake, wakes:
            for end in (self._wake, wakes):
                end.setblocking(False)
            self._selector.register(self._wake, selectors.EVENT_READ)
            before = {number: signal.signal(number, self._signalled) for number in _SIGNALS}
            signal.set_wakeup_fd(wakes.fileno())
            try:
                while not self._stopping:
                    self._start_missing()
                    self._wait(self._start_at - monotonic() if len(self._processes) < self._count else None)
                    self._reap()
            finally:
                self._stop()
                signal.set_wakeup_fd(-1)
                for number, handler in before.items():
                    signal.signal(number, handler)
                os.close(self._leash)
                os.close(self._leashed)
                self._selector.close()

    def _signalled(self, number: int, _frame: object) -> None:
        self._stopping = self._stopping or number != signal.SIGCHLD

    def _start_missing(self) -> None:
        while len(self._processes) < self._count and monotonic() >= self._start_at and not self._stopping:
            self._fork()

    def _fork(self) -> None:
        reading, writing = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        if not (pid := os.fork()):
            self._become(writing)
        os.close(writing)
        os.set_blocking(reading, False)
        self._processes[pid] = _Process(pid, reading, monotonic())
        self._selector.register(reading, selectors.EVENT_READ, pid)

    def _become(self, writing: int) -> NoReturn:
        """The life of a server process, which never returns to the code that forked it."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in _SIGNALS:
                signal.signal(number, signal.SIG_DFL)
            os.close(self._leashed)
            self._run(lambda: _say(writing, READY), self._leash)
            code = 0
        except HeadgateError as error:
            _say(writing, str(error).encode())
        except KeyboardInterrupt:
            code = 0
        except BaseException:
            _LOG.exception("a server process failed")
        finally:
            with contextlib.suppress(OSError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def _wait(self, seconds: float | None) -> None:
        for key, _ in self._selector.select(seconds):
            if key.data is None:
                with contextlib.suppress(BlockingIOError):
                    self._wake.recv(4096)
            else:
                self._listen(self._processes[key.data])

    def _listen(self, process: _Process) -> None:
        with contextlib.suppress(BlockingIOError):
            said = os.read(process.pipe, 65536)
            process.said += said
            if not said or said == READY:
                self._selector.unregister(process.pipe)
        if process.said == READY and not process.ready:
            process.ready = True
            if len(self._processes) == self._count and all(each.ready for each in self._processes.values()):
                self._was_ready = True
                self._tell([*self._processes])

    def _reap(self) -> None:
        for process in [*self._processes.values()]:
            if (status := _ended(process.pid)) is not None:
                self._forget(process)
                if not self._stopping:
                    self._lost(process, status)

    def _forget(self, process: _Process) -> None:
        if not process.ready:
            with contextlib.suppress(OSError, ValueError):
                process.said += os.read(process.pipe, 65536)
        with contextlib.suppress(KeyError):
            self._selector.unregister(process.pipe)
        os.close(process.pipe)
        del self._processes[process.pid]

    def _lost(self, process: _Process, status: int) -> None:
        why = process.said.removeprefix(READY).decode(errors="replace") or f"It ended with {_outcome(status)}."
        if not self._was_ready:
            raise HeadgateError(why)
        settled = process.ready and monotonic() - process.began > _SETTLED_SECONDS
        self._failures = 0 if settled else self._failures + 1
        pause = min(0.5 * 2 ** (self._failures - 1), _LONGEST_PAUSE) if self._failures else 0.0
        self._start_at = monotonic() + pause
        _LOG.warning("Server process %d is gone; another is started in %g s. %s", process.pid, pause, why)

    def _stop(self) -> None:
        """In good order; by force where that takes too long."""
        self._stopping = True
        self._signal(signal.SIGTERM)
        deadline = monotonic() + _STOP_SECONDS
        while self._processes and (left := deadline - monotonic()) > 0:
            self._wait(min(left, 0.5))
            self._reap()
        self._signal(signal.SIGKILL)
        for process in [*self._processes.values()]:
            os.waitpid(process.pid, 0)
            self._forget(process)

    def _signal(self, number: signal.Signals) -> None:
        for pid in self._processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


def _say(descriptor: int, text: bytes) -> None:
    with contextlib.suppress(OSError):
        os.write(descriptor, text)


def _ended(pid: int) -> int | None:
    """How a child ended; None while it lives."""
    found, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


def _outcome(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
