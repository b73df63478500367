"""An API in memory, with the real rules for states."""

import asyncio
import json
import re
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec

from headgate.client.transport import Request, Response
from headgate.core.states import TERMINAL, Abort, Accept, Current, Reject, Wait, decide
from headgate.errors import Unreachable
from headgate.schema.claims import (
    AgentClaimRequest,
    AgentClaimResponse,
    AgentLeaseRenewal,
    ClaimRequest,
    ClaimResponse,
    Grant,
    HeldLease,
    Lease,
    LeaseRenewal,
    LeaseRenewalResponse,
    PolledPool,
    Stray,
)
from headgate.schema.deployments import Deployment
from headgate.schema.flow_runs import FlowRun, FlowRunPolicy
from headgate.schema.flows import Flow
from headgate.schema.logs import LogCreate
from headgate.schema.states import (
    OrchestrationDetails,
    OrchestrationResult,
    OrchestrationStatus,
    SetState,
    State,
    StateCreate,
    StateDetails,
    StateType,
)
from headgate.schema.work_pools import WorkPool, WorkPoolCreate
from headgate.schema.work_queues import WorkQueue, WorkQueueCreate

START = datetime(2026, 1, 1, tzinfo=UTC)


def stamps() -> dict[str, Any]:
    return {"id": uuid4(), "created": START, "updated": START}


@dataclass
class Run:
    """A run as the server keeps it."""

    record: FlowRun
    deployment: Deployment
    queue: str
    worker: str | None = None
    history: list[State] = field(default_factory=list)
    returned: int = 0

    @property
    def types(self) -> list[str]:
        return [state.type.value for state in self.history]


class _Returned(msgspec.Struct):
    """What a worker and an agent send alike when they give claims back."""

    leases: list[HeldLease]


class FakeApi:
    """Claims, leases, states, logs; `away` makes it unreachable, `lost` lists leases that it denies, `drain` tells all.

    `references` come with every grant.
    """

    def __init__(self) -> None:
        self.pools: dict[str, WorkPool] = {}
        self.queues: dict[str, WorkQueue] = {}
        self.runs: dict[UUID, Run] = {}
        self.logs: list[LogCreate] = []
        self.log_batches: list[int] = []
        self.requests: list[str] = []
        self.claims: list[Any] = []
        self.renewals: list[Any] = []
        self.held: list[str] = []
        self.forgotten: list[UUID] = []
        self.strays: list[Stray] = []
        self.lost: set[UUID] = set()
        self.references: dict[str, Any] = {}
        self.paused = False
        self.drain = False
        self.away = False
        self.failures: list[Response | Exception] = []
        self.flow = Flow(name="flow", **stamps())
        self.changed = asyncio.Event()
        self.closed = False

    # What tests use

    def add_pool(self, name: str = "pool", type: str = "process", template: dict[str, Any] | None = None) -> WorkPool:
        body = WorkPoolCreate(name=name, type=type, base_job_template=template or {})
        given = {"name": body.name, "type": body.type, "base_job_template": body.base_job_template}
        pool = WorkPool(default_queue_id=uuid4(), **stamps(), **given)
        self.pools[name] = pool
        return pool

    def add_run(
        self,
        *,
        command: str | None = None,
        engine: str | None = None,
        due_in: float = 0.0,
        queue: str = "default",
        pool: str = "pool",
        retries: int = 0,
        parameters: dict[str, Any] | None = None,
        **deployment: Any,
    ) -> Run:
        """A scheduled run: of a `command`, or of Python source `engine` that stands in for the engine."""
        variables: dict[str, Any] = deployment.pop("job_variables", {})
        if engine is not None:
            variables = {"command": f"{sys.executable} -c {json.dumps(engine)}", **variables}
        due = datetime.now(UTC) + timedelta(seconds=due_in)
        record = FlowRun(
            name=f"run-{len(self.runs)}",
            flow_id=self.flow.id,
            parameters=parameters or {},
            expected_start_time=due,
            empirical_policy=FlowRunPolicy(retries=retries, retry_delay=0),
            work_pool_name=pool,
            **stamps(),
        )
        made = Deployment(name="d", flow_id=self.flow.id, command=command, job_variables=variables, **stamps(), **deployment)
        run = self.runs[record.id] = Run(record, made, queue)
        self.enter(run, StateCreate(type=StateType.SCHEDULED, state_details=StateDetails(scheduled_time=due)))
        return run

    def enter(self, run: Run, state: StateCreate) -> None:
        """Put a run into a state, whatever the rules say."""
        name = state.name or state.type.value.title()
        details = state.state_details or StateDetails()
        if state.type is StateType.PENDING and run.record.state is not None:
            details.scheduled_time = run.record.state.state_details.scheduled_time
        entered = State(
            id=uuid4(), type=state.type, name=name, timestamp=START, message=state.message, state_details=details
        )
        run.record.state, run.record.state_type = entered, state.type
        run.record.run_count += state.type is StateType.RUNNING
        run.history.append(entered)
        self._notify()

    async def until(self, condition: Callable[[], bool], seconds: float = 8.0) -> None:
        """Wait until what the API has seen fulfils a condition."""
        async with asyncio.timeout(seconds):
            while not condition():
                await self.changed.wait()

    def tell_to_drain(self) -> None:
        """Answer open claims, and all calls from now on, with the request to drain."""
        self.drain = True
        self._notify()

    def messages(self, run: Run) -> list[str]:
        return [line.message for line in self.logs if line.flow_run_id == run.record.id]

    async def until_held(self, *runs: Run) -> None:
        """Wait for a heartbeat that carries the leases of exactly these runs, all of them started."""
        expected = {run.record.id for run in runs}
        count = len(self.renewals)
        await self.until(lambda: all(run.record.infrastructure_pid for run in runs))
        await self.until(
            lambda: len(self.renewals) > count and {x.flow_run_id for x in self.renewals[-1].leases} == expected
        )

    # What the client uses

    async def send_async(self, request: Request) -> Response:
        await asyncio.sleep(0)
        self.requests.append(f"{request.method} {request.target}")
        self._notify()
        if self.away:
            raise Unreachable("No answer from the API at fake: away.")
        if self.failures:
            failure = self.failures.pop(0)
            if isinstance(failure, Exception):
                raise failure
            return failure
        for pattern, route in self._routes().items():
            if found := re.fullmatch(pattern, f"{request.method} {request.target.partition('?')[0]}"):
                response = await route(request.body or b"null", *found.groups())
                self._notify()
                if self.away:
                    raise Unreachable("No answer from the API at fake: away.")
                return response
        return Response(404, b'{"detail":"Not Found"}')

    async def close_async(self) -> None:
        self.closed = True

    def _notify(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()

    def _routes(self) -> dict[str, Callable[..., Coroutine[Any, Any, Response]]]:
        return {
            "GET /work_pools/([^/]+)": self._get_pool,
            "POST /work_pools/": self._create_pool,
            "POST /work_pools/filter": self._list_pools,
            "GET /work_pools/([^/]+)/queues/([^/]+)": self._get_queue,
            "POST /work_pools/([^/]+)/queues": self._create_queue,
            "POST /work_pools/([^/]+)/claim": self._claim,
            "POST /work_pools/([^/]+)/leases/renew": self._renew,
            "POST /work_pools/([^/]+)/leases/return": self._give_back,
            "POST /agents/claim": self._claim_for_agent,
            "POST /agents/leases/renew": self._renew_for_agent,
            "POST /agents/leases/return": self._give_back,
            "DELETE /agents/([^/]+)": self._forget_agent,
            "GET /flow_runs/([^/]+)": self._get_run,
            "PATCH /flow_runs/([^/]+)": self._update_run,
            "POST /flow_runs/([^/]+)/set_state": self._set_state,
            "POST /logs/": self._write_logs,
        }

    async def _get_pool(self, body: bytes, name: str) -> Response:
        pool = self.pools.get(name)
        return ok(pool) if pool else Response(404, b'{"detail":"Work pool not found."}')

    async def _create_pool(self, body: bytes) -> Response:
        given = msgspec.json.decode(body, type=WorkPoolCreate)
        if given.name in self.pools:
            return Response(409, b'{"detail":"A work pool with this name already exists."}')
        return ok(self.add_pool(given.name, given.type, given.base_job_template), 201)

    async def _list_pools(self, body: bytes) -> Response:
        return ok(list(self.pools.values()))

    async def _get_queue(self, body: bytes, pool: str, name: str) -> Response:
        return ok(self.queues[name]) if name in self.queues else Response(404, b'{"detail":"no such queue"}')

    async def _create_queue(self, body: bytes, pool: str) -> Response:
        name = msgspec.json.decode(body, type=WorkQueueCreate).name
        self.queues[name] = WorkQueue(name=name, **stamps())
        return ok(self.queues[name], 201)

    async def _claim(self, body: bytes, name: str) -> Response:
        if name not in self.pools:
            return Response(404, b'{"detail":"Work pool not found."}')
        request = msgspec.json.decode(body, type=ClaimRequest)
        answer = ClaimResponse(base_job_template=self.pools[name].base_job_template, paused=self.paused)
        return await self._hold(request, answer, request.worker, [name])

    async def _claim_for_agent(self, body: bytes) -> Response:
        request = msgspec.json.decode(body, type=AgentClaimRequest)
        if request.pool is not None and request.pool.startswith("prefect"):
            return Response(403, b'{"detail":"The name is reserved."}')
        if request.pool is not None and request.pool not in self.pools:
            self.add_pool(request.pool, type="prefect-agent")
        polled = [self.pools[request.pool]] if request.pool else list(self.pools.values())
        pools = [
            PolledPool(name=pool.name, type=pool.type, base_job_template=pool.base_job_template, paused=self.paused)
            for pool in polled
        ]
        served = [pool.name for pool in polled if pool.type in ("prefect-agent", *(request.types or ()))]
        return await self._hold(request, AgentClaimResponse(pools=pools), str(request.agent_id), served)

    async def _hold(self, request: Any, answer: Any, who: str, pools: list[str]) -> Response:
        self.claims.append(request)
        answer.held = self.held
        end = asyncio.get_running_loop().time() + request.wait_seconds
        while True:
            answer.grants = [] if self.drain else self._grants(request, who, pools)
            answer.cancel, answer.drain = self._cancels(who), self.drain
            answer.strays = [each for each in self.strays if each.lease.flow_run_id not in request.cancelling]
            left = end - asyncio.get_running_loop().time()
            if answer.grants or answer.cancel or answer.strays or answer.drain or left <= 0:
                return ok(answer)
            try:
                async with asyncio.timeout(min(left, 0.05)):
                    await self.changed.wait()
            except TimeoutError:
                pass

    def _grants(self, request: Any, who: str, pools: list[str]) -> list[Grant]:
        horizon = datetime.now(UTC) + timedelta(seconds=request.prefetch_seconds)
        ready = [
            run
            for run in self.runs.values()
            if run.record.state is not None
            and run.record.state_type is StateType.SCHEDULED
            and run.worker is None
            and (run.record.state.state_details.scheduled_time or horizon) <= horizon
            and (not request.queues or run.queue in request.queues)
            and run.record.work_pool_name in pools
            and not self.paused
        ]
        return [self._grant(run, who) for run in ready[: request.room]]

    def _grant(self, run: Run, worker: str) -> Grant:
        run.worker = worker
        run.record.fence += 1
        self.enter(run, StateCreate(type=StateType.PENDING))
        lease = Lease(flow_run_id=run.record.id, fence=run.record.fence, expires_at=START)
        return Grant(
            lease=lease,
            flow_run=run.record,
            flow=self.flow,
            deployment=run.deployment,
            work_queue_name=run.queue,
            job_variables=run.deployment.job_variables,
            references=self.references,
        )

    def _cancels(self, worker: str) -> list[UUID]:
        return [
            run.record.id
            for run in self.runs.values()
            if run.worker == worker and run.record.state_type is StateType.CANCELLING
        ]

    async def _renew(self, body: bytes, name: str) -> Response:
        request = msgspec.json.decode(body, type=LeaseRenewal)
        return self._renewed(request, request.worker)

    async def _renew_for_agent(self, body: bytes) -> Response:
        request = msgspec.json.decode(body, type=AgentLeaseRenewal)
        return self._renewed(request, str(request.agent_id))

    def _renewed(self, request: Any, who: str) -> Response:
        self.renewals.append(request)
        lost = [lease.flow_run_id for lease in request.leases if lease.flow_run_id in self.lost]
        cancel = self._cancels(who)
        return ok(LeaseRenewalResponse(expires_at=START, lost=lost, cancel=cancel, drain=self.drain))

    async def _forget_agent(self, body: bytes, id: str) -> Response:
        self.forgotten.append(UUID(id))
        return Response(204, b"")

    async def _give_back(self, body: bytes, *name: str) -> Response:
        for lease in msgspec.json.decode(body, type=_Returned).leases:
            run = self.runs[lease.flow_run_id]
            run.worker = None
            run.returned += 1
            self.enter(run, StateCreate(type=StateType.SCHEDULED, state_details=run.history[0].state_details))
        return Response(204, b"")

    async def _get_run(self, body: bytes, id: str) -> Response:
        run = self.runs.get(UUID(id))
        return ok(run.record) if run else Response(404, b'{"detail":"Flow run not found"}')

    async def _update_run(self, body: bytes, id: str) -> Response:
        self.runs[UUID(id)].record.infrastructure_pid = msgspec.json.decode(body)["infrastructure_pid"]
        return Response(204, b"")

    async def _set_state(self, body: bytes, id: str) -> Response:
        run, proposal = self.runs[UUID(id)], msgspec.json.decode(body, type=SetState)
        before = run.record.state
        assert before is not None
        current = Current(
            type=before.type,
            name=before.name,
            scheduled_time=before.state_details.scheduled_time,
            transition_id=before.state_details.transition_id,
            has_deployment=True,
            run_count=run.record.run_count,
            retries=run.record.empirical_policy.retries or 0,
            fence=run.record.fence,
        )
        decision = decide(current, proposal.state, now=datetime.now(UTC), fence=proposal.fence)
        match decision:
            case Accept(state):
                self.enter(run, state)
                return answer(run, OrchestrationStatus.ACCEPT)
            case Reject(reason, state):
                if state is not None:
                    self.enter(run, state)
                return answer(run, OrchestrationStatus.REJECT, reason)
            case Wait(seconds, reason):
                return answer(None, OrchestrationStatus.WAIT, reason, seconds)
            case Abort(reason):
                return answer(None, OrchestrationStatus.ABORT, reason)

    async def _write_logs(self, body: bytes) -> Response:
        lines = msgspec.json.decode(body, type=list[LogCreate])
        for line in lines:
            run = self.runs.get(line.flow_run_id) if line.flow_run_id else None
            if run is not None and line.name == "headgate.flow_runs":
                assert run.record.state_type not in TERMINAL, "a run's own lines come before its last state"
        self.logs += lines
        self.log_batches.append(len(body))
        return Response(201, b"null")


def ok(value: Any, status: int = 200) -> Response:
    return Response(status, msgspec.json.encode(value))


def answer(run: Run | None, status: OrchestrationStatus, reason: str | None = None, delay: int | None = None) -> Response:
    details = OrchestrationDetails(type=f"{status.value.lower()}_details", reason=reason, delay_seconds=delay)
    state = run.record.state if run is not None else None
    return ok(OrchestrationResult(state=state, status=status, details=details))
