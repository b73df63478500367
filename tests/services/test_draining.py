"""Draining: who is told to leave gets no more runs, learns of it at once, and a process that starts anew is not meant."""

from uuid import UUID, uuid4

import pytest
from sleepers import Sleepers, woken
from world import World

from headgate.errors import NotFound
from headgate.schema.claims import LeaseRenewal, LeaseRenewalResponse
from headgate.schema.deployments import Deployment
from headgate.schema.filters import WorkerQuery
from headgate.services import leases, workers


@pytest.fixture
async def it(world: World) -> Deployment:
    await world.pool()
    return await world.deploy()


async def join(world: World, process: UUID, worker: str = "w") -> LeaseRenewalResponse:
    return await leases.renew(world.scope, "local", LeaseRenewal(worker=worker, joins_as=process))


async def drain(world: World, name: str = "w") -> None:
    await workers.drain(world.scope, "local", name)


async def draining(world: World) -> list[str]:
    found = await workers.list_page(world.scope, "local", WorkerQuery())
    return [worker.name for worker in found if worker.draining]


async def test_a_draining_worker_is_granted_nothing(world: World, it: Deployment) -> None:
    """Its claims and its heartbeats say so; other workers go on."""
    await world.claim(0)
    await drain(world)
    run = await world.run(it)
    answer = await world.claim()
    assert (answer.grants, answer.drain) == ([], True)
    assert (await world.renew()).drain
    assert await draining(world) == ["w"]
    other = await world.claim(worker="other")
    assert ([grant.flow_run.id for grant in other.grants], other.drain) == ([run.id], False)
    assert not (await world.renew(worker="other")).drain


async def test_it_learns_of_it_by_its_open_claim(world: World, it: Deployment, sleepers: Sleepers) -> None:
    task = await sleepers.claim(world)
    await drain(world)
    answer = await woken(task)
    assert (answer.grants, answer.drain) == ([], True)


async def test_it_keeps_its_leases_and_hears_of_cancels(world: World, it: Deployment) -> None:
    """What runs is finished, so the run is the worker's own until it ends."""
    await world.run(it)
    [grant] = await world.grants()
    await drain(world)
    assert (await world.renew(grant)).lost == []
    await world.accepted(grant, "RUNNING")
    await world.accepted(grant.flow_run, "CANCELLING")
    assert (await world.claim()).cancel == [grant.flow_run.id]
    assert (await world.renew(grant)).cancel == [grant.flow_run.id]


async def test_its_unlaunched_claims_go_to_others(world: World, it: Deployment) -> None:
    await world.run(it)
    [grant] = await world.grants()
    await drain(world)
    await world.give_back(grant)
    assert await world.granted() == []
    assert await world.granted(worker="other") == [grant.flow_run.id]


async def test_a_process_that_starts_anew_is_not_draining(world: World, it: Deployment) -> None:
    await join(world, uuid4())
    await drain(world)
    assert not (await join(world, uuid4())).drain
    assert await draining(world) == []
    run = await world.run(it)
    assert await world.granted() == [run.id]


async def test_a_first_call_that_arrives_twice_takes_no_request_back(world: World, it: Deployment) -> None:
    """The answer to the first was lost, and the worker was told to drain in between."""
    process = uuid4()
    await join(world, process)
    await drain(world)
    assert (await join(world, process)).drain
    assert (await world.claim()).drain


async def test_a_process_of_the_same_name_in_another_pool_is_another(world: World, it: Deployment) -> None:
    """Even one that has the same id."""
    await world.pool("other")
    process = uuid4()
    await join(world, process)
    await leases.renew(world.scope, "other", LeaseRenewal(worker="w", joins_as=process))
    await drain(world)
    assert not (await world.claim(pool="other")).drain
    assert (await world.claim()).drain


async def test_a_second_request_changes_nothing(world: World, it: Deployment) -> None:
    await world.claim(0)
    await drain(world)
    await drain(world)
    assert await draining(world) == ["w"]


async def test_who_is_not_there_cannot_be_drained(world: World, it: Deployment) -> None:
    with pytest.raises(NotFound, match="Worker 'w' not found in pool 'local'"):
        await drain(world)
    with pytest.raises(NotFound, match="nowhere"):
        await workers.drain(world.scope, "nowhere", "w")
