"""Waiting for a worker or an agent that was told to drain."""

import time
from collections.abc import Callable

from headgate.schema.workers import WorkerStatus

POLL_SECONDS = 0.5


def wait_until_gone(status: Callable[[], WorkerStatus | None]) -> None:
    """Ask for the status again and again until it is OFFLINE, or None because the process took itself off the list."""
    while status() is WorkerStatus.ONLINE:
        time.sleep(POLL_SECONDS)
