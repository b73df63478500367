"""Running a worker or an agent in this process: its log lines, and the signals that stop it."""

import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

from headgate.errors import ConfigError
from headgate.settings import Settings
from headgate.worker.holder import Holder

LOG_FORMAT = "%(asctime)s.%(msecs)03d | %(levelname)-7s | %(name)s - %(message)s"

_STOPPING = (signal.SIGINT, signal.SIGTERM)

Say = Callable[[str], None]
"""Shows a line to who started the program."""


def check(settings: Settings, limit: int | None, *, who: str) -> None:
    """Raise `ConfigError` for a log level that there is not, and for a limit that leaves no room."""
    if settings.logging_level.upper() not in (levels := logging.getLevelNamesMapping()):
        raise ConfigError(f"HEADGATE_LOGGING_LEVEL={settings.logging_level!r} is none of {', '.join(levels)}.")
    if limit is not None and limit < 1:
        raise ConfigError(f"{who}'s limit is at least 1, not {limit}; leave it out for no limit.")


class Signals:
    """The first SIGINT or SIGTERM stops the holder, the second halts it."""

    def __init__(self) -> None:
        self.first = asyncio.Event()
        self.holder: Holder | None = None

    def __enter__(self) -> Self:
        for number in _STOPPING:
            asyncio.get_running_loop().add_signal_handler(number, self._come)
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        for number in _STOPPING:
            asyncio.get_running_loop().remove_signal_handler(number)

    def _come(self) -> None:
        again = self.first.is_set()
        self.first.set()
        if self.holder is not None:
            (self.holder.halt if again else self.holder.stop)()


@contextmanager
def logging_to_stderr(level: str) -> Iterator[None]:
    """Headgate's log lines on stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(LOG_FORMAT, "%H:%M:%S"))
    logger = logging.getLogger("headgate")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(level.upper())
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
