"""A transaction on SQLite: how values are stored and read, and how rows are written in few steps."""

import itertools
import sqlite3
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from headgate.errors import Invalid
from headgate.store.database import Row
from headgate.store.statements import Compiled, Statement, compile_for_sqlite, for_rows
from headgate.store.times import from_micros, to_micros

R = TypeVar("R")


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


_UUID_JSON = msgspec.json.Decoder(UUID)


def _read_uuid(raw: bytes) -> UUID:
    return _UUID_JSON.decode(b'"%b"' % raw)  # a fifth of what UUID(raw.decode()) takes


class _Adapters(dict[type, Callable[[Any], Any] | None]):
    """How values of each type are stored; None is as they are."""

    def __missing__(self, kind: type) -> Callable[[Any], Any] | None:
        adapter = _json if issubclass(kind, msgspec.Struct) else str if issubclass(kind, StrEnum) else None
        self[kind] = adapter
        return adapter


_ADAPTERS = _Adapters(
    {
        UUID: msgspec.to_builtins,  # a third of what str(…) takes
        datetime: to_micros,
        dict: _json,
        list: _json,
        bool: int,
    }
)
_ROWS_AT_ONCE = (250, 25)
"""In how large portions rows are inserted: between any two steps another thread may have Python to itself for 5 ms."""

# Converters go by the declared type of a column; these names are ours alone, and hold the affinity that SQLite
# reads out of them (TEXT, INT).
sqlite3.register_converter("UUID_TEXT", _read_uuid)
sqlite3.register_converter("TIMESTAMP_INT", lambda raw: from_micros(int(raw)))
sqlite3.register_converter("JSON_TEXT", msgspec.json.decode)
sqlite3.register_converter("BOOL_INT", lambda raw: raw == b"1")


class SqliteTx:
    """A transaction on one connection, used from one thread."""

    dialect = "sqlite"

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    async def fetch(self, sql: Statement | str, params: Mapping[str, Any] = {}) -> list[Row]:
        return _named(self._run(sql, params))

    async def fetch_one(self, sql: Statement | str, params: Mapping[str, Any] = {}) -> Row | None:
        rows = _named(self._run(sql, params))
        return rows[0] if rows else None

    async def fetch_value(self, sql: Statement | str, params: Mapping[str, Any] = {}) -> Any:
        row = self._run(sql, params).fetchone()
        return row[0] if row else None

    async def execute(self, sql: Statement | str, params: Mapping[str, Any] = {}) -> int:
        return self._run(sql, params).rowcount

    async def execute_many(self, sql: Statement | str, rows: Sequence[Mapping[str, Any]]) -> None:
        compiled = compile_for_sqlite(sql if isinstance(sql, str) else sql.sqlite)
        self._execute_rows(compiled, [[row[name] for name in compiled.names] for row in rows])

    async def fetch_many(self, sql: Statement | str, rows: Sequence[Mapping[str, Any]]) -> list[Row]:
        return [found for row in rows for found in _named(self._run(sql, row))]

    async def insert_rows(self, sql: Statement, rows: Sequence[Sequence[Any]]) -> None:
        self._execute_rows(compile_for_sqlite(sql.sqlite), rows)

    def _execute_rows(self, compiled: Compiled, rows: Sequence[Sequence[Any]]) -> None:
        start = 0
        try:
            for count in _ROWS_AT_ONCE:
                if len(rows) - start >= count and (statement := for_rows(compiled, count)) is not None:
                    while len(rows) - start >= count:
                        values = itertools.chain.from_iterable(rows[start : start + count])
                        self._connection.execute(statement, _adapted(values, compiled))
                        start += count
            self._connection.executemany(compiled.sql, [_adapted(row, compiled) for row in rows[start:]])
        except OverflowError as error:
            raise _refused(error) from error

    def _run(self, sql: Statement | str, params: Mapping[str, Any]) -> sqlite3.Cursor:
        compiled = compile_for_sqlite(sql if isinstance(sql, str) else sql.sqlite)
        try:
            return self._connection.execute(compiled.sql, _adapted([params[name] for name in compiled.names], compiled))
        except OverflowError as error:
            raise _refused(error) from error


def _named(cursor: sqlite3.Cursor) -> list[Row]:
    """What it finds, by column; made here, as looking names up in `sqlite3.Row` costs ten times a dictionary's time."""
    rows = cursor.fetchall()
    names = [column[0] for column in cursor.description or ()] if rows else []
    return [dict(zip(names, row, strict=True)) for row in rows]


def _refused(error: OverflowError) -> Invalid:
    return Invalid(f"A value cannot be stored: {error}.")


def _adapted(values: Iterable[Any], compiled: Compiled) -> list[Any]:
    """Values in the order of the statement's parameters, of one row or of several, as SQLite keeps them."""
    if compiled.json:
        values, width = [*values], len(compiled.names)
        for place in compiled.json:
            for index in range(place, len(values), width):
                if values[index] is not None:
                    values[index] = _json(values[index])
    adapters = _ADAPTERS
    return [value if (adapt := adapters[type(value)]) is None else adapt(value) for value in values]


def run_now(coroutine: Awaitable[R]) -> R:
    """The result of a coroutine that never suspends."""
    assert isinstance(coroutine, Coroutine)
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: R = stop.value
        return result
    coroutine.close()
    raise RuntimeError("a unit of work awaited something other than its transaction")
