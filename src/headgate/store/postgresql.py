"""PostgreSQL: a bounded pool of connections; hot commands of one server commit in groups."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
import msgspec

from headgate.clock import monotonic
from headgate.errors import DatabaseError, Invalid, Unavailable
from headgate.store.connections import DEFAULT, Connections
from headgate.store.database import Command, Row, TryAgain, Tx, Unit, run_each, run_whole
from headgate.store.postgresql_signals import PostgresqlSignals
from headgate.store.signals import Hear
from headgate.store.statements import Compiled, Statement, compile_for_postgresql

R = TypeVar("R")
Item = TypeVar("Item")

LARGEST_SET = 256
_TRIES = 5
_CONFLICTS = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError, TryAgain)
_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # what the driver says of a connection that is being cut
    asyncpg.CannotConnectNowError,
    OSError,
)
_NOT_YET = (OSError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError, asyncpg.TooManyConnectionsError)
"""Of a database that may be there soon: it starts, or its machine does."""

_TOO_LONG = (asyncpg.LockNotAvailableError, asyncpg.QueryCanceledError)
_LOST_STATES = (asyncpg.AdminShutdownError, asyncpg.CrashShutdownError, asyncpg.TooManyConnectionsError)
_OF_THE_TRANSACTION = (*_CONFLICTS, *_LOST, *_LOST_STATES)
_CLOSE_SECONDS = 5.0
_BEGIN = "BEGIN"
_BEGIN_SET = "BEGIN; SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL enable_seqscan = off"
"""For the sets of hot commands, whose statements are few and find their rows by indexes. To plan one anew takes two to three
times as long as to run it, and a plan that was kept from when a table was empty would read it from end to end."""

_LOG = logging.getLogger("headgate.store")


class PostgresqlTx:
    """A transaction on one connection. One that only reads locks nothing, and so waits for no lock."""

    dialect = "postgresql"

    def __init__(self, connection: Any, *, reads: bool = False) -> None:
        self._connection = connection
        self._reads = reads

    async def fetch(self, sql: Statement | str, params: Mapping[str, Any] = {}) -> list[Row]:
        compiled = self._compiled(sql)
        with _refused():
            rows: list[Row] = await self._connection.fetch(compiled.sql, *_ordered(params, compiled))
        return rows

    async def fetch_one(self, sql: Statement | str, params: Mapping[str, Any] = {}) -> Row | None:
        compiled = self._compiled(sql)
        with _refused():
            row: Row | None = await self._connection.fetchrow(compiled.sql, *_ordered(params, compiled))
        return row

    async def fetch_value(self, sql: Statement | str, params: Mapping[str, Any] = {}) -> Any:
        compiled = self._compiled(sql)
        with _refused():
            return await self._connection.fetchval(compiled.sql, *_ordered(params, compiled))

    async def execute(self, sql: Statement | str, params: Mapping[str, Any] = {}) -> int:
        compiled = self._compiled(sql)
        with _refused():
            tag: str = await self._connection.execute(compiled.sql, *_ordered(params, compiled))
        count = tag.rpartition(" ")[2]
        return int(count) if count.isdigit() else 0

    async def execute_many(self, sql: Statement | str, rows: Sequence[Mapping[str, Any]]) -> None:
        if rows:
            compiled = self._compiled(sql)
            await self._execute_rows(compiled, [_ordered(row, compiled) for row in rows])

    async def fetch_many(self, sql: Statement | str, rows: Sequence[Mapping[str, Any]]) -> list[Row]:
        compiled = self._compiled(sql)
        if not compiled.takes_set:
            return [found for row in rows for found in await self.fetch(sql, row)]
        if not rows:
            return []
        columns = _columns([_ordered(row, compiled) for row in rows], compiled)
        with _refused():
            found: list[Row] = await self._connection.fetch(compiled.sql, *columns)
        return found

    async def insert_rows(self, sql: Statement, rows: Sequence[Sequence[Any]]) -> None:
        if rows:
            await self._execute_rows(self._compiled(sql), rows)

    def _compiled(self, sql: Statement | str) -> Compiled:
        if isinstance(sql, str):
            return compile_for_postgresql(sql)
        return compile_for_postgresql(sql.postgresql_reading if self._reads else sql.postgresql)

    async def _execute_rows(self, compiled: Compiled, rows: Sequence[Sequence[Any]]) -> None:
        with _refused():
            if compiled.takes_set:
                await self._connection.execute(compiled.sql, *_columns(rows, compiled))
            else:
                await self._connection.executemany(compiled.sql, rows)


@contextlib.contextmanager
def _refused() -> Iterator[None]:
    try:
        yield
    except asyncpg.DataError as error:
        if isinstance(error.__cause__, TypeError):  # of the statement's author, not of the value's
            raise
        raise Invalid(f"A value cannot be stored: {error}.") from error


def _columns(rows: Sequence[Sequence[Any]], compiled: Compiled) -> list[list[Any]]:
    columns = [[*column] for column in zip(*rows, strict=True)]
    for place in compiled.json:
        columns[place] = [None if value is None else _json(value) for value in columns[place]]
    return columns


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _ordered(params: Mapping[str, Any], compiled: Compiled) -> list[Any]:
    return [params[name] for name in compiled.names]


class PostgresqlDatabase:
    """See `store.database.Database`. Any number of servers may use the same database."""

    dialect = "postgresql"

    def __init__(self, pool: Any, signals: PostgresqlSignals, ways: Connections = DEFAULT) -> None:
        self._pool = pool
        self._signals = signals
        self._ways = ways
        self._sets: dict[Command[Any, Any], list[tuple[Any, asyncio.Future[Any]]]] = {}
        self._flushes: dict[Command[Any, Any], asyncio.Task[None]] = {}
        self._commits: dict[Command[Any, Any], asyncio.Task[None]] = {}
        self._units = 0
        self._idle = asyncio.Event()
        self._closing = False

    async def read(self, unit: Unit[R]) -> R:
        """Run `unit` on a pooled connection."""
        with self._counted():
            async with _lost_is_unavailable(), self._connection() as connection:
                if self._ways.prepared:
                    return await unit(PostgresqlTx(connection, reads=True))
                async with connection.transaction(readonly=True):  # what a pooler keeps together
                    return await unit(PostgresqlTx(connection, reads=True))

    async def write(self, unit: Unit[R]) -> R:
        """Run `unit` in a transaction of its own, again after a deadlock or a serialisation conflict."""
        with self._counted():
            return await self._write(unit)

    async def submit(self, command: Command[Item, R], item: Item) -> R:
        """Run `item` in the next set of its command. One set of a command runs at a time, while the one before commits."""
        self._check_open()
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._sets.setdefault(command, []).append((item, future))
        if command not in self._flushes:
            self._flushes[command] = asyncio.create_task(self._flush(command), name=f"flush {command.name}")
        return await future

    @property
    def hears(self) -> bool:
        """Whether messages of other servers come through."""
        return self._signals.hears

    def announce(self, pools: set[UUID]) -> None:
        """By NOTIFY, coalesced."""
        self._signals.announce(pools)

    def listen(self, hear: Hear) -> None:
        """By LISTEN, on a connection beside the pool."""
        self._signals.listen(hear)

    async def close(self) -> None:
        """Commit what was handed in, then close the pool."""
        await self._signals.close()
        self._closing = True
        await asyncio.gather(*self._flushes.values())
        await asyncio.gather(*self._commits.values())
        while self._units:
            self._idle.clear()
            await self._idle.wait()
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._pool.close()
        except (TimeoutError, *_LOST):  # what was cut off does not say goodbye
            self._pool.terminate()

    def _check_open(self) -> None:
        if self._closing:
            raise Unavailable("The database is closed.")

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        """For `close`, which waits for what was begun before."""
        self._check_open()
        self._units += 1
        try:
            yield
        finally:
            self._units -= 1
            self._idle.set()

    async def _write(self, unit: Unit[R], begin: str = _BEGIN, commits: asyncio.Event | None = None) -> R:
        conflict: Exception | None = None
        for _ in range(_TRIES):
            try:
                return await self._write_once(unit, begin, commits)
            except _CONFLICTS as error:
                conflict = error
        raise Unavailable(f"The database is too busy with others' changes to the same records: {conflict}.") from conflict

    async def _write_once(self, unit: Unit[R], begin: str, commits: asyncio.Event | None) -> R:
        async with _lost_is_unavailable(), self._connection() as connection, _transaction(connection, begin):
            result = await unit(PostgresqlTx(connection))
            if commits:
                commits.set()
            return result

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        """One of the pool, for as long as an answer may take. Its end is hard then: whoever is cut off waits in vain for
        a query to be cancelled, or for a transaction to be rolled back."""
        limit = self._ways.answer_seconds
        async with self._pool.acquire(timeout=limit) as connection:
            late = asyncio.get_running_loop().call_later(limit, connection.terminate) if limit else None
            try:
                yield connection
            finally:
                if late:
                    late.cancel()

    async def _flush(self, command: Command[Any, Any]) -> None:
        """Set after set, until nothing waits. The next one begins while the one before commits, on another connection: it
        finds what that one locked locked, as it does what another server locked."""
        try:
            while waiting := self._sets.pop(command, []):
                for start in range(0, len(waiting), LARGEST_SET):
                    commits = asyncio.Event()
                    settling = asyncio.create_task(self._settle(command, waiting[start : start + LARGEST_SET], commits))
                    if last := self._commits.get(command):
                        await last
                    await commits.wait()
                    self._commits[command] = settling
        finally:
            del self._flushes[command]

    async def _settle(
        self, command: Command[Any, Any], waiting: list[tuple[Any, asyncio.Future[Any]]], commits: asyncio.Event
    ) -> None:
        waiting = [(item, future) for item, future in waiting if not future.cancelled()]
        try:
            results = await self._run_items(command, [item for item, _ in waiting], commits) if waiting else []
        finally:
            commits.set()
        for (_, future), result in zip(waiting, results, strict=True):
            if future.done():
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)

    async def _run_items(self, command: Command[Any, Any], items: list[Any], commits: asyncio.Event) -> list[Any]:
        """One result per item. Savepoints are for the rare set that fails as a whole: each is two round trips."""
        try:
            try:
                return await self._write(lambda tx: run_whole(tx, command, items), _BEGIN_SET, commits)
            except Unavailable:
                raise
            except Exception as error:
                if len(items) == 1:
                    return [error]
            return await self._write(
                lambda tx: run_each(_savepoints(tx), command, items, passing=_OF_THE_TRANSACTION), _BEGIN_SET
            )
        except Exception as error:
            return [error] * len(items)


def _savepoints(tx: Tx) -> Any:
    """Nested transactions of `tx`, for the items of a set."""

    @contextlib.asynccontextmanager
    async def savepoint() -> AsyncIterator[Tx]:
        assert isinstance(tx, PostgresqlTx)
        async with _transaction(tx._connection, "SAVEPOINT item", "RELEASE SAVEPOINT item", "ROLLBACK TO SAVEPOINT item"):
            yield tx

    return savepoint


@contextlib.asynccontextmanager
async def _transaction(
    connection: Any, begin: str, commit: str = "COMMIT", rollback: str = "ROLLBACK"
) -> AsyncIterator[None]:
    """Not the driver's own, which begins with that one word and leaves its settings to a round trip of their own."""
    await connection.execute(begin)
    try:
        yield
    except BaseException:
        if not connection.is_closed():
            await connection.execute(rollback)
        raise
    await connection.execute(commit)


@contextlib.asynccontextmanager
async def _lost_is_unavailable() -> AsyncIterator[None]:
    try:
        yield
    except (*_LOST, *_LOST_STATES) as error:
        raise Unavailable(f"The database does not answer: {_words(error)}.") from error
    except _TOO_LONG as error:
        raise Unavailable(f"The database is busy with something that takes long: {error}.") from error


def _words(error: BaseException) -> str:
    return str(error).rstrip(".") or type(error).__name__


async def open_postgresql(url: str, shown: str, ways: Connections = DEFAULT) -> PostgresqlDatabase:
    """Connect; `DatabaseError` in one line when that fails. `url` holds the credentials, `shown` does not."""
    deadline, pause, failure = monotonic() + ways.wait_seconds, 0.1, ""
    while True:
        try:
            pool = await _open_pool(url, ways)
            return PostgresqlDatabase(pool, PostgresqlSignals(ways.direct_url or url, pool), ways)
        except ValueError:  # its text may hold a part of the password
            hint = "percent-encode signs such as / : @ # in its user and password, and check its options"
            raise DatabaseError(f"Cannot connect to {shown}: the URL cannot be read; {hint}.") from None
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            waited = f" within {ways.wait_seconds:g} s" if failure else ""
            if not isinstance(error, _NOT_YET) or monotonic() + pause > deadline:
                raise DatabaseError(f"Cannot connect to {shown}{waited}: {_words(error)}.") from None
            if not failure:
                _LOG.warning("Cannot connect to %s yet, for %g s at most: %s.", shown, ways.wait_seconds, _words(error))
            failure = _words(error)
        await asyncio.sleep(pause)
        pause = min(pause * 2, 2.0)


async def _open_pool(url: str, ways: Connections) -> Any:
    async def prepare(connection: Any) -> None:
        async with connection.transaction():
            await _prepare(connection)

    return await asyncpg.create_pool(
        url,
        min_size=1,
        max_size=ways.most,
        timeout=ways.connect_seconds,
        init=prepare,
        reset=_leave,
        server_settings={"application_name": "headgate"},
        **({} if ways.prepared else {"statement_cache_size": 0}),
    )


async def _leave(connection: Any) -> None:
    """Nothing is to be taken back: no unit changes its session, and every transaction has an end."""


async def _prepare(connection: Any) -> None:
    for kind in ("json", "jsonb"):
        await connection.set_type_codec(kind, schema="pg_catalog", encoder=_json, decoder=msgspec.json.decode)
    await connection.set_type_codec("uuid", schema="pg_catalog", encoder=msgspec.to_builtins, decoder=_read_uuid)


def _read_uuid(text: str) -> UUID:
    return msgspec.convert(text, UUID)  # a third of what UUID(text) takes
