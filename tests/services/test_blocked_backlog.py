"""However many runs wait for a deployment, a key or a pause: those behind them start, in order, and at the same cost."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeAlias
from uuid import UUID

import pytest
from world import World, ids

from headgate.core.dispatch import dispatch
from headgate.schema.concurrency_limits import GlobalConcurrencyLimitCreate
from headgate.schema.deployments import ConcurrencyKey, Deployment
from headgate.schema.flow_runs import FlowRun
from headgate.services import admission, concurrency_limits
from headgate.services.situations import situation_of
from headgate.store import claims as rows
from headgate.store import explanations as explanation_rows
from headgate.store.claims import EVER, Aisle, Closed
from headgate.store.database import Tx
from headgate.store.statements import load_statements

Backlog: TypeAlias = Callable[[World, random.Random], Awaitable[list[FlowRun]]]

KEYED = ConcurrencyKey(expression="{{ parameters.customer }}", limit=1)


@pytest.fixture(params=[(1000, 1000, 1000, 8), (3, 1000, 5, 1), (3, 8, 5, 2), (0, 0, 5, 8), (0, 0, 1000, 8)])
def lanes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """How many deployments and keys are gone through one by one, at once and after how many runs in order: more than there
    are, and fewer; or too many for the runs that they have."""
    for name, value in zip(("FEW_LANES", "LANES", "PASSED", "RUNS_EACH"), request.param, strict=True):
        monkeypatch.setattr(rows, name, value)
    monkeypatch.setattr(admission, "_BEYOND", 1)  # nothing fits a page


async def random_backlog(world: World, dice: random.Random, **pool: Any) -> list[FlowRun]:
    """Runs in one queue, of several priorities and times; of deployments with limits, own or shared, keys and pauses, and
    of some without."""
    await world.pool(**pool)
    await world.claim(0)
    made: list[Deployment] = []
    body = GlobalConcurrencyLimitCreate(name="shared", limit=3, active_slots=1)
    shared = {"global_concurrency_limit_id": (await concurrency_limits.create(world.scope, body)).id}
    for number in range(7):
        fields: dict[str, Any] = dice.choice([{}, {}, {"concurrency_limit": dice.randint(1, 3)}, shared])
        keyed: dict[str, Any] = {"concurrency_key": KEYED, "parameters": {"customer": "none"}} if dice.random() < 0.5 else {}
        made.append(await world.deploy(f"d{number}", **fields, **keyed))
    runs = []
    for _ in range(60):
        about: dict[str, Any] = {"priority": dice.choice([0, 0, 0, 3]), "parameters": {"customer": dice.choice("abc")}}
        runs.append(await world.run(dice.choice(made), due=-float(dice.randint(-1, 9)), **about))
    for it in made:
        if dice.random() < 0.2:
            await world.change_deployment(it, paused=True)
    return runs


async def plain(world: World, runs: Sequence[FlowRun], room: int) -> list[UUID]:
    """Who starts by the rule, taken on everything at once."""

    async def unit(tx: Tx) -> list[UUID]:
        found = await explanation_rows.candidates(tx, ids(runs), now=world.now)
        waiting = [each for each in found if each.state_name == "Scheduled"]
        situation = await situation_of(tx, waiting, now=world.now)
        pool = next((each.work_pool_id for each in waiting), None)
        snapshot = situation.snapshot(pool, [each.candidate for each in waiting])
        return [run.id for run in dispatch(replace(snapshot, room=room)).admitted]

    return await world.scope.store.read(unit)


async def keyed_backlog(world: World, dice: random.Random) -> list[FlowRun]:
    """Runs of 40 keys of one deployment, of which most are busy, beside a deployment without keys; many due at one time."""
    await world.pool()
    await world.claim(0)
    key = ConcurrencyKey(expression=KEYED.expression, limit=dice.choice([1, 2, 6]))
    keyed = await world.deploy("keyed", concurrency_key=key, parameters={"customer": "none"})
    plain = await world.deploy("plain", **({"concurrency_limit": 2} if dice.random() < 0.5 else {}))
    runs = []
    for number in range(key.limit * 30):  # these hold slots at first
        about: dict[str, Any] = {"parameters": {"customer": f"c{number % 30}"}, "priority": 9}
        runs.append(await world.run(keyed, due=-20, **about))
    held = await world.grants(len(runs))
    assert len(held) == len(runs)
    for _ in range(80):
        customer = f"c{dice.choice([dice.randrange(30), dice.randrange(40)])}"
        runs.append(await world.run(keyed, due=-float(dice.randint(0, 4)), parameters={"customer": customer}))
    runs += [await world.run(plain, due=-float(dice.randint(-1, 4))) for _ in range(10)]
    for grant in dice.sample(held, 10):
        await world.accepted(grant, "RUNNING", "COMPLETED")
    return runs


@pytest.mark.usefixtures("lanes")
@pytest.mark.parametrize("backlog", [random_backlog, keyed_backlog])
@pytest.mark.parametrize("seed", range(4))
async def test_claims_give_what_the_rule_gives(world: World, backlog: Backlog, seed: int) -> None:
    """Claim for claim, with runs that end in between, until all have been given that nothing holds back for good."""
    dice = random.Random(seed)
    runs = await backlog(world, dice)
    while expected := await plain(world, runs, room := dice.randint(1, 6)):
        assert ids(each.flow_run for each in await world.poll(limit=room, scheduled_before=world.now)) == expected
        grants = await world.grants(room)
        assert ids(grant.flow_run for grant in grants) == expected
        for grant in grants:
            await world.accepted(grant, "RUNNING", *(["COMPLETED"] if dice.random() < 0.9 else []))
    assert await world.granted() == []


@pytest.fixture
async def unindexed(world: World) -> AsyncIterator[None]:
    """Without the index that statements about lanes are meant for; the database may be used by further tests."""
    store = world.scope.store
    listed = "sqlite_master WHERE name" if store.dialect == "sqlite" else "pg_indexes WHERE indexname"
    column = "sql" if store.dialect == "sqlite" else "indexdef"
    made: str = await store.read(lambda tx: tx.fetch_value(f"SELECT {column} FROM {listed} = 'ix_flow_run_lanes'", {}))
    await store.write(lambda tx: tx.execute("DROP INDEX ix_flow_run_lanes"))
    yield
    await store.write(lambda tx: tx.execute(made))


@pytest.mark.usefixtures("unindexed")
@pytest.mark.parametrize("seed", range(4))
async def test_what_is_given_does_not_hang_on_the_index(world: World, seed: int) -> None:
    """A database may choose another plan as tables grow: the order is the statements' own."""
    dice = random.Random(seed)
    runs = await random_backlog(world, dice)
    while expected := await plain(world, runs, 6):
        grants = await world.grants(6)
        assert ids(grant.flow_run for grant in grants) == expected
        for grant in grants:
            await world.accepted(grant, "RUNNING", "COMPLETED")


@pytest.mark.parametrize("blocked", ["limit", "key", "pause"])
async def test_blocked_runs_are_not_gone_through(world: World, blocked: str) -> None:
    """What lets a claim around them reads the index that begins with what blocks, and no other of waiting runs."""
    await world.pool()
    fields: dict[str, Any] = (
        {"concurrency_key": KEYED, "parameters": {"customer": "a"}} if blocked == "key" else {"concurrency_limit": 1}
    )
    full, free = await world.deploy("full", **fields), await world.deploy("free")
    await world.runs(full, 40, due=-10)
    if blocked == "pause":
        await world.change_deployment(full, paused=True)
    else:
        assert len(await world.granted(1)) == 1
    last = await world.runs(free, 3, due=-1)
    queue = last[0].work_queue_id
    assert queue

    async def plans(tx: Tx) -> str:
        if tx.dialect == "postgresql":
            await tx.execute("ANALYZE flow_run")
        words = {"sqlite": "EXPLAIN QUERY PLAN", "postgresql": "EXPLAIN"}[tx.dialect]
        params = Aisle(queue, 0, (EVER, world.now)).params | {"full": [full.id], "full_keys": [], "most": 100}
        params |= {"lanes": [(None, None, 9), (free.id, None, 9)], "limit": 4}
        told = []
        for name in ("open_lanes", "candidates_of_lanes"):
            statement = load_statements("claims")[name]
            plan = await tx.fetch(f"{words} {getattr(statement, tx.dialect)}", params)
            told += [str(row) for row in plan]
        return "\n".join(told)

    plan = await world.scope.store.write(plans)
    assert "ix_flow_run_lanes" in plan
    assert "ix_flow_run_ready" not in plan
    assert sorted(await world.granted(3)) == sorted(ids(last))


@pytest.mark.parametrize("limit", [1, 2])
async def test_many_keys_do_not_take_a_page_each(world: World, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    """Though the runs of each stand in a row: no more of a key are fetched than it has slots."""
    await world.pool()
    key = ConcurrencyKey(expression="{{ parameters.customer }}", limit=limit)
    it = await world.deploy(concurrency_key=key, parameters={"customer": "none"})
    for number in range(8):
        await world.runs(it, 25, due=-100 + number, parameters={"customer": f"c{number}"})
    pages = []
    for name in ("first_candidates", "candidates"):
        real = getattr(rows, name)

        async def counted(*given: Any, real: Any = real, **options: Any) -> Any:
            pages.append(await real(*given, **options))
            return pages[-1]

        monkeypatch.setattr(rows, name, counted)
    grants = await world.grants(8 * limit)
    customers = [grant.flow_run.parameters["customer"] for grant in grants]
    assert customers == [f"c{number}" for number in range(8) for _ in range(limit)]
    assert len(pages) <= 2


async def test_many_busy_keys_are_passed_by_their_number(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The statement that passes blocked runs in their order is not used for more of them than `PASSED`, from where the look
    begins, unless a key has few."""
    for name, value in {"FEW_LANES": 3, "PASSED": 10, "RUNS_EACH": 1}.items():
        monkeypatch.setattr(rows, name, value)
    await world.pool()
    it = await world.deploy(concurrency_key=KEYED, parameters={"customer": "none"})
    for number in range(6):
        await world.run(it, due=-200, parameters={"customer": f"c{number}"})
    assert len(await world.granted(6)) == 6
    for number in range(6):
        await world.runs(it, 5, due=-100 + number, parameters={"customer": f"c{number}"})
    open_run = await world.run(it, due=-1, parameters={"customer": "open"})
    spans = []
    real = rows._in_order

    async def counted(tx: Tx, aisle: Aisle, *given: Any, **options: Any) -> Any:
        spans.append(aisle.span)
        return await real(tx, aisle, *given, **options)

    monkeypatch.setattr(rows, "_in_order", counted)
    assert await world.granted(3) == [open_run.id]
    assert spans
    assert all(until < world.now - timedelta(seconds=90) for _, until in spans)
    spans.clear()
    front = world.now - timedelta(seconds=98)
    behind = Aisle(open_run.work_queue_id or open_run.id, 0, (EVER, world.now)).behind(front)
    assert await world.scope.store.read(lambda tx: rows.candidates(tx, behind, Closed(), limit=3)) == []
    assert [since for since, _ in spans] == [front]
    spans.clear()
    await world.scope.store.read(lambda tx: rows.candidates(tx, behind, Closed(), limit=3, dead=1000))
    assert len(spans) == 2, "to pass so many dead entries takes longer than to pass the runs"
