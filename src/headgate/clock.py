"""The only module that reads the clock; rules are handed `now`."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]
"""Answers the present as an aware datetime in UTC."""


def now() -> datetime:
    """The present, aware, in UTC."""
    return datetime.now(UTC)


def monotonic() -> float:
    """Seconds on a clock that never goes back, for measuring spans."""
    return time.monotonic()


class FrozenClock:
    """A clock that tests move by hand."""

    def __init__(self, start: datetime) -> None:
        self.time = start

    def __call__(self) -> datetime:
        return self.time

    def advance(self, **by: float) -> datetime:
        """Move on by `timedelta(**by)` and answer the new present."""
        self.time += timedelta(**by)
        return self.time
