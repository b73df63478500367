"""Events as they come: who follows some of them is given those that match, of this server and of the others.

One reader serves all who follow. It looks at each signal, of whatever kind, and once a second by itself; while nobody
follows it is not there, and what happens costs nothing.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from headgate.clock import monotonic
from headgate.core.event_filters import matches
from headgate.ids import first_at, uuid7
from headgate.schema.events import EventFilter, ReceivedEvent
from headgate.services.wakeups import wait_until_set
from headgate.store import events as rows

if TYPE_CHECKING:
    from headgate.services.scope import Scope

LOOK_SECONDS = 1.0
PAUSE = 0.02
"""Seconds between two looks, at least; and twice what the last one took."""

NEAR, FAR = timedelta(seconds=1), timedelta(seconds=10)
"""An id is older than its commit, and servers' clocks differ: so far back a look goes again; once a second, and else."""

BACKLOG = 10_000
"""Events that wait for one who follows and does not read; more than these push out the oldest."""


_LOG = logging.getLogger("headgate.events")


class Following:
    """One who follows: the events that wait for it."""

    def __init__(self, wanted: EventFilter) -> None:
        self.wanted = wanted
        self._waiting: deque[ReceivedEvent] = deque(maxlen=BACKLOG)
        self._some = asyncio.Event()

    def tell(self, events: list[ReceivedEvent]) -> None:
        """Have those that match wait."""
        found = [event for event in events if matches(self.wanted, event)]
        if found:
            self._waiting.extend(found)
            self._some.set()

    async def next(self) -> list[ReceivedEvent]:
        """What waits, as soon as there is something."""
        await self._some.wait()
        self._some.clear()
        found = list(self._waiting)
        self._waiting.clear()
        return found


class EventStreams:
    """Who follows events in this process, and the reader that serves them."""

    def __init__(self) -> None:
        self._followers: set[Following] = set()
        self._reader: asyncio.Task[None] | None = None
        self._seen: dict[UUID, None] = {}
        self._started = asyncio.Event()

    @asynccontextmanager
    async def following(self, scope: "Scope", wanted: EventFilter) -> AsyncIterator[Following]:
        """What happens from the call on, and nothing that is committed once this is entered is missed."""
        follower = Following(wanted)
        self._followers.add(follower)
        try:
            if self._reader is None:
                self._started, self._seen = asyncio.Event(), {}
                self._reader = asyncio.create_task(self._read(scope, uuid7(scope.now)), name="events")
            await self._started.wait()
            yield follower
        finally:
            self._followers.discard(follower)
            if not self._followers and self._reader is not None:
                self._reader.cancel()
                self._reader = None

    async def _read(self, scope: "Scope", since: UUID) -> None:
        """For as long as anybody follows, whatever becomes of the database meanwhile: who is told nothing waits in vain."""
        with scope.wakeups.watching() as signal:
            far = -LOOK_SECONDS
            while True:
                began = monotonic()
                reach = FAR if began - far >= LOOK_SECONDS else NEAR
                try:
                    await self._look(scope, reach, since)
                except Exception:
                    _LOG.warning("events cannot be read now; those that come meanwhile are told later", exc_info=True)
                    await asyncio.sleep(LOOK_SECONDS)
                    continue
                far = began if reach is FAR else far
                await asyncio.sleep(PAUSE + 2 * (monotonic() - began))
                await wait_until_set(signal, LOOK_SECONDS)
                signal.clear()

    async def _look(self, scope: "Scope", reach: timedelta, since: UUID) -> None:
        """Give what is new to those who follow; at the first look that is what is not older than `since`."""
        new = await self._unseen(scope, reach, self._seen)
        if not self._started.is_set():
            self._seen = {id: None for id in new if id < since}
            new = {id: own for id, own in new.items() if id >= since}
        if new:
            entered, kept = [id for id, own in new.items() if own], [id for id, own in new.items() if not own]
            events = await scope.store.read(lambda tx: rows.list_new(tx, entered, kept))
            for follower in list(self._followers):
                follower.tell(events)
        self._seen |= dict.fromkeys(new)
        self._started.set()
        if reach is FAR:
            oldest = first_at(scope.now - 2 * FAR)
            self._seen = {id: None for id in self._seen if id >= oldest}

    async def _unseen(self, scope: "Scope", reach: timedelta, seen: dict[UUID, None]) -> dict[UUID, bool]:
        """Ids that are new; True for those of states."""
        since = first_at(scope.now - reach)
        entered, kept = await scope.store.read(lambda tx: rows.new_ids(tx, since))
        return {id: True for id in entered if id not in seen} | {id: False for id in kept if id not in seen}
