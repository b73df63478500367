"""Flows: registered once under their name, and deleted with all that is theirs."""

import asyncio
from uuid import UUID

import pytest
from world import World

from headgate.errors import NotFound
from headgate.schema.filters import DeploymentQuery, FlowFilter, FlowQuery, FlowSort, NameFilter
from headgate.schema.flows import FlowCreate, FlowUpdate
from headgate.services import deployments, flow_runs, flows


async def test_a_name_is_one_flow(world: World, neighbour: World) -> None:
    """Registered at once by many processes, through two servers: each is told the same flow, one that it is new."""
    made = await asyncio.gather(
        *(flows.create((world, neighbour)[n % 2].scope, FlowCreate(name="etl", tags=["a"])) for n in range(12))
    )
    assert len({flow.id for flow, _ in made}) == 1
    assert [is_new for _, is_new in made].count(True) == 1
    again, is_new = await flows.create(world.scope, FlowCreate(name="etl", tags=["b"]))
    assert (again.tags, is_new) == (["a"], False)
    assert await flows.get_by_name(world.scope, "etl") == again == await flows.get(world.scope, again.id)


async def test_an_update_changes_what_it_names(world: World) -> None:
    """Tags are replaced, labels are added to."""
    flow, _ = await flows.create(world.scope, FlowCreate(name="etl", tags=["a"], labels={"x": 1}))
    world.clock.advance(seconds=1)
    await flows.update(world.scope, flow.id, FlowUpdate(labels={"y": 2}))
    await flows.update(world.scope, flow.id, FlowUpdate(tags=["b"]))
    found = await flows.get(world.scope, flow.id)
    assert (found.tags, found.labels, found.updated) == (["b"], {"x": 1, "y": 2}, world.now)


async def test_a_deleted_flow_takes_all_along(world: World) -> None:
    """Its deployments and its runs, waiting, running and past; what they held is free."""
    await world.pool(concurrency_limit=1)
    deployment = await world.deploy()
    runs = await world.runs(deployment, 2)
    other = await world.run(await world.deploy("other", flow="another"))
    (grant,) = await world.grants(1)
    await world.accepted(grant, "RUNNING")
    await flows.delete(world.scope, deployment.flow_id)
    assert [flow.name for flow in await flows.list_page(world.scope, FlowQuery())] == ["another"]
    assert await deployments.count(world.scope, DeploymentQuery()) == 1
    for run in runs:
        with pytest.raises(NotFound, match="Flow run not found"):
            await flow_runs.get(world.scope, run.id)
    assert await world.granted() == [other.id]
    assert (await world.renew(grant)).lost == [grant.flow_run.id]


async def test_a_run_that_was_left_without_its_flow_does_not_block_its_queue(world: World) -> None:
    """One that was created while its flow was being deleted: it is dropped, and those behind it start."""
    await world.pool()
    orphan = await world.run(await world.deploy(flow="gone"), due=-60)
    run = await world.run(await world.deploy())
    gone = await flows.get_by_name(world.scope, "gone")
    await world.scope.store.write(lambda tx: tx.execute("DELETE FROM flow WHERE id = :id", {"id": gone.id}))
    assert await world.granted() == [run.id]
    with pytest.raises(NotFound):
        await flow_runs.get(world.scope, orphan.id)
    assert await world.slots() == 1


async def test_an_unknown_flow_is_told(world: World, some_id: UUID) -> None:
    for act in (
        flows.get(world.scope, some_id),
        flows.get_by_name(world.scope, "none"),
        flows.update(world.scope, some_id, FlowUpdate(tags=[])),
        flows.delete(world.scope, some_id),
    ):
        with pytest.raises(NotFound, match="Flow not found"):
            await act


async def test_pages_of_flows(world: World) -> None:
    for name in ("c", "a", "b"):
        await world.flow(name)
    found = await flows.list_page(world.scope, FlowQuery(sort=FlowSort.NAME_ASC, limit=2, offset=1))
    assert [flow.name for flow in found] == ["b", "c"]
    query = FlowQuery(flows=FlowFilter(name=NameFilter(any_=["c"])))
    assert await flows.count(world.scope, query) == 1
