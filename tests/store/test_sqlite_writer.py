"""Where a group is committed on SQLite: on the event loop while that is quick, else on the writer's thread."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from store_records import a_flow, save_flow

from headgate.schema.flows import Flow
from headgate.store import flows, sqlite_writer
from headgate.store.database import Command, Tx
from headgate.store.opening import create_schema
from headgate.store.sqlite import SqliteDatabase


class Spy:
    """A command that inserts flows, and remembers on which thread each set was run."""

    def __init__(self) -> None:
        self.on_thread: list[bool] = []
        self.command: Command[Flow, str] = Command("insert flows", self.run)

    async def run(self, tx: Tx, items: Sequence[Flow]) -> list[str]:
        self.on_thread.append(threading.current_thread() is not threading.main_thread())
        for flow in items:
            await flows.insert(tx, flow)
        return [flow.name for flow in items]

    async def submit(self, database: SqliteDatabase, *names: str) -> list[str]:
        """All at once, each with a caller of its own."""
        async with asyncio.timeout(30):
            return await asyncio.gather(*(database.submit(self.command, a_flow(name)) for name in names))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "one.db"


@pytest.fixture
async def database(path: Path) -> AsyncIterator[SqliteDatabase]:
    opened = SqliteDatabase(path)
    await create_schema(opened)
    yield opened
    await opened.close()


@pytest.fixture
def spy() -> Spy:
    return Spy()


async def names_in(database: SqliteDatabase) -> set[str]:
    return {row["name"] for row in await database.read(lambda tx: tx.fetch("SELECT name FROM flow"))}


async def test_a_few_items_need_no_thread(database: SqliteDatabase, spy: Spy) -> None:
    """What one round of callbacks brings is one set, committed without waking anybody; many items go to the thread."""
    assert await spy.submit(database, "a", "b", "c") == ["a", "b", "c"]
    assert spy.on_thread == [False]
    many = [f"n{index}" for index in range(sqlite_writer.AT_ONCE + 1)]
    assert await spy.submit(database, *many) == many
    assert spy.on_thread == [False, True]
    assert await names_in(database) == {"a", "b", "c", *many}


async def test_the_event_loop_waits_for_no_other_process(database: SqliteDatabase, path: Path, spy: Spy) -> None:
    """While another process writes, the loop goes on, and the thread waits."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        submitted = asyncio.create_task(spy.submit(database, "late"))
        for _ in range(20):
            await asyncio.sleep(0)  # a loop that waits would not come back before the other has let go
        assert not submitted.done()
        other.execute("ROLLBACK")
    assert await submitted == ["late"]
    assert spy.on_thread == [True]
    assert await spy.submit(database, "next") == ["next"]
    assert spy.on_thread == [True, False]


async def test_the_thread_goes_first(database: SqliteDatabase, spy: Spy) -> None:
    """Who comes while the thread writes is committed by it afterwards: the loop neither waits nor pushes in."""
    begun, go_on = threading.Event(), threading.Event()

    async def hold(tx: Tx) -> None:
        begun.set()
        assert go_on.wait(30)
        await flows.insert(tx, a_flow("held"))

    holding = asyncio.create_task(database.write(hold))
    while not begun.is_set():  # noqa: ASYNC110 - told from another thread
        await asyncio.sleep(0)
    submitted = asyncio.create_task(spy.submit(database, "a", "b"))
    for _ in range(3):
        await asyncio.sleep(0)
    assert spy.on_thread == []
    go_on.set()
    await holding
    assert await submitted == ["a", "b"]
    assert spy.on_thread == [True]


async def test_a_slow_command_goes_to_the_thread(
    database: SqliteDatabase, spy: Spy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that held the loop for too long does so once in some seconds, and no other command with it."""
    now = 0.0
    monkeypatch.setattr(sqlite_writer, "monotonic", lambda: now)
    quick = Spy()

    async def dawdle(tx: Tx, items: Sequence[Flow]) -> list[str]:
        nonlocal now
        now += 2 * sqlite_writer.LONG
        return await Spy.run(spy, tx, items)

    spy.command = Command("dawdle", dawdle)
    await spy.submit(database, "first")
    await spy.submit(database, "second")
    await quick.submit(database, "another command")
    now += sqlite_writer.LONG_FOR
    await spy.submit(database, "after a while")
    assert spy.on_thread == [False, True, False]
    assert quick.on_thread == [False]


async def test_the_log_is_copied_in_passing(
    database: SqliteDatabase, path: Path, spy: Spy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Committed on the loop alone, the log does not grow for ever."""
    monkeypatch.setattr(sqlite_writer, "COPY_AFTER", 4)
    monkeypatch.setattr(sqlite_writer, "COPY_PAUSE", 0.0)
    log = path.with_name(path.name + "-wal")
    sizes = []
    for index in range(60):
        await spy.submit(database, f"flow {index} {'x' * 20_000}")
        if index % 4 == 3:
            await database.write(lambda tx: tx.fetch_value("SELECT 1"))  # the thread has done what it was told before
            sizes.append(log.stat().st_size)
    assert sizes[-1] == sizes[len(sizes) // 2]
    assert not all(spy.on_thread)
    assert len(await names_in(database)) == 60


async def test_a_few_large_units_do_not_grow_the_log_for_ever(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor has it to wait for many groups."""
    monkeypatch.setattr(sqlite_writer, "LONGEST_LOG", 100)
    database = SqliteDatabase(path)
    await create_schema(database)
    log, sizes = path.with_name(path.name + "-wal"), []
    for index in range(12):
        await save_flow(database, name=f"{index} {'x' * 1_000_000}")
        sizes.append(log.stat().st_size)
    await database.close()
    assert max(sizes) < 3_000_000


def test_who_waited_on_a_loop_that_is_gone_is_nobodys_trouble(path: Path) -> None:
    """One that ended before it committed what it had been given: the next one commits its own."""
    database, spy = SqliteDatabase(path), Spy()
    asyncio.run(create_schema(database))
    gone = asyncio.new_event_loop()
    gone.set_exception_handler(lambda _loop, _context: None)  # that a task was left pending is meant
    abandoned = gone.create_task(database.submit(spy.command, a_flow("abandoned")))
    gone.call_soon(gone.stop)
    gone.run_forever()
    gone.close()

    async def main() -> list[str]:
        try:
            return await spy.submit(database, "next")
        finally:
            await database.close()

    assert asyncio.run(main()) == ["next"]
    assert not abandoned.done()


def test_an_interrupted_commit_leaves_nothing_behind(path: Path) -> None:
    """Ctrl-C on the event loop while it commits: nothing of the group is kept, and the file can be written again."""

    async def interrupted(tx: Tx, items: Sequence[Flow]) -> list[str]:
        await flows.insert(tx, items[0])
        raise KeyboardInterrupt

    async def main() -> None:
        await create_schema(database)
        await database.submit(Command("interrupted", interrupted), a_flow("half"))

    async def again() -> set[str]:
        try:
            await save_flow(database, name="whole")
            await Spy().submit(database, "and another")
            return await names_in(database)
        finally:
            await database.close()

    database = SqliteDatabase(path)
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())
    assert asyncio.run(again()) == {"whole", "and another"}
