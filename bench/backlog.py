"""Loads many runs straight into a database: copies of one that was created over REST, so that they are whole."""

import asyncio
import sqlite3
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg

from bench.sides import Side
from bench.system import PostgresqlStore, SqliteStore, System
from bench.world import FAR

CHUNK = 20_000
"""Runs in one transaction: the server's own writes get their turn in between."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table with rows of a run; `changed` are the columns in which a copy differs, by what stands in them."""

    name: str
    key: str
    """The column with the run's id."""
    changed: Mapping[str, str]


_STATES = Table("flow_run_state", "flow_run_id", {"id": "state", "flow_run_id": "run", "state_details": "details"})
OURS = (
    Table("flow_run", "id", {"id": "run", "state_id": "state", "due_at": "due", "expected_start_time": "due"}),
    Table("flow_run_detail", "flow_run_id", {"flow_run_id": "run", "idempotency_key": "null"}),
    _STATES,
)
PEERS = (
    Table(
        "flow_run",
        "id",
        {
            "id": "run",
            "state_id": "state",
            "idempotency_key": "null",
            "expected_start_time": "due",
            "next_scheduled_start_time": "due",
        },
    ),
    _STATES,
)


def load(
    system: System, template: str, *, first: int, last: int, due: datetime, begins: datetime | None = None
) -> list[str]:
    """Copies number `first` to `last` of the run `template`, due a millisecond apart from `due` on; their ids.

    They may be Running from `begins` on, which is `due` unless it is given. With `due` behind it, nobody calls them late.
    """
    prefix = _prefix()
    for start in range(first, last + 1, CHUNK):
        statements = [
            _insert(table, system, template=template, prefix=prefix, begins=begins or due)
            for table in (OURS if system.side.is_ours else PEERS)
        ]
        _execute(system, statements, first=start, last=min(start + CHUNK - 1, last), due=due)
    return [f"{prefix}-8000-{number:012x}" for number in range(first, last + 1)]


def analyze(system: System) -> None:
    """Give PostgreSQL the statistics that it would gather by itself a minute later."""
    if isinstance(system.store, PostgresqlStore):
        system.store.server.execute("ANALYZE", system.store.name)


def _prefix() -> str:
    """The beginning of ids of version 7 that were made now: ours go into partitions by them."""
    millis = f"{time.time_ns() // 1_000_000:012x}"
    return f"{millis[:8]}-{millis[8:]}-7000"


def _insert(table: Table, system: System, *, template: str, prefix: str, begins: datetime) -> str:
    """One statement that copies `:first` to `:last`, `$1` to `$2` on PostgreSQL."""
    kind, names = system.store.kind, columns(system, table.name)
    values = {
        "run": _id(kind, f"{prefix}-8000-"),
        "state": _id(kind, f"{prefix}-8001-"),
        "due": _due(kind, system.side),
        "details": _details(kind, begins),
        "null": "NULL",
    }
    picked = [values[table.changed[name]] if name in table.changed else f't."{name}"' for name in names]
    return (
        f"INSERT INTO {table.name} ({quoted(names)}) SELECT {', '.join(picked)} FROM {table.name} t, {series(kind)} "
        f"WHERE t.{table.key} = '{template}'"
    )


def _id(kind: str, prefix: str) -> str:
    if kind == "sqlite":
        return f"'{prefix}' || printf('%012x', s.n)"
    return f"('{prefix}' || lpad(to_hex(s.n), 12, '0'))::uuid"


def _due(kind: str, side: Side) -> str:
    """The time of a copy: a number of microseconds in our SQLite files, text in the peer's."""
    if kind == "postgresql":
        return "$3::timestamptz + s.n * interval '1 millisecond'"
    if side.is_ours:
        return ":due + s.n * 1000"
    return "strftime('%Y-%m-%d %H:%M:%f', :due / 1000000.0 + s.n / 1000.0, 'unixepoch') || '000'"


def _details(kind: str, begins: datetime) -> str:
    """The state's details, with the time in them that Running waits for."""
    column, to = ("t.state_details", "") if kind == "sqlite" else ("t.state_details::text", "::json")
    return f"replace({column}, '{FAR}', '{begins:%Y-%m-%dT%H:%M:%S}'){to}"


def series(kind: str) -> str:
    """The numbers from `:first` to `:last`, `$1` to `$2` on PostgreSQL, as `s.n`."""
    if kind == "sqlite":
        return "(WITH RECURSIVE n(n) AS (SELECT :first UNION ALL SELECT n + 1 FROM n WHERE n < :last) SELECT n FROM n) s"
    return "generate_series($1::bigint, $2::bigint) AS s(n)"


def quoted(names: Iterable[str]) -> str:
    """Names of columns, for a statement."""
    return ", ".join(f'"{name}"' for name in names)


def columns(system: System, table: str) -> list[str]:
    """The names of a table's columns."""
    match system.store:
        case SqliteStore(file=file):
            with sqlite3.connect(file, timeout=60) as connection:
                return [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        case PostgresqlStore(server=server, name=name):
            return asyncio.run(_postgresql_columns(server.url(name), table))


async def _postgresql_columns(url: str, table: str) -> list[str]:
    sql = "SELECT column_name FROM information_schema.columns WHERE table_name = $1 AND table_schema = 'public'"
    connection = await asyncpg.connect(url)
    try:
        return [row[0] for row in await connection.fetch(sql, table)]
    finally:
        await connection.close()


def _execute(system: System, statements: list[str], *, first: int, last: int, due: datetime) -> None:
    match system.store:
        case SqliteStore(file=file):
            micros = (due - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
            connection = sqlite3.connect(file, timeout=60)
            with connection:
                for statement in statements:
                    connection.execute(statement, {"first": first, "last": last, "due": micros})
            connection.close()
        case PostgresqlStore(server=server, name=name):
            asyncio.run(_execute_on_postgresql(server.url(name), statements, (first, last), due))


async def _execute_on_postgresql(url: str, statements: list[str], span: tuple[int, int], due: datetime) -> None:
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            await connection.execute("SET LOCAL session_replication_role = replica")  # copies refer to each other
            for statement in statements:
                await connection.execute(statement, *span, *([due] if "$3" in statement else []))
    finally:
        await connection.close()
