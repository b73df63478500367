"""Time limits of flows: synchronous code is interrupted by an alarm signal, coroutines by their event loop."""

import signal
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import FrameType
from typing import Any

from headgate.clock import monotonic


class TimedOut(TimeoutError):
    """A flow took longer than its `timeout_seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"took longer than its timeout of {seconds:g} s")


class _Alarm(BaseException):
    """Not an `Exception`, so that a flow's `except Exception` does not swallow its own time limit."""

    def __init__(self, limit: "_Limit") -> None:
        self.limit = limit


class _Limit:
    def __init__(self, seconds: float) -> None:
        self.ends = monotonic() + seconds


_limits: list[_Limit] = []


@contextmanager
def deadline(seconds: float | None) -> Iterator[None]:
    """Raise `TimedOut` out of the block once it has taken `seconds`; None sets no limit.

    Blocks may be nested. Only the main thread can be interrupted: `enforceable()` tells.
    """
    if seconds is None or not enforceable():
        yield
        return
    limit = _Limit(seconds)
    previous = signal.signal(signal.SIGALRM, _ring) if not _limits else None
    _limits.append(limit)
    try:
        try:
            _arm()
            yield
        finally:
            _disarm(limit, previous)
    except _Alarm as alarm:
        _disarm(limit, previous)  # the alarm may have struck inside the line above
        if alarm.limit is not limit:
            raise
        raise TimedOut(seconds) from None


@asynccontextmanager
async def async_deadline(seconds: float | None) -> AsyncIterator[None]:
    """`deadline` for coroutines, in any thread; what blocks its event loop is not interrupted."""
    import asyncio  # 25 ms of start-up that synchronous flows are spared

    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            yield
    except TimeoutError:
        if seconds is not None and limit.expired():
            raise TimedOut(seconds) from None
        raise


def enforceable() -> bool:
    """Whether synchronous code of this thread can be given a time limit."""
    return hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()


def _arm() -> None:
    """Set the one alarm of the process to the limit that ends first."""
    if _limits:
        signal.setitimer(signal.ITIMER_REAL, max(min(limit.ends for limit in _limits) - monotonic(), 1e-6))
    else:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _disarm(limit: _Limit, previous: Any) -> None:
    signal.setitimer(signal.ITIMER_REAL, 0)
    if limit in _limits:
        _limits.remove(limit)
    _arm()
    if not _limits and previous is not None:
        signal.signal(signal.SIGALRM, previous)


def _ring(signum: int, frame: FrameType | None) -> None:
    first = min(_limits, key=lambda limit: limit.ends, default=None)
    if first is not None:
        raise _Alarm(first)
