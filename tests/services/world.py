"""Short words for what tests of use cases do again and again; every word is a use case of `headgate.services`."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from headgate.clock import FrozenClock
from headgate.schema.claims import (
    AgentClaimRequest,
    AgentClaimResponse,
    ClaimRequest,
    ClaimResponse,
    Grant,
    HeldLease,
    LeaseRenewal,
    LeaseRenewalResponse,
    LeaseReturn,
)
from headgate.schema.deployments import Deployment, DeploymentCreate, DeploymentScheduleCreate, DeploymentUpdate
from headgate.schema.filters import FlowRunFilter, FlowRunQuery, FlowRunSort, NullableIdFilter
from headgate.schema.flow_runs import DeploymentFlowRunCreate, FlowRun, FlowRunUpdate
from headgate.schema.flows import Flow, FlowCreate
from headgate.schema.schedules import Schedule
from headgate.schema.states import (
    OrchestrationResult,
    OrchestrationStatus,
    SetState,
    State,
    StateCreate,
    StateDetails,
    StateType,
)
from headgate.schema.work_pools import GetScheduledFlowRuns, WorkerFlowRun, WorkPool, WorkPoolCreate, WorkPoolUpdate
from headgate.schema.work_queues import WorkQueue, WorkQueueCreate, WorkQueueUpdate
from headgate.services import claims, deployments, flow_runs, flows, leases, polls, states, work_pools, work_queues
from headgate.services.event_streams import EventStreams
from headgate.services.scope import Scope
from headgate.services.wakeups import Wakeups
from headgate.store.database import Database

HOLDING = ("PENDING", "RUNNING", "CANCELLING")


@dataclass
class World:
    """Everything is on the pool `local` and of the flow `etl` unless said otherwise."""

    scope: Scope
    clock: FrozenClock

    @property
    def now(self) -> datetime:
        return self.clock()

    def beside(self, store: Database) -> "World":
        """The same time on another connection: a second server, which wakes only its own callers."""
        return World(replace(self.scope, store=store, wakeups=Wakeups(), event_streams=EventStreams()), self.clock)

    async def flow(self, name: str = "etl") -> Flow:
        return (await flows.create(self.scope, FlowCreate(name=name)))[0]

    async def pool(self, name: str = "local", **fields: Any) -> WorkPool:
        return await work_pools.create(self.scope, WorkPoolCreate(**{"name": name, "type": "process"} | fields))

    async def change_pool(self, name: str = "local", **fields: Any) -> None:
        await work_pools.update(self.scope, name, WorkPoolUpdate(**fields))

    async def change_queue(self, id: UUID, **fields: Any) -> None:
        await work_queues.update(self.scope, id, WorkQueueUpdate(**fields))

    async def change_deployment(self, it: Deployment, **fields: Any) -> None:
        await deployments.update(self.scope, it.id, DeploymentUpdate(**fields))

    async def queue(self, name: str, pool: str = "local", **fields: Any) -> WorkQueue:
        return await work_queues.create(self.scope, pool, WorkQueueCreate(name=name, **fields))

    async def queue_of_agents(self, name: str, **fields: Any) -> WorkQueue:
        """A queue that is named without a pool."""
        return await work_pools.create_queue(self.scope, WorkQueueCreate(name=name, **fields))

    async def deploy(self, name: str = "nightly", *, flow: str = "etl", **fields: Any) -> Deployment:
        """A deployment; `schedule` is short for one schedule."""
        if (schedule := fields.pop("schedule", None)) is not None:
            fields["schedules"] = [DeploymentScheduleCreate(schedule=schedule)]
        about: dict[str, Any] = {"name": name, "flow_id": (await self.flow(flow)).id, "work_pool_name": "local"}
        return (await deployments.create(self.scope, DeploymentCreate(**about | fields)))[0]

    async def run(self, of: Deployment, *, due: float | datetime = 0.0, **fields: Any) -> FlowRun:
        """A run that is due so many seconds from now, or at a time."""
        time = due if isinstance(due, datetime) else self.now + timedelta(seconds=due)
        state = StateCreate(type=StateType.SCHEDULED, state_details=StateDetails(scheduled_time=time))
        body = DeploymentFlowRunCreate(**{"state": state} | fields)
        return (await flow_runs.create_of_deployment(self.scope, of.id, body)).run

    async def runs(self, of: Deployment, count: int, **fields: Any) -> list[FlowRun]:
        return list(await asyncio.gather(*(self.run(of, **fields) for _ in range(count))))

    async def claim(self, room: int = 100, *, pool: str = "local", **fields: Any) -> ClaimResponse:
        return await claims.claim(self.scope, pool, self._claim(room, fields))

    async def grants(self, room: int = 100, **fields: Any) -> list[Grant]:
        return (await self.claim(room, **fields)).grants

    async def granted(self, room: int = 100, **fields: Any) -> list[UUID]:
        """Ids of the runs that a claim gives, in its order."""
        return ids(grant.flow_run for grant in await self.grants(room, **fields))

    def _claim(self, room: int, fields: dict[str, Any]) -> ClaimRequest:
        about: dict[str, Any] = {"worker": "w", "worker_type": "process", "room": room}
        return ClaimRequest(**about | fields)

    async def agent_claim(self, room: int = 100, **fields: Any) -> AgentClaimResponse:
        """The claim of an agent, a new one unless said otherwise."""
        return await claims.claim_for_agent(self.scope, AgentClaimRequest(**{"agent_id": uuid4(), "room": room} | fields))

    async def renew(self, *held: Grant, worker: str = "w", pool: str | None = "local") -> LeaseRenewalResponse:
        return await leases.renew(self.scope, pool, LeaseRenewal(worker=worker, leases=leases_of(held)))

    async def give_back(self, *held: Grant) -> None:
        await leases.give_back(self.scope, LeaseReturn(worker="w", leases=leases_of(held)))

    async def poll(self, pool: str = "local", **fields: Any) -> list[WorkerFlowRun]:
        return await polls.poll(self.scope, pool, GetScheduledFlowRuns(**fields))

    async def propose(self, run: FlowRun | Grant, kind: str, **fields: Any) -> OrchestrationResult:
        """A proposal; of a grant, with its fence. `due` is the state's time, `key` its transition id."""
        fence = fields.pop("fence", None)
        if isinstance(run, Grant):
            fence = run.lease.fence if fence is None else fence
            run = run.flow_run
        details = StateDetails(scheduled_time=fields.pop("due", None), transition_id=fields.pop("key", None) or uuid4())
        force, take_lease = fields.pop("force", False), fields.pop("take_lease", False)
        state = StateCreate(type=StateType(kind), state_details=details, **fields)
        body = SetState(state=state, force=force, fence=fence, take_lease=take_lease)
        return (await states.set_state(self.scope, run.id, body)).result

    async def accepted(self, run: FlowRun | Grant, *kinds: str, **fields: Any) -> None:
        """Proposals of which each must be accepted."""
        for kind in kinds:
            result = await self.propose(run, kind, **fields)
            assert result.status is OrchestrationStatus.ACCEPT, result

    async def name_process(self, held: Grant, identifier: str) -> None:
        """Its holder started it as that."""
        await flow_runs.update(self.scope, held.flow_run.id, FlowRunUpdate(infrastructure_pid=identifier))

    async def get(self, run: FlowRun | Grant) -> FlowRun:
        return await flow_runs.get(self.scope, run.flow_run.id if isinstance(run, Grant) else run.id)

    async def history(self, run: FlowRun | Grant) -> list[str]:
        return [state.name for state in await self.states(run)]

    async def states(self, run: FlowRun | Grant) -> list[State]:
        return await flow_runs.states(self.scope, run.flow_run.id if isinstance(run, Grant) else run.id)

    async def runs_of(self, deployment: Deployment) -> list[FlowRun]:
        """All runs of a deployment, by time."""
        chosen = FlowRunFilter(deployment_id=NullableIdFilter(any_=[deployment.id]))
        query = FlowRunQuery(flow_runs=chosen, sort=FlowRunSort.EXPECTED_START_TIME_ASC)
        return await flow_runs.list_page(self.scope, query)

    async def value(self, sql: str, **params: Any) -> Any:
        """One value, straight from the database."""
        return await self.scope.store.read(lambda tx: tx.fetch_value(sql, params))

    async def slots(self, **where: Any) -> int:
        """How many slots are taken, in all or where columns have values."""
        tests = "".join(f" AND {name} = :{name}" for name in where)
        found: int = await self.value(f"SELECT count(*) FROM flow_run WHERE holds_slot{tests}", **where)
        return found


def ids(runs: Iterable[FlowRun]) -> list[UUID]:
    return [run.id for run in runs]


def leases_of(grants: Iterable[Grant]) -> list[HeldLease]:
    return [HeldLease(flow_run_id=grant.flow_run.id, fence=grant.lease.fence) for grant in grants]


def every(seconds: float, anchor: datetime) -> Schedule:
    return Schedule(interval=seconds, anchor_date=anchor, timezone="UTC")


def cron(text: str, zone: str = "UTC") -> Schedule:
    return Schedule(cron=text, timezone=zone)
