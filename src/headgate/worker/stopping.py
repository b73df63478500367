"""Stopping infrastructure, however often it takes."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from headgate.flows.processes import StillAlive

_STOP_AGAIN = 5.0


async def stop_surely(
    stop: Callable[[float], Awaitable[object]], grace: float, say: Callable[[int, str], None], title: str
) -> None:
    """Return once `stop(grace)` has: what outlives it is said, and stopped again without grace."""
    while True:
        try:
            await stop(grace)
            return
        except StillAlive as error:
            say(logging.ERROR, f"{title} cannot be stopped; it is tried again. {error}")
            await asyncio.sleep(_STOP_AGAIN)
            grace = 0.0
