"""PostgreSQL in particular: conflicts are tried again, a lost connection is an outage and no end, locks show the present."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
import pytest
from msgspec import structs
from store_records import NOW, a_flow, a_run, a_state, save_flow, save_runs

from headgate.core.states import Timing
from headgate.errors import Invalid, Unavailable
from headgate.schema.flow_runs import FlowRunPolicy
from headgate.schema.flows import Flow
from headgate.schema.states import StateDetails, StateType
from headgate.store import flow_runs, flows
from headgate.store.database import Command, Database, Tx
from headgate.store.flow_runs import Entered, LockedRun

R = TypeVar("R")


@pytest.fixture
def dialect() -> str:
    return "postgresql"


@pytest.fixture
async def other(database_url: str, open_url: Callable[[str], Awaitable[Database]]) -> Database:
    """A second server on the same database."""
    return await open_url(database_url)


class Crossing:
    """Renames two flows in an order of choice, and lets nobody go on until both sides hold their first one."""

    def __init__(self) -> None:
        self.tries = 0
        self._first = [asyncio.Event(), asyncio.Event()]

    def unit(self, side: int, *flows: Flow) -> Callable[[Tx], Awaitable[int]]:
        async def run(tx: Tx) -> int:
            self.tries += 1
            for flow in flows[:: 1 if side == 0 else -1]:
                await tx.execute("UPDATE flow SET tags = tags WHERE id = :id", {"id": flow.id})
                self._first[side].set()
                await self._first[1 - side].wait()
            return side

        return run

    def command(self, side: int, *flows: Flow) -> Command[int, int]:
        async def run(tx: Tx, items: Sequence[int]) -> list[int]:
            await self.unit(side, *flows)(tx)
            return list(items)

        return Command(f"crossing {side}", run)


@pytest.fixture
async def two(database: Database) -> list[Flow]:
    return [await save_flow(database, name=name) for name in ("a", "b")]


async def test_a_deadlocked_unit_is_run_again(database: Database, two: list[Flow]) -> None:
    crossing = Crossing()
    async with asyncio.timeout(30):
        sides = (database.write(crossing.unit(side, *two)) for side in (0, 1))
        assert await asyncio.gather(*sides) == [0, 1]
    assert crossing.tries > 2


@pytest.mark.parametrize("size", [1, 3])
async def test_a_deadlocked_set_is_run_again(database: Database, two: list[Flow], size: int) -> None:
    """A conflict is nobody's failure: no item of the set learns of it, however many there are."""
    crossing = Crossing()
    commands = [crossing.command(side, *two) for side in (0, 1)]
    async with asyncio.timeout(30):
        submits = [database.submit(command, item) for command in commands for item in range(size)]
        assert await asyncio.gather(*submits) == [*range(size), *range(size)]


async def test_conflicts_do_not_go_on_for_ever(database: Database) -> None:
    """After a few tries the caller is told to come again later, and why."""
    tries = 0

    async def unit(_tx: Tx) -> None:
        nonlocal tries
        tries += 1
        raise asyncpg.SerializationError("conflict")

    with pytest.raises(Unavailable, match="conflict"):
        await database.write(unit)
    assert 2 <= tries <= 10


# --- sets of a command

HELD_COMMIT = (
    "CREATE FUNCTION await_the_test() RETURNS trigger LANGUAGE plpgsql AS "
    "'BEGIN IF NEW.name = ''first'' THEN PERFORM pg_advisory_xact_lock(1); END IF; RETURN NULL; END'",
    "CREATE CONSTRAINT TRIGGER hold_the_commit AFTER UPDATE ON flow DEFERRABLE INITIALLY DEFERRED "
    "FOR EACH ROW EXECUTE FUNCTION await_the_test()",
)


async def test_a_set_begins_while_the_one_before_commits(database: Database, other: Database, two: list[Flow]) -> None:
    """A third one waits until the first is committed: there are never more than two. Each answer comes after its commit."""
    begun: list[str] = []

    async def rename(tx: Tx, names: Sequence[str]) -> list[str]:
        for name in names:
            await tx.execute("UPDATE flow SET name = :name WHERE id = :id", {"name": name, "id": flows_of[name].id})
        begun.extend(names)
        return [*names]

    async def create(tx: Tx) -> None:
        for statement in HELD_COMMIT:
            await tx.execute(statement)

    flows_of = {"first": two[0], "second": two[1], "third": two[1]}
    command = Command("rename", rename)
    await database.write(create)
    letting_go = asyncio.Event()

    async def hold(tx: Tx) -> None:
        await tx.fetch_value("SELECT 1 FROM (SELECT pg_advisory_xact_lock(1)) AS held")
        held.set()
        await letting_go.wait()

    held = asyncio.Event()
    holding = asyncio.create_task(other.write(hold))
    await held.wait()
    async with asyncio.timeout(30):
        first = asyncio.create_task(database.submit(command, "first"))
        await until_blocked(other)
        assert begun == ["first"]
        second = asyncio.create_task(database.submit(command, "second"))
        while "second" not in begun:
            await other.read(lambda tx: tx.fetch_value("SELECT 1"))
        third = asyncio.create_task(database.submit(command, "third"))
        for _ in range(20):
            await other.read(lambda tx: tx.fetch_value("SELECT 1"))
        assert begun == ["first", "second"]
        assert not first.done()
        letting_go.set()
        assert await asyncio.gather(first, second, third) == ["first", "second", "third"]
        await holding


# --- lost connections

KILL = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
)


async def test_a_lost_connection_is_an_outage_and_no_end(database: Database, other: Database) -> None:
    """What was under way is answered with Unavailable, in every kind of call; the next call works."""
    started = [asyncio.Event() for _ in range(4)]

    async def unit(tx: Tx, number: int) -> None:
        await tx.fetch_value("SELECT 1")
        started[number].set()
        await tx.fetch_value("SELECT pg_sleep(30)")

    async def run(tx: Tx, items: Sequence[int]) -> list[int]:
        await unit(tx, items[0])
        return list(items)

    async with asyncio.timeout(30):
        calls = [
            asyncio.create_task(database.read(lambda tx: unit(tx, 0))),
            asyncio.create_task(database.write(lambda tx: unit(tx, 1))),
            asyncio.create_task(database.submit(Command("sleeps", run), 2)),
            asyncio.create_task(database.submit(Command("waits", run), 3)),
        ]
        await asyncio.gather(*(event.wait() for event in started))
        await other.read(lambda tx: tx.fetch_value(KILL))
        for outcome in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(outcome, Unavailable), repr(outcome)
        await save_flow(database, name="after")
        assert await database.read(lambda tx: tx.fetch_value("SELECT count(*) FROM flow")) == 1


async def test_idle_connections_that_were_cut_are_replaced(database: Database, other: Database) -> None:
    """A restart of PostgreSQL while nothing happens costs a caller one further try at most."""
    await save_flow(database, name="before")
    await other.read(lambda tx: tx.fetch_value(KILL))
    try:
        await save_flow(database, name="again")
    except Unavailable:
        await save_flow(database, name="again")
    assert await other.read(lambda tx: tx.fetch_value("SELECT count(*) FROM flow")) == 2


async def test_values_that_postgresql_cannot_keep_are_invalid(database: Database) -> None:
    """They are the caller's fault and no outage; whoever shares the set with them commits."""

    async def run(tx: Tx, items: Sequence[str]) -> list[bool]:
        return [await flows.insert(tx, a_flow(name)) for name in items]

    command = Command("insert flows", run)
    async with asyncio.timeout(30):
        submits = (database.submit(command, name) for name in ("a", "nul \0", "b"))
        good, bad, last = await asyncio.gather(*submits, return_exceptions=True)
    assert (good, last) == (True, True)
    assert isinstance(bad, Invalid)
    with pytest.raises(Invalid, match="int32"):
        await database.read(lambda tx: tx.fetch("SELECT :n::integer", {"n": 2**40}))


# --- locks


async def entered(tx: Tx, run: LockedRun, kind: StateType, details: StateDetails) -> UUID:
    """Have a locked run enter a state."""
    state = a_state(kind, state_details=details, message="entered")
    await flow_runs.enter(tx, [Entered(run.id, state, Timing(due_at=details.scheduled_time), False, 7, None, None)])
    return state.id


async def test_a_lock_shows_the_state_that_it_waited_for(database: Database, other: Database) -> None:
    """Who waits for the lock of a run that enters a state sees all of that state: its time, its key, its message."""
    flow = await save_flow(database)
    run = a_run(flow)
    await save_runs(database, run)
    details = StateDetails(scheduled_time=NOW + timedelta(hours=1), transition_id=a_flow().id)
    state_id, locked = await locked_after(
        database, other, run.id, lambda tx, held: entered(tx, held, StateType.PENDING, details)
    )
    assert locked.state is not None
    assert (locked.state.id, locked.state.message) == (state_id, "entered")
    assert locked.state.state_details == details
    assert locked.current.transition_id == details.transition_id
    assert locked.current.scheduled_time == details.scheduled_time
    assert locked.current.fence == 7


async def test_a_lock_shows_what_changed_beside_the_state_while_it_waited(database: Database, other: Database) -> None:
    flow = await save_flow(database)
    run = a_run(flow)
    await save_runs(database, run)
    changed = structs.replace(run, empirical_policy=FlowRunPolicy(retries=5))
    _, locked = await locked_after(database, other, run.id, lambda tx, _: flow_runs.update_detail(tx, changed))
    assert locked.policy == FlowRunPolicy(retries=5)


async def locked_after(
    database: Database, other: Database, id: UUID, change: Callable[[Tx, LockedRun], Awaitable[R]]
) -> tuple[R, LockedRun]:
    """What a change answers that is made under a run's lock, and what another server sees that waits for that lock."""
    held, waiting = asyncio.Event(), asyncio.Event()

    async def first(tx: Tx) -> R:
        locked = await flow_runs.lock(tx, [id])
        held.set()
        await waiting.wait()
        return await change(tx, locked[id])

    async def second(tx: Tx) -> LockedRun:
        return (await flow_runs.lock(tx, [id]))[id]

    async with asyncio.timeout(30):
        writer = asyncio.create_task(database.write(first))
        await held.wait()
        reader = asyncio.create_task(other.write(second))
        await until_blocked(database)
        waiting.set()
        return await writer, await reader


async def until_blocked(database: Database) -> None:
    """Until some connection waits for a lock."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    while not await database.read(lambda tx: tx.fetch_value(waiting)):  # noqa: ASYNC110 - only the server knows
        await asyncio.sleep(0.001)


async def test_locks_of_many_runs_do_not_deadlock(database: Database, other: Database) -> None:
    """Whatever the order in which runs are named, they are locked in one order."""
    flow = await save_flow(database)
    runs = [a_run(flow) for _ in range(20)]
    await save_runs(database, *runs)
    before = await database.read(lambda tx: tx.fetch_value(DEADLOCKS))

    def locks(backwards: bool) -> Callable[[Tx], Awaitable[Any]]:
        ids = [run.id for run in runs]
        return lambda tx: flow_runs.lock(tx, ids[::-1] if backwards else ids)

    async with asyncio.timeout(30):
        work = [store.write(locks(store is other)) for _ in range(40) for store in (database, other)]
        await asyncio.gather(*work)
    assert await database.read(lambda tx: tx.fetch_value(DEADLOCKS)) == before


DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
