"""The pruner: deletes what is older than it is to be kept. Several may run at once: each leaves alone what another is at."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing

from headgate.clock import monotonic
from headgate.services import retention
from headgate.services.retention import Rounds
from headgate.services.scope import Scope

_SHARE = 0.5
"""Of the time between two passes, what a pass may take."""

_PAUSE = 2.0
"""For each second that a step took, how long the database is left to the others before the next one."""

Pause = Callable[[float], Awaitable[None]]


class Pruner:
    """Goes on at its next pass where its time was up."""

    def __init__(self, pause: Pause = asyncio.sleep) -> None:
        self._pause = pause
        self._rounds = Rounds()

    async def tick(self, scope: Scope) -> int:
        """Delete what is too old, until nothing is left or the pass has had its share of time."""
        until = monotonic() + _SHARE * scope.settings.server_services_pruner_loop_seconds
        cutoffs = retention.cutoffs_of(scope)
        changed = await retention.keep_partitions(scope, cutoffs)
        async with aclosing(retention.steps(scope, cutoffs, self._rounds)) as steps:
            began = monotonic()
            async for amounts in steps:
                changed += amounts.total
                if monotonic() >= until:
                    break
                await self._pause(_PAUSE * (monotonic() - began))
                began = monotonic()
        return changed
