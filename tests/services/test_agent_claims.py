"""Claims of agents: one call over all that an agent polls, found anew at every look."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest
from sleepers import SOON, Sleepers
from world import World, leases_of

from headgate.errors import Forbidden, Invalid, NotFound
from headgate.schema.agents import Agent
from headgate.schema.claims import AgentClaimResponse, AgentLeaseRenewal, AgentLeaseReturn
from headgate.schema.filters import AgentFilter, AgentQuery, TextsFilter, WorkPoolQuery, WorkQueueQuery
from headgate.schema.work_queues import WorkQueueUpdate
from headgate.services import agents, leases, work_pools, work_queues
from headgate.services.work_queues import DEFAULT_POOL

UNTYPED: dict[str, Any] = {"type": "prefect-agent"}


def granted(answer: AgentClaimResponse) -> list[UUID]:
    return [grant.flow_run.id for grant in answer.grants]


def polled(answer: AgentClaimResponse) -> list[str]:
    return [pool.name for pool in answer.pools]


async def listed(world: World) -> list[Agent]:
    return await agents.list_page(world.scope, AgentQuery())


async def queues_of(world: World, pool: str) -> list[str]:
    found = await work_queues.list_page(world.scope, WorkQueueQuery(), pool_name=pool)
    return [queue.name for queue in found]


# --- what is polled


async def test_a_pool_is_polled_whole(world: World) -> None:
    await world.pool("p", **UNTYPED)
    first = await world.run(await world.deploy("a", work_pool_name="p", work_queue_name="x"))
    second = await world.run(await world.deploy("b", work_pool_name="p"))
    answer = await world.agent_claim(pool="p")
    assert set(granted(answer)) == {first.id, second.id}
    assert {grant.flow_run.work_pool_name for grant in answer.grants} == {"p"}
    [pool] = answer.pools
    assert (pool.name, pool.type, pool.base_job_template, pool.paused) == ("p", "prefect-agent", {}, False)


async def test_a_missing_pool_and_missing_queues_are_made(world: World) -> None:
    """The pool without a type; nothing is there to be claimed yet."""
    answer = await world.agent_claim(pool="new", queues=["a", "b"])
    assert (answer.grants, polled(answer)) == ([], ["new"])
    assert (await work_pools.get(world.scope, "new")).type == "prefect-agent"
    assert await queues_of(world, "new") == ["default", "a", "b"]


async def test_a_pool_that_was_deleted_is_not_made_again_by_who_polls_it(world: World) -> None:
    """It may have had a type, and who deleted it meant it."""
    await world.pool("p", **UNTYPED)
    await world.agent_claim(pool="p", make_pool=False)
    await work_pools.delete(world.scope, "p")
    with pytest.raises(NotFound, match='"p" not found'):
        await world.agent_claim(pool="p", make_pool=False)
    assert await work_pools.count(world.scope, WorkPoolQuery()) == 0


async def test_queues_without_a_pool_are_those_of_the_default_pool(world: World) -> None:
    answer = await world.agent_claim(queues=["q"])
    assert polled(answer) == [DEFAULT_POOL]
    run = await world.run(await world.deploy(work_pool_name=DEFAULT_POOL, work_queue_name="q"))
    await world.run(await world.deploy("other", work_pool_name=DEFAULT_POOL))
    assert granted(await world.agent_claim(queues=["q"])) == [run.id]


async def test_only_named_queues_are_polled(world: World) -> None:
    await world.pool("p", **UNTYPED)
    await world.run(await world.deploy("a", work_pool_name="p", work_queue_name="x"))
    wanted = await world.run(await world.deploy("b", work_pool_name="p", work_queue_name="y"))
    assert granted(await world.agent_claim(pool="p", queues=["y"])) == [wanted.id]


async def test_a_prefix_stands_for_queues_of_all_untyped_pools(world: World) -> None:
    """Of no typed pool, and of none that happens to hold the prefix elsewhere in a name, or in other letters."""
    runs = {}
    for pool, queue, fields in [
        ("b", "dev-1", UNTYPED),
        ("a", "dev-2", UNTYPED),
        ("a", "prod-dev-", UNTYPED),
        ("c", "DEV-3", UNTYPED),
        ("t", "dev-4", {"type": "process"}),
    ]:
        if pool not in [each.name for each in await work_pools.list_page(world.scope, WorkPoolQuery())]:
            await world.pool(pool, **fields)
        deployment = await world.deploy(f"{pool} {queue}", work_pool_name=pool, work_queue_name=queue)
        runs[queue] = (await world.run(deployment)).id
    answer = await world.agent_claim(match="dev-")
    assert (granted(answer), polled(answer)) == ([runs["dev-2"], runs["dev-1"]], ["a", "b"])


@pytest.mark.parametrize("prefix", ["%", "_", "de_", "\\"])
async def test_a_prefix_is_no_pattern(world: World, prefix: str) -> None:
    await world.pool("p", **UNTYPED)
    await world.run(await world.deploy(work_pool_name="p", work_queue_name="dev-1"))
    assert granted(await world.agent_claim(match=prefix)) == []


async def test_a_prefix_within_a_pool_goes_for_typed_ones_too(world: World) -> None:
    await world.pool()
    run = await world.run(await world.deploy(work_queue_name="dev-1"))
    await world.run(await world.deploy("other", work_queue_name="prod"))
    assert granted(await world.agent_claim(pool="local", match="dev-")) == [run.id]


async def test_a_prefix_that_matches_nothing_polls_nothing(world: World) -> None:
    answer = await world.agent_claim(match="dev-")
    assert (answer.grants, answer.pools) == ([], [])


async def test_senseless_polls_are_refused(world: World) -> None:
    with pytest.raises(Invalid, match="Give a pool, queues, or a prefix"):
        await world.agent_claim()
    with pytest.raises(Invalid, match="by their names or by a prefix, not both"):
        await world.agent_claim(queues=["q"], match="q")
    with pytest.raises(Forbidden, match="reserved"):
        await world.agent_claim(pool="prefect-pool")
    assert await work_pools.count(world.scope, WorkPoolQuery()) == 0


async def test_one_claims_error_is_its_own(world: World) -> None:
    """In one set with others, which are answered all the same."""
    await world.pool("p", **UNTYPED)
    answers = await asyncio.gather(
        world.agent_claim(pool="prefect-pool"),
        world.agent_claim(pool="p"),
        world.agent_claim(),
        world.claim(pool="nowhere"),
        world.claim(pool="p"),
        return_exceptions=True,
    )
    assert [type(answer).__name__ for answer in answers] == [
        "Forbidden",
        "AgentClaimResponse",
        "Invalid",
        "NotFound",
        "ClaimResponse",
    ]


async def test_a_typed_pool_whose_type_the_agent_does_not_have_gives_it_nothing(world: World) -> None:
    """Its runs are left to others, and the answer says of which type the pool is."""
    await world.pool("k", type="kubernetes")
    run = await world.run(await world.deploy(work_pool_name="k"))
    answer = await world.agent_claim(pool="k", types=["process"])
    assert (answer.grants, [pool.type for pool in answer.pools]) == ([], ["kubernetes"])
    assert granted(await world.agent_claim(pool="k", types=["process", "kubernetes"])) == [run.id]


# --- limits, room, pauses


async def test_the_room_is_for_all_pools_together(world: World) -> None:
    for name in ("b", "a"):
        await world.pool(name, **UNTYPED)
        await world.runs(await world.deploy(name, work_pool_name=name, work_queue_name="q"), 3)
    answer = await world.agent_claim(4, match="q")
    assert [grant.flow_run.work_pool_name for grant in answer.grants] == ["a", "a", "a", "b"]
    assert len((await world.agent_claim(4, match="q")).grants) == 2


async def test_each_pools_limit_holds(world: World) -> None:
    for name, limit in (("a", 1), ("b", 2), ("c", 0)):
        await world.pool(name, concurrency_limit=limit, **UNTYPED)
        await world.runs(await world.deploy(name, work_pool_name=name, work_queue_name="q"), 3)
    answer = await world.agent_claim(match="q")
    assert [grant.flow_run.work_pool_name for grant in answer.grants] == ["a", "b", "b"]
    assert granted(await world.agent_claim(match="q")) == []


async def test_a_paused_pool_gives_nothing_and_says_so(world: World) -> None:
    for name in ("a", "b"):
        await world.pool(name, is_paused=name == "a", **UNTYPED)
        await world.run(await world.deploy(name, work_pool_name=name, work_queue_name="q"))
    answer = await world.agent_claim(match="q")
    assert [(pool.name, pool.paused) for pool in answer.pools] == [("a", True), ("b", False)]
    assert [grant.flow_run.work_pool_name for grant in answer.grants] == ["b"]


# --- waiting


async def wake(task: asyncio.Task[AgentClaimResponse]) -> list[UUID]:
    async with asyncio.timeout(SOON):
        return granted(await task)


async def test_a_run_in_any_polled_pool_wakes_it(world: World, sleepers: Sleepers) -> None:
    for name in ("a", "b"):
        await world.pool(name, **UNTYPED)
    deployed = [await world.deploy(name, work_pool_name=name, work_queue_name="q") for name in ("a", "b")]
    for it in deployed:
        task = asyncio.create_task(world.agent_claim(match="q", wait_seconds=30))
        await sleepers.next()
        run = await world.run(it)
        assert await wake(task) == [run.id]


async def test_a_queue_that_starts_to_match_is_served_at_once(world: World, sleepers: Sleepers) -> None:
    """A new one, in a pool that had none that matched; and one that is given a name that matches."""
    await world.pool("p", **UNTYPED)
    await world.pool("z", **UNTYPED)
    other = await world.queue("other", "z")
    waiting = await world.run(await world.deploy("renamed", work_pool_name="z", work_queue_name="other"))
    task = asyncio.create_task(world.agent_claim(match="dev-", wait_seconds=30))
    await sleepers.next()
    run = await world.run(await world.deploy(work_pool_name="p", work_queue_name="dev-new"))
    assert await wake(task) == [run.id]
    task = asyncio.create_task(world.agent_claim(match="dev-", wait_seconds=30))
    await sleepers.next()
    await work_queues.update(world.scope, other.id, WorkQueueUpdate(name="dev-other"))
    assert await wake(task) == [waiting.id]


async def test_it_sleeps_until_the_next_run_of_any_pool_falls_due(world: World, sleepers: Sleepers) -> None:
    for name, due in (("a", 20), ("b", 12)):
        await world.pool(name, **UNTYPED)
        await world.run(await world.deploy(name, work_pool_name=name, work_queue_name="q"), due=due)
    task = asyncio.create_task(world.agent_claim(match="q", wait_seconds=30, prefetch_seconds=5))
    assert await sleepers.next() == pytest.approx(7)
    world.clock.advance(seconds=7)
    await world.change_pool("b", description="a signal")
    assert len(await wake(task)) == 1


# --- cancels, leases, draining


async def test_a_cancel_reaches_the_agent_that_holds_the_run(world: World, sleepers: Sleepers) -> None:
    await world.pool("p", **UNTYPED)
    await world.run(await world.deploy(work_pool_name="p"))
    agent, other = uuid4(), uuid4()
    [grant] = (await world.agent_claim(pool="p", agent_id=agent)).grants
    await world.accepted(grant, "RUNNING")
    waiting = asyncio.create_task(world.agent_claim(pool="p", agent_id=agent, wait_seconds=30))
    await sleepers.next()
    await world.accepted(grant.flow_run, "CANCELLING")
    async with asyncio.timeout(SOON):
        assert (await waiting).cancel == [grant.flow_run.id]
    assert (await world.agent_claim(pool="p", agent_id=other)).cancel == []
    assert (await world.agent_claim(pool="p", agent_id=agent, cancelling=[grant.flow_run.id])).cancel == []


async def test_its_heartbeat_renews_its_leases(world: World) -> None:
    await world.pool("p", **UNTYPED)
    await world.run(await world.deploy(work_pool_name="p"))
    agent = uuid4()
    [grant] = (await world.agent_claim(pool="p", agent_id=agent)).grants
    world.clock.advance(seconds=7)
    body = AgentLeaseRenewal(agent_id=agent, heartbeat_interval_seconds=3, leases=leases_of([grant]))
    answer = await leases.renew(world.scope, None, body)
    assert (answer.lost, answer.cancel, answer.drain) == ([], [], False)
    assert answer.expires_at > grant.lease.expires_at
    [known] = await listed(world)
    assert (known.last_heartbeat_time, known.heartbeat_interval_seconds) == (world.now, 3)
    await world.accepted(grant, "RUNNING", "COMPLETED")
    assert (await leases.renew(world.scope, None, body)).lost == [grant.flow_run.id]


async def test_what_it_gives_back_waits_again(world: World) -> None:
    await world.pool("p", **UNTYPED)
    await world.run(await world.deploy(work_pool_name="p"))
    agent = uuid4()
    [grant] = (await world.agent_claim(pool="p", agent_id=agent)).grants
    await leases.give_back(world.scope, AgentLeaseReturn(agent_id=agent, name="mine", leases=leases_of([grant])))
    assert (await world.states(grant))[-1].message == "Agent 'mine' gave it back before it was started."
    assert granted(await world.agent_claim(pool="p")) == [grant.flow_run.id]


async def test_a_draining_agent_is_granted_nothing(world: World, sleepers: Sleepers) -> None:
    await world.pool("p", **UNTYPED)
    agent = uuid4()
    waiting = asyncio.create_task(world.agent_claim(pool="p", agent_id=agent, wait_seconds=30))
    await sleepers.next()
    await agents.drain(world.scope, agent)
    async with asyncio.timeout(SOON):
        assert (await waiting).drain
    run = await world.run(await world.deploy(work_pool_name="p"))
    answer = await world.agent_claim(pool="p", agent_id=agent)
    assert (answer.grants, answer.drain) == ([], True)
    assert (await leases.renew(world.scope, None, AgentLeaseRenewal(agent_id=agent))).drain
    assert granted(await world.agent_claim(pool="p", agent_id=uuid4())) == [run.id]


async def test_a_forgotten_agent_is_known_again_by_its_next_claim(world: World) -> None:
    await world.pool("p", **UNTYPED)
    agent = uuid4()
    await world.agent_claim(pool="p", agent_id=agent)
    await agents.delete(world.scope, agent)
    assert not (await leases.renew(world.scope, None, AgentLeaseRenewal(agent_id=agent))).drain
    assert await listed(world) == []
    await world.agent_claim(pool="p", agent_id=agent)
    assert [each.id for each in await listed(world)] == [agent]


async def test_each_agent_of_a_pool_is_shown(world: World) -> None:
    """With what it polls, and ONLINE for as long as it is heard of."""
    await world.pool("p", **UNTYPED)
    one, other = uuid4(), uuid4()
    await world.agent_claim(pool="p", queues=["x"], agent_id=one, name="one", heartbeat_interval_seconds=5)
    world.clock.advance(seconds=16)
    await world.agent_claim(pool="p", match="x", agent_id=other, name="other", heartbeat_interval_seconds=5)
    assert [
        (it.id, it.name, it.work_pool_name, it.work_queue_names, it.work_queue_prefix, it.status)
        for it in await listed(world)
    ] == [
        (other, "other", "p", [], "x", "ONLINE"),
        (one, "one", "p", ["x"], None, "OFFLINE"),
    ]
    query = AgentQuery(agents=AgentFilter(name=TextsFilter(any_=["one"])))
    assert [it.id for it in await agents.list_page(world.scope, query)] == [one]


async def test_polls_of_existing_clients_make_their_agents_known(world: World) -> None:
    """Each poll names one queue; an agent polls several."""
    await world.pool("p", **UNTYPED)
    found = [await world.queue(name, "p") for name in ("x", "y")]
    agent = uuid4()
    for queue in [*found, found[0]]:
        await world.scope.store.write(lambda tx, q=queue: agents.note_poll(tx, agent, q, world.now))  # type: ignore[misc]
    [known] = await listed(world)
    assert (known.id, known.work_pool_name, known.work_queue_names, known.status) == (agent, "p", ["x", "y"], "ONLINE")
