"""Websockets: the handshake of existing clients, whose first frame says who they are, and JSON frames after it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import msgspec
from starlette.requests import HTTPConnection
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from headgate.api.authentication import Authenticator
from headgate.api.middleware import refuse_foreign_writes
from headgate.errors import Forbidden, Unauthorized

T = TypeVar("T")

SUBPROTOCOL = "prefect"
"""The name that clients ask for when they authenticate by message; it is the wire's."""

PROTOCOL_ERROR, REFUSED, FAILED = 1002, 1008, 1011
"""Codes of closing: what came is not understood, may not be asked, went wrong here."""

_HANDSHAKE_SECONDS = 30
_LONGEST_REASON = 120
"""Bytes: a closing frame has room for 123."""

_LOG = logging.getLogger("headgate.api.sockets")
_TEXT = msgspec.json.Encoder()


class Gone(Exception):
    """The other side has hung up, or was told to."""


class _Auth(msgspec.Struct):
    type: Literal["auth"]
    token: str | None = None


class _AuthSuccess(msgspec.Struct, tag="auth_success", tag_field="type"):
    pass


class _AnyFilter(msgspec.Struct):
    type: Literal["filter"]


_AUTH = msgspec.json.Decoder(_Auth)
_ANY_FILTER = msgspec.json.Decoder(_AnyFilter)


@dataclass(frozen=True, slots=True)
class SocketRoute:
    """A websocket below the API's root. `handler` is called with the scope, the socket and the path's values.

    `must_ask`: callers that do not ask for the subprotocol are refused; elsewhere they are served without a handshake
    as long as nobody has to authenticate. `refusal` is the reason given to those that are sent away.
    """

    path: str
    handler: Callable[..., Awaitable[None]]
    must_ask: bool = False
    refusal: str | None = None


class Socket:
    """An open websocket that carries JSON. All methods raise `Gone` once the other side is."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket

    async def receive(self, decoder: msgspec.json.Decoder[T]) -> T:
        """The next frame; `msgspec.DecodeError` for one that does not fit."""
        return decoder.decode(await self.receive_text())

    async def receive_filter(self, decoder: msgspec.json.Decoder[T]) -> T | None:
        """The filter that the next frame is to be; None when it is none, and the socket closed for that."""
        text = await self.receive_text()
        try:
            _ANY_FILTER.decode(text)
        except msgspec.DecodeError:
            await self.close(PROTOCOL_ERROR, "Expected 'filter' message")
            return None
        try:
            return decoder.decode(text)
        except msgspec.DecodeError as error:
            await self.close(PROTOCOL_ERROR, f"Invalid filter: 1 validation error: {error}")
            return None

    async def receive_text(self) -> str | bytes:
        """The next frame as it came."""
        while True:
            try:
                message = await self._socket.receive()
            except (WebSocketDisconnect, RuntimeError) as error:  # Starlette's word for reading on after the end
                raise Gone from error
            if message["type"] == "websocket.disconnect":
                raise Gone
            text: str | bytes | None = message.get("text")
            if text is None:
                text = message.get("bytes")
            if text is not None:
                return text

    async def send(self, frame: Any) -> None:
        """Send a record."""
        try:
            await self._socket.send_text(_TEXT.encode(frame).decode())
        except (WebSocketDisconnect, RuntimeError) as error:
            raise Gone from error

    async def close(self, code: int, reason: str | None = None) -> None:
        """Send the other side away; does nothing when it is gone."""
        told = (reason or "").encode()[:_LONGEST_REASON].decode(errors="ignore")
        with suppress(WebSocketDisconnect, RuntimeError):
            await self._socket.close(code, told or None)

    async def while_there(self, *works: Coroutine[Any, Any, None]) -> None:
        """Run these until one ends or the other side hangs up; what it sends meanwhile is passed over."""
        await until_first(self._drain(), *works)

    async def _drain(self) -> None:
        with suppress(Gone):
            while True:
                await self.receive_text()


async def until_first(*works: Coroutine[Any, Any, None]) -> None:
    """Run these together until the first of them ends; the rest are cancelled. Raises what it raised, but for `Gone`."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        ended = [task for task in tasks if task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in ended:
        with suppress(Gone):
            task.result()


def socket_routes(
    routes: Iterable[SocketRoute],
    *,
    root: str,
    make_scope: Callable[[HTTPConnection], Any],
    authenticate: Authenticator | None,
    origins: Sequence[str],
) -> list[WebSocketRoute]:
    """These as routes of Starlette's, each behind the handshake."""

    def endpoint_of(route: SocketRoute) -> Callable[[WebSocket], Awaitable[None]]:
        async def endpoint(raw: WebSocket) -> None:
            socket = await _open(raw, route, authenticate=authenticate, origins=origins)
            if socket is None:
                return
            try:
                await route.handler(make_scope(raw), socket, **raw.path_params)
            except Gone:
                return
            except Exception:
                _LOG.exception("the websocket %s failed", raw.url.path)
                await socket.close(FAILED, "Internal Server Error")
            else:
                await socket.close(1000)

        return endpoint

    return [WebSocketRoute(root + route.path, endpoint_of(route)) for route in routes]


async def _open(
    raw: WebSocket, route: SocketRoute, *, authenticate: Authenticator | None, origins: Sequence[str]
) -> Socket | None:
    """The socket when its caller may have it; otherwise it is closed: before it is accepted, the answer is a 403."""
    raw.scope["actor"] = None
    socket = Socket(raw)
    try:
        refuse_foreign_writes("POST", dict(raw.scope["headers"]), origins=origins)
    except Forbidden as error:
        await raw.close(REFUSED, str(error)[:_LONGEST_REASON])
        return None
    if SUBPROTOCOL not in raw.scope.get("subprotocols", ()):
        if route.must_ask or authenticate is not None:
            await raw.close(REFUSED if route.must_ask else PROTOCOL_ERROR, route.refusal)
            return None
        await raw.accept()
        return socket
    await raw.accept(subprotocol=SUBPROTOCOL)
    try:
        async with asyncio.timeout(_HANDSHAKE_SECONDS):
            auth = await socket.receive(_AUTH)
        if authenticate is not None:
            raw.scope["actor"] = authenticate(_header(auth.token))
        await socket.send(_AuthSuccess())
    except (msgspec.DecodeError, TimeoutError):
        await socket.close(REFUSED, route.refusal or "Expected 'auth' message")
    except Unauthorized:
        await socket.close(
            REFUSED, route.refusal or ("Invalid token" if auth.token else "Auth required but no token provided")
        )
    except Gone:
        pass
    else:
        return socket
    return None


def _header(token: str | None) -> str | None:
    """A token as the header that other calls would send it in; those hold bytes that are read as Latin-1."""
    return None if token is None else "Bearer " + token.encode().decode("latin-1")
