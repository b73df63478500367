"""Log lines as they come: who follows some of them is given those that match, of this server and of the others."""

import asyncio
from collections.abc import AsyncIterator, Collection
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import structs

from headgate.ids import first_at, uuid7
from headgate.schema.filters import LogFilter, Operator
from headgate.schema.logs import Log
from headgate.services.wakeups import wait_until_set
from headgate.store import logs as rows

if TYPE_CHECKING:
    from headgate.services.scope import Scope

LOOK_SECONDS = 1.0
"""So often who follows known runs looks by itself: their lines may have gone to another server."""

OVERLAP = timedelta(seconds=10)
"""A line's id is older than its commit, and servers' clocks differ: so far back every look goes again."""

BACK = timedelta(minutes=1)
"""Lines of before the call are given only so far back, and only of known runs."""


class _Follower:
    """Who follows, and the runs that got lines since the last look."""

    def __init__(self, wanted: LogFilter) -> None:
        self.wanted = wanted
        ids = wanted.flow_run_id
        self.runs = frozenset(ids.any_) if ids and ids.any_ is not None and wanted.operator is Operator.AND else None
        self.touched: set[UUID] = set()
        self.event = asyncio.Event()

    def tell(self, runs: Collection[UUID]) -> None:
        if self.runs is None or not self.runs.isdisjoint(runs):
            self.touched.update(runs)
            self.event.set()

    def take(self) -> Collection[UUID]:
        """The runs to look at now."""
        self.event.clear()
        touched, self.touched = self.touched, set()
        return touched if self.runs is None else self.runs


class LogStreams:
    """Who follows log lines in this process."""

    def __init__(self) -> None:
        self._followers: set[_Follower] = set()

    def tell(self, runs: Collection[UUID | None]) -> None:
        """These runs have new lines; to be called after the commit. Costs nothing while nobody follows."""
        if self._followers:
            known = {run or rows.NO_RUN for run in runs}
            for follower in self._followers:
                follower.tell(known)

    async def follow(self, scope: "Scope", wanted: LogFilter) -> AsyncIterator[list[Log]]:
        """Lines that match, in the order of their ids, each once, as they come; never ends by itself."""
        follower = _Follower(wanted)
        self._followers.add(follower)
        wanted, goes_back = _going_back(wanted, follower, now=scope.now)
        since = first_at(scope.now - BACK) if goes_back else uuid7(scope.now)
        seen: dict[UUID, None] = {}
        try:
            while True:
                found = [line for line in await _look(scope, wanted, follower.take(), since) if line.id not in seen]
                seen |= dict.fromkeys(line.id for line in found)
                if found:
                    yield found
                since = max(since, first_at(scope.now - OVERLAP))
                for id in [each for each in seen if each < since]:
                    del seen[id]
                await wait_until_set(follower.event, LOOK_SECONDS)
        finally:
            self._followers.discard(follower)


def _going_back(wanted: LogFilter, follower: _Follower, *, now: datetime) -> tuple[LogFilter, bool]:
    """The filter, not reaching back further than is given, and whether lines of before the call are asked for at all."""
    times = wanted.timestamp
    if times is None or times.after_ is None or follower.runs is None:
        return wanted, False
    return structs.replace(wanted, timestamp=structs.replace(times, after_=max(times.after_, now - BACK))), True


async def _look(scope: "Scope", wanted: LogFilter, runs: Collection[UUID], since: UUID) -> list[Log]:
    if not runs:
        return []
    return await scope.store.read(lambda tx: rows.list_since(tx, wanted, sorted(runs), since))
