"""The composition root: settings → store → loops → app; and the commands that start a server or tend its database."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from importlib import import_module
from typing import Any, TypeVar, cast
from urllib.parse import unquote

from starlette.requests import HTTPConnection
from starlette.requests import Request as HttpRequest
from starlette.types import ASGIApp, Message

from headgate import __version__, clock
from headgate.api.app import create_app
from headgate.api.openapi import build_openapi
from headgate.api.routes import ROUTERS, SOCKETS
from headgate.client.transport import Request, Response
from headgate.errors import DatabaseError, Unreachable
from headgate.schema.collections import WorkerCollections
from headgate.services.leaders import Leadership
from headgate.services.loops import collisions, late, misfires, scheduler, suspensions
from headgate.services.loops.cancellations import Cancellations
from headgate.services.loops.lifeline import Lifeline
from headgate.services.loops.loop import Loop
from headgate.services.loops.pruner import Pruner
from headgate.services.loops.statuses import Statuses
from headgate.services.scope import Actor, Scope
from headgate.services.wakeups import Wakeups
from headgate.settings import Settings, database_url
from headgate.store.connections import Connections
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


def loops_of(settings: Settings, reached_since: Callable[[], datetime | None] = lambda: None) -> list[Loop]:
    """The background jobs that these settings ask for. `reached_since`: see `Lifeline`."""
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
            Loop("lifeline", Lifeline(reached_since).tick, every=settings.server_services_lifeline_loop_seconds),
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
            settings.server_services_pause_expirations_enabled,
            Loop("pause expirations", suspensions.tick, every=settings.server_services_pause_expirations_loop_seconds),
        ),
        (
            settings.server_services_cancellation_cleanup_enabled,
            Loop(
                "cancellation cleanup",
                Cancellations().tick,
                every=settings.server_services_cancellation_cleanup_loop_seconds,
            ),
        ),
        (
            settings.server_services_statuses_enabled,
            Loop("statuses", Statuses().tick, every=settings.server_services_statuses_loop_seconds),
        ),
        (
            settings.server_services_pruner_enabled,
            Loop("pruner", Pruner().tick, every=settings.server_services_pruner_loop_seconds),
        ),
    )
    return [loop for enabled, loop in wanted if enabled]


@contextlib.asynccontextmanager
async def running(
    settings: Settings, *, with_loops: bool = True, now: clock.Clock = clock.now, wait_seconds: float = 0.0
) -> AsyncIterator[Running]:
    """Open the database, start the background jobs, hand out the app; and close all that again."""
    store = await open_store(settings, wait_seconds=wait_seconds)
    telemetry = Telemetry()
    telemetry.subscribe(log_events(log))
    scope = Scope(store, now, settings, Wakeups(store), telemetry, worker_types=_worker_types)
    leadership = Leadership()
    loops = loops_of(settings, lambda: leadership.reached_since) if with_loops else []
    leadership.join(loop.name for loop in loops)
    for loop in loops:
        if loop.name == "misfires":  # before any call is answered: what an outage has made stale is not given out
            await loop.once(scope)
    jobs = [asyncio.create_task(loop.run(scope, leadership.turn), name=loop.name) for loop in loops]
    if jobs:
        jobs.append(asyncio.create_task(leadership.keep(scope), name="leadership"))
    try:
        yield Running(scope, app_of(scope))
    finally:
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
        await leadership.give_back(scope)
        scope.wakeups.close()
        await store.close()


def app_of(scope: Scope) -> ASGIApp:
    """The HTTP application over an open system."""

    def make_scope(connection: HTTPConnection) -> Scope:
        actor = connection.scope.get("actor")
        is_gone = connection.is_disconnected if isinstance(connection, HttpRequest) else scope.is_gone
        return replace(
            scope,
            actor=Actor(actor) if actor else Actor(),
            is_gone=is_gone,
            base_url=lambda: str(connection.base_url),
            header=lambda name: connection.headers.get(name),
            address=connection.client.host if connection.client else "",
        )

    return create_app(
        routers=ROUTERS,
        make_scope=make_scope,
        settings=scope.settings,
        sockets=SOCKETS,
        origins=scope.settings.allowed_origins,
    )


async def open_store(settings: Settings, *, wait_seconds: float = 0.0) -> Database:
    """The database of these settings, its schema up to date; `DatabaseError` in one line, and nothing changed, if not.

    For a PostgreSQL that does not answer yet it waits as long as it is told.
    """
    location, ways = locate(database_url(settings)), connections_of(settings)
    patient = replace(ways, answer_seconds=None, wait_seconds=wait_seconds)  # migrations may take long, calls may not
    store = await open_database(location, patient)
    try:
        await bring_up_to_date(store, migrate=settings.server_database_migrate_on_start)
    except BaseException:
        await store.close()
        raise
    if store.dialect == "sqlite":
        return store
    await store.close()
    return await open_database(location, ways)


def connections_of(settings: Settings) -> Connections:
    """How these settings have a server connect to PostgreSQL."""
    direct = settings.server_database_direct_url
    return Connections(
        most=settings.server_database_pool_size,
        connect_seconds=settings.server_database_connection_timeout,
        answer_seconds=settings.server_database_timeout,
        prepared=settings.server_database_prepared_statements,
        direct_url=locate(direct).url if direct else None,
    )


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
        ways = replace(connections_of(settings), answer_seconds=None)
        store = await open_database(locate(database_url(settings)), ways)
        try:
            present = await revision_of(store)
            check_known(present)
            return await work(store, present)
        finally:
            await store.close()

    return asyncio.run(run())
