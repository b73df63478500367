"""Loads runs that have ended straight into a database: copies of some that were taken to their ends over REST."""

import asyncio
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import asyncpg

from bench.backlog import columns, quoted, series
from bench.system import PostgresqlStore, SqliteStore, System
from bench.world import Deployed, create_run

ENDS = {"COMPLETED": 90, "FAILED": 6, "CANCELLED": 3, "CRASHED": 1}
"""How runs end, of a hundred."""

CHUNK = 50_000
"""Runs in one transaction: the server's own writes get their turn in between."""

RUN, STATE, NULL = "run", "state", "null"
AT = "at"
"""A time, as far from the copy's due time as it was from the original's."""

TABLES: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "flow_run": (
        "id",
        {"id": RUN, "state_id": STATE}
        | dict.fromkeys(
            ("created", "updated", "state_timestamp", "due_at", "expected_start_time", "start_time", "end_time"), AT
        ),
    ),
    "flow_run_detail": ("flow_run_id", {"flow_run_id": RUN, "idempotency_key": NULL}),
    "flow_run_state": ("flow_run_id", {"flow_run_id": RUN, "id": STATE, "timestamp": AT}),
}
"""Tables with rows of a run: the column with the run's id, and those in which a copy differs."""

_TEMPLATES = {
    "sqlite": (
        "CREATE TEMP TABLE copied_{table} AS "
        "SELECT m.key AS number, r.expected_start_time AS origin, {place} AS place, t.* "
        "FROM json_each('{ids}') m JOIN flow_run r ON r.id = m.value JOIN {table} t ON t.{key} = r.id"
    ),
    "postgresql": (
        "CREATE TEMP TABLE copied_{table} AS "
        "SELECT m.number - 1 AS number, r.expected_start_time AS origin, {place} AS place, t.* "
        "FROM jsonb_array_elements_text('{ids}') WITH ORDINALITY AS m(id, number) "
        "JOIN flow_run r ON r.id = m.id::uuid JOIN {table} t ON t.{key} = r.id"
    ),
}
_PLACES = {
    # The last state is the run's: so they are counted, and numbered in the order in which they were entered.
    "flow_run": "(SELECT count(*) FROM flow_run_state s WHERE s.flow_run_id = r.id)",
    "flow_run_detail": "0",
    "flow_run_state": "(SELECT count(*) FROM flow_run_state s WHERE s.flow_run_id = r.id AND s.id <= t.id)",
}


def create_templates(system: System, deployments: Sequence[Deployed]) -> list[str]:
    """A run of each deployment for each end, taken there by the calls of a client; the ids, each as often as `ENDS` says."""
    ids: list[str] = []
    made = {(deployed.id, end): _end(system, create_run(system, deployed), end) for deployed in deployments for end in ENDS}
    for end, share in ENDS.items():
        ids += [made[deployed.id, end] for _ in range(share) for deployed in deployments]
    # Neighbours end differently, as they do in life; 37 has no factor in common with a hundred, or with ten.
    return [ids[number * 37 % len(ids)] for number in range(len(ids))]


def rarest(templates: Sequence[str]) -> str:
    """The one of which there will be the fewest copies."""
    return min(templates, key=templates.count)


def _end(system: System, run: str, end: str) -> str:
    for state in ("PENDING", "RUNNING", end):
        system.call("POST", f"/flow_runs/{run}/set_state", {"state": {"type": state}, "force": state == end})
    return run


def load(system: System, templates: Sequence[str], *, count: int, first: int, start: datetime, span: timedelta) -> None:
    """Add `count` ended runs, numbered from `first` on, that were due evenly over a span of time."""
    kind, step = system.store.kind, span / count
    begun = (start - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    at = f"({begun} + (s.n - {first}) * {step // timedelta(microseconds=1)})"
    prepare = [
        _TEMPLATES[kind].format(table=table, key=key, place=_PLACES[table], ids=json.dumps([*templates]))
        for table, (key, _) in TABLES.items()
    ]
    prepare += [f"CREATE INDEX copied_{table}_number ON copied_{table} (number)" for table in TABLES]
    if kind == "postgresql":
        prepare += [f"ANALYZE copied_{table}" for table in TABLES]
    copies = [_copy(system, table, changed, at=at, templates=len(templates)) for table, (_, changed) in TABLES.items()]
    match system.store:
        case SqliteStore(file=file):
            _load_into_sqlite(str(file), prepare, copies, [*_chunks(first, count)])
        case PostgresqlStore(server=server, name=name):
            asyncio.run(_load_into_postgresql(server.url(name), prepare, copies, [*_chunks(first, count)]))


def settle(system: System) -> None:
    """What the databases do by themselves in the weeks in which so many runs gather, done at once."""
    match system.store:
        case SqliteStore(file=file):
            connection = sqlite3.connect(file, timeout=60)
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.close()
        case PostgresqlStore(server=server, name=name):
            server.execute("VACUUM (ANALYZE)", name)
            server.execute("CHECKPOINT", name)


def _chunks(first: int, count: int) -> Iterator[tuple[int, int]]:
    for begin in range(first, first + count, CHUNK):
        yield begin, min(begin + CHUNK, first + count) - 1


def _copy(system: System, table: str, changed: Mapping[str, str], *, at: str, templates: int) -> str:
    """One statement that makes the rows of `:first` to `:last`, `$1` to `$2` on PostgreSQL."""
    kind, names = system.store.kind, columns(system, table)
    values = {
        RUN: _id(kind, at, "'8000'"),
        # The places of states begin at 1.
        STATE: _id(kind, at, "'800' || t.place"),
        NULL: "NULL",
    }
    picked = [
        _moved(kind, at, name) if changed.get(name) == AT else values[changed[name]] if name in changed else f't."{name}"'
        for name in names
    ]
    return (
        f"INSERT INTO {table} ({quoted(names)}) SELECT {', '.join(picked)} FROM {series(kind)} "
        f"CROSS JOIN copied_{table} t WHERE t.number = s.n % {templates}"
    )


def _id(kind: str, at: str, tail: str) -> str:
    """An id of version 7 that was made when the copy was due."""
    if kind == "sqlite":
        millis = f"printf('%012x', {at} / 1000)"
        return f"substr({millis}, 1, 8) || '-' || substr({millis}, 9) || '-7000-' || {tail} || '-' || printf('%012x', s.n)"
    return f"(lpad(to_hex({at} / 1000), 12, '0') || '7000' || {tail} || lpad(to_hex(s.n), 12, '0'))::uuid"


def _moved(kind: str, at: str, column: str) -> str:
    if kind == "sqlite":
        return f't."{column}" - t.origin + {at}'
    return f"t.\"{column}\" - t.origin + 'epoch'::timestamptz + {at} * interval '1 microsecond'"


def _load_into_sqlite(file: str, prepare: Sequence[str], copies: Sequence[str], chunks: Sequence[tuple[int, int]]) -> None:
    connection = sqlite3.connect(file, timeout=60)
    connection.execute("PRAGMA cache_size = -256000")
    connection.execute("PRAGMA synchronous = NORMAL")
    for statement in prepare:
        connection.execute(statement)
    for first, last in chunks:
        with connection:
            for statement in copies:
                connection.execute(statement, {"first": first, "last": last})
    connection.close()


async def _load_into_postgresql(
    url: str, prepare: Sequence[str], copies: Sequence[str], chunks: Sequence[tuple[int, int]]
) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in prepare:
            await connection.execute(statement)
        for chunk in chunks:
            async with connection.transaction():
                for statement in copies:
                    await connection.execute(statement, *chunk)
    finally:
        await connection.close()
