"""Group commit: what arrives while a commit is under way commits together, and nobody pays for a neighbour's failure."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from store_records import a_flow, save_flow

from headgate.errors import Invalid, Unavailable
from headgate.schema.flows import Flow
from headgate.store import flows, sqlite_writer
from headgate.store.database import Command, Database, Tx


class Sets:
    """A command that inserts flows, and remembers with which items it was run."""

    def __init__(self) -> None:
        self.seen: list[list[str]] = []
        self.gate: asyncio.Event | threading.Event | None = None
        self.command: Command[Flow, str] = Command("insert flows", self.run)

    async def run(self, tx: Tx, items: Sequence[Flow]) -> list[str | Exception]:
        self.seen.append([flow.name for flow in items])
        await self._wait()
        return [await self._insert(tx, flow) for flow in items]

    async def _insert(self, tx: Tx, flow: Flow) -> str | Exception:
        if flow.name.startswith("refused"):
            return ValueError(flow.name)
        if flow.name.startswith("raises"):
            raise KeyError(flow.name)
        if flow.name.startswith("broken"):
            await tx.execute("INSERT INTO flow (id) VALUES (:id)", {"id": flow.id})  # the other columns are NOT NULL
        await flows.insert(tx, flow)
        return flow.name

    async def _wait(self) -> None:
        match self.gate:
            case asyncio.Event():
                await self.gate.wait()
            case threading.Event():
                assert self.gate.wait(30)

    @contextmanager
    def held(self, database: Database) -> Iterator[None]:
        """Inside, the set that is under way does not end."""
        self.gate = threading.Event() if database.dialect == "sqlite" else asyncio.Event()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sqlite_writer, "AT_ONCE", 0)  # the event loop must not wait for itself
            try:
                yield
            finally:
                self.gate.set()

    def submit(self, database: Database, *names: str) -> list[asyncio.Task[str]]:
        """One caller per name."""
        return [asyncio.create_task(database.submit(self.command, a_flow(name))) for name in names]


@pytest.fixture
def sets() -> Sets:
    return Sets()


async def names_in(database: Database) -> set[str]:
    return {row["name"] for row in await database.read(lambda tx: tx.fetch("SELECT name FROM flow"))}


async def under_way(sets: Sets) -> None:
    """Until the first set is being run."""
    async with asyncio.timeout(30):
        while not sets.seen:  # noqa: ASYNC110 - told from another thread
            await asyncio.sleep(0)


async def outcomes(tasks: Sequence[asyncio.Task[Any]]) -> list[Any]:
    async with asyncio.timeout(30):
        return await asyncio.gather(*tasks, return_exceptions=True)


async def test_what_arrives_during_a_commit_commits_together(database: Database, sets: Sets) -> None:
    with sets.held(database):
        first = sets.submit(database, "first")
        await under_way(sets)
        rest = sets.submit(database, *(f"n{index}" for index in range(50)))
        await asyncio.sleep(0)
    assert await outcomes(first + rest) == ["first", *(f"n{index}" for index in range(50))]
    assert [len(each) for each in sets.seen] == [1, 50]
    assert len(await names_in(database)) == 51


async def test_a_lone_item_does_not_wait_for_company(database: Database, sets: Sets) -> None:
    for name in ("a", "b", "c"):
        assert await database.submit(sets.command, a_flow(name)) == name
    assert sets.seen == [["a"], ["b"], ["c"]]


async def test_an_answered_failure_is_its_own(database: Database, sets: Sets) -> None:
    """An item answered with an exception fails alone, and the set runs once."""
    with sets.held(database):
        first = sets.submit(database, "first")
        await under_way(sets)
        tasks = sets.submit(database, "a", "refused", "b")
        await asyncio.sleep(0)
    await outcomes(first)
    good, bad, last = await outcomes(tasks)
    assert (good, last) == ("a", "b")
    assert isinstance(bad, ValueError)
    assert sets.seen == [["first"], ["a", "refused", "b"]]


@pytest.mark.parametrize("culprit", ["raises", "broken"])
async def test_a_raised_failure_is_its_own(database: Database, sets: Sets, culprit: str) -> None:
    """When a set raises, in Python or in the database, its items are run one by one: the others commit."""
    with sets.held(database):
        first = sets.submit(database, "first")
        await under_way(sets)
        tasks = sets.submit(database, "a", culprit, "b")
        await asyncio.sleep(0)
    await outcomes(first)
    good, bad, last = await outcomes(tasks)
    assert (good, last) == ("a", "b")
    assert isinstance(bad, Exception)
    assert sets.seen[1:] == [["a", culprit, "b"], ["a"], [culprit], ["b"]]
    assert await names_in(database) == {"first", "a", "b"}


async def test_a_failed_unit_leaves_nothing_behind(database: Database) -> None:
    """What a unit wrote before it raised is not committed, nor does it fail those that are committed with it."""

    async def unit(tx: Tx, name: str) -> str:
        await flows.insert(tx, a_flow(name))
        if name == "bad":
            raise LookupError(name)
        return name

    tasks = [asyncio.create_task(database.write(partial(unit, name=name))) for name in ("a", "bad", "b")]
    a, bad, b = await outcomes(tasks)
    assert (a, b) == ("a", "b")
    assert isinstance(bad, LookupError)
    assert await names_in(database) == {"a", "b"}


async def test_a_unit_may_answer_an_exception(database: Database) -> None:
    """A unit that answers an exception as its value has not failed."""
    found = await database.write(lambda tx: _answer(tx, ValueError("a value")))
    assert isinstance(found, ValueError)


async def _answer(_tx: Tx, value: Any) -> Any:
    return value


async def test_a_command_that_answers_too_few_fails_alone(database: Database, sets: Sets) -> None:
    """The author of such a command is told; the database goes on, and nothing of it is committed."""

    async def forget(tx: Tx, items: Sequence[Flow]) -> list[str]:
        for flow in items:
            await flows.insert(tx, flow)
        return []

    with pytest.raises(RuntimeError, match="'forgets' answered 0 results for 1 items"):
        await database.submit(Command("forgets", forget), a_flow("lost"))
    assert await outcomes(sets.submit(database, "after")) == ["after"]
    assert await names_in(database) == {"after"}


async def test_what_nobody_waits_for_any_more_is_not_begun(database: Database, sets: Sets) -> None:
    """A caller that gave up before its turn claims nothing; its neighbours notice nothing."""
    with sets.held(database):
        first = sets.submit(database, "first")
        await under_way(sets)
        tasks = sets.submit(database, "a", "gone", "b")
        units = [asyncio.create_task(database.write(lambda tx: flows.insert(tx, a_flow("gone, too"))))]
        await asyncio.sleep(0)
        for task in (tasks[1], *(units if database.dialect == "sqlite" else ())):
            task.cancel()
        await asyncio.sleep(0)
    assert await outcomes(first) == ["first"]
    results = await outcomes(tasks)
    assert isinstance(results.pop(1), asyncio.CancelledError)
    assert results == ["a", "b"]
    await outcomes(units)
    assert await names_in(database) - {"gone, too"} == {"first", "a", "b"}
    alone = sets.submit(database, "alone")
    alone[0].cancel()
    assert await outcomes(sets.submit(database, "after")) == ["after"]


async def test_a_caller_that_gives_up_during_the_commit_does_no_harm(database: Database, sets: Sets) -> None:
    """Its item is committed all the same; so are those that were waiting behind it."""
    with sets.held(database):
        first = sets.submit(database, "first")
        await under_way(sets)
        tasks = sets.submit(database, "a", "b")
        await asyncio.sleep(0)
        first[0].cancel()
        await asyncio.sleep(0)
    assert await outcomes(tasks) == ["a", "b"]
    assert await names_in(database) == {"first", "a", "b"}


async def test_close_finishes_what_was_handed_in(database: Database, sets: Sets) -> None:
    """Callers that wait when the database closes get their answers; nobody waits for ever."""
    with sets.held(database):
        first = sets.submit(database, "first")
        await under_way(sets)
        rest = sets.submit(database, "a", "b")
        units = [asyncio.create_task(database.write(lambda tx: flows.insert(tx, a_flow("c"))))]
        await asyncio.sleep(0)
        closing = asyncio.create_task(database.close())
        await asyncio.sleep(0)
    results = await outcomes(first + rest + units)
    assert results == ["first", "a", "b", True]
    await closing


async def test_a_closed_database_says_so(database: Database, sets: Sets) -> None:
    """Whoever comes after the close, or while it closes, is told to try again: another server may be up by then."""
    with sets.held(database):
        first = sets.submit(database, "first")
        await under_way(sets)
        closing = asyncio.create_task(database.close())
        await asyncio.sleep(0)
        late = sets.submit(database, "late")
        await asyncio.sleep(0)
    await outcomes(first)
    await closing
    for answer in [*await outcomes(late), *await outcomes(sets.submit(database, "later"))]:
        assert isinstance(answer, Unavailable)
    with pytest.raises(Unavailable):
        await database.read(lambda tx: tx.fetch_value("SELECT 1"))
    with pytest.raises(Unavailable):
        await database.write(lambda tx: tx.fetch_value("SELECT 1"))
    await database.close()


async def test_values_out_of_range_are_the_callers_fault(database: Database) -> None:
    """A number that no column holds is refused as invalid, not as an outage: sending it again would not help."""
    await save_flow(database)
    with pytest.raises(Invalid):
        await database.write(lambda tx: tx.execute("UPDATE work_pool SET concurrency_limit = :n", {"n": 2**70}))
