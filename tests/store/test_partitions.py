"""Partitions of PostgreSQL: rows land in the one of their time, past ones go as a whole, and nobody waits long meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from store_records import a_log, a_run, a_state, save_flow, save_runs, written

from headgate.core.retention import Span
from headgate.errors import Unavailable
from headgate.ids import first_at, uuid7
from headgate.store import flow_runs, logs, partitions
from headgate.store.database import Database, Tx
from headgate.store.opening import create_schema
from headgate.store.partitions import Partition

START = datetime(2026, 3, 2, tzinfo=UTC)
WEEK = timedelta(weeks=1)
WEEKS = [Span(START + number * WEEK, START + (number + 1) * WEEK) for number in range(3)]


@pytest.fixture
def dialect() -> str:
    return "postgresql"


@pytest.fixture
async def url(empty_url: str) -> str:
    """Of a database that only this test uses: its partitions stay."""
    return empty_url


@pytest.fixture
async def database(url: str, open_url: Callable[[str], Awaitable[Database]]) -> Database:
    store = await open_url(url)
    await create_schema(store)
    return store


@pytest.fixture
async def other(database: Database, url: str, open_url: Callable[[str], Awaitable[Database]]) -> Database:
    """A second server on the same database."""
    return await open_url(url)


def id_at(at: datetime) -> UUID:
    """An id of something made then, whatever this process made before."""
    return UUID(int=first_at(at).int | uuid7(at).int & (1 << 80) - 1)


async def add(database: Database, *spans: Span, table: str = "log") -> list[bool]:
    return [await database.write(lambda tx, span=span: partitions.add(tx, table, span)) for span in spans]  # type: ignore[misc]


async def found(database: Database, table: str = "log") -> list[Partition]:
    return await database.read(lambda tx: partitions.list_all(tx, table))


async def write_line(database: Database, at: datetime, run: UUID | None = None) -> UUID:
    line = a_log(run, id=id_at(at))
    await database.write(lambda tx: logs.insert(tx, written(line)))
    return line.id


async def places(database: Database, table: str = "log") -> dict[str, int]:
    """How many rows lie in each partition."""
    rows = await database.read(lambda tx: tx.fetch(f"SELECT tableoid::regclass::text AS place FROM {table}"))
    return {place: [row["place"] for row in rows].count(place) for place in {row["place"] for row in rows}}


async def test_partitions_are_made_once(database: Database, other: Database) -> None:
    assert await add(database, *WEEKS) == [True, True, True]
    assert await add(other, *WEEKS) == [False, False, False]
    assert await found(database) == [Partition(f"log_{span.start:%Y%m%d}", span) for span in WEEKS]
    assert await found(database, "flow_run_state") == []


async def test_two_servers_at_once_make_them_once(database: Database, other: Database) -> None:
    for _ in range(3):
        made = await asyncio.gather(*(add(store, *WEEKS) for store in (database, other)))
        assert sum(map(sum, made)) <= len(WEEKS)
    assert len(await found(database)) == len(WEEKS)


async def test_rows_land_in_the_partition_of_their_time(database: Database) -> None:
    """The first millisecond belongs to it, that after its last does not; what has no partition lies among the rest."""
    await add(database, *WEEKS[:2])
    for at in (START, START + WEEK - timedelta(milliseconds=1), START + WEEK, START - timedelta(milliseconds=1)):
        await write_line(database, at)
    await write_line(database, WEEKS[1].end)
    assert await places(database) == {"log_20260302": 2, "log_20260309": 1, "log_rest": 2}


async def test_states_are_partitioned_too(database: Database) -> None:
    await add(database, *WEEKS, table="flow_run_state")
    flow = await save_flow(database)
    await save_runs(database, a_run(flow, a_state(id=id_at(START + WEEK))))
    assert await places(database, "flow_run_state") == {"flow_run_state_20260309": 1}


async def test_a_partition_looks_like_its_table(database: Database) -> None:
    """The same columns, the same key: a row may be written once, and lies with those of its run."""
    await add(database, WEEKS[0])
    line = a_log(id=id_at(START))
    await database.write(lambda tx: logs.insert(tx, written(line)))
    with pytest.raises(Exception, match="duplicate key"):
        await database.write(lambda tx: logs.insert(tx, written(line)))
    plan = await database.read(
        lambda tx: tx.fetch("EXPLAIN SELECT 1 FROM log_20260302 WHERE flow_run_id = :id", {"id": line.id})
    )
    assert "Index" in str([dict(row) for row in plan])


async def test_rows_among_the_rest_stay_there(database: Database) -> None:
    """Their own span gets no partition; the next ones do, and nothing is moved or lost."""
    await write_line(database, START + timedelta(days=1))
    assert await add(database, *WEEKS) == [False, True, True]
    await write_line(database, START + timedelta(days=2))
    await write_line(database, START + WEEK)
    assert await places(database) == {"log_rest": 2, "log_20260309": 1}


async def test_a_dropped_partition_takes_its_rows_with_it(database: Database, other: Database) -> None:
    await add(database, *WEEKS)
    for span in WEEKS:
        await write_line(database, span.start)
    first, *_ = await found(database)
    dropped = [await store.write(lambda tx: partitions.drop(tx, first, even_of_runs=True)) for store in (database, other)]
    assert dropped == [True, False]
    assert await places(database) == {"log_20260309": 1, "log_20260316": 1}


async def test_states_of_runs_that_stay_are_kept(database: Database) -> None:
    """Whatever its age: a partition is dropped once all of the runs are gone whose states it holds."""
    await add(database, *WEEKS, table="flow_run_state")
    flow = await save_flow(database)
    gone, stays = (a_run(flow, a_state(id=id_at(START + timedelta(days=day)))) for day in (1, 2))
    await save_runs(database, gone, stays)
    first, second, _ = await found(database, "flow_run_state")

    async def drop(each: Partition) -> bool:
        return await database.write(lambda tx: partitions.drop(tx, each, even_of_runs=False))

    await database.write(lambda tx: tx.execute("DELETE FROM flow_run WHERE id = :id", {"id": gone.id}))
    assert [await drop(first), await drop(second)] == [False, True]
    await database.write(lambda tx: flow_runs.delete(tx, [stays.id]))
    assert await drop(first)
    assert await places(database, "flow_run_state") == {}


async def test_making_and_dropping_go_on_among_writers(database: Database, other: Database) -> None:
    """No line is lost or refused, whoever is quicker."""
    done = asyncio.Event()
    written: list[UUID] = []
    times = [START - WEEK]

    async def write() -> None:
        while not done.is_set():
            written.append(await write_line(other, times[len(written) % len(times)]))

    writers = [asyncio.create_task(write()) for _ in range(4)]
    async with asyncio.timeout(60):
        for span in WEEKS:
            assert await add(database, span) == [True]
            times.append(span.start)
        while len(written) < 200:  # noqa: ASYNC110 - the writers have no signal to give
            await asyncio.sleep(0)
        for each in await found(database):
            assert await database.write(lambda tx, each=each: partitions.drop(tx, each, even_of_runs=True))  # type: ignore[misc]
        done.set()
        await asyncio.gather(*writers)
    assert await found(database) == []
    kept = await places(database)
    assert kept.keys() == {"log_rest"}
    assert kept["log_rest"] >= len(written) // 4


@pytest.mark.parametrize("step", ["add", "drop"])
async def test_nobody_waits_behind_a_partition_that_cannot_be_had(database: Database, other: Database, step: str) -> None:
    """Somebody reads for long: the change gives up within moments, and all others go on."""
    await add(database, WEEKS[0])
    reading, over = asyncio.Event(), asyncio.Event()

    async def read(tx: Tx) -> None:
        await tx.fetch_value("SELECT count(*) FROM log")
        reading.set()
        await over.wait()

    async with asyncio.timeout(30):
        reader = asyncio.create_task(other.write(read))
        await reading.wait()
        [first] = await found(database)
        changes: dict[str, Any] = {
            "add": lambda tx: partitions.add(tx, "log", WEEKS[1]),
            "drop": lambda tx: partitions.drop(tx, first, even_of_runs=True),
        }
        with pytest.raises(Unavailable, match="takes long"):
            await database.write(changes[step])
        await write_line(database, START)
        over.set()
        await reader
        assert await database.write(changes[step])


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=False)
async def test_sqlite_has_none(dialect: str, empty_url: str, open_url: Callable[[str], Awaitable[Database]]) -> None:
    store = await open_url(empty_url)
    await create_schema(store)
    assert await found(store) == []
    assert await add(store, *WEEKS) == [False, False, False]
