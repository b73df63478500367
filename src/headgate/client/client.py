"""`Client` and `AsyncClient`: send a `Call`, try again while that makes sense, raise the error that an answer means."""

import base64
import random
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec

from headgate import __version__
from headgate.client.call import Call
from headgate.client.transport import AsyncTransport, Request, Response, Transport
from headgate.clock import monotonic
from headgate.errors import BY_STATUS, HeadgateError, Unreachable

T = TypeVar("T")

WIRE_VERSION = "0.8.4"
_RETRIED = frozenset({408, 429, 502, 503, 504})
_LONGEST_PAUSE = 8.0


class _Sender:
    """What both clients share: headers, time-outs, when to try again, what an answer means."""

    def __init__(self, *, auth: str | None, timeout: float, patience: float) -> None:
        self._headers = {
            "content-type": "application/json",
            "accept": "application/json",
            "user-agent": f"headgate/{__version__}",
            "x-prefect-api-version": WIRE_VERSION,
        }
        if auth:
            self._headers["authorization"] = "Basic " + base64.b64encode(auth.encode()).decode()
        self._timeout = timeout
        self._patience = patience

    def _request(self, call: Call[Any]) -> Request:
        return Request(call.method, call.target, call.encode(), self._headers, self._timeout + call.wait)

    def _pauses(self) -> Iterator[float]:
        """Seconds to wait before each further try: doubling, jittered, until patience ends."""
        end = monotonic() + self._patience
        pause = 0.1
        while (left := end - monotonic()) > 0:
            yield min(pause * random.uniform(0.75, 1.25), left)
            pause = min(pause * 2, _LONGEST_PAUSE)


class Client(_Sender):
    """Sends calls from a thread. Safe to share between threads.

    `patience` is for how many seconds an API that is away, or says that it is busy, is tried again.
    """

    def __init__(
        self, transport: Transport, *, auth: str | None = None, timeout: float = 60.0, patience: float = 3.0
    ) -> None:
        super().__init__(auth=auth, timeout=timeout, patience=patience)
        self._transport = transport

    def send(self, call: Call[T]) -> T:
        """The answer to `call`; raises the error of `headgate.errors` that its status means."""
        request, pauses = self._request(call), self._pauses()
        while True:
            try:
                response = self._transport.send(request)
            except Unreachable:
                pause = next(pauses, None)
                if pause is None:
                    raise
            else:
                pause = next(pauses, None) if response.status in _RETRIED else None
                if pause is None:
                    return _answer(call, response)
                pause = _retry_after(response) or pause
            time.sleep(pause)

    def close(self) -> None:
        """Give up the connection."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class AsyncClient(_Sender):
    """Sends calls from an event loop; otherwise like `Client`."""

    def __init__(
        self, transport: AsyncTransport, *, auth: str | None = None, timeout: float = 60.0, patience: float = 3.0
    ) -> None:
        super().__init__(auth=auth, timeout=timeout, patience=patience)
        self._transport = transport

    async def send(self, call: Call[T]) -> T:
        """The answer to `call`; raises the error of `headgate.errors` that its status means."""
        import asyncio  # 20 ms, measured: engines and the CLI have no event loop and start without it

        request, pauses = self._request(call), self._pauses()
        while True:
            try:
                response = await self._transport.send_async(request)
            except Unreachable:
                pause = next(pauses, None)
                if pause is None:
                    raise
            else:
                pause = next(pauses, None) if response.status in _RETRIED else None
                if pause is None:
                    return _answer(call, response)
                pause = _retry_after(response) or pause
            await asyncio.sleep(pause)

    async def close(self) -> None:
        """Give up the connections."""
        await self._transport.close_async()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def _answer(call: Call[T], response: Response) -> T:
    if response.status < 400:
        return call.decode(response.body)
    kind = BY_STATUS.get(response.status, HeadgateError)
    raise kind(_message(call, response))


def _message(call: Call[Any], response: Response) -> str:
    """What the server said, in whichever of its error shapes."""
    try:
        body = msgspec.json.decode(response.body)
    except msgspec.DecodeError:
        body = None
    if not isinstance(body, dict):
        return f"{call.method} {call.target} was answered with status {response.status}."
    problems = body.get("exception_detail")
    if isinstance(problems, list):
        return "; ".join(_problem(problem) for problem in problems)
    return str(body.get("detail") or body.get("exception_message") or body)


def _problem(problem: Any) -> str:
    if not isinstance(problem, dict):
        return str(problem)
    place = ".".join(str(part) for part in problem.get("loc", ()) if part != "body")
    value = f" (got {problem['input']!r})" if "input" in problem else ""
    return f"{place}: {problem.get('msg')}{value}" if place else f"{problem.get('msg')}{value}"


def _retry_after(response: Response) -> float | None:
    try:
        return min(float(response.headers["retry-after"]), _LONGEST_PAUSE)
    except (KeyError, ValueError):
        return None
