"""How many statements claims, polls and proposals send. On PostgreSQL each is a round trip, which is most of their time."""

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from world import World, every

from headgate.schema.deployments import Deployment
from headgate.services.scope import Scope
from headgate.store.postgresql import PostgresqlTx
from headgate.store.sqlite_tx import SqliteTx
from headgate.store.statements import Statement

METHODS = ("fetch", "fetch_one", "fetch_value", "execute", "execute_many", "fetch_many", "insert_rows")
LOOK = {"sqlite": ["lock", "beat", "queues"], "postgresql": ["lock", "alive"]}
TABLE = re.compile(r"\nFROM (\w+)")


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The statements that were sent, by their names; those that are put together in the code, by the table that they begin
    with. The beginning of a transaction and its commit are two round trips more."""
    names: list[str] = []

    def watch(kind: type, method: str) -> None:
        send = getattr(kind, method)

        async def watched(self: Any, sql: Statement | str, rows: Any = None) -> Any:
            if rows or not isinstance(rows, Sequence):  # nothing is sent of a set without rows
                found = TABLE.search(sql) if isinstance(sql, str) else None
                names.append(sql.name if isinstance(sql, Statement) else found[1] if found else sql)
            return await send(self, sql, {} if rows is None else rows)

        monkeypatch.setattr(kind, method, watched)

    for kind in (PostgresqlTx, SqliteTx):
        for method in METHODS:
            watch(kind, method)
    return names


@pytest.fixture
async def it(world: World) -> Deployment:
    """Of a pool whose worker has just been there."""
    await world.pool()
    it = await world.deploy(schedule=every(86_400, world.now + timedelta(days=1)))
    await world.grants()
    await world.poll()
    return it


def on(scope: Scope, *, sqlite: Sequence[str], postgresql: Sequence[str]) -> list[str]:
    return [*(sqlite if scope.store.dialect == "sqlite" else postgresql)]


async def test_a_claim_of_ten_runs(world: World, it: Deployment, sent: list[str]) -> None:
    """Those of one deployment, which has a schedule, in a pool without limits. SQLite has no round trips to save."""
    await world.runs(it, 12)
    sent.clear()
    assert len(await world.grants(10)) == 10
    assert sent == on(
        world.scope,
        sqlite=[
            *("lock", "beat", "queues", "first_candidates"),
            *("startable", "deployment", "deployment_schedule", "enter", "insert"),
        ],
        postgresql=["lock", "alive", "first_candidates", "startable", "enter"],
    )


async def test_a_claim_of_named_queues(world: World, it: Deployment, sent: list[str]) -> None:
    """No more, for those that are there."""
    await world.queue("high")
    await world.queue("low")
    await world.run(it)
    sent.clear()
    assert await world.grants(10, queues=["high", "low"]) == []
    assert "touch" in sent  # they were never polled before
    sent.clear()
    await world.grants(0, queues=["high", "low"])
    assert sent == on(world.scope, **LOOK)


async def test_a_claim_that_finds_nothing(world: World, it: Deployment, sent: list[str]) -> None:
    """However many queues the pool has; what else is asked is why nothing was found."""
    for number in range(5):
        await world.queue(f"q{number}")
    await world.grants()
    sent.clear()
    assert await world.grants(10) == []
    assert sent[: sent.index("names")] == [
        *on(world.scope, **LOOK),
        "first_candidates",
    ]  # of the runs that the schedule made ahead none is due


async def test_a_poll_of_ten_runs(world: World, it: Deployment, sent: list[str]) -> None:
    await world.runs(it, 12)
    sent.clear()
    assert len(await world.poll(limit=10)) == 10
    assert sent == ["queues_by_name", "first_candidates", "flow_run"]


async def test_proposals_for_a_run_that_was_claimed(world: World, it: Deployment, sent: list[str]) -> None:
    """It has its slot: no limit is needed."""
    await world.run(it)
    [grant] = await world.grants(1)
    for kind in ("RUNNING", "COMPLETED"):
        sent.clear()
        await world.accepted(grant, kind)
        assert sent == on(world.scope, sqlite=["locked", "enter", "insert"], postgresql=["locked", "enter"])


async def test_proposals_for_a_run_that_was_polled(world: World, it: Deployment, sent: list[str]) -> None:
    run = await world.run(it)
    sent.clear()
    await world.accepted(run, "PENDING")
    assert sent == on(
        world.scope,
        sqlite=["gates_of", "lock_many", "locked", "enter", "insert"],
        postgresql=["gates_of", "lock_many", "locked", "enter"],
    )
    sent.clear()
    await world.accepted(run, "RUNNING")
    assert sent == on(world.scope, sqlite=["locked", "enter", "insert"], postgresql=["locked", "enter"])
