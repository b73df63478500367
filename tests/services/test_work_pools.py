"""Work pools: created with their default queue, changed field by field, deleted without losing what waits in them."""

import pytest
from world import World, ids

from headgate.errors import Conflict, Forbidden, Invalid, NotFound
from headgate.schema.deployments import DeploymentUpdate
from headgate.schema.filters import TextsFilter as Texts
from headgate.schema.filters import WorkPoolFilter, WorkPoolQuery, WorkQueueQuery
from headgate.schema.work_pools import WorkPoolUpdate
from headgate.schema.work_queues import ReadyStatus
from headgate.services import deployments, work_pools, work_queues

TEMPLATE = {
    "job_configuration": {"command": "{{ command }}", "limit": "{{ limit }}"},
    "variables": {"properties": {"command": {"type": "string"}, "limit": {"type": "integer", "default": 1}}},
}


async def test_a_pool_has_a_default_queue_from_the_first_moment(world: World) -> None:
    pool = await world.pool(description="mine", concurrency_limit=2)
    (queue,) = await work_queues.list_page(world.scope, WorkQueueQuery(), pool_name="local")
    assert (queue.id, queue.name, queue.priority) == (pool.default_queue_id, "default", 1)
    assert (queue.work_pool_id, queue.work_pool_name) == (pool.id, "local")
    assert await work_pools.get(world.scope, "local") == pool
    assert (pool.description, pool.concurrency_limit, pool.is_paused, pool.active_slots) == ("mine", 2, False, 0)


async def test_a_name_is_taken_once(world: World) -> None:
    await world.pool()
    with pytest.raises(Conflict, match="name already exists"):
        await world.pool(type="docker")
    assert (await work_pools.get(world.scope, "local")).type == "process"


@pytest.mark.parametrize("name", ["prefect", "Prefect-managed", "PREFECT:x"])
async def test_names_of_the_wire_are_reserved(world: World, name: str) -> None:
    with pytest.raises(Forbidden, match="reserved"):
        await world.pool(name)


@pytest.mark.parametrize(
    "template", [{"variables": {}}, {"job_configuration": {}}, {"job_configuration": [], "variables": {}}]
)
async def test_a_template_that_cannot_be_rendered_is_refused(world: World, template: dict[str, object]) -> None:
    """When it is written, not when a worker first needs it; an empty one is none."""
    with pytest.raises(Invalid):
        await world.pool(base_job_template=template)
    await world.pool(base_job_template={})
    with pytest.raises(Invalid):
        await world.change_pool(base_job_template=template)
    assert (await work_pools.get(world.scope, "local")).base_job_template == {}


async def test_an_update_changes_what_it_names(world: World) -> None:
    """What is left out stays; an explicit null clears what can be empty."""
    await world.pool(description="old", concurrency_limit=5, base_job_template=TEMPLATE)
    world.clock.advance(seconds=1)
    await world.change_pool(is_paused=True)
    pool = await work_pools.get(world.scope, "local")
    assert (pool.description, pool.concurrency_limit, pool.base_job_template) == ("old", 5, TEMPLATE)
    assert (pool.is_paused, pool.status, pool.updated) == (True, ReadyStatus.PAUSED, world.now)
    await world.change_pool(description=None, concurrency_limit=None, base_job_template=None, is_paused=None)
    pool = await work_pools.get(world.scope, "local")
    assert (pool.description, pool.concurrency_limit, pool.base_job_template) == (None, None, {})
    assert pool.is_paused is False


@pytest.mark.parametrize("act", [work_pools.get, work_pools.delete])
async def test_an_unknown_pool_is_named(world: World, act: object) -> None:
    with pytest.raises(NotFound, match='Work pool "nowhere" not found'):
        await act(world.scope, "nowhere")  # type: ignore[operator]
    with pytest.raises(NotFound, match='Work pool "nowhere" not found'):
        await work_pools.update(world.scope, "nowhere", WorkPoolUpdate(is_paused=True))


async def test_pages_of_pools(world: World) -> None:
    for name in ("c", "a", "b"):
        await world.pool(name, type="docker" if name == "c" else "process")
    found = await work_pools.list_page(world.scope, WorkPoolQuery(limit=2))
    assert [pool.name for pool in found] == ["a", "b"]
    chosen = WorkPoolQuery(work_pools=WorkPoolFilter(type=Texts(any_=["docker"])))
    assert [pool.name for pool in await work_pools.list_page(world.scope, chosen)] == ["c"]
    assert await work_pools.count(world.scope, chosen) == 1


async def test_slots_in_use_are_shown(world: World) -> None:
    await world.pool()
    await world.runs(await world.deploy(), 3)
    grant, _ = await world.grants(2)
    assert (await work_pools.get(world.scope, "local")).active_slots == 2
    await world.accepted(grant, "RUNNING", "COMPLETED")
    assert (await work_pools.get(world.scope, "local")).active_slots == 1


# --- deleting


async def test_runs_of_a_deleted_pool_wait_until_their_deployment_has_another(world: World) -> None:
    """Nothing is lost: the deployment stays, without a pool, and its runs follow it to the next."""
    await world.pool()
    deployment = await world.deploy()
    runs = await world.runs(deployment, 2)
    await work_pools.delete(world.scope, "local")
    orphan = await deployments.get(world.scope, deployment.id)
    assert (orphan.work_pool_name, orphan.work_pool_id, orphan.work_queue_id) == (None, None, None)
    assert {(run.state_name, run.work_pool_name) for run in await world.runs_of(deployment)} == {("Scheduled", None)}
    await world.pool("other")
    assert await world.granted(pool="other") == []
    await deployments.update(world.scope, deployment.id, DeploymentUpdate(work_pool_name="other"))
    assert set(await world.granted(pool="other")) == set(ids(runs))


async def test_a_pool_of_the_same_name_is_another(world: World) -> None:
    """Made anew, it does not inherit what waited in the old one until a deployment is put into it."""
    await world.pool()
    deployment = await world.deploy()
    run = await world.run(deployment)
    await work_pools.delete(world.scope, "local")
    await world.pool()
    assert await world.granted() == []
    await world.deploy()
    assert await world.granted() == [run.id]


async def test_runs_under_way_outlive_their_pool(world: World) -> None:
    """Their engine reports as before."""
    await world.pool()
    await world.run(await world.deploy())
    (grant,) = await world.grants()
    await world.accepted(grant, "RUNNING")
    await work_pools.delete(world.scope, "local")
    assert (await world.renew(grant, pool=None)).lost == []
    await world.accepted(grant, "COMPLETED")
    assert await world.slots() == 0


@pytest.mark.parametrize("moved", ["before it is given back", "after it was given back"])
async def test_a_claimed_run_of_a_deleted_pool_follows_its_deployment(world: World, moved: str) -> None:
    """Given back once its queue is gone, it goes where its deployment's runs go now."""
    await world.pool()
    deployment = await world.deploy()
    await world.run(deployment)
    (grant,) = await world.grants()
    await work_pools.delete(world.scope, "local")
    await world.pool("other")
    if moved == "after it was given back":
        await world.give_back(grant)
    await deployments.update(world.scope, deployment.id, DeploymentUpdate(work_pool_name="other"))
    if moved == "before it is given back":
        await world.give_back(grant)
    assert await world.granted(pool="other") == [grant.flow_run.id]
