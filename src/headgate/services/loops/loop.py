"""One shape for background jobs: wake up, tick, tell how it went, sleep; an error costs one pass, never the job."""

import asyncio
import random
from collections.abc import Awaitable, Callable

from headgate.clock import monotonic
from headgate.services.scope import Scope
from headgate.telemetry import LoopFailed, LoopPassed

Tick = Callable[[Scope], Awaitable[int]]
"""One pass; answers how many records it changed."""


Turn = Callable[[Scope, str], Awaitable[None]]


async def _always(_scope: Scope, _name: str) -> None:
    return None


class Loop:
    """Runs `tick` every `every` seconds, jittered by a tenth so that several servers do not move in step."""

    def __init__(self, name: str, tick: Tick, *, every: float) -> None:
        self.name = name
        self._tick = tick
        self._every = every

    async def run(self, scope: Scope, turn: Turn = _always) -> None:
        """Until cancelled, and only while it is this server's turn: `turn` waits for that before each pass."""
        while True:
            await turn(scope, self.name)
            await self.once(scope)
            await asyncio.sleep(self._every * random.uniform(0.9, 1.1))

    async def once(self, scope: Scope) -> int:
        """One pass; its failure is told and swallowed."""
        began = monotonic()
        try:
            count = await self._tick(scope)
        except Exception as error:
            scope.telemetry.emit(LoopFailed(self.name, error))
            return 0
        scope.telemetry.emit(LoopPassed(self.name, monotonic() - began, count))
        return count
