"""How many runs a worker or an agent starts at a time, so that it does not ask for a hundred containers at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext


class Launches:
    """The starts under way, each known by an object of its own; `limit` of them at a time, None for any number.

    A run counts from when it was claimed until its infrastructure was started, or could not be, except while it waits for
    its time. `settled` is set whenever one counts no longer, if there is a limit.
    """

    def __init__(self, limit: int | None = None) -> None:
        self.settled = asyncio.Event()
        self._limit = limit
        self._turns = asyncio.Semaphore(limit) if limit else nullcontext()
        self._under_way: set[object] = set()

    @property
    def room(self) -> int | None:
        """How many further runs may be claimed to be started; None for any number."""
        return None if self._limit is None else max(self._limit - len(self._under_way), 0)

    def expect(self, launch: object) -> None:
        """It is to be started."""
        self._under_way.add(launch)

    def settle(self, launch: object) -> None:
        """It was started, or is not to be for now."""
        if launch in self._under_way:
            self._under_way.discard(launch)
            if self._limit is not None:
                self.settled.set()

    @asynccontextmanager
    async def turn(self, launch: object) -> AsyncIterator[None]:
        """Wait until fewer than the limit are being started, and start it within."""
        self.expect(launch)
        try:
            async with self._turns:
                yield
        finally:
            self.settle(launch)
