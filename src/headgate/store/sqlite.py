"""SQLite: one writer that commits in groups, and a few reader threads, on a file in WAL mode."""

import asyncio
import contextlib
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from headgate.errors import Unavailable
from headgate.store.database import Command, Unit
from headgate.store.signals import Hear
from headgate.store.sqlite_file import connect, unavailable
from headgate.store.sqlite_tx import SqliteTx, run_now
from headgate.store.sqlite_writer import SqliteWriter

R = TypeVar("R")
Item = TypeVar("Item")

READERS = 3


class SqliteDatabase:
    """See `store.database.Database`. Other processes may use the same file."""

    dialect = "sqlite"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="headgate-reader")
        self._reader_connections: list[sqlite3.Connection] = []
        self._closing = False
        self._writer = SqliteWriter(path)

    async def read(self, unit: Unit[R]) -> R:
        """Run `unit` on a reader thread, on one snapshot."""
        self._check_open()
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, unit)

    async def write(self, unit: Unit[R]) -> R:
        """Run `unit` in the writer's next group."""
        self._check_open()
        result: R = await self._writer.write(unit)
        return result

    async def submit(self, command: Command[Item, R], item: Item) -> R:
        """Run `item` with all others of its command in the writer's next group."""
        self._check_open()
        result: R = await self._writer.submit(command, item)
        return result

    @property
    def hears(self) -> bool:
        """Whether the writer looks for commits of other processes."""
        return self._writer.hears

    def announce(self, pools: set[UUID]) -> None:
        """Nothing to do: the file itself tells other processes that it has changed."""

    def listen(self, hear: Hear) -> None:
        """Look for commits of other processes; they do not tell which pools they concern."""
        loop = asyncio.get_running_loop()

        def tell() -> None:
            with contextlib.suppress(RuntimeError):  # the loop of a caller that is gone
                loop.call_soon_threadsafe(hear, None)

        self._writer.listen(tell)

    async def close(self) -> None:
        """Commit what was handed in, then end the threads and close the file."""
        self._closing = True
        await self._writer.close()
        self._readers.shutdown(wait=True)
        for connection in self._reader_connections:
            connection.close()

    def _check_open(self) -> None:
        if self._closing:
            raise Unavailable(f"The database {self._path} is closed.")

    def _read(self, unit: Unit[R]) -> R:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = connect(self._path)
            self._reader_connections.append(connection)
        try:
            connection.execute("BEGIN")
            return run_now(unit(SqliteTx(connection)))
        except sqlite3.Error as error:
            raise unavailable(error) from error
        finally:
            if connection.in_transaction:
                connection.rollback()
