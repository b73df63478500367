"""Waiting with a way out, and waiting between tries."""

import asyncio
import random
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

T = TypeVar("T")

LONGEST_PAUSE = 10.0


async def first_of(work: Coroutine[Any, Any, T], *events: asyncio.Event, seconds: float | None = None) -> T | None:
    """The result of `work`, or None if one of `events` or the time came first; then `work` is cancelled."""
    task = asyncio.ensure_future(work)
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait({task, *waits}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        for future in (task, *waits):
            future.cancel()
        await asyncio.gather(task, *waits, return_exceptions=True)


def pauses(*, first: float = 0.25, longest: float = LONGEST_PAUSE) -> Iterator[float]:
    """Seconds to wait between tries, without end: doubling, jittered so that many workers do not come at once."""
    pause = first
    while True:
        yield pause * random.uniform(0.5, 1.0)
        pause = min(pause * 2, longest)
