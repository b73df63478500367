"""Signals between processes on one database: what one announces after its commit, the others hear; soon, and together."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Collection
from uuid import UUID, uuid4

import asyncpg
import pytest
from store_records import save_pool

from headgate.store import postgresql_signals
from headgate.store.database import Database
from headgate.store.postgresql import PostgresqlDatabase
from headgate.store.signals import Outbox

WITHIN = 20.0

LISTENS = "FROM pg_stat_activity WHERE application_name = 'headgate signals'"

OpenDatabase = Callable[[str], Awaitable[Database]]


class Ear:
    """Remembers what was heard; None stands for any pool."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[set[UUID] | None] = asyncio.Queue()

    def __call__(self, pools: Collection[UUID] | None) -> None:
        self.heard.put_nowait(None if pools is None else set(pools))

    async def next(self) -> set[UUID] | None:
        async with asyncio.timeout(WITHIN):
            return await self.heard.get()

    async def until(self, pool: UUID) -> None:
        while (pools := await self.next()) is not None and pool not in pools:
            pass


async def until_it_hears(store: Database) -> None:
    async with asyncio.timeout(WITHIN):
        while not store.hears:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)


# --- what is told together


async def test_the_first_goes_out_at_once_and_the_rest_together() -> None:
    """However much happens meanwhile, it is one message more."""
    sent: list[set[UUID]] = []
    sending = asyncio.Event()
    goes_on = asyncio.Event()

    async def send(pools: set[UUID]) -> None:
        sent.append(pools)
        sending.set()
        await goes_on.wait()

    outbox, [first, *rest] = Outbox(send, pause=0.0), [uuid4() for _ in range(50)]
    outbox.put({first})
    await sending.wait()
    for pool in rest:
        outbox.put({pool})
        outbox.put({first})
    goes_on.set()
    await outbox.close()
    assert sent == [{first}, {first, *rest}]


async def test_what_waits_is_sent_before_the_end_and_nothing_after() -> None:
    sent: list[set[UUID]] = []

    async def send(pools: set[UUID]) -> None:
        sent.append(pools)

    outbox, pool = Outbox(send, pause=3600.0), uuid4()
    outbox.put({pool})
    outbox.put({pool})
    await asyncio.sleep(0)
    outbox.put({pool})
    async with asyncio.timeout(WITHIN):
        await outbox.close()
    outbox.put({pool})
    await asyncio.sleep(0)
    assert sent == [{pool}, {pool}]


async def test_nothing_is_no_message() -> None:
    async def send(pools: set[UUID]) -> None:
        raise AssertionError(pools)

    outbox = Outbox(send)
    outbox.put(set())
    await outbox.close()


# --- between processes


@pytest.fixture
async def other(database_url: str, open_url: OpenDatabase) -> Database:
    """A second server's store."""
    return await open_url(database_url)


async def test_another_process_is_heard(database: Database, other: Database) -> None:
    """On PostgreSQL it says in which pool; on SQLite the file tells that it changed."""
    ear = Ear()
    database.listen(ear)
    await until_it_hears(database)
    pool, _ = await save_pool(other)
    other.announce({pool.id})
    await ear.until(pool.id)


async def test_ones_own_changes_are_not_heard(database: Database, other: Database) -> None:
    """Who makes them wakes those who wait here; only the others' come from outside."""
    mine, theirs = Ear(), Ear()
    database.listen(mine)
    other.listen(theirs)
    await until_it_hears(database)
    await until_it_hears(other)
    while not mine.heard.empty():
        mine.heard.get_nowait()
    pool, _ = await save_pool(database)
    database.announce({pool.id})
    await theirs.until(pool.id)
    assert mine.heard.empty()


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
async def test_more_pools_than_fit_into_a_message(
    database: Database, other: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    ear, pools = Ear(), {uuid4() for _ in range(450)}
    database.listen(ear)
    await until_it_hears(database)
    other.announce(pools)
    heard: set[UUID] = set()
    while heard != pools:
        heard |= await ear.next() or set()


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
async def test_a_cut_connection_is_made_anew(database: Database, other: Database) -> None:
    """And then anything may have happened."""
    ear = Ear()
    database.listen(ear)
    await until_it_hears(database)
    while not ear.heard.empty():
        ear.heard.get_nowait()
    await other.write(lambda tx: tx.execute(f"SELECT pg_terminate_backend(pid) {LISTENS}"))
    assert await ear.next() is None
    await until_it_hears(database)
    pool = uuid4()
    other.announce({pool})
    await ear.until(pool)


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
async def test_a_server_that_cannot_listen_goes_on_trying(
    database: Database, other: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says that it hears nothing, so that who waits looks by itself."""
    connect, tries = asyncpg.connect, asyncio.Event()

    async def refuse(*_: object, **__: object) -> None:
        tries.set()
        raise OSError("no route")

    monkeypatch.setattr(postgresql_signals.asyncpg, "connect", refuse)
    ear = Ear()
    database.listen(ear)
    async with asyncio.timeout(WITHIN):
        await tries.wait()
    assert not database.hears
    monkeypatch.setattr(postgresql_signals.asyncpg, "connect", connect)
    assert await ear.next() is None
    await until_it_hears(database)


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
async def test_a_message_that_cannot_be_sent_harms_nobody(database: PostgresqlDatabase) -> None:
    """Who was not told looks by itself."""
    await database._pool.close()
    database.announce({uuid4()})
    await database._signals.close()


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
async def test_a_connection_that_falls_silent_is_found_out(
    database: Database, other: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that was cut off without a word: who waits is told to look, and it is made anew."""
    monkeypatch.setattr(postgresql_signals, "_CHECK_SECONDS", 0.01)
    ear = Ear()
    database.listen(ear)
    await until_it_hears(database)
    while not ear.heard.empty():
        ear.heard.get_nowait()
    backend = await other.read(lambda tx: tx.fetch_value(f"SELECT pid {LISTENS}"))
    monkeypatch.setattr(postgresql_signals, "_ANSWER_SECONDS", 0.2)
    os.kill(backend, signal.SIGSTOP)
    try:
        assert await ear.next() is None
        assert not database.hears
        monkeypatch.setattr(postgresql_signals, "_ANSWER_SECONDS", WITHIN)
        await until_it_hears(database)
    finally:
        os.kill(backend, signal.SIGCONT)


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
async def test_where_nothing_comes_through_it_says_so_once(
    database: PostgresqlDatabase, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As behind a pooler that hands connections on: it is no server that hears."""
    monkeypatch.setattr(postgresql_signals, "_ANSWER_SECONDS", 0.01)
    monkeypatch.setattr(postgresql_signals, "_LONGEST_PAUSE", 0.01)
    monkeypatch.setattr(postgresql_signals.PostgresqlSignals, "_notify", lambda self, message: asyncio.sleep(0))
    ear = Ear()
    database.listen(ear)
    for _ in range(3):
        assert await ear.next() is None
    assert not database.hears
    assert [record.message for record in caplog.records if "HEADGATE_SERVER_DATABASE_DIRECT_URL" in record.message] == [
        caplog.messages[0]
    ]
