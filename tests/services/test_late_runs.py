"""Late runs: what is past its time by so much is called Late, keeps its time, and starts like any other."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from msgspec import structs
from world import World, ids

from headgate.schema.deployments import Deployment, DeploymentUpdate
from headgate.schema.flow_runs import FlowRun
from headgate.schema.work_queues import WorkQueueUpdate
from headgate.services import deployments, flow_runs, work_queues
from headgate.services.loops import late
from headgate.store import waiting_runs as rows


@pytest.fixture
async def it(world: World) -> Deployment:
    await world.pool()
    return await world.deploy()


async def test_a_run_turns_late(world: World, it: Deployment) -> None:
    """Fifteen seconds after its time, not before; under the time that it is late for."""
    run = await world.run(it, due=10)
    world.clock.advance(seconds=25)
    assert await late.tick(world.scope) == 0
    world.clock.advance(microseconds=1)
    assert await late.tick(world.scope) == 1
    assert await late.tick(world.scope) == 0
    found = await world.get(run)
    assert found.state
    assert (found.state_name, found.state_type) == ("Late", "SCHEDULED")
    assert found.next_scheduled_start_time == found.state.state_details.scheduled_time == run.expected_start_time
    assert await world.history(run) == ["Scheduled", "Late"]


async def test_a_late_run_keeps_its_place(world: World, it: Deployment) -> None:
    first, second = await world.run(it, due=-60), await world.run(it, due=-1)
    await late.tick(world.scope)
    assert await world.granted() == [first.id, second.id]


async def test_what_waits_for_something_else_is_not_late(world: World, it: Deployment) -> None:
    """Neither a run that was claimed, nor one that waits for a slot or a retry, nor one that is over."""
    runs = await world.runs(it, 4)
    await world.accepted(runs[0], "PENDING")
    await world.accepted(runs[1], "PENDING", "RUNNING", "COMPLETED")
    await world.accepted(runs[2], "SCHEDULED", name="AwaitingRetry")
    await world.change_pool(concurrency_limit=0)
    assert (await world.propose(runs[3], "PENDING")).status == "REJECT"
    world.clock.advance(hours=1)
    assert await late.tick(world.scope) == 0


async def test_hundreds_in_one_pass(world: World, it: Deployment) -> None:
    """All of them, a page at a time."""
    runs = await world.runs(it, 530, due=-60)
    assert await late.tick(world.scope) == 530
    assert await world.value("SELECT count(*) FROM flow_run WHERE state_name = 'Late'") == 530
    assert (await work_queues.status(world.scope, it.work_queue_id)).late_runs_count == 530  # type: ignore[arg-type]
    assert len(runs) == 530


async def test_a_run_that_is_claimed_meanwhile_is_not_late(
    world: World, it: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look and the verdict a worker may have come."""
    claimed, left = await world.runs(it, 2, due=-60)
    seen = ids([claimed, left])

    async def as_seen(_tx: object, **_fields: object) -> object:
        return seen

    await world.granted(1)
    monkeypatch.setattr(rows, "turned_late", as_seen)
    assert await late.tick(world.scope) == 1
    assert [(await world.get(run)).state_name for run in (claimed, left)] == ["Pending", "Late"]


async def test_the_threshold_is_a_setting(world: World, it: Deployment) -> None:
    settings = structs.replace(world.scope.settings, server_services_late_runs_after_seconds=2.0)
    world.scope = replace(world.scope, settings=settings)
    await world.run(it)
    world.clock.advance(seconds=2)
    assert await late.tick(world.scope) == 0
    world.clock.advance(seconds=0.001)
    assert await late.tick(world.scope) == 1


# --- why


async def reason(world: World, run: FlowRun) -> str | None:
    """What a run's state says once it is late."""
    state = (await world.get(run)).state
    assert state is not None
    assert state.name == "Late"
    return state.message


async def test_the_state_says_which_limit_is_full(world: World, it: Deployment) -> None:
    busy = await world.run(it)
    await world.propose(busy, "RUNNING")
    await world.change_pool(concurrency_limit=1)
    run = await world.run(it, due=-60)
    await world.claim(0)
    await late.tick(world.scope)
    assert await reason(world, run) == "Work pool 'local' has its only slot in use."


async def test_the_state_says_that_no_worker_is_online(world: World, it: Deployment) -> None:
    run = await world.run(it, due=-60)
    await late.tick(world.scope)
    assert await reason(world, run) == "No worker of work pool 'local' is online."


async def test_a_run_that_nothing_blocks_waits_for_room(world: World, it: Deployment) -> None:
    run = await world.run(it, due=-60)
    await world.claim(0)
    await late.tick(world.scope)
    assert await reason(world, run) == "Workers poll work queue 'default', but none has had room for it."


async def test_all_that_blocks_is_said(world: World, it: Deployment) -> None:
    run = await world.run(it, due=-60)
    await world.change_pool(is_paused=True)
    await late.tick(world.scope)
    assert (
        await reason(world, run)
        == "Work pool 'local' is paused since 2026-03-02 09:00:00 UTC; no worker of work pool 'local' is online."
    )


async def test_a_run_of_a_served_deployment(world: World) -> None:
    run = await world.run(await world.deploy(work_pool_name=None), due=-60)
    await late.tick(world.scope)
    assert await reason(world, run) == "It belongs to no work pool, and no process serves deployment 'etl/nightly'."


async def test_each_run_has_the_reason_of_its_own_queue_and_deployment(world: World, it: Deployment) -> None:
    """In one pass over several pools."""
    await world.pool("other", concurrency_limit=0)
    paused, off = await world.deploy("paused"), await world.deploy("off", work_queue_name="off")
    elsewhere = await world.deploy("elsewhere", work_pool_name="other")
    free, held, shut, zero = [await world.run(each, due=-60) for each in (it, paused, off, elsewhere)]
    await deployments.update(world.scope, paused.id, DeploymentUpdate(paused=True))
    queue = await work_queues.get_by_name(world.scope, "local", "off")
    await work_queues.update(world.scope, queue.id, WorkQueueUpdate(is_paused=True))
    await world.claim(0)
    await world.claim(0, pool="other")
    assert await late.tick(world.scope) == 4
    assert await reason(world, free) == "Workers poll work queue 'default', but none has had room for it."
    assert await reason(world, held) == "Deployment 'etl/paused' is paused since 2026-03-02 09:00:00 UTC."
    assert await reason(world, shut) == "Work queue 'off' is paused since 2026-03-02 09:00:00 UTC."
    assert await reason(world, zero) == "Work pool 'other' has a concurrency limit of 0."


async def test_a_run_that_is_deleted_meanwhile_stops_nobody(
    world: World, it: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, left = await world.runs(it, 2, due=-60)
    seen = ids([gone, left])

    async def as_seen(_tx: object, **_fields: object) -> object:
        return seen

    await flow_runs.delete(world.scope, gone.id)
    monkeypatch.setattr(rows, "turned_late", as_seen)
    assert await late.tick(world.scope) == 1
    assert (await world.get(left)).state_name == "Late"


@dataclass
class Counted:
    """A database that counts the statements of its reads."""

    store: Any
    statements: int = 0

    async def read(self, unit: Any) -> Any:
        return await self.store.read(lambda tx: unit(CountedTx(tx, self)))

    async def submit(self, command: Any, item: Any) -> Any:
        return await self.store.submit(command, item)


@dataclass
class CountedTx:
    tx: Any
    counted: Counted

    @property
    def dialect(self) -> str:
        kind: str = self.tx.dialect
        return kind

    async def fetch(self, sql: Any, params: Any = None) -> Any:
        self.counted.statements += 1
        return await self.tx.fetch(sql, params or {})


async def test_the_reasons_of_a_page_cost_a_few_statements_whatever_is_in_it(world: World, it: Deployment) -> None:
    for n in range(12):
        await world.pool(f"p{n}")
        owner = await world.deploy(f"d{n}", work_pool_name=f"p{n}", work_queue_name=f"q{n}")
        await world.runs(owner, 3, due=world.now - timedelta(seconds=60))
    counted = Counted(world.scope.store)
    assert await late.tick(replace(world.scope, store=counted)) == 36
    assert counted.statements <= 6
