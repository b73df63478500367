"""Waking those who wait for work: one signal per pool, inside this process."""

import asyncio
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from uuid import UUID


class Wakeups:
    """Waiters by pool, or by agent. A signal wakes all who wait for it now; who looks for work subscribes before looking."""

    def __init__(self) -> None:
        self._waiters: dict[UUID, set[asyncio.Event]] = {}
        self.closed = False

    def wake(self, pools: Iterable[UUID | None]) -> None:
        """Something may have become ready in these pools. To be called after the commit that made it so."""
        for pool in set(pools):
            for event in self._waiters.get(pool, ()) if pool is not None else ():
                event.set()

    def close(self) -> None:
        """The server stops: nobody waits any longer."""
        self.closed = True
        self.wake(list(self._waiters))

    @contextmanager
    def waiting(self, pools: Collection[UUID]) -> Iterator[asyncio.Event]:
        """An event that is set at the next signal for any of `pools`."""
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
