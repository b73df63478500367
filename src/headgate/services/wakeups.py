"""Waking those who wait for work: signals by name, in this process, and passed on to others.

A pool's id stands for anything that may let its runs start, a queue's for a run that is ready in it, a deployment's for one
that a process serves, a run's for its states, an agent's for what the agent is to hear.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Protocol
from uuid import UUID

from headgate.schema.deployments import Deployment

_CHANGES = 0x6F1D_52A8_0C37_4B9E
_ANY = UUID(int=0)


def changes_of(pool: UUID) -> UUID:
    """The name under which changes of a pool's own record are signalled, apart from work that is ready in it."""
    return UUID(int=pool.int ^ _CHANGES)


class Others(Protocol):
    """The other processes on the same database, as far as its store reaches them."""

    @property
    def hears(self) -> bool: ...

    def announce(self, pools: set[UUID]) -> None: ...

    def listen(self, hear: Callable[[Collection[UUID] | None], None]) -> None: ...


def place_of_new(deployment: Deployment) -> UUID:
    """What stands for runs that a deployment's schedules make: its queue, or without one itself."""
    return deployment.work_queue_id or deployment.id


class Wakeups:
    """Waiters by what they wait for. A signal wakes all who wait for it now; who looks subscribes before."""

    def __init__(self, others: Others | None = None) -> None:
        self._waiters: dict[UUID, set[asyncio.Event]] = {}
        self._others = others
        self._listens = False
        self.closed = False

    @property
    def hears(self) -> bool:
        """Whether what other processes make ready wakes who waits here."""
        return self._others is not None and self._others.hears

    def wake(self, pools: Iterable[UUID | None]) -> None:
        """Something may have become ready in these pools. To be called after the commit that made it so."""
        ready = {pool for pool in pools if pool is not None}
        self.ring(ready)
        if ready and self._others is not None:
            self._others.announce(ready)

    def ring(self, pools: Collection[UUID] | None) -> None:
        """Wake who waits here for these pools, or for any: another process may have made something ready."""
        for pool in list(self._waiters) if pools is None else [*pools, _ANY]:
            for event in self._waiters.get(pool, ()):
                event.set()

    def close(self) -> None:
        """The server stops: nobody waits any longer."""
        self.closed = True
        self.ring(None)

    def watching(self) -> AbstractContextManager[asyncio.Event]:
        """An event that is set at the next signal of any kind."""
        return self.waiting([_ANY])

    @contextmanager
    def waiting(self, pools: Collection[UUID]) -> Iterator[asyncio.Event]:
        """An event that is set at the next signal for any of `pools`."""
        if self._others is not None and not self._listens:  # most processes never wait
            self._listens = True
            self._others.listen(self.ring)
        event = asyncio.Event()
        for pool in pools:
            self._waiters.setdefault(pool, set()).add(event)
        try:
            yield event
        finally:
            for pool in pools:
                waiters = self._waiters[pool]
                waiters.discard(event)
                if not waiters:
                    del self._waiters[pool]


async def wait_until_set(event: asyncio.Event, seconds: float) -> bool:
    """Wait for `event`, at most `seconds`; whether it was set."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()
