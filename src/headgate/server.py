"""The composition root: settings → store → loops → app; and the commands that start a server or tend its database."""

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar, cast
from urllib.parse import unquote

import uvicorn
from starlette.requests import HTTPConnection
from starlette.requests import Request as HttpRequest
from starlette.types import ASGIApp, Message

from headgate import __version__, clock
from headgate.api.app import create_app
from headgate.api.openapi import build_openapi
from headgate.api.routes import ROUTERS, SOCKETS
from headgate.client.transport import Request, Response
from headgate.errors import ConfigError, DatabaseError, Unreachable
from headgate.garbage import collect_rarely
from headgate.schema.collections import WorkerCollections
from headgate.services.loops import collisions, late, misfires, scheduler
from headgate.services.loops.lifeline import Lifeline
from headgate.services.loops.loop import Loop
from headgate.services.loops.pruner import Pruner
from headgate.services.scope import Actor, Scope
from headgate.services.wakeups import Wakeups
from headgate.settings import Settings, database_url
from headgate.store.database import Database
from headgate.store.opening import check_known, create_schema, locate, open_database, revision_of
from headgate.store.versions import HEAD
from headgate.telemetry import Telemetry, log_events

T = TypeVar("T")

log = logging.getLogger("headgate.server")


@dataclass(frozen=True, slots=True)
class Running:
    """An open system: its scope, and the app over it."""

    scope: Scope
    app: ASGIApp


def loops_of(settings: Settings) -> list[Loop]:
    """The background jobs that these settings ask for."""
    wanted = (
        (
            settings.server_services_scheduler_enabled,
            Loop("scheduler", scheduler.tick, every=settings.server_services_scheduler_loop_seconds),
        ),
        (
            settings.server_services_late_runs_enabled,
            Loop("late runs", late.tick, every=settings.server_services_late_runs_loop_seconds),
        ),
        (
            settings.server_services_lifeline_enabled,
            Loop("lifeline", Lifeline().tick, every=settings.server_services_lifeline_loop_seconds),
        ),
        (
            settings.server_services_misfires_enabled,
            Loop("misfires", misfires.tick, every=settings.server_services_misfires_loop_seconds),
        ),
        (
            settings.server_services_collisions_enabled,
            Loop("collisions", collisions.tick, every=settings.server_services_collisions_loop_seconds),
        ),
        (
            settings.server_services_pruner_enabled,
            Loop("pruner", Pruner().tick, every=settings.server_services_pruner_loop_seconds),
        ),
    )
    return [loop for enabled, loop in wanted if enabled]


@contextlib.asynccontextmanager
async def running(settings: Settings, *, with_loops: bool = True, now: clock.Clock = clock.now) -> AsyncIterator[Running]:
    """Open the database, start the background jobs, hand out the app; and close all that again."""
    store = await open_store(settings)
    telemetry = Telemetry()
    telemetry.subscribe(log_events(log))
    scope = Scope(store, now, settings, Wakeups(store), telemetry, worker_types=_worker_types)
    loops = loops_of(settings) if with_loops else []
    for loop in loops:
        if loop.name == "misfires":  # before any call is answered: what an outage has made stale is not given out
            await loop.once(scope)
    jobs = [asyncio.create_task(loop.run(scope), name=loop.name) for loop in loops]
    try:
        yield Running(scope, app_of(scope))
    finally:
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
        scope.wakeups.close()
        await store.close()


def app_of(scope: Scope) -> ASGIApp:
    """The HTTP application over an open system."""

    def make_scope(connection: HTTPConnection) -> Scope:
        actor = connection.scope.get("actor")
        is_gone = connection.is_disconnected if isinstance(connection, HttpRequest) else scope.is_gone
        return replace(scope, actor=Actor(actor) if actor else Actor(), is_gone=is_gone)

    return create_app(routers=ROUTERS, make_scope=make_scope, settings=scope.settings, sockets=SOCKETS)


async def open_store(settings: Settings) -> Database:
    """The database of these settings, its schema up to date; `DatabaseError` in one line, and nothing changed, if not."""
    store = await open_database(locate(database_url(settings)))
    try:
        await bring_up_to_date(store, migrate=settings.server_database_migrate_on_start)
    except BaseException:
        await store.close()
        raise
    return store


async def bring_up_to_date(store: Database, *, migrate: bool) -> None:
    """Create the schema in an empty database, migrate one that is behind, refuse one that is ahead or not ours."""
    revision = await revision_of(store)
    check_known(revision)
    if revision == HEAD:
        return
    if not migrate:
        raise DatabaseError("The database's schema is not up to date; run `headgate server database upgrade`.")
    if revision is None:
        await create_schema(store)
    else:
        # By name: it brings Alembic and SQLAlchemy, which take a second to import and are rarely needed.
        await import_module("headgate.store.migrating").upgrade(store, start=revision)


@cache
def _worker_types() -> WorkerCollections:
    # By name: a server that is not asked for them does without.
    return cast("WorkerCollections", import_module("headgate.worker.types").described())


def openapi_document() -> dict[str, Any]:
    """The OpenAPI document of the API."""
    return build_openapi(ROUTERS, title="Headgate", version=__version__)


# --- the server process


def state_file(settings: Settings) -> Path:
    """Where a running server says its pid and URL."""
    return settings.home_path / "server.json"


def serve(settings: Settings) -> int:
    """Serve until told to stop; the exit code. Prints where the API and its documentation are."""
    logging.basicConfig(level=_level(settings), format="%(asctime)s | %(levelname)-7s | %(name)s - %(message)s")
    try:
        runner: Callable[..., Any] = import_module("uvloop").run
    except ModuleNotFoundError:
        runner = asyncio.run
    with _listen(settings.server_api_host, settings.server_api_port) as listener:
        runner(_serve(settings, listener))
    return 0


def _level(settings: Settings) -> int:
    levels = logging.getLevelNamesMapping()
    if (level := levels.get(settings.logging_level.upper())) is None:
        raise ConfigError(f"HEADGATE_LOGGING_LEVEL={settings.logging_level!r} is none of {', '.join(levels)}.")
    return level


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"Cannot listen on {host}:{port}: {error.strerror}. Choose another with --port, or stop what uses it "
            "(`headgate server status`)."
        ) from None
    return listener


async def _serve(settings: Settings, listener: socket.socket) -> None:
    url = _url(listener)
    async with running(settings) as system:
        collect_rarely()
        config = uvicorn.Config(
            system.app,
            log_level="warning",
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=5,
            ws=_websocket,  # type: ignore[arg-type]
            ws_max_size=settings.server_api_max_body_bytes,
            ws_per_message_deflate=False,  # its windows would cost every idle worker's connection 300 kB
        )
        path = state_file(settings)

        def tell() -> None:
            _note(path, url)
            _announce(settings, url)

        try:
            await _Server(config, system.scope.wakeups, tell).serve(sockets=[listener])
        finally:
            _withdraw(path)


def _websocket(**given: Any) -> asyncio.Protocol:
    """What speaks websocket on a connection; imported by the first that asks, since most servers never see one."""
    protocol: asyncio.Protocol = import_module("uvicorn.protocols.websockets.wsproto_impl").WSProtocol(**given)
    return protocol


class _Server(uvicorn.Server):
    """Answers the calls that wait for work as soon as it is told to stop, and leaves the rest of the exit to us.

    `tell` is called once it answers, and can be stopped in good order.
    """

    def __init__(self, config: uvicorn.Config, wakeups: Wakeups, tell: Callable[[], None]) -> None:
        super().__init__(config)
        self._wakeups = wakeups
        self._tell = tell

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # The inherited one raises the signal again when it is done, which would end the process before the
        # database is closed.
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._tell()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._wakeups.close()
        await super().shutdown(sockets)


def _note(path: Path, url: str) -> None:
    """Write the state file; a server that cannot serves all the same."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"pid": os.getpid(), "url": url}))
    except OSError as error:
        hint = "`headgate server status` and `headgate server stop` will not find this server."
        print(f"WARNING: cannot write {path}: {error.strerror}. {hint}", flush=True)


def _withdraw(path: Path) -> None:
    """Remove the state file if it is still this server's."""
    with contextlib.suppress(OSError, ValueError):
        if json.loads(path.read_text())["pid"] == os.getpid():
            path.unlink()


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _announce(settings: Settings, url: str) -> None:
    lines = [
        f"Headgate {__version__}",
        f"  API       {url}/api",
        f"  OpenAPI   {url}/docs",
        f"  Database  {locate(database_url(settings))}",
    ]
    if settings.server_api_host not in ("127.0.0.1", "::1", "localhost") and not settings.server_api_auth_string:
        lines.append(
            f"WARNING: listening on {settings.server_api_host} without authentication: whoever reaches this port can run "
            "commands on your workers. Set HEADGATE_SERVER_API_AUTH_STRING."
        )
    print("\n".join(lines), flush=True)


# --- the app in this process


class InProcess:
    """The app on an event loop of its own thread, as a transport for clients of this process."""

    def __init__(self, settings: Settings) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="headgate-ephemeral", daemon=True)
        self._thread.start()
        self._context = running(settings)
        self._closing = False
        try:
            self._app = self._run(self._context.__aenter__()).app
        except BaseException:
            self._stop()
            raise

    def send(self, request: Request) -> Response:
        """Send from a thread."""
        return self._submit(request).result()

    async def send_async(self, request: Request) -> Response:
        """Send from an event loop."""
        return await asyncio.wrap_future(self._submit(request))

    def close(self) -> None:
        """Stop the background jobs and close the database."""
        if not self._loop.is_closed():
            try:
                self._run(self._context.__aexit__(None, None, None))
            finally:
                self._stop()

    async def close_async(self) -> None:
        """The same, from an event loop."""
        await asyncio.to_thread(self.close)

    def _submit(self, request: Request) -> Future[Response]:
        if self._closing:
            raise _closed()
        return asyncio.run_coroutine_threadsafe(self._answer(request), self._loop)

    async def _answer(self, request: Request) -> Response:
        try:
            async with asyncio.timeout(request.timeout):
                return await call_app(self._app, request)
        except TimeoutError:
            called = f"{request.method} {request.target}"
            raise Unreachable(f"The app in this process did not answer {called} within {request.timeout:g} s.") from None
        except asyncio.CancelledError:
            if self._closing:
                raise _closed() from None
            raise

    def _run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _stop(self) -> None:
        self._closing = True
        self._run(_wind_up())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def _closed() -> Unreachable:
    return Unreachable("The app in this process was closed; it answers no more calls.")


async def _wind_up() -> None:
    """End all other tasks and the threads of this event loop."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_default_executor()


def open_ephemeral(settings: Settings) -> InProcess:
    """The app of the default database in this process, for clients without an API URL."""
    return InProcess(settings)


async def call_app(app: ASGIApp, request: Request) -> Response:
    """One HTTP request to an ASGI app, without a network."""
    path, _, query = request.target.partition("?")
    headers = [(name.encode(), value.encode()) for name, value in request.headers.items()]
    if request.body is not None:
        headers.append((b"content-length", str(len(request.body)).encode()))
    answer: dict[str, Any] = {}
    chunks: list[bytes] = []
    sent = False

    async def receive() -> Message:
        nonlocal sent
        if sent:
            await asyncio.Event().wait()  # a caller in this process never hangs up
        sent = True
        return {"type": "http.request", "body": request.body or b"", "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            answer.update(message)
        else:
            chunks.append(message.get("body", b""))

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": unquote(f"/api{path}"),
        "raw_path": f"/api{path}".encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 0),
        "server": ("127.0.0.1", 0),
    }
    await app(scope, receive, send)
    named = {name.decode().lower(): value.decode() for name, value in answer["headers"]}
    return Response(answer["status"], b"".join(chunks), named)


# --- the database commands


def upgrade_database(settings: Settings, revision: str = HEAD) -> str:
    """Bring the schema up to `revision`; says what was done."""

    async def work(store: Database, present: str | None) -> str:
        if present == revision:
            return f"The database is at revision {revision} already."
        if present is None and revision == HEAD:
            await create_schema(store)
        else:
            await import_module("headgate.store.migrating").upgrade(store, start=present, end=revision)
        return f"Upgraded the database from {present or 'nothing'} to revision {revision}."

    return _with_store(settings, work)


def downgrade_database(settings: Settings, revision: str) -> str:
    """Take the schema back to `revision` (`base`: to nothing); says what was done."""

    async def work(store: Database, present: str | None) -> str:
        if present is None:
            return "The database is empty already."
        await import_module("headgate.store.migrating").downgrade(store, start=present, end=revision)
        return f"Downgraded the database from {present} to {revision}."

    return _with_store(settings, work)


def reset_database(settings: Settings) -> str:
    """Delete everything in the database and create the schema anew; says what was done."""

    async def work(store: Database, present: str | None) -> str:
        if present is not None:
            await import_module("headgate.store.migrating").downgrade(store, start=present, end="base")
        await create_schema(store)
        return f"Reset the database; it is empty, at revision {HEAD}."

    return _with_store(settings, work)


def database_revision(settings: Settings, message: str | None = None) -> str:
    """With a message: draft a migration for a developer; without: say which revision the database is at."""
    if message is not None:
        return f"Drafted {import_module('headgate.store.migrating').write_revision(message)}."

    async def work(_store: Database, present: str | None) -> str:
        return f"The database is at revision {present or 'none'}; this program's is {HEAD}."

    return _with_store(settings, work)


def _with_store(settings: Settings, work: Callable[[Database, str | None], Awaitable[T]]) -> T:
    async def run() -> T:
        store = await open_database(locate(database_url(settings)))
        try:
            present = await revision_of(store)
            check_known(present)
            return await work(store, present)
        finally:
            await store.close()

    return asyncio.run(run())
