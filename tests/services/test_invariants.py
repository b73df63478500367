"""What always holds, whatever users, workers, engines and background jobs do, in whatever order."""

import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from world import World

from headgate.core.states import HOLDS_SLOT, TERMINAL
from headgate.errors import Conflict, Invalid, NotFound
from headgate.schema.claims import Grant
from headgate.schema.deployments import Deployment, DeploymentUpdate
from headgate.schema.flow_runs import FlowRun, FlowRunPolicy
from headgate.schema.states import StateType
from headgate.services import deployments, flow_runs, work_queues
from headgate.services.loops import late
from headgate.services.loops.lifeline import Lifeline

STEPS = 200
LIMIT = 4
NARROW = 2

_BROKEN = {
    "a slot is held by whoever is under way or has a lease, and by nobody else": f"""
        SELECT count(*) FROM flow_run WHERE holds_slot <> (
            state_type IN ({", ".join(f"'{kind}'" for kind in HOLDS_SLOT)}) OR lease_expires_at IS NOT NULL)""",
    "a holder has a lease": "SELECT count(*) FROM flow_run WHERE worker_id IS NOT NULL AND lease_expires_at IS NULL",
    "what waits has a time, and nothing else has": """
        SELECT count(*) FROM flow_run WHERE (due_at IS NOT NULL) <> (state_type = 'SCHEDULED')""",
    "what is over has an end, and nothing else has": f"""
        SELECT count(*) FROM flow_run
        WHERE (end_time IS NOT NULL) <> (state_type IN ({", ".join(f"'{kind}'" for kind in TERMINAL)}))""",
    "a run's state is the last of its history": """
        SELECT count(*) FROM flow_run r WHERE NOT EXISTS (
            SELECT 1 FROM flow_run_state s WHERE s.flow_run_id = r.id AND s.id = r.state_id AND s.type = r.state_type
                AND s.name = r.state_name AND NOT EXISTS (
                    SELECT 1 FROM flow_run_state l WHERE l.flow_run_id = r.id AND l.id > s.id))""",
    "a run that ran has a start, and one that ended": """
        SELECT count(*) FROM flow_run WHERE start_time IS NULL AND (run_count > 0 OR end_time IS NOT NULL)
            OR start_time IS NOT NULL AND run_count = 0 AND NOT EXISTS (
                SELECT 1 FROM flow_run_state s WHERE s.flow_run_id = flow_run.id AND s.timestamp = start_time)""",
    "a run has its detail": """
        SELECT count(*) FROM flow_run r LEFT JOIN flow_run_detail d ON d.flow_run_id = r.id WHERE d.name IS NULL""",
    "a run that waits can be reached": """
        SELECT count(*) FROM flow_run r WHERE r.state_type = 'SCHEDULED' AND r.work_queue_id IS NOT NULL
            AND NOT EXISTS (SELECT 1 FROM work_queue q WHERE q.id = r.work_queue_id AND q.work_pool_id = r.work_pool_id)""",
    "no queue shares its rank": """
        SELECT count(*) FROM work_queue a JOIN work_queue b
            ON a.work_pool_id = b.work_pool_id AND a.priority = b.priority AND a.id < b.id""",
}


async def broken_rules(world: World, narrow: Deployment) -> list[str]:
    """The rules that do not hold just now."""
    limits = {
        "no more slots than the pool has": f"SELECT count(*) / {LIMIT + 1} FROM flow_run WHERE holds_slot",
        "no more than the deployment has": f"""
            SELECT count(*) / {NARROW + 1} FROM flow_run WHERE holds_slot AND deployment_id = '{narrow.id}'""",
    }
    counts = ", ".join(f"({sql}) AS c{number}" for number, sql in enumerate([*_BROKEN.values(), *limits.values()]))
    row = await world.scope.store.read(lambda tx: tx.fetch_one(f"SELECT {counts}"))
    assert row is not None
    return [rule for number, rule in enumerate([*_BROKEN, *limits]) if row[f"c{number}"]]


@dataclass
class Chaos:
    """Random acts on a small world; what is refused is refused, what is done is remembered."""

    world: World
    random: random.Random
    deployed: list[Deployment] = field(default_factory=list)
    runs: list[FlowRun] = field(default_factory=list)
    held: list[Grant] = field(default_factory=list)
    lifeline: Lifeline = field(default_factory=Lifeline)

    async def step(self) -> str:
        """One act; its name."""
        acts: list[Callable[[], Awaitable[Any]]] = [
            self.create,
            self.create,
            self.claim,
            self.claim_as_agent,
            self.report,
            self.report,
            self.report,
            self.propose,
            self.give_back,
            self.renew,
            self.wait,
            self.recover,
            self.late,
            self.delete_run,
            self.move,
            self.drop_queue,
        ]
        act = self.random.choice(acts)
        with suppress(NotFound, Invalid, Conflict):
            await act()
        return act.__name__

    async def create(self) -> None:
        policy = FlowRunPolicy(retries=self.random.choice([0, 2]), retry_delay=self.random.choice([0, 30]))
        due = self.random.choice([-5, 0, 5])
        self.runs.append(await self.world.run(self.random.choice(self.deployed), due=due, empirical_policy=policy))

    async def claim(self) -> None:
        prefetch = self.random.choice([0, 10])
        self.held += await self.world.grants(self.random.randint(1, 3), prefetch_seconds=prefetch)

    async def claim_as_agent(self) -> None:
        prefix = self.random.choice(["a", "d", None])
        self.held += (await self.world.agent_claim(self.random.randint(1, 3), pool="local", match=prefix)).grants

    async def report(self) -> None:
        """A holder, perhaps a late one, reports a state."""
        kind = self.random.choice(["RUNNING", "RUNNING", "COMPLETED", "FAILED", "CRASHED", "CANCELLED"])
        await self.world.propose(self.random.choice(self.held or [None]) or self.random.choice(self.runs), kind)

    async def propose(self) -> None:
        """Anybody proposes anything."""
        kind, take_lease = self.random.choice(list(StateType)), self.random.random() < 0.3
        await self.world.propose(self.random.choice(self.runs), kind, take_lease=take_lease)

    async def give_back(self) -> None:
        await self.world.give_back(*self.random.sample(self.held, min(2, len(self.held))))

    async def renew(self) -> None:
        await self.world.renew(*self.random.sample(self.held, min(5, len(self.held))))

    async def wait(self) -> None:
        self.world.clock.advance(seconds=self.random.choice([1, 10, 25]))

    async def recover(self) -> None:
        await self.lifeline.tick(self.world.scope)

    async def late(self) -> None:
        await late.tick(self.world.scope)

    async def delete_run(self) -> None:
        if len(self.runs) > 5:
            await flow_runs.delete(self.world.scope, self.runs.pop(self.random.randrange(len(self.runs))).id)

    async def move(self) -> None:
        queue = self.random.choice(["default", "a", "b", "c"])
        it = self.random.choice(self.deployed)
        await deployments.update(self.world.scope, it.id, DeploymentUpdate(work_queue_name=queue))

    async def drop_queue(self) -> None:
        queue = await work_queues.get_by_name(self.world.scope, "local", self.random.choice(["a", "b", "c"]))
        await work_queues.delete(self.world.scope, queue.id)


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_whatever_happens(world: World, seed: int) -> None:
    """After every act the records agree with each other, and no limit is exceeded by anybody who keeps to the rules."""
    await world.pool(concurrency_limit=LIMIT)
    chaos = Chaos(world, random.Random(seed))
    chaos.deployed = [await world.deploy("wide"), await world.deploy("narrow", concurrency_limit=NARROW)]
    await chaos.create()
    acts = []
    for _ in range(STEPS):
        acts.append(await chaos.step())
        broken = await broken_rules(world, chaos.deployed[1])
        assert not broken, acts[-5:]
    assert len(set(acts)) > 10


async def test_in_the_end_everything_ends(world: World) -> None:
    """However it was left, a world without a limit in the way drains: no run is lost, no slot is kept."""
    await world.pool(concurrency_limit=LIMIT)
    chaos = Chaos(world, random.Random(9))
    chaos.deployed = [await world.deploy("wide"), await world.deploy("narrow", concurrency_limit=NARROW)]
    await chaos.create()
    for _ in range(STEPS):
        await chaos.step()
    for run in chaos.runs:
        if (await world.get(run)).state_type in (StateType.PAUSED, StateType.PENDING, StateType.RUNNING):
            await world.propose(run, "SCHEDULED", force=True)
        if (await world.get(run)).state_type is StateType.CANCELLING:
            await world.accepted(run, "CANCELLED")
    for _ in range(300):
        world.clock.advance(seconds=25)
        await chaos.lifeline.tick(world.scope)
        for grant in await world.grants():
            await world.propose(grant, "RUNNING")
            await world.propose(grant, "COMPLETED")
    left = [(await world.get(run)).state_name for run in chaos.runs]
    assert set(left) <= {"Completed", "Failed", "Crashed", "Cancelled"}
    assert await world.slots() == 0
