"""Claims that wait, watched: a test knows when one has gone to sleep, and for how long."""

import asyncio
from dataclasses import dataclass
from typing import Any

from world import World

from headgate.schema.claims import ClaimResponse

SOON = 10.0
"""Seconds within which a claim that was woken must have answered; it takes milliseconds."""


@dataclass
class Sleepers:
    """`asleep` holds, for each time that a claim went to sleep, the seconds that it was to last."""

    asleep: asyncio.Queue[float]

    async def claim(self, world: World, room: int = 1, **fields: Any) -> asyncio.Task[ClaimResponse]:
        """A claim that found nothing and sleeps by now."""
        task = asyncio.create_task(world.claim(room, **{"wait_seconds": 30.0} | fields))
        await self.next()
        return task

    async def next(self) -> float:
        """Until a claim goes to sleep; for how long."""
        async with asyncio.timeout(SOON):
            return await self.asleep.get()


async def woken(task: asyncio.Task[ClaimResponse]) -> ClaimResponse:
    """The answer of a claim that something has just woken."""
    async with asyncio.timeout(SOON):
        return await task
