"""Being told to stop: turns SIGTERM, or a word from another thread, into an exception in the main thread."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from types import FrameType


class Reason(StrEnum):
    """Why a run has to stop."""

    SIGNAL = "SIGTERM"
    """Somebody ended this process: a worker that cancels the run or shuts down, the system, a user."""
    CANCEL = "cancelled"
    """The API says that the run is to be cancelled."""
    LOST = "lost"
    """The run belongs to another holder now."""


class Terminated(BaseException):
    """Raised in user code that has to stop. Not an `Exception`, so that it passes through `except Exception`."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(str(reason))
        self.reason = reason


class Interrupts:
    """When and how user code may be interrupted.

    Inside `open()`, a stop raises `Terminated` at once, also out of sleeps and blocking calls; elsewhere it waits for
    the next `open()`.
    """

    def __init__(self) -> None:
        self.reason: Reason | None = None
        self._word: Reason | None = None
        self._open = False
        self._redirect: Callable[[], object] | None = None
        self._left = False

    @contextmanager
    def installed(self) -> Iterator["Interrupts"]:
        """Take over SIGTERM. Only in the main thread."""
        previous = signal.signal(signal.SIGTERM, self._receive)
        _installed.append(self)
        try:
            yield self
        finally:
            _installed.remove(self)
            signal.signal(signal.SIGTERM, previous)

    @contextmanager
    def open(self) -> Iterator[None]:
        """Inside, user code runs."""
        try:
            self._open = True
            self.check()
            yield
        finally:
            self._open = False

    @contextmanager
    def redirected(self, stop: Callable[[], object]) -> Iterator[None]:
        """Inside, a stop calls `stop` in the signal's handler instead of raising: an event loop cancels its task."""
        self._redirect = stop
        try:
            yield
        finally:
            self._redirect = None

    def leave_to(self, engine: Callable[[], int]) -> int:
        """Call another engine, which handles SIGTERM itself; what it answers.

        That engine does not know of leases: when the run belongs to another holder, this process ends at once, so that it
        writes nothing more.
        """
        self.check()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        self._left = True
        try:
            return engine()
        finally:
            self._left = False

    def check(self) -> None:
        """Raise `Terminated` if a stop was asked for."""
        if self.reason is not None:
            raise Terminated(self.reason)

    def stop(self, reason: Reason) -> None:
        """Ask for a stop, from any thread."""
        if self._left and reason is Reason.LOST:
            os._exit(0)
        self._word = reason
        main = threading.main_thread().ident
        assert main is not None
        signal.pthread_kill(main, signal.SIGTERM)

    def _receive(self, signum: int, frame: FrameType | None) -> None:
        self.reason = self.reason or self._word or Reason.SIGNAL
        if not self._open:
            return
        if self._redirect is not None:
            self._redirect()
        else:
            raise Terminated(self.reason)


_installed: list[Interrupts] = []


class _Forking(threading.local):
    """The signals that this thread held back before it began to fork."""

    mask: set[int] | None = None


_forking = _Forking()


def _hold_back() -> None:
    """SIGTERM waits while a process is forked: the interpreter forgets what reaches a child before it is one of its own."""
    if _installed:
        _forking.mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})


def _let_through() -> None:
    if _forking.mask is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, _forking.mask)
        _forking.mask = None


def _let_go() -> None:
    """In a forked child SIGTERM ends the process again: a pool of processes is ended by it all the time."""
    if _installed:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _let_through()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_hold_back, after_in_parent=_let_through, after_in_child=_let_go)
