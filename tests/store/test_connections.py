"""Connections to PostgreSQL: bounded, safe behind a pooler that shares them, given up when no answer comes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg
import pytest
from store_records import a_flow, save_flow
from transaction_pooler import TransactionPooler, end, open_upstream

from headgate.errors import DatabaseError, Unavailable
from headgate.server import connections_of
from headgate.settings import Settings
from headgate.store import claims, flows, postgresql, postgresql_signals
from headgate.store.connections import Connections
from headgate.store.database import Command, Tx
from headgate.store.opening import Location, locate, open_database

WITHIN = 30.0


@pytest.fixture
def dialect() -> str:
    return "postgresql"


@asynccontextmanager
async def opened(url: str, **ways: Any) -> AsyncIterator[Any]:
    async with asyncio.timeout(WITHIN):
        store = await open_database(locate(url), Connections(**ways))
        try:
            yield store
        finally:
            await store.close()


def test_the_settings_say_how_to_connect() -> None:
    settings = Settings(
        server_database_pool_size=4,
        server_database_connection_timeout=3.0,
        server_database_timeout=7.0,
        server_database_prepared_statements=False,
        server_database_direct_url="postgres://me@db/x",
    )
    assert connections_of(settings) == Connections(4, 3.0, 7.0, False, "postgresql://me@db/x")
    assert connections_of(Settings()) == Connections(answer_seconds=30.0)


# --- how many


async def test_there_are_never_more_connections_than_allowed(database_url: str) -> None:
    """Whoever comes beyond waits for one."""
    now, most = 0, 0

    async def unit(tx: Tx) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await tx.fetch_value("SELECT pg_sleep(0.001)")
        now -= 1

    async with opened(database_url, most=3) as store:
        await asyncio.gather(*(kind(unit) for _ in range(30) for kind in (store.read, store.write)))
        count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'headgate'"
        assert await store.read(lambda tx: tx.fetch_value(count)) == 3
    assert most == 3


# --- behind a pooler


@pytest.fixture
async def pooled_url(database_url: str) -> AsyncIterator[str]:
    async with TransactionPooler(database_url) as url:
        yield url


async def insert(tx: Tx, names: Any) -> list[bool]:
    return [await flows.insert(tx, a_flow(name)) for name in names]


async def test_everything_works_behind_a_pooler_that_shares_connections(pooled_url: str) -> None:
    """Reads, writes and sets of many at once, of which each may be on another connection than the one before."""
    command = Command("insert flows", insert)
    async with opened(pooled_url, most=8, prepared=False) as store:
        for turn in range(5):
            made = [store.submit(command, f"submitted {turn} {n}") for n in range(10)]
            written = [store.write(lambda tx, n=n, turn=turn: flows.insert(tx, a_flow(f"w {turn} {n}"))) for n in range(10)]
            read = [store.read(lambda tx: tx.fetch("SELECT name, tags, labels FROM flow")) for _ in range(10)]
            await asyncio.gather(*made, *written, *read)
        assert await store.read(lambda tx: tx.fetch_value("SELECT count(*) FROM flow")) == 100


@pytest.mark.parametrize("prepared", [True, False])
async def test_what_only_reads_locks_nothing(database_url: str, prepared: bool) -> None:
    """Behind a pooler it could not: a transaction that only reads is refused locks."""
    aisle = claims.Aisle(UUID(int=1), 0, (claims.EVER, claims.EVER))
    async with opened(database_url, prepared=prepared) as store:

        async def look(tx: Tx) -> Any:
            assert await claims.first_candidates(tx, aisle, limit=1) == []
            return await claims.candidates(tx, aisle, claims.Closed(), limit=1)

        assert await store.read(look) == []


async def test_prepared_statements_would_fail_there(pooled_url: str) -> None:
    """So that the test above is known to see what it is there to see."""
    async with opened(pooled_url, most=8) as store:
        reads = [store.read(lambda tx: tx.fetch("SELECT name FROM flow")) for _ in range(100)]
        outcomes = await asyncio.gather(*reads, return_exceptions=True)
        assert {type(each) for each in outcomes} >= {asyncpg.InvalidSQLStatementNameError}


async def test_messages_go_past_the_pooler_where_they_are_told_how(
    pooled_url: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql_signals, "_ANSWER_SECONDS", 0.5)
    async with (
        opened(pooled_url, prepared=False, direct_url=database_url) as direct,
        opened(pooled_url, prepared=False) as through,
    ):
        told = asyncio.Event()
        tries = 0

        def hear(_: object) -> None:
            nonlocal tries
            tries += 1
            if tries > 1:
                told.set()

        direct.listen(lambda _: None)
        through.listen(hear)
        while not direct.hears:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
        await told.wait()  # its second try: the first was given up
        assert not through.hears


# --- no answer


def name_in(url: str) -> str:
    """The name of the database in a URL."""
    return urlsplit(url).path.strip("/")


class Gate:
    """What stands between a server and PostgreSQL, and can be shut without a word, or for good."""

    def __init__(self, url: str) -> None:
        self._upstream = url
        self._open = asyncio.Event()
        self._open.set()
        self._tasks: list[asyncio.Task[None]] = []
        self._writers: list[asyncio.StreamWriter] = []

    async def start(self) -> str:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"postgresql://postgres@127.0.0.1:{self._server.sockets[0].getsockname()[1]}/{name_in(self._upstream)}"

    def shut(self) -> None:
        self._open.clear()

    def open(self) -> None:
        self._open.set()

    async def stop(self) -> None:
        self._server.close()
        await end(self._tasks, self._writers)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        other_reader, other_writer = await open_upstream(self._upstream)
        self._writers += [writer, other_writer]
        for source, target in ((reader, other_writer), (other_reader, writer)):
            self._tasks.append(asyncio.create_task(self._copy(source, target)))

    async def _copy(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await source.read(65536):
                await self._open.wait()
                target.write(data)
        target.close()


@pytest.fixture
async def gate(database_url: str) -> AsyncIterator[Gate]:
    made = Gate(database_url)
    yield made
    await made.stop()


async def test_a_database_that_falls_silent_is_an_outage_and_no_end(gate: Gate) -> None:
    """Every kind of call is answered in bounded time; once the way is free again the next ones work."""
    command = Command("insert flows", insert)
    async with opened(await gate.start(), most=2, answer_seconds=0.3, connect_seconds=0.3) as store:
        await save_flow(store, name="before")
        gate.shut()
        calls: list[Callable[[], Any]] = [
            lambda: store.read(lambda tx: tx.fetch_value("SELECT 1")),
            lambda: store.write(lambda tx: tx.execute("UPDATE flow SET tags = tags")),
            lambda: store.submit(command, "x"),
        ]
        outcomes = await asyncio.gather(*(call() for call in calls for _ in range(3)), return_exceptions=True)
        assert {type(each) for each in outcomes} == {Unavailable}
        gate.open()
        assert await store.submit(command, "after") is True


async def test_a_server_that_is_cut_off_can_be_closed(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgresql, "_CLOSE_SECONDS", 0.2)
    async with opened(await gate.start(), answer_seconds=5.0) as store:
        await save_flow(store, name="before")
        gate.shut()


# --- at the start


async def test_a_start_waits_for_a_database_that_comes(
    database_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, unused_tcp_port: int
) -> None:
    """And says so, once."""
    gate = Gate(database_url)
    database = name_in(database_url)
    url = f"postgresql://postgres:s3cret@127.0.0.1:{unused_tcp_port}/{database}"
    async with asyncio.timeout(WITHIN):
        opening = asyncio.create_task(open_database(locate(url), Connections(wait_seconds=WITHIN)))
        while not caplog.messages:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
        gate._server = await asyncio.start_server(gate._serve, "127.0.0.1", unused_tcp_port)
        store = await opening
        assert await store.read(lambda tx: tx.fetch_value("SELECT 1")) == 1
        await store.close()
    await gate.stop()
    [said] = caplog.messages
    assert f"127.0.0.1:{unused_tcp_port}/{database} yet, for 30 s at most" in said
    assert "s3cret" not in said


async def test_a_start_does_not_wait_for_ever(unused_tcp_port: int) -> None:
    with pytest.raises(DatabaseError, match=rf"Cannot connect to PostgreSQL at .*:{unused_tcp_port}/x within 0\.2 s: "):
        await open_database(locate(f"postgresql://me:s3cret@127.0.0.1:{unused_tcp_port}/x"), Connections(wait_seconds=0.2))


async def test_what_waiting_does_not_mend_is_told_at_once(database_url: str) -> None:
    """A database that does not exist."""
    url = database_url.replace(name_in(database_url), "nonsense")
    with pytest.raises(DatabaseError, match='"nonsense" does not exist'):
        async with asyncio.timeout(WITHIN):
            await open_database(Location("postgresql", url=url), Connections(wait_seconds=3600))
