"""Where looks for waiting runs begin: on PostgreSQL, behind what it has not cleaned away, as long as that is much.

It cleans nothing away while anybody's transaction is open. A look that takes long has a check follow it, on a connection of
its own and when the look's answer is there. Where that goes through many index entries before the first run that waits, the
next looks begin at that run, the front. It moves on once a second, and is sought from the beginning again from time to time:
all that is kept here is known to this process alone, and may be forgotten at any time.
"""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from headgate.clock import Clock, monotonic
from headgate.core import fronts as rules
from headgate.store import claims as rows
from headgate.store import fronts as front_rows
from headgate.store.claims import EVER, Aisle, Capped, Closed, Lanes, Queue
from headgate.store.database import Command, Database, Tx
from headgate.store.work_pools import SeenPool
from headgate.store.workers import Alive, Beat

LONG_SECONDS = 0.002
"""A look that takes longer is followed by a check."""

MANY = 1000
"""So many index entries before the first run that waits are worth a front; they take about 0.2 ms."""

CHECKED_EVERY = timedelta(seconds=0.25)
MOVED_EVERY = timedelta(seconds=1)
SOUGHT_EVERY = timedelta(seconds=10)
SHARE = 200
"""A front is sought from the beginning again after so many times what that took, if that is later than `SOUGHT_EVERY`."""

MOST_PRIORITIES = 32
"""Of so many run priorities of a queue the fronts are kept; there are rarely more than a handful."""

MOST_QUEUES = 1000


@dataclass(frozen=True, slots=True)
class Front:
    """Before `at` nothing waits that is not belated, nothing at all where `at` is None; when it is to be moved on and
    when it is to be sought from the beginning. `dead`: how many index entries were before it when it last was."""

    at: datetime | None
    move: datetime
    seek: datetime
    dead: int = 0


@dataclass(slots=True)
class Known:
    """Of a queue: the run priorities that were ever seen, with their fronts as far as they have been looked for; `doubted`
    are those at which a look took long."""

    fronts: dict[int, Front | None] = field(default_factory=dict)
    doubted: set[int] = field(default_factory=set)

    @property
    def are_known(self) -> bool:
        """Whether there is a front at one priority at least."""
        return any(front is not None and front.at is not None for front in self.fronts.values())

    def remember(self, priorities: Iterable[int]) -> None:
        """Priorities that were seen; of too many none is kept."""
        for priority in priorities:
            self.fronts.setdefault(priority, None)
        if len(self.fronts) > MOST_PRIORITIES:
            self.fronts.clear()


@dataclass(frozen=True, slots=True)
class Tail:
    """A queue and a run priority, from a time on."""

    queue_id: UUID
    priority: int
    since: datetime


@dataclass(frozen=True, slots=True)
class Sought:
    """When the first run that waits there is due, how many index entries were gone through to find it, and for how long."""

    due_at: datetime | None
    passed: int
    seconds: float


async def _seek(tx: Tx, tails: Sequence[Tail]) -> list[Sought | Exception]:
    found: list[Sought | Exception] = []
    for each in tails:
        began = monotonic()
        due_at, passed = await front_rows.first_due(tx, each.queue_id, each.priority, since=each.since)
        found.append(Sought(due_at, passed, monotonic() - began))
    return found


SEEK: Command[Tail, Sought] = Command("seek fronts", _seek)


class Fronts:
    """The fronts of queues. Everything with a `tx` is for looks, and changes nothing but what is to be checked."""

    def __init__(self) -> None:
        self._queues: dict[UUID, Known] = {}
        self._checking = False
        self._next_check = EVER

    async def lanes(self, tx: Tx, pool_id: UUID, *, names: Sequence[str] = (), prefix: str = "") -> Lanes:
        """As `store.claims` has it; what waits in queues whose fronts are known is asked by `priorities` instead."""
        began = monotonic()
        found = await rows.lanes(tx, pool_id, names=names, prefix=prefix, passing=self._passing())
        self._note(tx, found, monotonic() - began)
        return found

    async def arrive(self, tx: Tx, beat: Beat, *, names: Sequence[str] = ()) -> tuple[Alive, Lanes]:
        """The same."""
        began = monotonic()
        alive, found = await rows.arrive(tx, beat, names=names, passing=self._passing())
        self._note(tx, found, monotonic() - began)
        return alive, found

    async def pool_and_lanes(self, tx: Tx, pool: str, *, names: Sequence[str] = ()) -> tuple[SeenPool, Lanes] | None:
        """The same."""
        began = monotonic()
        found = await rows.pool_and_lanes(tx, pool, names=names, passing=self._passing())
        if found is not None:
            self._note(tx, found[1], monotonic() - began)
        return found

    def _passing(self) -> list[UUID]:
        return [id for id, known in self._queues.items() if known.are_known]

    def _note(self, tx: Tx, lanes: Lanes, seconds: float) -> None:
        for id, queue in lanes.queues.items() if tx.dialect == "postgresql" else ():
            if queue.waiting is not None:
                known = self._known(id)
                known.remember(queue.waiting)
                if seconds > LONG_SECONDS:
                    known.doubted.update(known.fronts)

    async def priorities(self, tx: Tx, queue: Queue) -> Sequence[int]:
        """The run priorities that may wait in one of these lanes, highest first."""
        return await self._beside(tx, queue.lane.id) if queue.waiting is None else queue.waiting

    async def _beside(self, tx: Tx, queue_id: UUID) -> Sequence[int]:
        """The same of a queue of which priorities are known, without going through what is behind their fronts."""
        known = self._known(queue_id)
        while more := await front_rows.priorities_beside(tx, queue_id, [*known.fronts]):
            known.remember(more)
            if not known.are_known:  # too many to be kept
                return await rows.priorities(tx, queue_id)
        return sorted(known.fronts, reverse=True)

    async def first_candidates(self, tx: Tx, aisle: Aisle, *, limit: int) -> list[Capped]:
        """As `store.claims` has it, but that belated runs are left out where they are known to be blocked."""
        front = self._front(tx, aisle)
        if front is not None and front.at is not None:
            page = await front_rows.belated(tx, aisle, Closed(), before=front.at, limit=limit)
            rest = limit - len(page)
            return page + (await rows.first_candidates(tx, aisle.behind(front.at), limit=rest) if rest > 0 else [])
        with self._timed(aisle):
            return await rows.first_candidates(tx, aisle, limit=limit)

    async def candidates(self, tx: Tx, aisle: Aisle, closed: Closed, *, limit: int) -> list[Capped]:
        """As `store.claims` has it."""
        front = self._front(tx, aisle)
        if front is None or front.at is None:
            return await rows.candidates(tx, aisle, closed, limit=limit)
        page = await front_rows.belated(tx, aisle, closed, before=front.at, limit=limit)
        rest, behind = limit - len(page), aisle.behind(front.at)
        return page + (await rows.candidates(tx, behind, closed, limit=rest, dead=front.dead) if rest > 0 else [])

    async def next_due(
        self, tx: Tx, pool_ids: Iterable[UUID], queue_ids: Iterable[UUID], *, after: datetime
    ) -> datetime | None:
        """When the next run of some pools falls due, or of these queues of them."""
        queue_ids = [*queue_ids]
        if any(id in self._queues and self._queues[id].are_known for id in queue_ids):
            aisles = [(id, priority) for id in queue_ids for priority in await self._beside(tx, id)]
            times = [await front_rows.next_due(tx, *aisle, after=after) for aisle in aisles]
        else:
            times = [await rows.next_due(tx, id, after=after) for id in pool_ids]
        return min((time for time in times if time is not None), default=None)

    async def check(self, store: Database, clock: Clock) -> None:
        """Look after what took long, and move fronts on where it is time to: before a look, and outside of its transaction,
        which sees what it changes itself and may yet be rolled back. One caller at a time does, for all."""
        now = clock()
        if store.dialect != "postgresql" or self._checking or now < self._next_check:
            return
        self._checking, self._next_check = True, now + CHECKED_EVERY
        try:
            due = [
                (known, front, Tail(queue_id, priority, since))
                for queue_id, known in self._queues.items()
                for priority, front in known.fronts.items()
                if (since := _since(front, now, doubted=priority in known.doubted)) is not None
            ]
            found = await asyncio.gather(*(store.submit(SEEK, tail) for _, _, tail in due))
        finally:
            self._checking = False
        for (known, front, tail), each in zip(due, found, strict=True):
            if known.fronts.get(tail.priority) is front:  # else it was forgotten meanwhile
                known.doubted.discard(tail.priority)
                known.fronts[tail.priority] = _moved(front, tail, each, now)

    def _known(self, queue_id: UUID) -> Known:
        if queue_id not in self._queues:
            if len(self._queues) >= MOST_QUEUES:
                del self._queues[next(iter(self._queues))]
            self._queues[queue_id] = Known()
        return self._queues[queue_id]

    def _front(self, tx: Tx, aisle: Aisle) -> Front | None:
        if tx.dialect != "postgresql" or (known := self._queues.get(aisle.queue_id)) is None:
            return None
        return known.fronts.get(aisle.priority)

    @contextmanager
    def _timed(self, aisle: Aisle) -> Iterator[None]:
        began = monotonic()
        yield
        if monotonic() - began > LONG_SECONDS and (known := self._queues.get(aisle.queue_id)) is not None:
            known.doubted.add(aisle.priority)


def _since(front: Front | None, now: datetime, *, doubted: bool) -> datetime | None:
    """From when on a front is to be sought; None when that is not to be done now."""
    if front is None or front.at is None:
        return EVER if doubted and (front is None or now >= front.seek) else None
    if now >= front.seek:
        return EVER
    return front.at if now >= front.move else None


def _moved(front: Front | None, tail: Tail, found: Sought, now: datetime) -> Front:
    at = rules.front(found.due_at, now)
    if front is None or tail.since is EVER:
        seek = now + max(SOUGHT_EVERY, timedelta(seconds=found.seconds * SHARE))
        return Front(at if found.passed > MANY else None, now + MOVED_EVERY, seek, found.passed)
    return Front(max(at, tail.since), now + MOVED_EVERY, front.seek, front.dead)
