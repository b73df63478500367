"""`Client` and `AsyncClient`: send a `Call`, try again while that makes sense, raise the error that an answer means."""

import base64
import math
import random
import time
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec

from headgate import __version__
from headgate.client.call import Call
from headgate.client.calls import csrf_tokens
from headgate.client.transport import AsyncTransport, Request, Response, Transport
from headgate.clock import monotonic, now
from headgate.errors import BY_STATUS, HeadgateError, Unreachable
from headgate.ids import uuid7
from headgate.schema.csrf_tokens import CLIENT_HEADER, TOKEN_HEADER, CsrfToken

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
        self._name = str(uuid7(now()))

    def _request(self, call: Call[Any]) -> Request:
        body = None if call.body is None else msgspec.json.encode(_repeatable(call.body))
        return Request(call.method, call.target, body, self._headers, self._timeout + call.wait)

    def _token_call(self) -> Call[CsrfToken]:
        return csrf_tokens.create(self._name)

    def _show(self, token: CsrfToken) -> None:
        """Have requests carry a token, also those that were built before."""
        self._headers |= {TOKEN_HEADER: token.token, CLIENT_HEADER: token.client}


class _Patience:
    """How long to wait before each further try, until patience ends."""

    def __init__(self, seconds: float) -> None:
        self._end = monotonic() + seconds
        self._pause = 0.1

    def pause(self, wanted: float | None = None) -> float | None:
        """Seconds: what the server wants, else doubling and jittered, at most what is left; None when nothing is."""
        left = self._end - monotonic()
        if left <= 0:
            return None
        pause = wanted or self._pause * random.uniform(0.75, 1.25)
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)
        return min(pause, left)


class Client(_Sender):
    """Sends calls from a thread. Safe to share between threads.

    `patience` is for how many seconds an API that is away, or says that it is busy, is tried again. An answer may have
    been lost on its way, so a call may be carried out twice. That makes no second run (a creation without an idempotency
    key is given one) and no second transition (states carry their transition id); claims that nobody heard of lapse. Log
    lines may be written twice; a second creation of what has a name is a `Conflict`, a second deletion `NotFound`.
    """

    def __init__(
        self, transport: Transport, *, auth: str | None = None, timeout: float = 60.0, patience: float = 3.0
    ) -> None:
        super().__init__(auth=auth, timeout=timeout, patience=patience)
        self._transport = transport

    def send(self, call: Call[T]) -> T:
        """The answer to `call`; raises the error of `headgate.errors` that its status means."""
        request, patience = self._request(call), _Patience(self._patience)
        asked = False
        while True:
            try:
                response = self._transport.send(request)
            except Unreachable:
                pause = patience.pause()
                if pause is None:
                    raise
            else:
                if not asked and _wants_token(response):
                    asked = True
                    self._show(self.send(self._token_call()))
                    continue
                pause = patience.pause(_retry_after(response)) if response.status in _RETRIED else None
                if pause is None:
                    return _answer(call, response)
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

        request, patience = self._request(call), _Patience(self._patience)
        asked = False
        while True:
            try:
                response = await self._transport.send_async(request)
            except Unreachable:
                pause = patience.pause()
                if pause is None:
                    raise
            else:
                if not asked and _wants_token(response):
                    asked = True
                    self._show(await self.send(self._token_call()))
                    continue
                pause = patience.pause(_retry_after(response)) if response.status in _RETRIED else None
                if pause is None:
                    return _answer(call, response)
            await asyncio.sleep(pause)

    async def forward(self, request: Request) -> Response:
        """The answer to another client's request, as it stands; `Unreachable` when there is none."""
        return await self._transport.send_async(request)

    async def close(self) -> None:
        """Give up the connections."""
        await self._transport.close_async()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def _wants_token(response: Response) -> bool:
    """Whether a write was refused for want of a CSRF token, or because its time is up."""
    return response.status == 403 and b"CSRF token" in response.body


def _repeatable(body: Any) -> Any:
    """A body that creates runs without idempotency keys, given some: a run is made once, however often it is sent."""
    if isinstance(body, list):
        return [_repeatable(each) for each in body] if body and hasattr(body[0], "idempotency_key") else body
    if isinstance(runs := getattr(body, "flow_runs", None), list):
        return msgspec.structs.replace(body, flow_runs=_repeatable(runs))
    if getattr(body, "idempotency_key", "") is not None:
        return body
    return msgspec.structs.replace(body, idempotency_key=str(uuid7(now())))


def _answer(call: Call[T], response: Response) -> T:
    if response.status >= 300:
        raise BY_STATUS.get(response.status, HeadgateError)(_message(call, response))
    try:
        return call.decode(response.body)
    except msgspec.DecodeError as error:
        raise HeadgateError(
            f"The answer to {call.method} {call.target} is not one of this API: {error}. Is HEADGATE_API_URL right? "
            "It ends in /api."
        ) from error


def _message(call: Call[Any], response: Response) -> str:
    """What the server said, in whichever of its error shapes."""
    try:
        body = msgspec.json.decode(response.body)
    except msgspec.DecodeError:
        body = None
    if response.status == 401:
        return "The API asks for credentials, or for others; they come from HEADGATE_API_AUTH_STRING=user:password."
    if not isinstance(body, dict):
        moved = f" (moved to {response.headers['location']})" if "location" in response.headers else ""
        return f"{call.method} {call.target} was answered with status {response.status}{moved}. Is HEADGATE_API_URL right?"
    problems = body.get("exception_detail") or body.get("detail")
    if isinstance(problems, list):
        return "; ".join(_problem(problem) for problem in problems)
    return str(problems or body.get("exception_message") or body)


def _problem(problem: Any) -> str:
    if not isinstance(problem, dict):
        return str(problem)
    place = ".".join(str(part) for part in problem.get("loc", ()) if part != "body")
    value = f" (got {problem['input']!r})" if "input" in problem else ""
    return f"{place}: {problem.get('msg')}{value}" if place else f"{problem.get('msg')}{value}"


def _retry_after(response: Response) -> float | None:
    try:
        wanted = float(response.headers["retry-after"])
    except (KeyError, ValueError):
        return None
    return min(wanted, _LONGEST_PAUSE) if wanted > 0 and math.isfinite(wanted) else None
