"""SQLite: one writer thread that commits in groups, and a few reader threads, on a file in WAL mode."""

import asyncio
import contextlib
import itertools
import queue
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from headgate.errors import DatabaseError, Invalid, Unavailable
from headgate.store.database import Command, Row, Tx, Unit, run_set
from headgate.store.signals import Hear
from headgate.store.statements import Compiled, Statement, compile_for_sqlite, for_rows
from headgate.store.times import from_micros, to_micros

R = TypeVar("R")
Item = TypeVar("Item")

READERS = 3
LOOK_SECONDS = 0.05
"""How often the idle writer looks whether another process has written."""

BUSY_SECONDS = 30.0


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


@dataclass(slots=True, eq=False)
class _Work:
    """Something for the writer: a unit, or an item of a command; and who waits for it."""

    unit: Unit[Any] | None
    command: Command[Any, Any] | None
    item: Any
    future: asyncio.Future[Any]


class SqliteDatabase:
    """See `store.database.Database`. Other processes may use the same file."""

    dialect = "sqlite"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._queue: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._local = threading.local()
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="headgate-reader")
        self._reader_connections: list[sqlite3.Connection] = []
        self._closing = False
        self._hear: Callable[[], None] | None = None
        self._connection = connect(path)
        _check_writable(self._connection, path)
        self._writer = threading.Thread(target=self._write_until_closed, name="headgate-writer", daemon=True)
        self._writer.start()

    async def read(self, unit: Unit[R]) -> R:
        """Run `unit` on a reader thread, on one snapshot."""
        if self._closing:
            raise self._closed()
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, unit)

    async def write(self, unit: Unit[R]) -> R:
        """Run `unit` in the writer's next group."""
        result: R = await self._enqueue(_Work(unit, None, None, asyncio.get_running_loop().create_future()))
        return result

    async def submit(self, command: Command[Item, R], item: Item) -> R:
        """Run `item` with all others of its command in the writer's next group."""
        result: R = await self._enqueue(_Work(None, command, item, asyncio.get_running_loop().create_future()))
        return result

    @property
    def hears(self) -> bool:
        """Whether the writer looks for commits of other processes."""
        return self._hear is not None

    def announce(self, pools: set[UUID]) -> None:
        """Nothing to do: the file itself tells other processes that it has changed."""

    def listen(self, hear: Hear) -> None:
        """Look for commits of other processes; they do not tell which pools they concern."""
        loop = asyncio.get_running_loop()

        def tell() -> None:
            with contextlib.suppress(RuntimeError):  # the loop of a caller that is gone
                loop.call_soon_threadsafe(hear, None)

        self._hear = tell
        nothing = loop.create_future()
        nothing.cancel()
        self._queue.put(_Work(None, None, None, nothing))  # the writer sleeps for as long as there was nothing to look for

    async def close(self) -> None:
        """Commit what was handed in, then end the threads and close the file."""
        self._closing = True
        self._queue.put(None)
        await asyncio.to_thread(self._writer.join)
        self._readers.shutdown(wait=True)
        for connection in self._reader_connections:
            connection.close()
        self._connection.close()

    async def _enqueue(self, work: _Work) -> Any:
        if self._closing:
            raise self._closed()
        self._queue.put(work)
        return await work.future

    def _closed(self) -> Unavailable:
        return Unavailable(f"The database {self._path} is closed.")

    def _read(self, unit: Unit[R]) -> R:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = connect(self._path)
            self._reader_connections.append(connection)
        try:
            connection.execute("BEGIN")
            return run_now(unit(SqliteTx(connection)))
        except sqlite3.Error as error:
            raise _unavailable(error) from error
        finally:
            if connection.in_transaction:
                connection.rollback()

    def _write_until_closed(self) -> None:
        version = self._version()
        while True:
            try:
                group = [self._queue.get(timeout=None if self._hear is None else LOOK_SECONDS)]
            except queue.Empty:
                version = self._look(version)
                continue
            with contextlib.suppress(queue.Empty):
                while True:
                    group.append(self._queue.get_nowait())
            todo = [work for work in group if work is not None and not work.future.cancelled()]
            if todo:
                self._settle(todo)
                version = self._look(version)
            if None in group:
                return

    def _look(self, version: int) -> int:
        """Tell who listens when another connection than this one has committed since; the version of the file now."""
        if (now := self._version()) != version and self._hear is not None:
            self._hear()
        return now

    def _version(self) -> int:
        with contextlib.suppress(sqlite3.Error):
            version: int = self._connection.execute("PRAGMA data_version").fetchone()[0]
            return version
        return -1

    def _settle(self, group: list[_Work]) -> None:
        """One transaction for the whole group; then tell each caller, with one call per event loop."""
        try:
            results = self._commit(group)
        except Exception as error:  # whatever it is, the writer goes on, and every caller gets an answer
            if self._connection.in_transaction:
                self._connection.rollback()
            results = [(work, _Failed(error)) for work in group]
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[_Work, Any]]] = {}
        for work, result in results:
            by_loop.setdefault(work.future.get_loop(), []).append((work, result))
        for loop, settled in by_loop.items():
            with contextlib.suppress(RuntimeError):  # the loop of a caller that is gone
                loop.call_soon_threadsafe(_deliver, settled)

    def _commit(self, group: list[_Work]) -> list[tuple[_Work, Any]]:
        self._connection.execute("BEGIN IMMEDIATE")
        results: list[tuple[_Work, Any]] = []
        sets: dict[Command[Any, Any], list[_Work]] = {}
        for work in group:
            if work.command is not None:
                sets.setdefault(work.command, []).append(work)
            elif work.unit is not None:
                results.append((work, self._run_unit(work.unit)))
        for command, works in sets.items():
            results += zip(works, self._run_set(command, [work.item for work in works]), strict=True)
        if not self._connection.in_transaction:
            raise _rolled_back()
        self._connection.execute("COMMIT")
        return results

    def _run_unit(self, unit: Unit[Any]) -> Any:
        async def run() -> Any:
            async with self._savepoint() as tx:
                return await unit(tx)

        try:
            return run_now(run())
        except Exception as error:
            return _Failed(error)

    def _run_set(self, command: Command[Any, Any], items: Sequence[Any]) -> list[Any]:
        try:
            answers = run_now(run_set(self._savepoint, command, items))
        except Exception as error:
            return [_Failed(error)] * len(items)
        return [_Failed(answer) if isinstance(answer, Exception) else answer for answer in answers]

    @contextlib.asynccontextmanager
    async def _savepoint(self) -> AsyncIterator[Tx]:
        if not self._connection.in_transaction:
            raise _rolled_back()
        self._connection.execute("SAVEPOINT unit")
        try:
            yield SqliteTx(self._connection)
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK TO unit")
            raise
        finally:
            if self._connection.in_transaction:
                self._connection.execute("RELEASE unit")


def _rolled_back() -> sqlite3.OperationalError:
    # A full disk or a failing one makes SQLite roll the whole group back: none of it may go on alone.
    return sqlite3.OperationalError("the transaction was rolled back")


@dataclass(frozen=True, slots=True)
class _Failed:
    """A failure, told apart from a unit that answers an exception."""

    error: Exception


def _deliver(settled: list[tuple[_Work, Any]]) -> None:
    for work, result in settled:
        if work.future.done():
            continue
        if isinstance(result, _Failed):
            work.future.set_exception(_unavailable(result.error))
        else:
            work.future.set_result(result)


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


def connect(path: Path) -> sqlite3.Connection:
    """A connection with our settings, in autocommit mode; `DatabaseError` in one line when the file is not to be had."""
    try:
        connection = sqlite3.connect(
            path,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            detect_types=sqlite3.PARSE_DECLTYPES,
            cached_statements=1024,
        )
    except sqlite3.Error as error:
        raise _cannot_open(path, error) from None
    # SQLite's own knows ASCII alone; searches are to find words of every language, as on PostgreSQL.
    connection.create_function("lower", 1, lambda text: None if text is None else str(text).lower(), deterministic=True)
    try:
        _use_wal(connection)
        # NORMAL: a commit survives the death of any process; a power cut may take the last few, never the file.
        for pragma in (
            "synchronous=NORMAL",
            "foreign_keys=ON",
            "temp_store=MEMORY",
            "cache_size=-16000",
            # 16 MB rather than 4 before what is in the log is copied: the same pages change again and again.
            "wal_autocheckpoint=4000",
        ):
            connection.execute(f"PRAGMA {pragma}")
    except sqlite3.Error as error:
        connection.close()
        raise _cannot_open(path, error) from None
    return connection


def compact(path: Path) -> tuple[int, int]:
    """Rewrite the file without its free pages; its bytes before and after. Nobody else may be writing to it."""
    if not path.exists():
        raise DatabaseError(f"There is no database {path}.")
    connection = connect(path)
    try:
        before = path.stat().st_size
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return before, path.stat().st_size
    except sqlite3.Error as error:
        raise DatabaseError(
            f"Cannot compact {path}: {error}. Does another process use it, and is there room for a second copy beside it?"
        ) from None
    finally:
        connection.close()


def _use_wal(connection: sqlite3.Connection) -> None:
    """The mode is written into the file: that of another program, which is refused later, stays as it is."""
    if connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
        return
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables or "flow_run_detail" in tables:
        connection.execute("PRAGMA journal_mode=WAL")


def _check_writable(connection: sqlite3.Connection, path: Path) -> None:
    """SQLite opens what it may only read, too; then `DatabaseError`, now rather than at the first write."""
    connection.execute("PRAGMA busy_timeout=0")
    try:
        connection.execute("BEGIN IMMEDIATE")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        connection.execute(f"PRAGMA user_version={version}")
        connection.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:  # busy: somebody writes, so one may write
            connection.close()
            raise _cannot_open(path, error) from None
    connection.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000:.0f}")


def _cannot_open(path: Path, error: sqlite3.Error) -> DatabaseError:
    return DatabaseError(
        f"Cannot open the database {path}: {error}. Is it a Headgate database, and may this user write there?"
    )


def _unavailable(error: Exception) -> Exception:
    """`error`, or `Unavailable` when it is the file's or the disk's and not the statement's."""
    if not isinstance(error, sqlite3.DatabaseError):
        return error
    match getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ABORT) & 0xFF:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return Unavailable(f"The database has been busy for {BUSY_SECONDS:.0f} s: another process holds it.")
        case sqlite3.SQLITE_ERROR | sqlite3.SQLITE_CONSTRAINT | sqlite3.SQLITE_MISMATCH | sqlite3.SQLITE_RANGE:
            return error
    return Unavailable(f"The database failed: {error}.")
