"""Concurrency keys: one run per customer, file or id at a time, whoever takes the slots; and who gives way for whom."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sleepers import Sleepers, woken
from world import World, every

from headgate.errors import Invalid
from headgate.schema.deployments import CollisionStrategy, ConcurrencyKey, ConcurrencyOptions, Deployment, KeyStrategy
from headgate.schema.flow_runs import FlowRun, FlowRunCreate
from headgate.schema.states import StateType
from headgate.services import explanations, flow_runs, pool_explanations
from headgate.services.loops import collisions, late
from headgate.store.database import Database, Tx


def per_customer(strategy: KeyStrategy = KeyStrategy.ENQUEUE, limit: int = 1) -> ConcurrencyKey:
    return ConcurrencyKey(expression="{{ parameters.customer }}", limit=limit, collision_strategy=strategy)


async def deploy(world: World, *args: Any, **fields: Any) -> Deployment:
    return await world.deploy("load", concurrency_key=per_customer(*args), **fields)


async def of(world: World, it: Deployment, customer: str, **fields: Any) -> FlowRun:
    return await world.run(it, parameters={"customer": customer}, **fields)


async def test_one_run_of_a_key_at_a_time(world: World) -> None:
    """Runs of other keys go on meanwhile, and a blocked run of one key blocks nothing behind it."""
    await world.pool()
    it = await deploy(world)
    first, second, other = [await of(world, it, name) for name in ("acme", "acme", "bolt")]
    assert (first.concurrency_key, other.concurrency_key) == ("acme", "bolt")
    [acme, bolt] = await world.grants()
    assert [acme.flow_run.id, bolt.flow_run.id] == [first.id, other.id]
    assert await world.granted() == []
    await world.accepted(acme, "RUNNING")
    assert await world.granted() == []
    await world.accepted(acme, "COMPLETED")
    assert await world.granted() == [second.id]


async def test_a_key_holds_back_no_page_of_runs(world: World) -> None:
    """Hundreds of runs of one key, due long ago and of higher priority, stand before the one that can start."""
    await world.pool()
    it = await deploy(world)
    await of(world, it, "acme")
    await world.grants()
    for _ in range(300):
        await of(world, it, "acme", due=-100, priority=1)
    free = await of(world, it, "bolt")
    assert await world.granted(1) == [free.id]
    assert [each.flow_run.id for each in await world.poll()] == []


async def test_runs_of_one_key_in_one_claim(world: World) -> None:
    """A claim with room for all of them gives as many as the key's limit has, the best first."""
    await world.pool()
    it = await deploy(world, KeyStrategy.ENQUEUE, 2)
    runs = [await of(world, it, "acme", due=-due) for due in (1, 5, 3, 4)]
    assert await world.granted(100) == [runs[1].id, runs[3].id]


async def test_the_limit_is_read_live(world: World) -> None:
    """Raised, it counts at once; taken away, the keys of waiting runs mean nothing; set again, they do."""
    await world.pool()
    it = await deploy(world)
    for _ in range(5):
        await of(world, it, "acme")
    assert len(await world.granted()) == 1
    await world.change_deployment(it, concurrency_key=per_customer(KeyStrategy.ENQUEUE, 2))
    assert len(await world.granted()) == 1
    await world.change_deployment(it, concurrency_key=None)
    assert len(await world.granted(1)) == 1
    await world.change_deployment(it, concurrency_key=per_customer())
    assert await world.granted() == []


async def test_a_key_is_resolved_once(world: World) -> None:
    """A new expression is for new runs; those that wait keep what they were made with."""
    await world.pool()
    it = await deploy(world)
    before = await of(world, it, "acme")
    await world.change_deployment(it, concurrency_key=ConcurrencyKey(expression="all"))
    after = await of(world, it, "acme")
    assert [(await world.get(run)).concurrency_key for run in (before, after)] == ["acme", "all"]


async def test_scheduled_runs_have_keys_too(world: World) -> None:
    await world.pool()
    it = await deploy(world, parameters={"customer": "acme"}, schedule=every(60, world.now))
    assert {run.concurrency_key for run in await world.runs_of(it)} == {"acme"}
    world.clock.advance(seconds=125)
    assert len(await world.granted()) == 1


async def test_a_deployments_own_limit_counts_besides(world: World) -> None:
    await world.pool()
    it = await deploy(world, concurrency_limit=2)
    for name in ("acme", "acme", "bolt", "cone"):
        await of(world, it, name)
    granted = await world.grants()
    assert [each.flow_run.concurrency_key for each in granted] == ["acme", "bolt"]


async def test_a_proposal_of_pending_counts_as_well(world: World) -> None:
    """Clients that poll and then propose Pending share the key's limit with those that claim."""
    await world.pool()
    it = await deploy(world)
    first, second, other = [await of(world, it, name) for name in ("acme", "acme", "bolt")]
    assert len(await world.poll()) == 2
    await world.accepted(first, "PENDING")
    refused = await world.propose(second, "PENDING")
    assert refused.status == "REJECT"
    assert refused.details.reason == "Key concurrency limit reached."
    assert refused.state
    assert refused.state.name == "AwaitingConcurrencySlot"
    await world.accepted(other, "PENDING")


async def test_a_run_that_is_made_in_a_slot_counts_as_well(world: World) -> None:
    """Its caller executes it at once, without a queue; where its key is full it begins by waiting."""
    await world.pool()
    it = await deploy(world)
    parameters = {"customer": "acme"}
    body = FlowRunCreate(flow_id=it.flow_id, deployment_id=it.id, parameters=parameters)
    first, second = [(await flow_runs.create(world.scope, body)).run for _ in range(2)]
    assert [run.state_name for run in (first, second)] == ["Pending", "AwaitingConcurrencySlot"]


async def test_an_expression_is_checked_when_it_is_saved(world: World) -> None:
    """With the deployment, with a change of it, and when the parameters that it names go away."""
    await world.pool()
    schema = {"properties": {"customer": {"type": "string"}}}
    wrong = ConcurrencyKey(expression="{{ parameters.client }}")
    says = "names parameter 'client', which the flow does not have: it has customer"
    with pytest.raises(Invalid, match=says):
        await world.deploy(parameter_openapi_schema=schema, concurrency_key=wrong)
    it = await deploy(world, parameter_openapi_schema=schema)
    with pytest.raises(Invalid, match=says):
        await world.change_deployment(it, concurrency_key=wrong)
    with pytest.raises(Invalid, match="names parameter 'customer', which the flow does not have: it has client"):
        await world.change_deployment(it, parameter_openapi_schema={"properties": {"client": {}}})


# --- strategies


async def test_cancel_new(world: World) -> None:
    """A run that finds its key full is cancelled at once, and says why; those of other keys are not touched."""
    await world.pool()
    it = await deploy(world, KeyStrategy.CANCEL_NEW)
    await of(world, it, "acme")
    [grant] = await world.grants()
    new, other = await of(world, it, "acme"), await of(world, it, "bolt")
    assert new.state_name == "Cancelled"
    assert new.state
    assert new.state.message == "Concurrency key 'acme' has as many runs in progress as it may have: 1."
    assert other.state_name == "Scheduled"
    assert await world.history(grant) == ["Scheduled", "Pending"]


async def test_cancel_new_judges_a_run_at_its_time(world: World) -> None:
    await world.pool()
    it = await deploy(world, KeyStrategy.CANCEL_NEW)
    await of(world, it, "acme")
    await world.grants()
    later = await of(world, it, "acme", due=60)
    assert await collisions.tick(world.scope) == 0
    world.clock.advance(seconds=60)
    assert await collisions.tick(world.scope) == 1
    assert await world.history(later) == ["Scheduled", "Cancelled"]


async def test_cancel_running(world: World) -> None:
    """The one in progress is to stop, and the new one starts when it has."""
    await world.pool()
    it = await deploy(world, KeyStrategy.CANCEL_RUNNING)
    await of(world, it, "acme")
    await of(world, it, "bolt")
    acme, bolt = await world.grants()
    await world.accepted(acme, "RUNNING")
    new = await of(world, it, "acme")
    state = (await world.get(acme)).state
    assert state
    assert (state.type, state.message) == ("CANCELLING", "A newer run of concurrency key 'acme' takes its place.")
    assert await world.granted() == []
    assert await collisions.tick(world.scope) == 0
    await world.accepted(acme, "CANCELLED")
    assert await world.granted() == [new.id]
    assert await world.history(bolt) == ["Scheduled", "Pending"]


async def test_cancel_running_lets_the_newest_through(world: World) -> None:
    """Of several that come while one is being stopped only the last starts."""
    await world.pool()
    it = await deploy(world, KeyStrategy.CANCEL_RUNNING)
    await of(world, it, "acme")
    [acme] = await world.grants()
    runs = [await of(world, it, "acme", due=number * 0.001) for number in range(3)]
    world.clock.advance(seconds=1)
    assert await collisions.tick(world.scope) == 2
    await world.accepted(acme, "CANCELLED")
    assert await world.granted() == [runs[-1].id]
    assert [(await world.get(run)).state_name for run in runs[:2]] == ["Cancelled"] * 2


async def test_replace_queued(world: World) -> None:
    """The one in progress goes on; of those that wait for it the newest stays."""
    await world.pool()
    it = await deploy(world, KeyStrategy.REPLACE_QUEUED)
    await of(world, it, "acme")
    [acme] = await world.grants()
    second = await of(world, it, "acme")
    other = await of(world, it, "bolt")
    third = await of(world, it, "acme")
    assert [(await world.get(run)).state_name for run in (second, third, other)] == ["Cancelled", "Scheduled", "Scheduled"]
    assert await world.granted() == [other.id]
    await world.accepted(acme, "COMPLETED")
    assert await world.granted() == [third.id]


@pytest.mark.parametrize("strategy", [KeyStrategy.CANCEL_NEW, KeyStrategy.CANCEL_RUNNING, KeyStrategy.REPLACE_QUEUED])
async def test_what_is_paused_is_left_alone(world: World, strategy: KeyStrategy) -> None:
    """Until it is resumed."""
    await world.pool()
    it = await deploy(world, strategy)
    await world.change_pool(is_paused=True)
    runs = [await of(world, it, "acme") for _ in range(3)]
    assert await collisions.tick(world.scope) == 0
    await world.change_pool(is_paused=False)
    assert await collisions.tick(world.scope) == 2
    assert [(await world.get(run)).state_name for run in runs].count("Scheduled") == 1


async def test_runs_of_a_key_do_not_pile_up_behind_a_full_pool(world: World) -> None:
    """#16984 with keys: the strategy goes by the key alone, whatever else keeps its runs waiting."""
    await world.pool(concurrency_limit=1)
    await world.run(await world.deploy("other"))
    await world.grants()
    it = await deploy(world, KeyStrategy.CANCEL_NEW)
    runs = [await of(world, it, "acme") for _ in range(5)]
    assert [(await world.get(run)).state_name for run in runs] == ["Scheduled", *["Cancelled"] * 4]


async def test_the_deployments_strategy_and_the_keys_go_together(world: World) -> None:
    """The deployment's limit cancels what its own slots do not admit; the key's strategy is for the key's slots."""
    await world.pool()
    cancels = ConcurrencyOptions(collision_strategy=CollisionStrategy.CANCEL_NEW)
    it = await deploy(world, concurrency_limit=1, concurrency_options=cancels)
    await of(world, it, "acme")
    await world.grants()
    new = await of(world, it, "bolt")
    assert new.state_name == "Scheduled"
    assert await collisions.tick(world.scope) == 1
    assert await world.history(new) == ["Scheduled", "Cancelled"]


# --- told


async def test_an_explanation_names_the_key_and_who_has_it(world: World) -> None:
    await world.pool()
    it = await deploy(world)
    await of(world, it, "acme")
    [grant] = await world.grants()
    waiting = await of(world, it, "acme", due=-1)
    found = await explanations.explain(world.scope, waiting.id)
    [gate] = found.gates
    assert (gate.kind, gate.limit, gate.used, gate.ahead) == ("key limit", 1, 1, 0)
    assert found.summary == "Concurrency key 'acme' of deployment 'etl/load' has its only slot in use."
    assert [holder.flow_run_id for holder in gate.holders] == [grant.flow_run.id]
    [queue] = (await pool_explanations.explain(world.scope, "local")).queues
    assert queue.oldest
    assert queue.oldest.gate == gate


async def test_an_explanation_knows_that_the_free_slot_goes_to_another_run(world: World) -> None:
    await world.pool()
    it = await deploy(world)
    await world.claim(0)
    await of(world, it, "acme", due=-2)
    behind, free = await of(world, it, "acme", due=-1), await of(world, it, "bolt")
    [gate] = (await explanations.explain(world.scope, behind.id)).gates
    assert (gate.kind, gate.used, gate.ahead) == ("key limit", 1, 1)
    assert (await explanations.explain(world.scope, free.id)).gates == []


async def test_late_runs_say_for_which_key_they_wait(world: World) -> None:
    """Each its own: runs of one deployment may wait for different keys."""
    await world.pool()
    it = await deploy(world)
    for name in ("acme", "bolt"):
        await of(world, it, name)
    await world.grants()
    waiting = [await of(world, it, name) for name in ("acme", "bolt")]
    world.clock.advance(seconds=60)
    await world.claim(0)
    await late.tick(world.scope)
    states = [(await world.get(run)).state for run in waiting]
    assert [state and state.message for state in states] == [
        f"Concurrency key {name!r} of deployment 'etl/load' has its only slot in use." for name in ("acme", "bolt")
    ]


# --- woken


@pytest.mark.parametrize("where", ["local", "b"])
async def test_a_freed_deployment_wakes_the_next_run(world: World, sleepers: Sleepers, where: str) -> None:
    """Also where the deployment has moved to another pool meanwhile, and its waiting runs with it."""
    await world.pool()
    await world.pool("b")
    it = await world.deploy(concurrency_limit=1)
    await world.run(it)
    [grant] = await world.grants()
    waiting = await world.run(it)
    await world.change_deployment(it, work_pool_name=where)
    task = await sleepers.claim(world, pool=where)
    await world.accepted(grant, "RUNNING", "COMPLETED")
    assert [each.flow_run.id for each in (await woken(task)).grants] == [waiting.id]


@pytest.mark.parametrize("where", ["same", "another"])
async def test_a_freed_key_wakes_the_next_run(world: World, sleepers: Sleepers, where: str) -> None:
    """In whatever pool it waits; nobody has to look by chance."""
    await world.pool()
    await world.pool("b")
    it = await deploy(world)
    await of(world, it, "acme")
    [grant] = await world.grants()
    waiting = await of(world, it, "acme")
    if where == "another":
        await world.scope.store.write(lambda tx: _send(tx, waiting, "b"))
    task = await sleepers.claim(world, pool="local" if where == "same" else "b")
    await world.accepted(grant, "RUNNING", "COMPLETED")
    assert [each.flow_run.id for each in (await woken(task)).grants] == [waiting.id]


async def _send(tx: Tx, run: FlowRun, pool: str) -> None:
    await tx.execute(
        """UPDATE flow_run SET work_pool_id = (SELECT id FROM work_pool WHERE name = :pool),
                  work_queue_id = (SELECT default_queue_id FROM work_pool WHERE name = :pool)
           WHERE id = :id""",
        {"pool": pool, "id": run.id},
    )


# --- at once

PAUSE = 0.002
"""Seconds that a worker without work, or a watcher, leaves to those that have some."""


@pytest.fixture
async def servers(world: World, database_url: str, open_url: Callable[[str], Awaitable[Database]]) -> list[World]:
    """Two servers on one database; on SQLite, two that share the file."""
    return [world, world.beside(await open_url(database_url))]


class Drain:
    """Workers that claim, and clients that poll, until all runs are done; and a watcher of how many a key has at once."""

    def __init__(self, servers: list[World], total: int) -> None:
        self.servers = servers
        self.total = total
        self.done = self.most = 0

    async def watch(self) -> None:
        held = "SELECT count(*) AS n FROM flow_run WHERE holds_slot GROUP BY key_id"
        while self.done < self.total:
            found = await self.servers[0].value(f"SELECT COALESCE(max(n), 0) FROM ({held}) AS held")
            self.most = max(self.most, found)
            await asyncio.sleep(PAUSE)

    async def work(self, number: int) -> None:
        server, pool = self.servers[number % 2], "ab"[number // 2 % 2]
        while self.done < self.total:
            for grant in await server.grants(1 + number % 3, worker=f"w{number}", pool=pool):
                await server.accepted(grant, "RUNNING", "COMPLETED")
                self.done += 1
            await asyncio.sleep(PAUSE)

    async def poll(self, server: World, pool: str) -> None:
        while self.done < self.total:
            for each in await server.poll(pool, scheduled_before=server.now):
                if (await server.propose(each.flow_run, "PENDING")).status == "ACCEPT":
                    await server.accepted(each.flow_run, "RUNNING", "COMPLETED")
                    self.done += 1
            server.clock.advance(seconds=5)
            await asyncio.sleep(PAUSE)


async def test_no_key_is_ever_exceeded(servers: list[World]) -> None:
    """By many claimers of two pools and two servers, and clients that poll: at no instant does a key have more runs than
    its limit, and all runs are done in the end."""
    [world, other] = servers
    await world.pool("a")
    await world.pool("b")
    it = await deploy(world, work_pool_name="a")
    runs = [await of(world, it, f"c{number % 3}") for number in range(48)]
    for run in runs[::2]:
        await world.scope.store.write(lambda tx, run=run: _send(tx, run, "b"))  # type: ignore[misc]
    drain = Drain(servers, len(runs))
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        group.create_task(drain.watch())
        for number in range(12):
            group.create_task(drain.work(number))
        group.create_task(drain.poll(other, "a"))
        group.create_task(drain.poll(world, "b"))
    assert drain.most == 1
    assert {(await world.get(run)).state_name for run in runs} == {"Completed"}


async def test_proposals_at_once_share_a_key(servers: list[World]) -> None:
    [world, _] = servers
    await world.pool()
    it = await deploy(world, KeyStrategy.ENQUEUE, 2)
    runs = [await of(world, it, "acme") for _ in range(12)]
    async with asyncio.timeout(60):
        results = await asyncio.gather(*(servers[n % 2].propose(run, "PENDING") for n, run in enumerate(runs)))
    assert sum(result.status == "ACCEPT" for result in results) == 2


async def test_creations_at_once_leave_one_that_waits(servers: list[World]) -> None:
    """Of runs created at the same time on two servers all but the newest give way, and nothing else is lost."""
    [world, _] = servers
    await world.pool()
    it = await deploy(world, KeyStrategy.REPLACE_QUEUED)
    await of(world, it, "acme")
    [grant] = await world.grants()
    async with asyncio.timeout(60):
        await asyncio.gather(*(of(servers[number % 2], it, "acme") for number in range(10)))
    await collisions.tick(world.scope)
    await world.accepted(grant, "RUNNING", "COMPLETED")
    assert len(await world.granted()) == 1
    assert {run.state_type for run in await world.runs_of(it)} == {
        StateType.COMPLETED,
        StateType.CANCELLED,
        StateType.PENDING,
    }


async def test_a_run_that_had_begun_is_not_new(world: World) -> None:
    """With CANCEL_NEW, one that goes back to its queue waits for its key."""
    await world.pool()
    it = await deploy(world, KeyStrategy.CANCEL_NEW)
    begun = await of(world, it, "acme")
    [grant] = await world.grants()
    await world.accepted(grant, "RUNNING")
    await world.propose(begun, "SCHEDULED", force=True)
    await of(world, it, "bolt")
    assert await collisions.tick(world.scope) == 0
    assert (await world.get(begun)).state_type is StateType.SCHEDULED
