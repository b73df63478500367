"""The worker's line to the API: says once when it is cut and once when it is back, and can insist on a call.

It alone knows whether a server of ours is at the other end, or one of Prefect's.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from typing import TypeVar

from headgate.client.call import Call
from headgate.client.client import AsyncClient
from headgate.client.transport import Request, Response
from headgate.clock import monotonic
from headgate.errors import HeadgateError, NotFound, Unavailable
from headgate.worker.prefect_server import POLL_SECONDS, PrefectServer, is_other_side
from headgate.worker.waiting import pauses

T = TypeVar("T")


class Channel:
    """Sends calls for all parts of one worker. `tolerance` is for how many seconds an insisted call is tried.

    `start_tolerance` is the same for calls without which the worker cannot start; 0 means for ever.
    """

    def __init__(
        self,
        client: AsyncClient,
        *,
        logger: logging.Logger | logging.LoggerAdapter[logging.Logger],
        tolerance: float,
        start_tolerance: float = 0.0,
        monotonic: Callable[[], float] = monotonic,
    ) -> None:
        self._client = client
        self._logger = logger
        self._tolerance = tolerance
        self._start_tolerance = start_tolerance or inf
        self._starting = False
        self._monotonic = monotonic
        self._cut_at: float | None = None
        self._other: PrefectServer | None = None

    async def send(self, call: Call[T], *, within: float | None = None) -> T:
        """The answer to one try of at most `within` seconds; otherwise like `AsyncClient.send`."""
        with self._noted():
            async with asyncio.timeout(within):
                return await self._answer(call)

    async def forward(self, request: Request) -> Response:
        """The answer to a request of a run's own; see `AsyncClient.forward`."""
        with self._noted():
            return await self._client.forward(request)

    @contextmanager
    def _noted(self) -> Iterator[None]:
        """A call inside tells whether the line is cut, or is back."""
        try:
            yield
        except Exception as error:
            if is_transient(error):
                self._note_cut(error)
            raise
        self._note_back()

    async def insist(self, call: Call[T], *, starting: bool = False) -> T:
        """The answer, tried again while the API is away; the last error when that outlasts the tolerance."""
        self._starting = starting
        end = self._monotonic() + (self._start_tolerance if starting else self._tolerance)
        for pause in pauses():
            try:
                return await self.send(call)
            except Exception as error:
                if not is_transient(error) or self._monotonic() + pause > end:
                    raise
            await asyncio.sleep(pause)
        raise AssertionError("pauses never end")

    async def _answer(self, call: Call[T]) -> T:
        """Of a server that turns out to know no leases or claims: in its own protocol, then and ever after."""
        if self._other is not None:
            return await self._other.send(call)
        try:
            return await self._client.send(call)
        except NotFound:
            if not await is_other_side(self._client, call):
                raise
        self._logger.info(
            "The server is one of Prefect's, which knows no claims: it is asked for work every %g s, runs are claimed by "
            "proposing Pending, and they are not taken over if this process dies.",
            POLL_SECONDS,
        )
        self._other = PrefectServer(self._client, logger=self._logger)
        return await self._other.send(call)

    def _note_cut(self, error: BaseException) -> None:
        if self._cut_at is None:
            self._cut_at = self._monotonic()
            reason = str(error) or "no answer in time"
            if self._starting:
                until = "it is there" if self._start_tolerance == inf else f"{self._start_tolerance:g} s have passed"
                self._logger.warning("The API is not there; it is waited for until %s. %s", until, reason)
            else:
                self._logger.warning("The API is away; runs go on, and it is tried again until it is back. %s", reason)

    def _note_back(self) -> None:
        if self._cut_at is not None:
            self._logger.info("The API is back after %.0f seconds.", self._monotonic() - self._cut_at)
            self._cut_at = None


def is_transient(error: BaseException) -> bool:
    """Whether the same call may succeed later: no answer, 503, and statuses that no error class stands for, like 500."""
    return isinstance(error, Unavailable | TimeoutError) or type(error) is HeadgateError
