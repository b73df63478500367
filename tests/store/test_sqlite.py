"""SQLite in particular: one writer thread, snapshots for readers, other connections and processes on the same file."""

import asyncio
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from store_records import a_flow, save_flow

from headgate.errors import HeadgateError, Unavailable
from headgate.store import flows, sqlite, sqlite_file
from headgate.store.database import Command, Tx
from headgate.store.sqlite import SqliteDatabase
from headgate.store.versions import HEAD

COMMITS = """
import asyncio, sys
from pathlib import Path
from headgate.clock import now
from headgate.ids import uuid7
from headgate.store.sqlite import SqliteDatabase

INSERT = "INSERT INTO flow (id, created, updated, name, tags, labels) VALUES (:id, :at, :at, :name, '[]', '{}')"

async def main(path, prefix, count):
    database = SqliteDatabase(Path(path))
    at = now()
    async def one(n):
        await database.write(lambda tx: tx.execute(INSERT, {"id": uuid7(at), "at": at, "name": f"{prefix}{n}"}))
    for start in range(0, count, 10):
        await asyncio.gather(*(one(n) for n in range(start, start + 10)))
    await database.close()

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""

STARTS = """
import asyncio, sys
from headgate.server import open_store
from headgate.settings import Settings

async def main(url):
    store = await open_store(Settings(server_database_connection_url=url))
    print(await store.read(lambda tx: tx.fetch_value("SELECT version_num FROM alembic_version")))
    await store.close()

sys.stdin.read()
asyncio.run(main(sys.argv[1]))
"""


@pytest.fixture
def dialect() -> str:
    return "sqlite"


@pytest.fixture
def path(database_url: str) -> Path:
    return Path(database_url.removeprefix("sqlite:///"))


def process(script: str, *arguments: str) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", script, *arguments], stdin=pipe, stdout=pipe, stderr=pipe, text=True)


async def flow_count(database: SqliteDatabase) -> int:
    found: int = await database.read(lambda tx: tx.fetch_value("SELECT count(*) FROM flow"))
    return found


async def data_version(database: SqliteDatabase) -> int:
    """A number that changes when another connection than the writer's has committed."""
    found: int = await database.write(lambda tx: tx.fetch_value("PRAGMA data_version"))
    return found


async def test_a_unit_that_awaits_something_else_is_refused(database: SqliteDatabase) -> None:
    """Its author is told what the rule is; it leaves nothing behind, its neighbours commit, the writer goes on."""

    async def unit(tx: Tx, name: str) -> None:
        await flows.insert(tx, a_flow(name))
        if name == "bad":
            await asyncio.sleep(0)

    async with asyncio.timeout(30):
        names = ("a", "bad", "b")
        writes = (database.write(partial(unit, name=name)) for name in names)
        a, bad, b = await asyncio.gather(*writes, return_exceptions=True)
        assert (a, b) == (None, None)
        assert isinstance(bad, RuntimeError)
        assert "awaited something other than its transaction" in str(bad)
        with pytest.raises(RuntimeError, match="awaited something other"):
            await database.read(lambda _tx: asyncio.sleep(0))
        await save_flow(database, name="after")
        assert await flow_count(database) == 3


async def test_a_command_that_awaits_something_else_is_refused(database: SqliteDatabase) -> None:
    async def run(tx: Tx, items: Any) -> list[None]:
        await flows.insert(tx, a_flow("bad"))
        await asyncio.sleep(0)
        return [None for _ in items]

    async with asyncio.timeout(30):
        with pytest.raises(RuntimeError, match="awaited something other"):
            await database.submit(Command("bad", run), 1)
        await save_flow(database, name="after")
        assert await flow_count(database) == 1


async def test_a_reader_sees_one_snapshot(database: SqliteDatabase) -> None:
    """What is committed while a reader reads, it does not see; readers and the writer do not wait for each other."""
    await save_flow(database, name="before")
    reading, written = threading.Event(), threading.Event()

    async def unit(tx: Tx) -> tuple[int, int]:
        first = await tx.fetch_value("SELECT count(*) FROM flow")
        reading.set()
        assert written.wait(30)
        return first, await tx.fetch_value("SELECT count(*) FROM flow")

    async with asyncio.timeout(30):
        reader = asyncio.create_task(database.read(unit))
        await asyncio.to_thread(reading.wait)
        await save_flow(database, name="meanwhile")
        written.set()
        assert await reader == (1, 1)
        assert await flow_count(database) == 2


async def test_a_reader_cannot_leave_a_transaction_open(database: SqliteDatabase) -> None:
    """A unit that fails gives its snapshot up: the next reader on that thread sees the present."""

    async def unit(tx: Tx) -> None:
        await tx.fetch_value("SELECT count(*) FROM flow")
        raise LookupError

    for number in range(2 * sqlite.READERS):
        with pytest.raises(LookupError):
            await database.read(unit)
        await save_flow(database, name=str(number))
        assert await flow_count(database) == number + 1


async def test_two_servers_on_one_file(database: SqliteDatabase, path: Path) -> None:
    """Both commit, and each sees what the other committed."""
    other = SqliteDatabase(path)
    async with asyncio.timeout(60):
        writes = [save_flow(store, name=f"{index}{store is other}") for index in range(50) for store in (database, other)]
        await asyncio.gather(*writes)
        assert [await flow_count(store) for store in (database, other)] == [100, 100]
        await other.close()
        await save_flow(database, name="alone")
        assert await flow_count(database) == 101


async def test_two_processes_on_one_file(database: SqliteDatabase, path: Path) -> None:
    """Nobody is told that the database is busy, and nothing is lost."""
    before = await data_version(database)
    with process(COMMITS, str(path), "p", "200") as other:
        for number in range(100):
            await save_flow(database, name=f"own{number}")
        _, errors = await asyncio.to_thread(other.communicate)
    assert errors == ""
    assert await flow_count(database) == 300
    assert await data_version(database) != before


async def test_processes_that_start_at_once_on_no_file(tmp_path: Path) -> None:
    """One of them makes the file and its schema; all of them come up."""
    starting = [process(STARTS, f"sqlite:///{tmp_path / 'new.db'}") for _ in range(4)]
    for each in starting:
        assert each.stdin is not None
        each.stdin.close()  # they have waited for this
        each.stdin = None
    outcomes = [each.communicate(timeout=60) for each in starting]
    for each in starting:
        with each:
            assert each.returncode == 0
    assert [answer.strip() for answer, _ in outcomes] == [HEAD] * 4


async def test_a_held_file_is_an_outage(database: SqliteDatabase, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When another program does not let go of the file, callers are told so, and may try again."""
    monkeypatch.setattr(sqlite_file, "BUSY_SECONDS", 0.2)
    impatient = SqliteDatabase(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="another process holds it"):
            await save_flow(impatient, name="refused")
        other.execute("ROLLBACK")
    await save_flow(impatient, name="again")
    assert await flow_count(database) == 1
    await impatient.close()


async def test_a_full_disk_loses_nothing_by_halves(database: SqliteDatabase) -> None:
    """A group that does not fit is refused as a whole: whoever is told that it committed finds it there."""
    pages = await database.read(lambda tx: tx.fetch_value("PRAGMA page_count"))
    await database.write(lambda tx: tx.fetch(f"PRAGMA max_page_count={pages}"))
    names = ("small", "x" * 50_000, "little")
    async with asyncio.timeout(30):
        outcomes = await asyncio.gather(*(save_flow(database, name=name) for name in names), return_exceptions=True)
    assert any(isinstance(outcome, Unavailable) for outcome in outcomes)
    kept = {outcome.name for outcome in outcomes if not isinstance(outcome, BaseException)}
    assert {row["name"] for row in await database.read(lambda tx: tx.fetch("SELECT name FROM flow"))} == kept
    assert all(isinstance(outcome, HeadgateError) for outcome in outcomes if isinstance(outcome, BaseException))
    await database.write(lambda tx: tx.fetch("PRAGMA max_page_count=1000000"))
    await save_flow(database, name="room again")


async def test_a_programming_error_is_no_outage(database: SqliteDatabase) -> None:
    """A statement that SQLite cannot read raises as it is; nobody is asked to try it again."""
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        await database.write(lambda tx: tx.execute("DELETE FROM nowhere"))
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        await database.read(lambda tx: tx.fetch("SELECT * FROM nowhere"))


async def test_callers_from_several_event_loops(database: SqliteDatabase) -> None:
    """The database may be shared by threads with loops of their own; a loop that is gone is nobody's trouble."""

    async def elsewhere() -> None:
        await save_flow(database, name="elsewhere")
        gone = asyncio.create_task(save_flow(database, name="gone"))
        await asyncio.sleep(0)
        gone.cancel()

    async with asyncio.timeout(30):
        await asyncio.gather(asyncio.to_thread(asyncio.run, elsewhere()), save_flow(database, name="here"))
        await save_flow(database, name="after")
        names = {row["name"] for row in await database.read(lambda tx: tx.fetch("SELECT name FROM flow"))}
    assert names >= {"elsewhere", "here", "after"}
