"""Limits: exact for pools, queues and deployments, whoever takes the slots; and blocked runs never block others."""

from typing import Any

import pytest
from msgspec import UNSET
from world import World, ids

from headgate.schema.deployments import Deployment, DeploymentUpdate
from headgate.schema.flow_runs import FlowRun, FlowRunPolicy
from headgate.schema.work_queues import WorkQueueUpdate
from headgate.services import deployments, flow_runs, work_queues

LANES = ("pool", "queue", "deployment")


async def lanes(world: World, limited: str, limit: int) -> Deployment:
    """A deployment whose pool, queue or own limit is the one that counts."""
    given: dict[str, Any] = {lane: {"concurrency_limit": limit} if lane == limited else {} for lane in LANES}
    await world.pool(**given["pool"])
    await world.queue("q", **given["queue"])
    return await world.deploy(work_queue_name="q", **given["deployment"])


async def raise_limit(world: World, it: Deployment, limited: str, limit: int | None) -> None:
    match limited:
        case "pool":
            await world.change_pool(concurrency_limit=limit)
        case "queue":
            assert it.work_queue_id
            await work_queues.update(world.scope, it.work_queue_id, WorkQueueUpdate(concurrency_limit=limit))
        case _:
            await deployments.update(world.scope, it.id, DeploymentUpdate(concurrency_limit=limit))


@pytest.mark.parametrize("limited", LANES)
async def test_a_limit_is_exact(world: World, limited: str) -> None:
    """So many run at a time and no fewer; a slot is free when its run ends, and none before."""
    it = await lanes(world, limited, 2)
    runs = await world.runs(it, 5)
    first, second = await world.grants()
    assert await world.granted() == []
    await world.accepted(first, "RUNNING")
    assert await world.granted() == []
    await world.accepted(first.flow_run, "CANCELLING")
    assert await world.granted() == []
    await world.accepted(first.flow_run, "CANCELLED")
    [third] = await world.grants()
    assert await world.granted() == []
    await world.accepted(second, "RUNNING", "COMPLETED")
    await world.accepted(third, "FAILED")
    assert len(await world.granted()) == 2
    assert await world.slots() == 2
    assert len(runs) == 5


@pytest.mark.parametrize("limited", LANES)
async def test_a_raised_limit_counts_at_once(world: World, limited: str) -> None:
    """A lowered one stops nobody, and starts nobody until there is room again."""
    it = await lanes(world, limited, 1)
    await world.runs(it, 6)
    assert len(await world.granted()) == 1
    await raise_limit(world, it, limited, 3)
    assert len(await world.granted()) == 2
    await raise_limit(world, it, limited, 1)
    assert await world.granted() == []
    assert await world.slots() == 3
    await raise_limit(world, it, limited, None)
    assert len(await world.granted()) == 3


@pytest.mark.parametrize("limited", LANES)
async def test_a_limit_of_nothing(world: World, limited: str) -> None:
    """Zero is a limit, too."""
    it = await lanes(world, limited, 0)
    [run] = await world.runs(it, 1)
    assert await world.granted() == []
    await raise_limit(world, it, limited, 1)
    assert await world.granted() == [run.id]


async def test_the_narrowest_limit_counts(world: World) -> None:
    await world.pool(concurrency_limit=5)
    await world.queue("q", concurrency_limit=3)
    it = await world.deploy(work_queue_name="q", concurrency_limit=2)
    other = await world.deploy("other", work_queue_name="q")
    elsewhere = await world.deploy("elsewhere")
    mine, others, rest = [await world.runs(each, 6) for each in (it, other, elsewhere)]
    granted = await world.granted()
    assert sorted(granted) == sorted([*ids(rest[:5])])
    await world.change_pool(concurrency_limit=20)
    granted = await world.granted()
    assert sorted(granted) == sorted([*ids(mine[:2]), others[0].id, rest[5].id])


async def test_a_slot_is_free_when_its_run_is_deleted(world: World) -> None:
    await world.pool(concurrency_limit=1)
    first, second = await world.runs(await world.deploy(), 2)
    assert await world.granted() == [first.id]
    await flow_runs.delete(world.scope, first.id)
    assert await world.granted() == [second.id]


async def test_a_run_that_waits_for_its_retry_keeps_its_slot(world: World) -> None:
    """Its engine holds it: nobody else may start it, and nobody takes its place."""
    await world.pool(concurrency_limit=1)
    it = await world.deploy()
    await world.run(it, empirical_policy=FlowRunPolicy(retries=1, retry_delay=60))
    await world.run(it)
    [grant] = await world.grants()
    await world.accepted(grant, "RUNNING")
    result = await world.propose(grant, "FAILED")
    assert result.state
    assert (result.status, result.state.name) == ("REJECT", "AwaitingRetry")
    world.clock.advance(seconds=61)
    await world.renew(grant)
    assert await world.granted() == []
    await world.accepted(grant, "RUNNING", "COMPLETED")
    assert len(await world.granted()) == 1


# --- blocked runs never block others


async def blocked_and_free(world: World, cap: int, blocked: int, **fields: Any) -> tuple[list[FlowRun], list[FlowRun]]:
    """Many early runs of a deployment with a small limit, and a few later ones of another deployment."""
    await world.pool()
    narrow, wide = await world.deploy("narrow", concurrency_limit=cap), await world.deploy("wide")
    early = await world.runs(narrow, blocked, due=-60, **fields)
    return early, await world.runs(wide, 3, due=-1)


@pytest.mark.parametrize("cap", [0, 1, 2])
async def test_hundreds_of_blocked_runs_do_not_hide_the_others(world: World, cap: int) -> None:
    early, free = await blocked_and_free(world, cap, 300)
    assert await world.granted(10) == [*ids(early)[:cap], *ids(free)]


async def test_many_blocked_deployments_do_not_hide_the_others(world: World) -> None:
    """Each with more runs than a page holds, some full from the start and some not."""
    await world.pool()
    first = []
    for number in range(4):
        narrow = await world.deploy(f"narrow{number}", concurrency_limit=number % 2)
        first += (await world.runs(narrow, 90, due=-60 + number))[: number % 2]
    free = await world.runs(await world.deploy("wide"), 3, due=-1)
    assert await world.granted(20) == [*ids(first), *ids(free)]


async def test_a_large_room_is_filled(world: World) -> None:
    """Blocked runs in between cost a claim none of its room."""
    await world.pool()
    narrow, wide = await world.deploy("narrow", concurrency_limit=1), await world.deploy("wide")
    early = await world.runs(wide, 150, due=-90)
    blocked = await world.runs(narrow, 250, due=-60)
    late = await world.runs(wide, 60, due=-30)
    assert await world.granted(205) == [*ids(early), blocked[0].id, *ids(late)[:54]]


async def test_blocked_queues_and_priorities_do_not_hide_the_others(world: World) -> None:
    """A full queue of the first priority does not keep the second from its turn, nor does a blocked run priority."""
    await world.pool()
    await world.queue("second")
    await work_queues.update(
        world.scope,
        (await work_queues.get_by_name(world.scope, "local", "default")).id,
        WorkQueueUpdate(concurrency_limit=1, name=UNSET),
    )
    full, narrow = await world.deploy("full"), await world.deploy("n", work_queue_name="second", concurrency_limit=0)
    wide = await world.deploy("wide", work_queue_name="second")
    early = await world.runs(full, 100, due=-60)
    await world.runs(narrow, 100, due=-60, priority=9)
    free = await world.runs(wide, 2, due=-1)
    assert await world.granted(10) == [early[0].id, *ids(free)]


async def test_paused_deployments_do_not_hide_the_others(world: World) -> None:
    await world.pool()
    paused, wide = await world.deploy("paused"), await world.deploy("wide")
    await world.runs(paused, 200, due=-60)
    free = await world.runs(wide, 2, due=-1)
    await deployments.pause(world.scope, paused.id, paused=True)
    assert await world.granted(10) == ids(free)
