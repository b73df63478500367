"""Deployments: a deploy creates or changes what it names, schedules keep their identity, waiting runs follow."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from world import World, cron, every, ids

from headgate.errors import Conflict, Invalid, NotFound
from headgate.schema.deployments import (
    CollisionStrategy,
    ConcurrencyOptions,
    Deployment,
    DeploymentCreate,
    DeploymentScheduleCreate,
    DeploymentScheduleUpdate,
    DeploymentUpdate,
)
from headgate.schema.filters import DeploymentFilter, DeploymentQuery, NameFilter, WorkQueueQuery
from headgate.schema.work_pools import WorkPoolCreate
from headgate.services import deployment_schedules, deployments, work_pools, work_queues
from headgate.store.database import Database

FULL: dict[str, Any] = {
    "version": "1",
    "description": "does things",
    "concurrency_limit": 3,
    "concurrency_options": ConcurrencyOptions(collision_strategy=CollisionStrategy.CANCEL_NEW),
    "parameters": {"n": 1},
    "tags": ["a"],
    "labels": {"team": "x"},
    "job_variables": {"env": {"A": "1"}},
    "parameter_openapi_schema": {"type": "object", "properties": {"n": {"type": "integer"}}},
    "path": "/srv",
    "pull_steps": [{"x.set_working_directory": {"directory": "/srv"}}],
    "entrypoint": "flows.py:etl",
    "enforce_parameter_schema": False,
    "work_queue_name": "fast",
}


@pytest.fixture(autouse=True)
async def pool(world: World) -> None:
    await world.pool()


async def change(world: World, it: Deployment, **fields: Any) -> Deployment:
    await deployments.update(world.scope, it.id, DeploymentUpdate(**fields))
    return await deployments.get(world.scope, it.id)


# --- creation and redeployment


async def test_what_is_deployed_is_there(world: World) -> None:
    """With its queue, which is made, and the label of its flow."""
    it = await world.deploy(**FULL)
    for name, value in FULL.items():
        if name not in ("labels", "concurrency_limit"):
            assert getattr(it, name) == value, name
    assert (it.limit, it.concurrency_limit) == (FULL["concurrency_limit"], None)
    assert it.labels == {"team": "x", "prefect.flow.id": str(it.flow_id)}
    assert (it.work_pool_name, it.status, it.paused) == ("local", "NOT_READY", False)
    assert await deployments.get(world.scope, it.id) == it
    assert await deployments.get_by_name(world.scope, "etl", "nightly") == it
    assert (await work_queues.get_by_name(world.scope, "local", "fast")).id == it.work_queue_id


async def test_a_deploy_changes_what_it_names(world: World) -> None:
    """The rest stays as it was: there is one deployment of a flow and a name."""
    it = await world.deploy(**FULL)
    world.clock.advance(seconds=1)
    again = await world.deploy(version="2", tags=["b"], work_pool_name=None)
    assert (again.id, again.version, again.tags) == (it.id, "2", ["b"])
    assert (again.created, again.updated) == (it.created, world.now)
    for name in FULL.keys() - {"version", "tags"}:
        assert getattr(again, name) == getattr(it, name), name
    assert await deployments.count(world.scope, DeploymentQuery()) == 1
    other = await world.deploy(flow="other")
    assert other.id != it.id


async def test_labels_are_added(world: World) -> None:
    it = await world.deploy(labels={"a": 1, "b": 1})
    again = await world.deploy(labels={"b": 2, "c": 3})
    assert again.labels == {"a": 1, "b": 2, "c": 3, "prefect.flow.id": str(it.flow_id)}


async def test_deploys_at_once_make_one_deployment(
    world: World, database_url: str, open_url: Callable[[str], Awaitable[Database]]
) -> None:
    """Of two servers that create the same, one creates and the other changes; nobody is refused."""
    other = world.beside(await open_url(database_url))
    flow = await world.flow()
    schedule = DeploymentScheduleCreate(schedule=cron("0 * * * *"), slug="hourly")
    body = DeploymentCreate(name="same", flow_id=flow.id, work_pool_name="local", schedules=[schedule])
    async with asyncio.timeout(60):
        made = await asyncio.gather(*(deployments.create(each.scope, body) for each in (world, other, world, other)))
    assert len({it.id for it, _ in made}) == 1
    assert sorted(is_new for _, is_new in made) == [False, False, False, True]
    it = await deployments.get_by_name(world.scope, "etl", "same")
    assert len(it.schedules) == 1
    assert len(await world.runs_of(it)) == 3


async def test_changes_at_once_are_all_kept(
    world: World, database_url: str, open_url: Callable[[str], Awaitable[Database]]
) -> None:
    """A pause and a change of tags that meet do not undo each other."""
    other = world.beside(await open_url(database_url))
    it = await world.deploy()
    for number in range(10):
        paused = number % 2 == 0
        async with asyncio.timeout(60):
            await asyncio.gather(
                deployments.pause(world.scope, it.id, paused=paused),
                deployments.update(other.scope, it.id, DeploymentUpdate(tags=[str(number)])),
                deployments.update(other.scope, it.id, DeploymentUpdate(version=str(number))),
            )
        found = await deployments.get(world.scope, it.id)
        assert (found.paused, found.tags, found.version) == (paused, [str(number)], str(number))


async def test_an_unknown_flow(world: World, some_id: Any) -> None:
    with pytest.raises(Conflict, match=str(some_id)):
        await deployments.create(world.scope, DeploymentCreate(name="x", flow_id=some_id))


async def test_code_is_named_once(world: World) -> None:
    with pytest.raises(Invalid, match="an entrypoint or a command, not both") as caught:
        await world.deploy(entrypoint="a.py:b", command="echo")
    assert caught.value.field == "command"


async def test_an_unknown_deployment(world: World, some_id: Any) -> None:
    for call in (
        deployments.get(world.scope, some_id),
        deployments.update(world.scope, some_id, DeploymentUpdate(paused=True)),
        deployments.delete(world.scope, some_id),
        deployments.get_by_name(world.scope, "etl", "nowhere"),
        deployment_schedules.of_deployment(world.scope, some_id),
        deployment_schedules.create(world.scope, some_id, []),
    ):
        with pytest.raises(NotFound, match="Deployment not found"):
            await call


# --- updates


@pytest.mark.parametrize("name", sorted(FULL.keys() - {"labels", "work_queue_name"}))
async def test_an_update_changes_one_field(world: World, name: str) -> None:
    """Every other field stays."""
    it = await world.deploy(**FULL | {"entrypoint": None})
    before = {field: getattr(it, field) for field in FULL}
    values = {"tags": ["z"], "parameters": {"n": 9}, "job_variables": {}, "enforce_parameter_schema": True}
    values["parameter_openapi_schema"] = {}
    new = values.get(name, "new" if isinstance(FULL[name], str) else None)
    after = await change(world, it, **{name: new})
    assert getattr(after, name) == new
    for field in FULL.keys() - {name}:
        assert getattr(after, field) == before[field], field


async def test_an_explicit_null_clears(world: World) -> None:
    it = await world.deploy(**FULL)
    cleared = ("version", "description", "concurrency_limit", "concurrency_options", "path", "pull_steps", "entrypoint")
    after = await change(world, it, **dict.fromkeys(cleared))
    assert [getattr(after, name) for name in cleared] == [None] * len(cleared)


async def test_an_empty_update_changes_nothing(world: World) -> None:
    it = await world.deploy(**FULL, schedule=cron("0 0 * * *"))
    assert await change(world, it) == it


# --- pools and queues


async def test_waiting_runs_follow_to_another_queue(world: World) -> None:
    """Those under way stay where they are: their slots are there."""
    it = await world.deploy()
    running, waiting = await world.runs(it, 2)
    await world.granted(1)
    await world.pool("other")
    moved = await change(world, it, work_pool_name="other", work_queue_name="q")
    assert (moved.work_pool_name, moved.work_queue_name) == ("other", "q")
    assert await world.granted() == []
    assert await world.granted(pool="other") == [waiting.id]
    assert await world.slots(work_pool_id=it.work_pool_id) == 1
    assert (await world.get(running)).work_pool_name == "local"


async def test_a_pool_without_a_queue_means_its_default_queue(world: World) -> None:
    it = await world.deploy(work_queue_name="q")
    assert (await change(world, it, work_pool_name="local")).work_queue_name == "default"
    assert (await change(world, it, work_queue_name="r")).work_queue_name == "r"
    assert (await change(world, it, work_queue_name=None)).work_queue_name == "default"


async def test_a_deployment_may_leave_its_pool(world: World) -> None:
    """Its runs wait outside of any pool, until it has one again."""
    it = await world.deploy()
    run = await world.run(it)
    left = await change(world, it, work_pool_name=None)
    assert (left.work_pool_name, left.work_queue_name, left.work_queue_id) == (None, None, None)
    assert await world.granted() == []
    await change(world, it, work_pool_name="local")
    assert await world.granted() == [run.id]


async def test_an_unknown_pool_is_named(world: World) -> None:
    """And nothing is changed."""
    it = await world.deploy()
    with pytest.raises(NotFound, match='Work pool "missing" not found'):
        await change(world, it, work_pool_name="missing", version="2")
    assert await deployments.get(world.scope, it.id) == it
    with pytest.raises(NotFound, match='Work pool "missing" not found'):
        await world.deploy("new", work_pool_name="missing")
    assert await deployments.count(world.scope, DeploymentQuery()) == 1


async def test_a_queue_without_a_pool(world: World) -> None:
    """Means the pool of agents of old, which is made when it is first needed; also by two at once."""
    flow = await world.flow()
    bodies = [DeploymentCreate(name=name, flow_id=flow.id, work_queue_name="legacy") for name in ("a", "b")]
    made = await asyncio.gather(*(deployments.create(world.scope, body) for body in bodies))
    assert {it.work_pool_name for it, _ in made} == {"default-agent-pool"}
    assert len({it.work_queue_id for it, _ in made}) == 1
    queues = await work_queues.list_page(world.scope, WorkQueueQuery(), pool_name="default-agent-pool")
    assert [queue.name for queue in queues] == ["default", "legacy"]


async def test_job_variables_fit_the_pools_template(world: World) -> None:
    """What the template does not expose, or not with such a value, is refused with its place."""
    variables = {"type": "object", "properties": {"memory": {"type": "integer"}}}
    template = {"job_configuration": {"mem": "{{ memory }}"}, "variables": variables}
    await work_pools.create(world.scope, WorkPoolCreate(name="typed", type="process", base_job_template=template))
    it = await world.deploy(work_pool_name="typed", job_variables={"memory": 5})
    with pytest.raises(Invalid) as caught:
        await change(world, it, job_variables={"memory": "much"})
    assert caught.value.field
    assert "memory" in caught.value.field
    assert (await deployments.get(world.scope, it.id)).job_variables == {"memory": 5}


REQUIRED = {
    "job_configuration": {"image": "{{ image }}", "cpu": "{{ cpu }}"},
    "variables": {
        "type": "object",
        "properties": {"image": {"type": "string"}, "cpu": {"$ref": "#/$defs/Cpu"}},
        "required": ["image", "cpu"],
        "$defs": {"Cpu": {"type": "integer", "minimum": 1, "default": 2}},
    },
}


async def test_runs_bring_what_their_pool_requires(world: World) -> None:
    """A deployment may lack it, a run of it may not; a default, wherever the schema keeps it, is enough."""
    await world.pool("typed", base_job_template=REQUIRED)
    it = await world.deploy(work_pool_name="typed", job_variables={"cpu": 3})
    for variables in (None, {}, {"cpu": 4}):
        with pytest.raises(Invalid, match="'image' is a required property; set it in job_variables or as a default"):
            await world.run(it, job_variables=variables)
    assert (await world.run(it, job_variables={"image": "x"})).job_variables == {"image": "x"}
    await change(world, it, job_variables={"image": "y"})
    assert (await world.run(it)).job_variables == {}
    with pytest.raises(Invalid, match="job variable /cpu: 0 is less than the minimum of 1"):
        await change(world, it, job_variables={"image": "x", "cpu": 0})


async def test_a_schedule_sets_only_what_its_pool_takes(world: World) -> None:
    """Whether it comes with its deployment or on its own; the error says which schedule, and where in it."""
    await world.pool("typed", base_job_template=REQUIRED)
    fine, wrong = {"schedule": cron("0 9 * * *")}, {"schedule": cron("0 10 * * *"), "job_variables": {"cpu": "many"}}
    image = {"work_pool_name": "typed", "job_variables": {"image": "x"}}
    both = [DeploymentScheduleCreate(**each) for each in (fine, wrong)]
    with pytest.raises(Invalid, match="Schedule: job variable /cpu: 'many' is not of type 'integer'") as caught:
        await world.deploy(schedules=both, **image)
    assert (caught.value.field, caught.value.value) == ("schedules[1].job_variables.cpu", "many")
    it = await world.deploy(**image)
    with pytest.raises(Invalid, match="/cpu"):
        await change(world, it, schedules=both)
    with pytest.raises(Invalid, match="/cpu") as caught:
        await deployment_schedules.create(world.scope, it.id, both[1:])
    assert caught.value.field == "[0].job_variables.cpu"
    [made] = await deployment_schedules.create(
        world.scope, it.id, [DeploymentScheduleCreate(schedule=cron("0 9 * * *"), job_variables={"cpu": 3}, slug="s")]
    )
    with pytest.raises(Invalid, match="Schedule 's': job variable /cpu: 0 is less than the minimum of 1"):
        await deployment_schedules.update(world.scope, it.id, made.id, DeploymentScheduleUpdate(job_variables={"cpu": 0}))
    assert (await deployments.get(world.scope, it.id)).schedules[0].job_variables == {"cpu": 3}


async def test_a_deployment_does_not_move_to_a_pool_that_its_schedules_do_not_fit(world: World) -> None:
    await world.pool("free")
    await world.pool("typed", base_job_template=REQUIRED)
    wanted = DeploymentScheduleCreate(schedule=cron("0 9 * * *"), job_variables={"cpu": 0}, slug="s")
    it = await world.deploy(work_pool_name="free", job_variables={"image": "x"}, schedules=[wanted])
    with pytest.raises(Invalid, match="Schedule 's': job variable /cpu: 0 is less"):
        await change(world, it, work_pool_name="typed")
    assert (await deployments.get(world.scope, it.id)).work_pool_name == "free"


async def test_a_template_may_change_under_deployments_which_can_be_paused_all_the_same(world: World) -> None:
    """What no longer fits is said when the deployment's variables are written again, and when a run is launched."""
    await world.pool("typed", base_job_template=REQUIRED)
    wanted = DeploymentScheduleCreate(schedule=cron("0 9 * * *"), job_variables={"cpu": 3})
    it = await world.deploy(work_pool_name="typed", job_variables={"image": "x"}, schedules=[wanted])
    narrow = {"job_configuration": {}, "variables": {"type": "object", "properties": {"image": {"type": "integer"}}}}
    narrow["variables"]["properties"]["cpu"] = {"maximum": 1}
    await world.change_pool("typed", base_job_template=narrow)
    assert (await change(world, it, paused=True, tags=["a"])).paused
    with pytest.raises(Invalid, match="/image: 'x' is not of type 'integer'"):
        await change(world, it, job_variables={"image": "x"})
    with pytest.raises(Invalid, match="Schedule: job variable /cpu: 3 is greater"):
        await change(world, it, job_variables={})


async def test_the_older_name_of_job_variables(world: World) -> None:
    it = await world.deploy(infra_overrides={"a": 1})
    assert it.job_variables == {"a": 1}
    assert (await change(world, it, infra_overrides={"a": 2})).job_variables == {"a": 2}


# --- schedules


async def test_schedules_keep_their_ids_and_switches(world: World) -> None:
    """A deploy finds a schedule again by its timing; one that was paused stays so unless the deploy says otherwise."""
    hourly, daily = cron("0 * * * *"), every(86_400.0, world.now)
    it = await world.deploy(schedules=[DeploymentScheduleCreate(schedule=each) for each in (hourly, daily)])
    second, first = it.schedules
    await deployment_schedules.update(world.scope, it.id, first.id, DeploymentScheduleUpdate(active=False))
    wanted = [DeploymentScheduleCreate(schedule=each) for each in (daily, hourly, cron("5 5 * * *"))]
    again = await world.deploy(schedules=wanted)
    kept = {schedule.id: schedule.active for schedule in again.schedules}
    assert len(kept) == 3
    assert (kept[first.id], kept[second.id]) == (False, True)
    wanted = [DeploymentScheduleCreate(schedule=hourly, active=True)]
    [left] = (await world.deploy(schedules=wanted)).schedules
    assert (left.id, left.active) == (first.id, True)


async def test_a_deploy_without_schedules_keeps_them(world: World) -> None:
    """An empty list takes them away."""
    it = await world.deploy(schedule=cron("0 * * * *"))
    assert (await world.deploy(version="2")).schedules == it.schedules
    assert (await world.deploy(schedules=[])).schedules == []
    assert await world.runs_of(it) == []


async def test_a_changed_schedule_is_found_by_its_slug(world: World) -> None:
    """Or by what it says that it replaces; its runs ahead are made anew, at the new times."""
    it = await world.deploy(schedules=[DeploymentScheduleCreate(schedule=every(600.0, world.now), slug="s")])
    [before] = it.schedules
    wanted = DeploymentScheduleCreate(schedule=every(1200.0, world.now), slug="s", parameters={"a": 1})
    [after] = (await world.deploy(schedules=[wanted])).schedules
    assert (after.id, after.schedule.interval, after.parameters) == (before.id, 1200.0, {"a": 1})
    assert [run.parameters for run in await world.runs_of(it)] == [{"a": 1}] * 3
    renamed = DeploymentScheduleCreate(schedule=every(1800.0, world.now), slug="t", replaces="s")
    [last] = (await world.deploy(schedules=[renamed])).schedules
    assert (last.id, last.slug) == (before.id, "t")


async def test_schedules_one_by_one(world: World) -> None:
    """Added, changed field by field, deleted."""
    it = await world.deploy()
    wanted = DeploymentScheduleCreate(schedule=cron("0 * * * *"), slug="s")
    [made] = await deployment_schedules.create(world.scope, it.id, [wanted])
    assert await deployment_schedules.of_deployment(world.scope, it.id) == [made]
    world.clock.advance(seconds=1)
    update = DeploymentScheduleUpdate(max_scheduled_runs=1, parameters={"a": 1}, job_variables={"b": 2})
    await deployment_schedules.update(world.scope, it.id, made.id, update)
    [after] = await deployment_schedules.of_deployment(world.scope, it.id)
    assert (after.schedule, after.active, after.slug) == (made.schedule, True, "s")
    assert (after.max_scheduled_runs, after.parameters, after.job_variables) == (1, {"a": 1}, {"b": 2})
    assert after.updated == world.now
    [run] = await world.runs_of(it)
    assert (run.parameters, run.job_variables) == ({"a": 1}, {"b": 2})
    await deployment_schedules.delete(world.scope, it.id, made.id)
    assert await deployment_schedules.of_deployment(world.scope, it.id) == []


async def test_a_slug_is_taken_once(world: World) -> None:
    """In one list, among those that are there, and by a change."""
    hourly = cron("0 * * * *")
    wanted = [DeploymentScheduleCreate(schedule=hourly, slug="s"), DeploymentScheduleCreate(schedule=hourly, slug="t")]
    it = await world.deploy(schedules=wanted)
    with pytest.raises(Conflict, match="slug"):
        await world.deploy("other", schedules=[wanted[0], wanted[0]])
    with pytest.raises(Conflict, match="'t'"):
        await deployment_schedules.create(world.scope, it.id, [DeploymentScheduleCreate(schedule=hourly, slug="t")])
    with pytest.raises(Conflict, match="slug"):
        await deployment_schedules.update(world.scope, it.id, it.schedules[1].id, DeploymentScheduleUpdate(slug="t"))
    await deployment_schedules.update(world.scope, it.id, it.schedules[1].id, DeploymentScheduleUpdate(slug="s"))


async def test_a_schedule_of_another_deployment_is_not_found(world: World, some_id: Any) -> None:
    it, other = await world.deploy(schedule=cron("0 * * * *")), await world.deploy("other")
    for id in (it.schedules[0].id, some_id):
        with pytest.raises(NotFound, match="Schedule not found"):
            await deployment_schedules.update(world.scope, other.id, id, DeploymentScheduleUpdate(active=False))
        with pytest.raises(NotFound, match="Schedule not found"):
            await deployment_schedules.delete(world.scope, other.id, id)


async def test_a_schedule_that_cannot_fire_is_refused(world: World) -> None:
    """The field is named as it stands in the body."""
    bad = DeploymentScheduleCreate(schedule=cron("61 * * * *"))
    with pytest.raises(Invalid) as caught:
        await world.deploy(schedules=[DeploymentScheduleCreate(schedule=cron("0 * * * *")), bad])
    assert caught.value.field == "schedules[1].schedule.cron"
    it = await world.deploy(schedule=cron("0 * * * *"))
    with pytest.raises(Invalid):
        await deployment_schedules.update(
            world.scope, it.id, it.schedules[0].id, DeploymentScheduleUpdate(schedule=cron("61 * * * *"))
        )


# --- the end


async def test_a_deleted_deployment_leaves_its_history(world: World) -> None:
    """Runs that have not started go with it; those that have stay, and can finish."""
    it = await world.deploy(schedule=every(600.0, world.now))
    done, running, waiting = [await world.run(it, due=due) for due in (-3, -2, -1)]
    first, second = await world.grants(2)
    await world.accepted(first, "RUNNING", "COMPLETED")
    await deployments.delete(world.scope, it.id)
    assert set(ids(await world.runs_of(it))) == {done.id, running.id}
    await world.accepted(second, "RUNNING", "COMPLETED")
    with pytest.raises(NotFound):
        await world.get(waiting)
    with pytest.raises(NotFound):
        await deployments.get(world.scope, it.id)


async def test_a_limit_is_shown_with_its_slots(world: World) -> None:
    """As the record that 3.x clients read."""
    it = await world.deploy(concurrency_limit=2)
    await world.run(it)
    await world.granted()
    found = (await deployments.get(world.scope, it.id)).global_concurrency_limit
    assert found
    assert (found.name, found.limit, found.active_slots) == (f"deployment:{it.id}", 2, 1)
    assert (await change(world, it, concurrency_limit=None)).global_concurrency_limit is None


async def test_pages_of_deployments(world: World) -> None:
    for name in ("a", "b", "ab"):
        await world.deploy(name)
    query = DeploymentQuery(deployments=DeploymentFilter(name=NameFilter(like_="A")), limit=1, offset=1)
    assert [it.name for it in await deployments.list_page(world.scope, query)] == ["ab"]
    assert await deployments.count(world.scope, query) == 2
