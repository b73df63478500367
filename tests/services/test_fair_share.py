"""Pools that are shared fairly: a deployment that floods one makes the others wait no longer than a run takes."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

import pytest
from test_blocked_backlog import plain, random_backlog
from world import World, ids

from headgate.schema.deployments import ConcurrencyKey
from headgate.schema.flow_runs import FlowRun
from headgate.schema.work_pools import LaunchRate
from headgate.services import explanations
from headgate.store.database import Database
from headgate.store.postgresql import PostgresqlTx
from headgate.store.sqlite_tx import SqliteTx

KEYED = ConcurrencyKey(expression="{{ parameters.customer }}", limit=9)


async def tenants(world: World, *counts: int, **fields: Any) -> list[list[FlowRun]]:
    """Deployments with so many runs each; all of the first are due before those of the second, and so on."""
    made = [await world.deploy(f"d{number}", **fields) for number in range(len(counts))]
    return [
        await world.runs(it, count, due=-100.0 + place) for place, (it, count) in enumerate(zip(made, counts, strict=True))
    ]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("limits", [{}, {"concurrency_limit": 9}, {"launch_rate": LaunchRate(limit=4, seconds=1)}])
async def test_claims_give_what_the_rule_gives(world: World, seed: int, limits: dict[str, Any]) -> None:
    """Claim for claim what the decision on all runs at once gives, with limits, keys, pauses, priorities and ends."""
    dice = random.Random(seed)
    runs = await random_backlog(world, dice, fair_share=True, **limits)
    given = 0
    while expected := await plain(world, runs, room := dice.randint(1, 6)):
        assert ids(each.flow_run for each in await world.poll(limit=room, scheduled_before=world.now)) == expected
        grants = await world.grants(room)
        assert ids(grant.flow_run for grant in grants) == expected
        given += len(grants)
        world.clock.advance(seconds=1)
        for grant in grants:
            await world.accepted(grant, "RUNNING", *(["COMPLETED"] if dice.random() < 0.9 else []))
    assert given > 9


async def test_each_has_its_part_and_who_needs_less_leaves_it_to_the_others(world: World) -> None:
    await world.pool(fair_share=True, concurrency_limit=12)
    runs = await tenants(world, 40, 2, 40)
    granted = await world.granted(100)
    assert [len({*granted} & {*ids(each)}) for each in runs] == [5, 2, 5]


async def test_who_has_much_to_catch_up_is_read_as_far_as_it_starts(world: World) -> None:
    """Thirty have five runs under way each, and one has none: it starts five before any of them."""
    await world.pool(fair_share=True)
    others = [await world.deploy(f"d{number}") for number in range(30)]
    for it in others:
        await world.runs(it, 5)
    assert len(await world.granted(150)) == 150
    for it in others:
        await world.run(it, due=-50)
    late = ids(await world.runs(await world.deploy("late"), 30))
    assert [id in late for id in await world.granted(10)] == [True] * 5 + [False] * 5


async def test_with_one_slot_everybody_has_its_turn(world: World) -> None:
    """When it falls free nobody has anything under way: what counts is who was served last, by whichever way."""
    await world.pool(fair_share=True, concurrency_limit=1)
    runs = await tenants(world, 6, 6, 6)
    order = []
    for number in range(9):
        if number % 2:
            [grant] = await world.grants()
            run = grant.flow_run
            await world.accepted(grant, "RUNNING", "COMPLETED")
        else:
            [shown] = await world.poll()
            run = shown.flow_run
            await world.accepted(run, "PENDING", "RUNNING", "COMPLETED")
        order.append(next(number for number, each in enumerate(runs) if run.id in ids(each)))
    assert order == [0, 1, 2] * 3


async def test_queue_and_run_priority_go_before_the_share(world: World) -> None:
    await world.pool(fair_share=True, concurrency_limit=4)
    await world.queue("best", priority=1)
    flood = await world.deploy("flood", work_queue_name="best")
    await world.runs(await world.deploy("other"), 5)
    urgent = await world.runs(flood, 2, priority=3)
    plain = await world.runs(flood, 2)
    assert await world.granted() == [*ids(urgent), *ids(plain)]


async def test_keys_share_what_their_deployment_has(world: World) -> None:
    await world.pool(fair_share=True)
    it = await world.deploy(concurrency_key=KEYED, parameters={"customer": "none"})
    flood = await world.runs(it, 20, due=-9, parameters={"customer": "a"})
    small = await world.runs(it, 4, due=-1, parameters={"customer": "b"})
    granted = await world.granted(6)
    assert (len({*granted} & {*ids(flood)}), len({*granted} & {*ids(small)})) == (3, 3)


async def test_runs_without_a_deployment_are_one_party(world: World) -> None:
    """And those that run elsewhere do not count here."""
    await world.pool(fair_share=True)
    await world.pool("elsewhere")
    flood = await world.deploy("flood")
    far = await world.deploy("far", work_pool_name="elsewhere")
    await world.runs(far, 9)
    assert len(await world.granted(pool="elsewhere")) == 9
    await world.runs(flood, 20, due=-9)
    await world.change_deployment(far, work_pool_name="local")
    moved = await world.runs(far, 3)
    assert len({*await world.granted(4)} & {*ids(moved)}) == 2


async def test_the_order_is_the_default_one_unless_it_is_asked_for(world: World) -> None:
    await world.pool(concurrency_limit=6)
    first, _ = await tenants(world, 20, 2)
    assert {*await world.granted(3)} <= {*ids(first)}
    await world.change_pool(fair_share=True)
    assert len({*await world.granted(3)} & {*ids(first)}) == 1
    await world.change_pool(fair_share=False)


async def test_a_claim_asks_for_shares_only_where_they_count(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pool without the setting asks nothing more of the database, and writes nothing more."""
    asked: list[str] = []
    for kind in (SqliteTx, PostgresqlTx):
        for call in ("fetch", "execute"):
            monkeypatch.setattr(kind, call, _recorded(getattr(kind, call), asked))
    names: dict[bool, set[str]] = {}
    for fair in (False, True):
        await world.pool(pool := f"fair-{fair}", fair_share=fair)
        await world.runs(await world.deploy(pool, work_pool_name=pool), 3)
        await world.claim(0, pool=pool)
        asked.clear()
        assert len(await world.granted(1, pool=pool)) == 1
        names[fair] = {*asked}
    assert not names[False] & {"under_way", "set_turns", "open_lanes", "first_of_lanes", "candidates_of_ids"}
    assert names[True] >= {"under_way", "set_turns", "open_lanes", "first_of_lanes", "candidates_of_ids"}
    assert "first_candidates" in names[False]


def _recorded(call: Any, asked: list[str]) -> Any:
    async def recorded(self: Any, sql: Any, *args: Any) -> Any:
        asked.append(getattr(sql, "name", ""))
        return await call(self, sql, *args)

    return recorded


async def test_two_servers_share_fairly(
    world: World, database_url: str, open_url: Callable[[str], Awaitable[Database]]
) -> None:
    other = world.beside(await open_url(database_url))
    await world.pool(fair_share=True, concurrency_limit=12)
    runs = await tenants(world, 60, 12, 12)
    found = await asyncio.gather(*(server.granted(2, worker=f"w{n}") for n, server in enumerate([world, other] * 6)))
    granted = {id for each in found for id in each}
    assert [len(granted & {*ids(each)}) for each in runs] == [4, 4, 4]


async def order_of_claims(world: World, runs: Sequence[FlowRun]) -> list[UUID]:
    """In which order they go, one slot after the other, each ending before the next begins."""
    order = []
    while grants := await world.grants(1):
        order.append(grants[0].flow_run.id)
    assert len(order) == len(runs)
    return order


@pytest.mark.parametrize("counts", [(7, 3, 5), (1, 9), (4,)])
async def test_explanations_count_those_that_go_before(world: World, counts: tuple[int, ...]) -> None:
    """A run's position is its place in the order of claims, as things stand."""
    await world.pool(fair_share=True)
    runs = [run for each in await tenants(world, *counts) for run in each]
    assert len(await world.granted(2)) == 2
    told = {run.id: (await explanations.explain(world.scope, run.id)).position for run in runs}
    order = await order_of_claims(world, runs[2:])
    assert [(position := told[id]) and position.ahead for id in order] == [*range(len(order))]


async def test_explanations_of_runs_that_wait_for_a_slot(world: World) -> None:
    """The next of the small one is second, though twenty of the flood are due before it."""
    await world.pool(fair_share=True, concurrency_limit=2)
    flood, small = await tenants(world, 20, 3)
    assert len(await world.granted()) == 2
    third = await world.deploy("third")
    only = await world.run(third)
    positions = [(await explanations.explain(world.scope, run.id)).position for run in (only, small[1], flood[1])]
    assert [position and position.ahead for position in positions] == [0, 2, 1]
