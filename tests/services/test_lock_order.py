"""Locks on PostgreSQL: use cases of several servers take them in one order, so that none has to be undone and run again."""

import asyncio
from collections import Counter
from collections.abc import Awaitable
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from world import World

from headgate.schema.claims import AgentLeaseRenewal, Grant
from headgate.schema.deployments import DeploymentUpdate
from headgate.schema.states import StateType
from headgate.schema.work_queues import WorkQueueUpdate
from headgate.services import deployments, leases, work_queues
from headgate.services.loops import late
from headgate.store.postgresql import PostgresqlDatabase

pytestmark = pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)


@pytest.fixture
def conflicts(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often a transaction was undone because of another, by kind."""
    seen: Counter[str] = Counter()
    write_once = PostgresqlDatabase._write_once

    async def watched(self: PostgresqlDatabase, *unit: Any) -> Any:
        try:
            return await write_once(self, *unit)
        except (asyncpg.DeadlockDetectedError, asyncpg.SerializationError) as error:
            seen[type(error).__name__] += 1
            raise

    monkeypatch.setattr(PostgresqlDatabase, "_write_once", watched)
    return seen


@pytest.fixture
async def pools(world: World) -> list[str]:
    """Pools whose names ascend while their ids descend in age, and whose runs are created in turn."""
    names = ["d", "c", "b", "a"]
    for name in names:
        await world.pool(name)
        await world.deploy(f"of {name}", work_pool_name=name)
    return names


async def fill(world: World, pools: list[str], count: int) -> None:
    for name in pools:
        deployment = await deployments.get_by_name(world.scope, "etl", f"of {name}")
        await world.runs(deployment, count, due=-60)


async def at_once(*calls: Awaitable[Any]) -> list[Any]:
    async with asyncio.timeout(30):
        return await asyncio.gather(*calls)


async def test_claims_heartbeats_and_reports_of_many_pools(
    world: World, neighbour: World, pools: list[str], conflicts: Counter[str]
) -> None:
    """Many workers of each of two servers, in sets that span pools: claims, renewals, states and late marks at once."""
    servers = [world, neighbour]
    held: list[tuple[str, str, Grant]] = []
    for round in range(6):
        await fill(world, pools, 6)
        workers = [(name, f"w{number}") for number in range(3) for name in (pools if (round + number) % 2 else pools[::-1])]
        answers = await at_once(
            *(servers[n % 2].grants(2, pool=pool, worker=worker) for n, (pool, worker) in enumerate(workers)),
            *(servers[n % 2].renew(grant, pool=pool, worker=worker) for n, (pool, worker, grant) in enumerate(held[::-1])),
            *(servers[n % 2].propose(grant, "RUNNING") for n, (_, _, grant) in enumerate(held)),
            *(late.tick(server.scope) for server in servers),
        )
        finished = held
        held = [(*who, grant) for who, grants in zip(workers, answers, strict=False) for grant in grants]
        await at_once(*(servers[n % 2].propose(grant, "COMPLETED") for n, (_, _, grant) in enumerate(finished)))
    assert conflicts == {}


async def test_claims_and_heartbeats_of_agents_across_pools(
    world: World, neighbour: World, pools: list[str], conflicts: Counter[str]
) -> None:
    """Agents whose calls lock several pools, one of which is new, among workers of single pools, in sets of both."""
    servers = [world, neighbour]
    for name in pools:
        await world.pool(f"of agents {name}", type="prefect-agent")
        await world.queue("q", f"of agents {name}")
    agents = [uuid4() for _ in range(6)]
    for round in range(6):
        await fill(world, pools, 4)
        answers = await at_once(
            *(servers[n % 2].agent_claim(1, agent_id=id, match="q") for n, id in enumerate(agents[:3])),
            *(servers[n % 2].agent_claim(1, agent_id=id, pool=f"new {round}") for n, id in enumerate(agents[2:])),
            *(servers[n % 2].agent_claim(1, agent_id=uuid4(), pool=name) for n, name in enumerate(pools)),
            *(servers[n % 2].grants(1, pool=pool, worker=f"w{n}") for n, pool in enumerate(pools * 2)),
            *(leases.renew(servers[n % 2].scope, None, AgentLeaseRenewal(agent_id=id)) for n, id in enumerate(agents[::-1])),
        )
        assert not [answer for answer in answers if isinstance(answer, Exception)]
    assert conflicts == {}


async def test_changes_of_queues_and_deployments_meanwhile(
    world: World, neighbour: World, pools: list[str], conflicts: Counter[str]
) -> None:
    """People change what workers are claiming from."""
    for name in pools:
        await world.queue("q", name)
    queues = [await work_queues.get_by_name(world.scope, name, "q") for name in pools]
    found = [await deployments.get_by_name(world.scope, "etl", f"of {name}") for name in pools]
    for round in range(6):
        await fill(world, pools, 4)
        answers = await at_once(
            *(server.grants(1, pool=name) for name in pools for server in (world, neighbour)),
            *(work_queues.update(neighbour.scope, each.id, WorkQueueUpdate(concurrency_limit=round + 5)) for each in queues),
            *(deployments.update(world.scope, each.id, DeploymentUpdate(concurrency_limit=round + 5)) for each in found),
            *(deployments.pause(neighbour.scope, each.id, paused=False) for each in found),
        )
        grants = [grant for granted in answers[: 2 * len(pools)] for grant in granted]
        await at_once(*(world.accepted(grant, StateType.COMPLETED) for grant in grants))
    assert conflicts == {}
