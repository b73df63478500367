"""Leaders: one server at a time runs a background job, another takes over, and two at once do no harm."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from msgspec import structs
from world import World, every

from headgate.errors import Unavailable
from headgate.schema.deployments import (
    CollisionStrategy,
    ConcurrencyOptions,
    DeploymentScheduleCreate,
    Misfire,
    MisfirePolicy,
)
from headgate.services.leaders import Leadership, list_services
from headgate.services.loops import collisions, late, misfires, scheduler
from headgate.services.loops.cancellations import Cancellations
from headgate.services.loops.lifeline import Lifeline
from headgate.services.loops.loop import Loop
from headgate.services.loops.pruner import Pruner
from headgate.services.scope import Scope
from headgate.store import leaders as rows

JOBS = ("late runs", "scheduler")
WITHIN = 20.0
LEASE = 6.0


def leads(leadership: Leadership, world: World) -> list[str]:
    return [name for name in JOBS if leadership.leads(name, now=world.now)]


# --- who leads: the leases, on either database


async def test_the_first_leads_and_goes_on_while_it_renews(world: World, neighbour: World) -> None:
    first, second = Leadership(JOBS), Leadership(JOBS)
    for _ in range(10):
        await first.renew(world.scope)
        await second.renew(neighbour.scope)
        assert (leads(first, world), leads(second, world)) == ([*JOBS], [])
        world.clock.advance(seconds=LEASE / 3)


async def test_another_takes_over_when_the_leader_is_gone(world: World, neighbour: World) -> None:
    """Not before its lease has ended, and then at once; the one that comes back stands by."""
    first, second = Leadership(JOBS), Leadership(JOBS)
    await first.renew(world.scope)
    world.clock.advance(seconds=LEASE)
    await second.renew(neighbour.scope)
    assert leads(second, world) == []
    world.clock.advance(microseconds=1)
    assert leads(first, world) == []  # of itself, whether or not it reaches the database
    await second.renew(neighbour.scope)
    await first.renew(world.scope)
    assert (leads(first, world), leads(second, world)) == ([], [*JOBS])


async def test_a_leader_that_stops_gives_its_turn_back(world: World, neighbour: World) -> None:
    first, second = Leadership(JOBS), Leadership(JOBS)
    await first.renew(world.scope)
    await first.give_back(world.scope)
    await second.renew(neighbour.scope)
    assert (leads(first, world), leads(second, world)) == ([], [*JOBS])
    await first.give_back(world.scope)  # what is another's stays
    assert len(await world.scope.store.read(rows.list_all)) == len(JOBS)


async def test_each_job_has_a_leader_of_its_own(world: World, neighbour: World) -> None:
    """A server leads at what it runs and at nothing else."""
    first, second = Leadership(["scheduler"]), Leadership(JOBS)
    await first.renew(world.scope)
    await second.renew(neighbour.scope)
    assert (leads(first, world), leads(second, world)) == (["scheduler"], ["late runs"])


async def test_of_many_that_ask_at_once_one_leads(world: World, neighbour: World) -> None:
    for _ in range(10):
        many = [Leadership(JOBS) for _ in range(16)]
        scopes = [world.scope, neighbour.scope] * 8
        await asyncio.gather(*(each.renew(scope) for each, scope in zip(many, scopes, strict=True)))
        for job in JOBS:
            assert sum(each.leads(job, now=world.now) for each in many) == 1
        world.clock.advance(seconds=LEASE + 1)


class Away:
    """A database that does not answer."""

    dialect = "postgresql"

    async def write(self, _unit: Any) -> None:
        raise Unavailable("away")


async def test_a_leader_without_a_database_leads_no_longer(world: World) -> None:
    """And knows from when on it has it again."""
    leadership, away = Leadership(JOBS), replace(world.scope, store=Away())  # type: ignore[arg-type]
    await leadership.renew(world.scope)
    assert leadership.reached_since == world.now
    await leadership.renew(away)
    assert (leads(leadership, world), leadership.reached_since) == ([], None)
    world.clock.advance(seconds=1)
    await leadership.renew(world.scope)
    assert (leads(leadership, world), leadership.reached_since) == ([*JOBS], world.now)


async def test_an_answer_that_took_longer_than_the_lease_was_an_outage(world: World) -> None:
    leadership = Leadership(JOBS)
    await leadership.renew(world.scope)
    world.clock.advance(seconds=LEASE + 1)
    await leadership.renew(world.scope)
    assert leadership.reached_since == world.now


async def test_the_services_tell_who_leads(world: World) -> None:
    scope = replace(world.scope, settings=structs.replace(world.scope.settings, server_services_pruner_enabled=False))
    leadership = Leadership(["scheduler", "pruner"])
    await leadership.renew(scope)
    world.clock.advance(seconds=1)
    await leadership.renew(scope)
    services = {each.name: each for each in await list_services(scope)}
    assert {*services} >= {"scheduler", "late runs", "lifeline", "misfires", "collisions", "pruner"}
    assert (services["scheduler"].enabled, services["pruner"].enabled) == (True, False)
    assert services["scheduler"].loop_seconds == 60.0
    assert services["late runs"].leader is None
    leader = services["scheduler"].leader
    assert leader is not None
    assert (leader.place, leader.since) == (leadership.place, world.now - timedelta(seconds=1))
    world.clock.advance(seconds=LEASE)
    assert {each.leader for each in await list_services(scope)} == {None}


# --- what follows from it


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
async def test_a_job_waits_for_its_turn_and_then_begins_at_once(world: World, neighbour: World) -> None:
    first, second = Leadership(["job"]), Leadership(["job"])
    passed = asyncio.Event()

    async def tick(_scope: Scope) -> int:
        passed.set()
        return 0

    await first.renew(world.scope)
    job = asyncio.create_task(Loop("job", tick, every=3600.0).run(neighbour.scope, second.turn))
    await second.renew(neighbour.scope)
    await asyncio.sleep(0)
    assert not passed.is_set()
    await first.give_back(world.scope)
    await second.renew(neighbour.scope)
    async with asyncio.timeout(WITHIN):
        await passed.wait()
    job.cancel()
    await asyncio.gather(job, return_exceptions=True)


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
async def test_on_sqlite_it_is_always_its_turn(world: World) -> None:
    leadership = Leadership(["job"])
    async with asyncio.timeout(WITHIN):
        await leadership.keep(world.scope)
        await leadership.turn(world.scope, "job")
    assert await world.scope.store.read(rows.list_all) == []


async def test_the_lifeline_waits_after_an_outage(world: World) -> None:
    """Nobody could renew a lease meanwhile, so one that lapsed says nothing of its holder."""
    reached = world.now
    job = Lifeline(lambda: reached)
    await world.pool()
    await world.run(await world.deploy())
    world.clock.advance(minutes=1)
    [grant] = await world.grants(1)
    world.clock.advance(minutes=10)
    reached = world.now
    assert await job.tick(world.scope) == 0
    await world.renew(grant)
    world.clock.advance(seconds=20)
    assert await job.tick(world.scope) == 0
    world.clock.advance(seconds=1)
    assert await job.tick(world.scope) == 1


async def test_who_takes_over_the_lifeline_need_not_wait(world: World) -> None:
    """It was there all the time, so holders could renew their leases."""
    reached = world.now
    await world.pool()
    await world.run(await world.deploy())
    await world.grants(1)
    world.clock.advance(seconds=21)
    assert await Lifeline(lambda: reached).tick(world.scope) == 1


# --- two leaders at once do no harm


async def both(tick: Any, world: World, neighbour: World) -> int:
    """The same job on two servers at once, three times over; how many records they changed in all."""
    counts = await asyncio.gather(*(tick(each.scope) for _ in range(3) for each in (world, neighbour)))
    return sum(counts)


async def test_two_schedulers_make_each_run_once(world: World, neighbour: World) -> None:
    await world.pool()
    made = [await world.deploy(f"d{n}", schedule=every(600, world.now)) for n in range(5)]
    world.clock.advance(hours=1)
    assert await both(scheduler.tick, world, neighbour) > 0
    for it in made:
        times = [run.expected_start_time for run in await world.runs_of(it)]
        assert len(times) == len(set(times)) > 6


async def test_two_mark_each_late_run_once(world: World, neighbour: World) -> None:
    await world.pool()
    runs = await world.runs(await world.deploy(), 30)
    world.clock.advance(minutes=1)
    assert await both(late.tick, world, neighbour) == 30
    assert {tuple(await world.history(run)) for run in runs} == {("Scheduled", "Late")}


async def test_two_lifelines_recover_each_run_once(world: World, neighbour: World) -> None:
    """And what is claimed anew meanwhile is not taken away."""
    await world.pool()
    runs = await world.runs(await world.deploy(), 20)
    assert len(await world.grants()) == 20
    jobs = [Lifeline(), Lifeline()]
    for job in jobs:
        await job.tick(world.scope)
    world.clock.advance(seconds=21)
    ticks = [job.tick(each.scope) for job, each in zip(jobs, (world, neighbour), strict=True)]
    *counts, first, second = await asyncio.gather(*ticks, world.grants(worker="x"), neighbour.grants(worker="y"))
    rest = await world.grants(worker="z")
    assert sum(counts) == 20
    assert sorted(grant.flow_run.id for grant in [*first, *second, *rest]) == sorted(run.id for run in runs)
    assert {tuple(await world.history(run)) for run in runs} == {("Scheduled", "Pending", "Scheduled", "Pending")}


async def test_two_skip_each_misfire_once(world: World, neighbour: World) -> None:
    await world.pool()
    schedule = DeploymentScheduleCreate(
        schedule=every(600, world.now), misfire=Misfire(policy=MisfirePolicy.LATEST), max_scheduled_runs=10
    )
    it = await world.deploy(schedules=[schedule])
    world.clock.advance(minutes=45)
    assert await both(misfires.tick, world, neighbour) == 3
    assert sorted([run.state_name for run in await world.runs_of(it)][:4]) == ["Scheduled", *["Skipped"] * 3]


async def test_two_end_each_overdue_cancellation_once(world: World, neighbour: World) -> None:
    await world.pool()
    runs = await world.runs(await world.deploy(), 12)
    for run in runs:
        await world.accepted(run, "PENDING", "RUNNING", "CANCELLING")
    world.clock.advance(seconds=301)
    ticks = [Cancellations().tick(each.scope) for each in (world, neighbour)]
    assert sum(await asyncio.gather(*ticks)) == 12
    assert {tuple(await world.history(run)) for run in runs} == {
        ("Scheduled", "Pending", "Running", "Cancelling", "Cancelled")
    }


async def test_two_cancel_as_many_collisions_as_one(world: World, neighbour: World) -> None:
    """The free slot stays for the first that waits."""
    await world.pool()
    options = ConcurrencyOptions(collision_strategy=CollisionStrategy.CANCEL_NEW)
    it = await world.deploy("single", concurrency_limit=2, concurrency_options=options)
    runs = await world.runs(it, 12)
    assert await both(collisions.tick, world, neighbour) == 10
    names = [(await world.get(run)).state_name for run in runs]
    assert (names.count("Scheduled"), names.count("Cancelled")) == (2, 10)


async def test_two_pruners_delete_what_is_old_and_nothing_else(world: World, neighbour: World) -> None:
    await world.pool()
    it = await world.deploy()
    await world.runs(it, 40)
    for grant in await world.grants():
        await world.accepted(grant, "RUNNING", "COMPLETED")
    world.clock.advance(days=91)
    new = await world.run(it)

    async def tick(scope: Scope) -> int:
        return await Pruner(pause=lambda _: asyncio.sleep(0)).tick(scope)

    await both(tick, world, neighbour)
    assert [run.id for run in await world.runs_of(it)] == [new.id]
    assert await world.value("SELECT count(*) FROM flow_run_state") == 1
