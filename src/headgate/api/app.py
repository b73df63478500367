"""The ASGI app: admits requests, finds their route, sends its answer or what an error is on the wire."""

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import cache
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute
from starlette.routing import Route as StarletteRoute
from starlette.routing import Router as StarletteRouter
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as Connection
from starlette.websockets import WebSocketClose

from headgate import __version__
from headgate.api.authentication import Authenticator, password
from headgate.api.errors import Reply, check_api_version, failure, without_values
from headgate.api.middleware import Gzip, RequestLog, allow_origins, refuse_foreign_writes
from headgate.api.openapi import as_text, build_openapi, page
from headgate.api.routing import Router
from headgate.api.sockets import SocketRoute, socket_routes
from headgate.api.table import Table
from headgate.errors import HeadgateError, TooLarge, Unauthorized
from headgate.schema.csrf_tokens import CLIENT_HEADER, TOKEN_HEADER
from headgate.services import csrf_tokens
from headgate.settings import Settings

ROOT = "/api"
DOCS = "/docs"
OPENAPI = f"{ROOT}/openapi.json"
OPEN_PATHS = frozenset({f"{ROOT}/health", f"{ROOT}/ready"})
"""Answered to anyone, so that probes need no secret."""

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})

_LOG = logging.getLogger("headgate.api")


def create_app(
    *,
    routers: Iterable[Router],
    make_scope: Callable[[HTTPConnection], Any],
    settings: Settings,
    sockets: Iterable[SocketRoute] = (),
    lifespan: Callable[[Any], AbstractAsyncContextManager[Any]] | None = None,
    routes: Sequence[BaseRoute] = (),
    authenticate: Authenticator | None = None,
    origins: Sequence[str] = (),
) -> ASGIApp:
    """The app: `routers` and `sockets` under `/api`, the documents, and further Starlette `routes` (files).

    `make_scope` gives what handlers take as `scope`; the caller's name stands in `request.scope["actor"]`.
    Everything under `/api` and the documents ask `authenticate`, by default for the settings' auth string;
    other `routes` do not. `origins` are other sites whose pages may call (`*`: any).
    """
    routers = list(routers)
    if authenticate is None and settings.server_api_auth_string:
        authenticate = password(settings.server_api_auth_string)
    websockets = socket_routes(sockets, root=ROOT, make_scope=make_scope, authenticate=authenticate, origins=origins)
    app: ASGIApp = Api(
        routers,
        make_scope=make_scope,
        max_body_bytes=settings.server_api_max_body_bytes,
        lifespan=lifespan,
        routes=[*_documents(routers), *websockets, *routes],
        authenticate=authenticate,
        origins=origins,
        wants_tokens=settings.server_csrf_protection_enabled,
    )
    app = Gzip(app)
    if origins:
        app = allow_origins(app, origins=origins)
    return RequestLog(app)


class Api:
    """The app without what `create_app` puts around it."""

    def __init__(
        self,
        routers: Iterable[Router],
        *,
        make_scope: Callable[[HTTPConnection], Any],
        max_body_bytes: int,
        lifespan: Callable[[Any], AbstractAsyncContextManager[Any]] | None = None,
        routes: Sequence[BaseRoute] = (),
        authenticate: Authenticator | None = None,
        origins: Sequence[str] = (),
        wants_tokens: bool = False,
    ) -> None:
        self._table = Table((route for router in routers for route in router.routes), root=ROOT)
        self._make_scope = make_scope
        self._max_body_bytes = max_body_bytes
        self._authenticate = authenticate
        self._origins = origins
        self._wants_tokens = wants_tokens
        self._rest = StarletteRouter(routes, default=self._no_route, lifespan=lifespan, redirect_slashes=False)

    async def __call__(self, connection: Connection, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI asks."""
        if connection["type"] != "http":
            await self._rest(connection, receive, send)
            return
        method, path = connection["method"], _path(connection)
        try:
            reply = await self._answer(connection, method, path, receive)
        except ClientDisconnect:
            return
        except Exception as error:
            reply = _refusal(error, method, path)
        if reply is None:
            await self._serve_rest(connection, receive, send)
        else:
            await _send(reply, send, head=method == "HEAD")

    async def _answer(self, connection: Connection, method: str, path: str, receive: Receive) -> Reply | None:
        """The answer of the request's route, or of why it got none; None when no route of the routers is meant."""
        headers = dict(connection["headers"])
        self._admit(connection, path, headers)
        if self._wants_tokens and method in WRITES:
            await self._check_token(connection, headers)
        found = self._table.find("GET" if method == "HEAD" else method, path)
        if found is None:
            return None
        route, values = found
        if (version := headers.get(b"x-prefect-api-version")) is not None:
            check_api_version(version.decode("latin-1"))
        raw = b"" if route.body is None else await _read(receive, headers, limit=self._max_body_bytes)
        try:
            arguments = route.arguments(values, connection["query_string"], raw)
            if route.takes_scope:
                arguments["scope"] = self._make_scope(Request(connection, receive))
            return route.reply(await route.handler(**arguments))
        except HeadgateError as error:
            told = without_values(error) if route.confidential else error
            return _refusal(told, method, path, raw=b"" if route.confidential else raw, error_key=route.error_key)

    def _admit(self, connection: Connection, path: str, headers: dict[bytes, bytes]) -> None:
        """Raises when the caller may not ask this at all; otherwise notes who it is."""
        connection["actor"] = None
        if not (path + "/").startswith(f"{ROOT}/") and path != DOCS:
            return
        if b"origin" in headers:
            refuse_foreign_writes(connection["method"], headers, origins=self._origins)
        if self._authenticate is None or path.removesuffix("/") in OPEN_PATHS:
            return
        given = headers.get(b"authorization")
        try:
            connection["actor"] = self._authenticate(None if given is None else given.decode("latin-1"))
        except Unauthorized:
            if path != DOCS:
                raise
            # Only a page that a person opens lets the browser ask: its own prompt must not cover the UI's.
            raise HTTPException(401, "Unauthorized", {"www-authenticate": 'Basic realm="headgate"'}) from None

    async def _check_token(self, connection: Connection, headers: dict[bytes, bytes]) -> None:
        """`Forbidden` for a write without a token that its client was given."""
        token, client = (headers.get(name.encode()) for name in (TOKEN_HEADER, CLIENT_HEADER))
        await csrf_tokens.check(
            self._make_scope(Request(connection)),
            token=None if token is None else token.decode("latin-1"),
            client=None if client is None else client.decode("latin-1"),
        )

    async def _serve_rest(self, connection: Connection, receive: Receive, send: Send) -> None:
        """Leave the request to the further routes; an error of theirs is answered while nothing has been sent yet."""
        connection["app"] = self
        started = False

        async def send_noting(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._rest(connection, receive, send_noting)
        except Exception as error:
            if started:
                raise
            method = connection["method"]
            await _send(_refusal(error, method, connection["path"]), send, head=method == "HEAD")

    async def _no_route(self, connection: Connection, receive: Receive, send: Send) -> None:
        if connection["type"] == "websocket":
            await WebSocketClose()(connection, receive, send)
            return
        if methods := self._table.methods(_path(connection)):
            raise HTTPException(405, "Method Not Allowed", {"allow": ", ".join(methods)})
        raise HTTPException(404, "Not Found")


def _path(connection: Connection) -> str:
    """The path below the one that a proxy serves the app under."""
    path: str = connection["path"]
    return path.removeprefix(connection.get("root_path", ""))


def _refusal(error: Exception, method: str, path: str, *, raw: bytes = b"", error_key: str = "detail") -> Reply:
    reply = failure(error, raw=raw, error_key=error_key)
    if reply.status == 500:
        _LOG.error("%s %s failed", method, path, exc_info=error)
    return reply


async def _read(receive: Receive, headers: dict[bytes, bytes], *, limit: int) -> bytes:
    """The request's body; `TooLarge` as soon as it is known to be over `limit` bytes, without reading on."""
    if int(headers.get(b"content-length", 0)) > limit:
        raise _too_large(limit)
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        if not message.get("more_body", False):
            return b"".join((*chunks, chunk)) if chunks else chunk
        chunks.append(chunk)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"The body is over the limit of {limit} bytes; send less at a time, or raise server_api_max_body_bytes.")


async def _send(reply: Reply, send: Send, *, head: bool) -> None:
    headers = [*reply.headers]
    if reply.status != 204:
        headers.append((b"content-type", reply.kind))
        if reply.chunks is None:
            headers.append((b"content-length", b"%d" % len(reply.body)))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    if reply.chunks is not None and not head:
        async for chunk in reply.chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b"" if head else reply.body})


def _documents(routers: list[Router]) -> list[BaseRoute]:
    """The OpenAPI document and the page made of it, built when first asked for."""

    @cache
    def document() -> str:
        return as_text(build_openapi(routers, title="Headgate", version=__version__, root=ROOT))

    async def openapi(request: Request) -> Response:
        return Response(document(), media_type="application/json")

    async def docs(request: Request) -> Response:
        return HTMLResponse(page(document()))

    return [StarletteRoute(OPENAPI, openapi), StarletteRoute(DOCS, docs)]
