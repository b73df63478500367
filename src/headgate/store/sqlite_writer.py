"""The one writer of a SQLite file: what arrives together is committed together, on the event loop where that is quick, and
on a thread otherwise.

A hot command of a few items takes less time than waking a thread and taking turns with it: Python lets one thread run at a
time, the writer gives it up at every step of SQLite, and each change of hands costs. So the event loop commits such groups
itself, between two rounds of callbacks. Whatever may take long goes to the thread: units, many items at once, commands that
were slow lately, and every group while another process writes. The thread also copies the log into the file, from another
connection, so that nobody waits but for the little that was written meanwhile.
"""

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headgate.clock import monotonic
from headgate.store import sqlite_file
from headgate.store.database import Command, Tx, Unit, run_set
from headgate.store.sqlite_file import check_writable, connect, unavailable
from headgate.store.sqlite_tx import SqliteTx, run_now

_COPY = "PRAGMA wal_checkpoint(PASSIVE)"

LOOK_SECONDS = 0.05
"""How often the idle thread looks whether another process has written."""

_NUDGE, _END = "look", "end"

AT_ONCE = 32
"""So many works at most are committed on the event loop together."""
LONG = 0.03
"""A command that held the event loop for longer, in seconds, goes to the thread …"""
LONG_FOR = 5.0
"""… for so many seconds."""
COPY_AFTER = 32
"""The log is copied into the file after so many groups at the earliest …"""
COPY_PAUSE = 0.5
"""… and after so many seconds: the same pages change again and again, and are copied once."""
LONGEST_LOG = 16_000
"""A commit that finds it longer than so many pages, 64 MB, copies it there and then: a few large units write as much."""


@dataclass(slots=True, eq=False)
class _Work:
    """Something for the writer: a unit, or an item of a command; and who waits for it."""

    unit: Unit[Any] | None
    command: Command[Any, Any] | None
    item: Any
    future: asyncio.Future[Any]


class SqliteWriter:
    """Writes through one connection. Whoever commits has the turn; the event loop never waits for it."""

    def __init__(self, path: Path) -> None:
        self._connection = connect(path)
        check_writable(self._connection, path)
        self._connection.execute(f"PRAGMA wal_autocheckpoint={LONGEST_LOG}")
        self._copier = connect(path)
        self._turn = threading.Lock()
        self._queue: queue.SimpleQueue[_Work | str] = queue.SimpleQueue()
        self._home: asyncio.AbstractEventLoop | None = None  # commits by itself; other loops hand over to the thread
        self._gathered: list[_Work] = []
        self._engaged = False  # the thread has something to write, and goes first
        self._hasty = False
        self._groups = 0  # since the log was copied
        self._copied_at = monotonic()
        self._long: dict[Command[Any, Any], float] = {}
        self._hear: Callable[[], None] | None = None
        self._thread = threading.Thread(target=self._write_until_closed, name="headgate-writer", daemon=True)
        self._thread.start()

    @property
    def hears(self) -> bool:
        """Whether it looks for commits of other processes."""
        return self._hear is not None

    def listen(self, hear: Callable[[], None]) -> None:
        """Have `hear` called, on the thread, after a commit of another process."""
        self._hear = hear
        self._nudge()  # the thread sleeps for as long as there was nothing to look for

    async def write(self, unit: Unit[Any]) -> Any:
        """Run a unit, on the thread; it is committed when this returns."""
        work = _Work(unit, None, None, asyncio.get_running_loop().create_future())
        self._queue.put(work)
        return await work.future

    async def submit(self, command: Command[Any, Any], item: Any) -> Any:
        """Run one item of a command with what else is there of it; it is committed when this returns."""
        loop = asyncio.get_running_loop()
        work = _Work(None, command, item, loop.create_future())
        if self._is_quick(command) and self._is_home(loop):
            if not self._gathered:
                loop.call_soon(self._commit_gathered)
            self._gathered.append(work)
        else:
            self._queue.put(work)
        return await work.future

    async def close(self) -> None:
        """Commit what was handed in, then end the thread and close the connection; nothing may be handed in any more."""
        group, self._gathered = self._gathered, []
        self._hand_over(group)
        self._queue.put(_END)
        await asyncio.to_thread(self._thread.join)
        self._copier.close()
        self._connection.close()

    def _nudge(self) -> None:
        """Have the thread look what there is to do."""
        self._queue.put(_NUDGE)

    def _is_home(self, loop: asyncio.AbstractEventLoop) -> bool:
        if self._home is None or self._home.is_closed():
            self._home, self._gathered = loop, []  # who waited on a loop that is closed is gone
        return self._home is loop

    def _is_quick(self, command: Command[Any, Any]) -> bool:
        until = self._long.get(command)
        if until is not None and monotonic() >= until:
            del self._long[command]
            until = None
        return until is None

    def _hand_over(self, group: list[_Work]) -> None:
        for work in group:
            self._queue.put(work)

    def _commit_gathered(self) -> None:
        """On the event loop: commit what this round of callbacks has brought, or leave it to the thread."""
        group, self._gathered = self._gathered, []
        if not group:
            return
        if len(group) > AT_ONCE or self._engaged or not self._turn.acquire(blocking=False):
            self._hand_over(group)
            return
        try:
            self._be(hasty=True)
            results = self._results([work for work in group if not work.future.cancelled()])
        finally:
            self._turn.release()
        if results is None:  # another process writes; the thread waits for it
            self._hand_over(group)
            return
        _deliver(results)
        if self._is_log_long():
            self._nudge()

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
            todo = [work for work in group if isinstance(work, _Work) and not work.future.cancelled()]
            if todo:
                self._engaged = True
                with self._turn:
                    self._be(hasty=False)
                    results = self._results(todo)
                self._engaged = False
                _deliver_elsewhere(results or [])
                version = self._look(version)
            if self._is_log_long():
                self._copy_log()
            if _END in group:
                return

    def _is_log_long(self) -> bool:
        return self._groups >= COPY_AFTER and monotonic() - self._copied_at >= COPY_PAUSE

    def _copy_log(self) -> None:
        """Copy the log into the file, beside what is being written, and then the rest, so that the log begins anew."""
        with contextlib.suppress(sqlite3.Error):  # it is copied later
            self._copier.execute(_COPY).fetchone()
            with self._turn:
                self._connection.execute(_COPY).fetchone()
        self._groups, self._copied_at = 0, monotonic()

    def _be(self, *, hasty: bool) -> None:
        """Have the connection wait for nobody, or for other processes."""
        if self._hasty != hasty:
            self._connection.execute(f"PRAGMA busy_timeout={0 if hasty else sqlite_file.BUSY_SECONDS * 1000:.0f}")
            self._hasty = hasty

    def _look(self, version: int) -> int:
        """Tell who listens when another connection than this one has committed since; the version of the file now."""
        if self._hear is None:
            return version
        if (now := self._version()) != version and self._hear is not None:
            self._hear()
        return now

    def _version(self) -> int:
        with contextlib.suppress(sqlite3.Error), self._turn:
            version: int = self._connection.execute("PRAGMA data_version").fetchone()[0]
            return version
        return -1

    def _results(self, group: list[_Work]) -> list[tuple[_Work, Any]] | None:
        """One transaction for the whole group; None, and nothing done, when haste forbids to wait for another process."""
        self._groups += 1
        try:
            return self._commit(group)
        except BaseException as error:  # whatever it is, the writer goes on, and every caller gets an answer
            if self._connection.in_transaction:
                self._connection.rollback()
            if not isinstance(error, Exception):  # Ctrl-C on the event loop: nothing of the group is kept
                raise
            if self._hasty and _is_busy(error):
                return None
            return [(work, _Failed(error)) for work in group]

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
        begin = monotonic()
        try:
            answers = run_now(run_set(self._savepoint, command, items))
        except Exception as error:
            return [_Failed(error)] * len(items)
        finally:
            if self._hasty and (end := monotonic()) - begin > LONG:
                self._long[command] = end + LONG_FOR
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
            work.future.set_exception(unavailable(result.error))
        else:
            work.future.set_result(result)


def _deliver_elsewhere(results: list[tuple[_Work, Any]]) -> None:
    """From the thread: one call for each event loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[_Work, Any]]] = {}
    for work, result in results:
        by_loop.setdefault(work.future.get_loop(), []).append((work, result))
    for loop, settled in by_loop.items():
        with contextlib.suppress(RuntimeError):  # the loop of a caller that is gone
            loop.call_soon_threadsafe(_deliver, settled)


def _is_busy(error: Exception) -> bool:
    return isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
