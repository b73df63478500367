"""PostgreSQL keeps what is dead while anybody's transaction is open, a backup's for one: what that costs claims."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from world import World

from headgate.core.dispatch import dispatch
from headgate.schema.claims import Grant
from headgate.schema.deployments import ConcurrencyKey, Deployment
from headgate.schema.states import StateCreate, StateType
from headgate.services import fronts, states, work_queues
from headgate.services.situations import situation_of
from headgate.services.states import Proposal
from headgate.store import claims as claim_rows
from headgate.store import explanations as explanation_rows
from headgate.store import waiting_runs
from headgate.store.database import Tx
from headgate.store.postgresql import PostgresqlTx

ROUNDS = 80
AT_ONCE = 25
WAITING = 1000
"""Runs that wait for tomorrow."""
BEFORE = 40
"""Rounds before anything is measured, so that the indexes have the levels by then that they will have."""


@dataclass
class Watched:
    """A connection on which every statement within a transaction is explained before it is run, while `counts`."""

    connection: Any
    buffers: Counter[str]
    """How many pages each statement touched, by its text."""
    counts: list[bool] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connection, name)

    async def _explain(self, sql: str, *args: Any) -> None:
        if not self.counts or not args or not self.connection.is_in_transaction():
            return
        await self.connection.execute("SAVEPOINT explained")
        [row] = await self.connection.fetch(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}", *args)
        await self.connection.execute("ROLLBACK TO SAVEPOINT explained")
        [explained] = row[0] if isinstance(row[0], list) else json.loads(row[0])
        plan = explained["Plan"]
        self.buffers[sql] += plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]

    async def fetch(self, sql: str, *args: Any) -> Any:
        await self._explain(sql, *args)
        return await self.connection.fetch(sql, *args)

    async def fetchrow(self, sql: str, *args: Any) -> Any:
        await self._explain(sql, *args)
        return await self.connection.fetchrow(sql, *args)

    async def fetchval(self, sql: str, *args: Any) -> Any:
        await self._explain(sql, *args)
        return await self.connection.fetchval(sql, *args)

    async def execute(self, sql: str, *args: Any) -> Any:
        await self._explain(sql, *args)
        return await self.connection.execute(sql, *args)

    async def executemany(self, sql: str, rows: Any) -> Any:
        for row in rows:
            await self._explain(sql, *row)
        return await self.connection.executemany(sql, rows)


@dataclass
class Meter:
    """Counts the pages that statements touch."""

    buffers: Counter[str] = field(default_factory=Counter)
    counts: list[bool] = field(default_factory=list)

    async def of(self, turn: Awaitable[None]) -> Counter[str]:
        """Those that a turn touches, by statement."""
        self.buffers.clear()
        self.counts.append(True)
        try:
            await turn
        finally:
            self.counts.clear()
        return self.buffers.copy()


@pytest.fixture
def meter(monkeypatch: pytest.MonkeyPatch) -> Meter:
    """Of all statements of this process."""
    meter, begin = Meter(), PostgresqlTx.__init__

    def watch(self: PostgresqlTx, connection: Any, **ways: Any) -> None:
        begin(self, Watched(connection, meter.buffers, meter.counts), **ways)

    monkeypatch.setattr(PostgresqlTx, "__init__", watch)
    return meter


@pytest.fixture
async def snapshot(database_url: str) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Has a session take a snapshot and keep it for the rest of the test."""
    session = await asyncpg.connect(database_url)

    async def take() -> None:
        await session.execute("ANALYZE flow_run")
        await session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class")

    try:
        yield take
    finally:
        await session.close()


async def turn(world: World, deployment: Deployment) -> None:
    """Runs wait, are claimed, begin, are renewed and end; and then there is nothing."""
    await world.runs(deployment, AT_ONCE)
    grants = await world.grants(AT_ONCE)
    assert len(grants) == AT_ONCE
    await asyncio.gather(*(world.propose(grant, "RUNNING") for grant in grants))
    await world.renew(*grants)
    await asyncio.gather(*(world.propose(grant, "COMPLETED") for grant in grants))
    world.clock.advance(seconds=1)
    assert await world.grants(AT_ONCE) == []


@pytest.fixture
def doubtful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look seems to have taken long, and anything in front of what waits to be much."""
    monkeypatch.setattr(fronts, "LONG_SECONDS", -1.0)
    monkeypatch.setattr(fronts, "MANY", -1)


@pytest.mark.parametrize("dialect", ["postgresql"])
@pytest.mark.usefixtures("doubtful")
async def test_what_a_claim_touches_does_not_grow_with_the_runs_that_ended(
    world: World, meter: Meter, snapshot: Callable[[], Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No statement that claims, transitions or heartbeats make goes through what died since a snapshot was taken.

    A front is sought from the beginning now and then, apart from claims; not here, where that would be counted with them.
    """
    monkeypatch.setattr(fronts, "SOUGHT_EVERY", timedelta(days=1))
    await world.pool()
    deployment = await world.deploy()
    # So that PostgreSQL knows of runs that wait: of none, every index of these seems as good as the next.
    await world.runs(deployment, WAITING, due=timedelta(days=1).total_seconds())
    for _ in range(BEFORE):
        await turn(world, deployment)
    await snapshot()
    before = await meter.of(turn(world, deployment))
    for _ in range(ROUNDS):
        await turn(world, deployment)
    world.clock.advance(seconds=9)  # what has just been due is gone through
    await world.grants(0)
    after = await meter.of(turn(world, deployment))
    # Trees that are written to may still grow a level, and a round or two before the front are gone through. A statement
    # that goes through all that ended since touches a page for every ten of these, which is four times as many.
    grown = {sql: (before[sql], pages) for sql, pages in after.items() if pages > 2 * (before[sql] + AT_ONCE)}
    assert not grown, "statements, with the pages that they touched before and after"


@pytest.mark.parametrize("dialect", ["postgresql"])
@pytest.mark.usefixtures("doubtful")
@pytest.mark.parametrize("seed", range(12))
async def test_a_queue_is_worked_off_in_order_wherever_looks_begin(
    world: World, neighbour: World, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever comes to wait before the front, here or at another server, is claimed in its turn: each claim is given what a
    look from the beginning finds first."""
    chance = Random(seed)
    monkeypatch.setattr(fronts, "SOUGHT_EVERY", timedelta(days=1))  # no front is sought from the beginning twice
    await world.pool()
    first = await world.deploy()
    other = await world.queue("other")
    second = await world.deploy("second", work_queue_name="other")
    held: list[Grant] = []
    for _ in range(40):
        world.clock.advance(seconds=chance.choice((0, 1, 5, 20)))
        server = chance.choice((world, neighbour))
        match chance.randrange(7):
            case 0 | 1:
                due = chance.choice((0, 0, 30, -1, -5, -60))
                await server.run(chance.choice((first, second)), due=due, priority=chance.choice((0, 0, 0, 7)))
            case 2 if held:
                await server.give_back(held.pop(chance.randrange(len(held))))
            case 3 if held:
                await server.accepted(held.pop(chance.randrange(len(held))), "RUNNING", "COMPLETED")
            case 4:
                late = await world.scope.store.read(lambda tx: waiting_runs.turned_late(tx, before=world.now, limit=2))
                await asyncio.gather(*(states.propose(server.scope, _late(id, world.now)) for id in late))
            case 5 if chance.random() < 0.3:
                await server.change_deployment(second, work_queue_name=chance.choice(("other", "default")))
            case _:
                room = chance.randrange(1, 4)
                expected = await _first(world, room)
                grants = await server.grants(room)
                assert [grant.flow_run.id for grant in grants] == expected
                held += grants
    assert other


@pytest.mark.parametrize("dialect", ["postgresql"])
@pytest.mark.usefixtures("doubtful")
@pytest.mark.parametrize(
    ("fair", "caps"),
    [
        (True, {"PARTIES": 1000}),
        (True, {"PARTIES": 2}),
        (False, {}),
        (False, {"FEW_LANES": 0, "PASSED": 2, "RUNS_EACH": 1}),
        (False, {"FEW_LANES": 0, "PASSED": 2, "LANES": 0}),
    ],
)
@pytest.mark.parametrize("seed", range(6))
async def test_limits_and_turns_are_kept_wherever_looks_begin(
    world: World, neighbour: World, seed: int, fair: bool, caps: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes to wait before the front counts for its deployment's share, however many deployments may be gone through:
    each claim is given what the decision on all that wait gives, and no limit is ever passed."""
    chance = Random(seed)
    monkeypatch.setattr(fronts, "SOUGHT_EVERY", timedelta(days=1))
    for name, value in caps.items():
        monkeypatch.setattr(claim_rows, name, value)
    await world.pool(fair_share=fair, concurrency_limit=6)
    key = ConcurrencyKey(expression="{{ parameters.customer }}", limit=2)
    made = [
        await world.deploy("plain"),
        await world.deploy("limited", concurrency_limit=2),
        await world.deploy("keyed", concurrency_key=key, parameters={"customer": "none"}),
    ]
    held: list[Grant] = []
    given = 0
    for _ in range(60):
        world.clock.advance(seconds=chance.choice((0, 1, 5, 20)))
        server = chance.choice((world, neighbour))
        match chance.randrange(6):
            case 0 | 1:
                about: dict[str, Any] = {
                    "priority": chance.choice((0, 0, 7)),
                    "parameters": {"customer": chance.choice("ab")},
                }
                await server.run(chance.choice(made), due=chance.choice((0, 0, 30, -1, -5, -60)), **about)
            case 2 if held:
                await server.give_back(held.pop(chance.randrange(len(held))))
            case 3 if held:
                await server.accepted(held.pop(chance.randrange(len(held))), "RUNNING", "COMPLETED")
            case _:
                room = chance.randrange(1, 4)
                await server.claim(0)  # by the rule nothing starts where nobody asks
                expected = await _by_the_rule(world, room)
                grants = await server.grants(room)
                assert [grant.flow_run.id for grant in grants] == expected
                held += grants
                given += len(grants)
                holders = Counter(grant.flow_run.deployment_id for grant in held)
                assert len(held) <= 6
                assert holders[made[1].id] <= 2
    assert given > 6


@pytest.mark.parametrize("dialect", ["postgresql"])
@pytest.mark.usefixtures("doubtful")
async def test_a_run_that_was_put_back_before_the_front_is_found_once_that_is_committed(
    world: World, database_url: str
) -> None:
    """A look while it is being put back moves the front beyond its time."""
    await world.pool()
    deployment = await world.deploy()
    [run] = await world.runs(deployment, 1, due=-60)
    [grant] = await world.grants(1)
    session = await asyncpg.connect(database_url)
    try:
        await session.execute("BEGIN")
        await session.execute("UPDATE flow_run SET state_type = 'SCHEDULED', due_at = expected_start_time, belated = TRUE")
        await session.execute("UPDATE flow_run SET lease_expires_at = NULL")
        for _ in range(3):
            world.clock.advance(seconds=2)
            assert await world.granted() == []
        await session.execute("COMMIT")
    finally:
        await session.close()
    assert await world.granted() == [run.id] == [grant.flow_run.id]


@pytest.mark.parametrize("dialect", ["postgresql"])
@pytest.mark.usefixtures("doubtful")
@pytest.mark.parametrize("way", ["the deployment moves", "the queue goes"])
async def test_a_run_that_comes_from_another_queue_is_found_before_the_front(world: World, way: str) -> None:
    """It waited there in time, and is belated here."""
    await world.pool()
    queue = await world.queue("other")
    here, there = await world.deploy(), await world.deploy("second", work_queue_name="other")
    await world.runs(here, 1)
    run = await world.run(there)
    assert len(await world.granted(queues=["default"])) == 1
    world.clock.advance(seconds=5)
    assert await world.granted(queues=["default"]) == []
    world.clock.advance(seconds=15)
    assert await world.granted(queues=["default"]) == []
    if way == "the deployment moves":
        await world.change_deployment(there, work_queue_name="default")
    else:
        await work_queues.delete(world.scope, queue.id)
    world.clock.advance(seconds=1)
    assert await world.granted(queues=["default"]) == [run.id]


@pytest.mark.parametrize("dialect", ["postgresql"])
@pytest.mark.usefixtures("doubtful")
async def test_a_run_that_was_missed_is_found_by_the_next_look_from_the_beginning(world: World, database_url: str) -> None:
    """A server whose clock is behind took a run for one that is in time."""
    await world.pool()
    deployment = await world.deploy()
    await world.granted()
    await world.runs(deployment, 1)
    await world.granted()
    world.clock.advance(seconds=60)
    assert await world.granted() == []
    [run] = await world.runs(deployment, 1, due=-30)
    await world.value("UPDATE flow_run SET belated = FALSE WHERE id = :id", id=run.id)
    assert await world.granted() == []
    world.clock.advance(seconds=11)
    assert await world.granted() == [run.id]


def _late(id: UUID, now: datetime) -> Proposal:
    return Proposal(id, StateCreate(type=StateType.SCHEDULED, name="Late"), now, from_name="Scheduled")


async def _first(world: World, room: int) -> list[UUID]:
    """The first runs that wait, by a look through all of them."""
    sql = """
    SELECT r.id FROM flow_run r JOIN work_queue q ON q.id = r.work_queue_id
    WHERE r.state_type = 'SCHEDULED' AND r.lease_expires_at IS NULL AND r.due_at <= :now
    ORDER BY q.priority, r.priority DESC, r.due_at, r.id LIMIT :room"""
    rows = await world.scope.store.read(lambda tx: tx.fetch(sql, {"now": world.now, "room": room}))
    return [row["id"] for row in rows]


async def _by_the_rule(world: World, room: int) -> list[UUID]:
    """Who starts when all that waits is decided on at once."""

    async def unit(tx: Tx) -> list[UUID]:
        waiting = await tx.fetch("SELECT id FROM flow_run WHERE state_type = 'SCHEDULED'", {})
        found = await explanation_rows.candidates(tx, [row["id"] for row in waiting], now=world.now)
        situation = await situation_of(tx, found, now=world.now)
        pool = next((each.work_pool_id for each in found), None)
        snapshot = situation.snapshot(pool, [each.candidate for each in found])
        return [run.id for run in dispatch(replace(snapshot, room=room)).admitted]

    return await world.scope.store.read(unit)
