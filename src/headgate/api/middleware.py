"""What surrounds every request whatever its route: compression, cross-origin rules, a log line."""

import asyncio
import logging
import zlib
from collections.abc import Sequence

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headgate.clock import monotonic
from headgate.errors import Forbidden

GZIP_MINIMUM = 1400
"""Bodies of fewer bytes are sent as they are: they fit in one packet, and would in a smaller one arrive no sooner."""

_LEVEL = 1
_THREADED = 256 * 1024
_GZIP_WINDOW = 31
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_LOG = logging.getLogger("headgate.api.requests")


class Gzip:
    """Compresses answers of `minimum` bytes and more for callers that accept it; streams pass through unchanged."""

    def __init__(self, app: ASGIApp, *, minimum: int = GZIP_MINIMUM) -> None:
        self._app = app
        self._minimum = minimum

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _accepts_gzip(scope):
            await self._app(scope, receive, send)
            return
        start: Message = {}

        async def send_compressed(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                return
            if start:
                message = await self._compressed(start, message)
                await send(start)
                start = {}
            await send(message)

        await self._app(scope, receive, send_compressed)

    async def _compressed(self, start: Message, message: Message) -> Message:
        """`message`, compressed if it is a whole body that is worth it; `start`'s headers are made to say so."""
        body = message.get("body", b"")
        if len(body) < self._minimum or message.get("more_body", False):
            return message
        if any(name == b"content-encoding" for name, _ in start["headers"]):
            return message
        if len(body) < _THREADED:
            body = _gzip(body)
        else:
            body = await asyncio.to_thread(_gzip, body)
        kept = [(name, value) for name, value in start["headers"] if name != b"content-length"]
        sizes = [(b"content-length", b"%d" % len(body)), (b"content-encoding", b"gzip"), (b"vary", b"Accept-Encoding")]
        start["headers"] = [*kept, *sizes]
        return {**message, "body": body}


class RequestLog:
    """Writes a debug line per request: verb, path, status, milliseconds."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _LOG.isEnabledFor(logging.DEBUG):
            await self._app(scope, receive, send)
            return
        began, status = monotonic(), 0

        async def send_noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        await self._app(scope, receive, send_noting)
        _LOG.debug("%s %s %d %.1f ms", scope["method"], scope["path"], status, (monotonic() - began) * 1000)


def allow_origins(app: ASGIApp, *, origins: Sequence[str]) -> ASGIApp:
    """`app`, usable by pages of the given origins (`*`: of any)."""
    return CORSMiddleware(app, allow_origins=origins, allow_methods=["*"], allow_headers=["*"])


def refuse_foreign_writes(method: str, headers: dict[bytes, bytes], *, origins: Sequence[str]) -> None:
    """`Forbidden` when a browser sends a write on behalf of a page of another origin than ours and `origins`.

    Without it any page that a user visits could start runs on the server of that user's own machine: such a
    request needs no permission from us, only the reading of its answer does. Programs send neither header.
    """
    origin = headers.get(b"origin")
    if origin is None or method in _SAFE:
        return
    name = origin.decode("latin-1")
    if "*" in origins or name in origins:
        return
    site = headers.get(b"sec-fetch-site")
    ours = site in (b"same-origin", b"none") if site else origin.partition(b"://")[2] == headers.get(b"host")
    if not ours:
        raise Forbidden(f"Pages of {name} may not write here; allow that origin by HEADGATE_SERVER_CORS_ALLOWED_ORIGINS.")


def _accepts_gzip(scope: Scope) -> bool:
    for name, value in scope["headers"]:
        if name == b"accept-encoding":
            return b"gzip" in value
    return False


def _gzip(body: bytes) -> bytes:
    return zlib.compress(body, _LEVEL, _GZIP_WINDOW)
