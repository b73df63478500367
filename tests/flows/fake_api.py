"""A tiny API in memory: enough of the calls that flows make, and ways to make it misbehave.

It answers with the records of `headgate.schema`, and is a transport of both clients; `served` puts it behind HTTP.
"""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote
from uuid import UUID, uuid4

import msgspec

from headgate.client.transport import Request, Response
from headgate.errors import Unreachable
from headgate.schema.claims import HeldLease, LeaseRenewalResponse
from headgate.schema.deployments import (
    Deployment,
    DeploymentCreate,
    DeploymentSchedule,
    DeploymentUpdate,
    GetScheduledRuns,
)
from headgate.schema.filters import FlowRunQuery
from headgate.schema.flow_runs import DeploymentFlowRunCreate, FlowRun, FlowRunUpdate
from headgate.schema.flows import Flow, FlowCreate
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
from headgate.schema.work_pools import WorkPool

FINAL = {StateType.COMPLETED, StateType.FAILED, StateType.CRASHED, StateType.CANCELLED}
ACCEPT, REJECT = OrchestrationStatus.ACCEPT, OrchestrationStatus.REJECT
WAIT, ABORT = OrchestrationStatus.WAIT, OrchestrationStatus.ABORT


class Refused(Exception):
    """An answer that is not 2xx."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class FakeApi:
    """Records by id, and what was asked in `calls`.

    - `down`: every call finds nobody. `failing`: calls whose path holds a key are answered with that status.
    - `repeated`: calls whose path holds it are carried out twice, as when an answer is lost and the call sent again.
    - `before`: called with (method, target) ahead of each answer, from the thread that asks.
    """

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.clock = clock
        self.flows: dict[UUID, Flow] = {}
        self.deployments: dict[UUID, Deployment] = {}
        self.runs: dict[UUID, FlowRun] = {}
        self.history: dict[UUID, list[State]] = {}
        self.proposals: list[SetState] = []
        self.pools: dict[str, WorkPool] = {}
        self.logs: list[LogCreate] = []
        self.calls: list[tuple[str, str]] = []
        self.renewals = 0
        self.lost: set[UUID] = set()
        self.restarts: set[UUID] = set()
        self.down = False
        self.failing: dict[str, int] = {}
        self.repeated: str | None = None
        self.before: Callable[[str, str], None] = lambda method, target: None
        self.changed = threading.Condition()

    # What tests arrange and look at

    def add_pool(self, name: str, **about: Any) -> WorkPool:
        """A work pool."""
        pool = WorkPool(id=uuid4(), created=self.clock(), updated=self.clock(), name=name, default_queue_id=uuid4(), **about)
        self.pools[name] = pool
        return pool

    def add_run(self, entrypoint: str | None, **about: Any) -> FlowRun:
        """A claimed run of a new deployment; `deployment` holds that one's fields, the rest are the run's."""
        flow = self._create_flow(FlowCreate(name="program"))
        fields = {"name": "daily", "flow_id": flow.id, "entrypoint": entrypoint, **about.pop("deployment", {})}
        deployment = Deployment(id=uuid4(), created=self.clock(), updated=self.clock(), **fields)
        self.deployments[deployment.id] = deployment
        scheduled = about.pop("scheduled_time", None)
        state = self._state(
            StateCreate(type=StateType.PENDING, state_details=StateDetails(scheduled_time=scheduled or self.clock()))
        )
        run = FlowRun(
            id=uuid4(),
            created=self.clock(),
            updated=self.clock(),
            flow_id=flow.id,
            deployment_id=deployment.id,
            **{"name": "brave-otter", "fence": 1, "expected_start_time": scheduled or self.clock(), **about},
        )
        self.runs[run.id] = run
        self.history[run.id] = []
        self._enter(run, state)
        return run

    def force(self, id: UUID, kind: StateType) -> None:
        """Put a run into a state, whatever the rules."""
        self._enter(self.runs[id], self._state(StateCreate(type=kind)))

    def states(self, id: UUID) -> list[str]:
        """Names of the states that a run was in, after Pending."""
        return [state.name for state in self.history[id]][1:]

    def messages(self, *, level: int = 0) -> list[str]:
        """Log lines of that level or more, in the order in which they came."""
        return [line.message for line in list(self.logs) if line.level >= level]

    def wait_until(self, condition: Callable[[], object], timeout: float = 20.0) -> None:
        """Block until something that was called made `condition` true."""
        with self.changed:
            assert self.changed.wait_for(condition, timeout), "it did not happen in time"

    # Transports

    def send(self, request: Request) -> Response:
        """Answer from a thread."""
        if self.down:
            raise Unreachable("The API is down, says the test.")
        status, body = self.answer(request.method, request.target, request.body or b"")
        return Response(status, body, {})

    async def send_async(self, request: Request) -> Response:
        """Answer from an event loop."""
        return self.send(request)

    def close(self) -> None:
        """Nothing to give up."""

    async def close_async(self) -> None:
        """Nothing to give up."""

    def answer(self, method: str, target: str, body: bytes) -> tuple[int, bytes]:
        """Status and JSON for a call."""
        self.before(method, target)
        with self.changed:
            self.calls.append((method, target))
            try:
                for part, status in self.failing.items():
                    if part in target:
                        raise Refused(status, f"The test wants {status} here.")
                if self.repeated is not None and self.repeated in target:
                    self._route(method, target.partition("?")[0], body)
                return 200, msgspec.json.encode(self._route(method, target.partition("?")[0], body))
            except Refused as refusal:
                return refusal.status, msgspec.json.encode({"detail": str(refusal)})
            finally:
                self.changed.notify_all()

    def _route(self, method: str, path: str, body: bytes) -> Any:
        for verb, pattern, kind, answer in ROUTES:
            found = re.fullmatch(pattern, path) if verb == method else None
            if found:
                given = [msgspec.json.decode(body, type=kind)] if kind else []
                return answer(self, *map(unquote, found.groups()), *given)
        raise Refused(404, f"No route for {method} {path}.")

    # Answers

    def _create_flow(self, body: FlowCreate) -> Flow:
        for flow in self.flows.values():
            if flow.name == body.name:
                return flow
        flow = Flow(id=uuid4(), created=self.clock(), updated=self.clock(), name=body.name)
        self.flows[flow.id] = flow
        return flow

    def _get_flow(self, id: str) -> Flow:
        return _known(self.flows, UUID(id), "Flow")

    def _create_deployment(self, body: DeploymentCreate) -> Deployment:
        old = next((d for d in self.deployments.values() if (d.flow_id, d.name) == (body.flow_id, body.name)), None)
        if body.work_pool_name is not None and body.work_pool_name not in self.pools:
            raise Refused(404, f'Work pool "{body.work_pool_name}" not found.')
        given = {name: getattr(body, name) for name in body.__struct_fields__ if name in Deployment.__struct_fields__}
        given = {name: value for name, value in given.items() if value is not None and name != "schedules"}
        if old is not None:  # what the body leaves out stays
            given = {"paused": old.paused} | given
        id = old.id if old else uuid4()
        schedules = old.schedules if old else []
        if body.schedules is not None:
            schedules = [
                DeploymentSchedule(
                    id=uuid4(),
                    created=self.clock(),
                    updated=self.clock(),
                    deployment_id=id,
                    schedule=each.schedule,
                    active=each.active is not False,
                    parameters=each.parameters,
                )
                for each in body.schedules
            ]
        made = Deployment(id=id, created=self.clock(), updated=self.clock(), schedules=schedules, **given)
        self.deployments[id] = made
        return made

    def _get_deployment(self, id: str) -> Deployment:
        return _known(self.deployments, UUID(id), "Deployment")

    def _get_deployment_by_name(self, flow: str, name: str) -> Deployment:
        for deployment in self.deployments.values():
            if (self.flows[deployment.flow_id].name, deployment.name) == (flow, name):
                return deployment
        raise Refused(404, "Deployment not found")

    def _update_deployment(self, id: str, body: DeploymentUpdate) -> None:
        _apply(self._get_deployment(id), body)

    def _create_run(self, id: str, body: DeploymentFlowRunCreate) -> FlowRun:
        deployment = self._get_deployment(id)
        for run in self.runs.values():
            if body.idempotency_key is not None and run.idempotency_key == body.idempotency_key:
                return run
        state = self._state(body.state or StateCreate(type=StateType.SCHEDULED))
        state.state_details.scheduled_time = state.state_details.scheduled_time or self.clock()
        run = FlowRun(
            id=uuid4(),
            created=self.clock(),
            updated=self.clock(),
            name=body.name or "quiet-heron",
            flow_id=deployment.flow_id,
            deployment_id=deployment.id,
            parameters={**deployment.parameters, **(body.parameters or {})},
            tags=[*deployment.tags, *(body.tags or [])],
            idempotency_key=body.idempotency_key,
            job_variables=body.job_variables,
            expected_start_time=state.state_details.scheduled_time,
        )
        self.runs[run.id] = run
        self.history[run.id] = []
        self._enter(run, state)
        return run

    def _get_scheduled(self, body: GetScheduledRuns) -> list[FlowRun]:
        before = body.scheduled_before or self.clock()
        due = [
            run
            for run in self.runs.values()
            if run.deployment_id in body.deployment_ids
            and run.state_type is StateType.SCHEDULED
            and run.state is not None
            and (run.state.state_details.scheduled_time or before) <= before
        ]
        return due[: body.limit]

    def _get_run(self, id: str) -> FlowRun:
        return _known(self.runs, UUID(id), "Flow run")

    def _update_run(self, id: str, body: FlowRunUpdate) -> None:
        _apply(self._get_run(id), body)

    def _query_runs(self, body: FlowRunQuery) -> list[FlowRun]:
        wanted = body.flow_runs
        ids = wanted.id.any_ if wanted and wanted.id else None
        kinds = wanted.state.type.any_ if wanted and wanted.state and wanted.state.type else None
        runs = [run for run in self.runs.values() if ids is None or run.id in ids]
        return [run for run in runs if kinds is None or run.state_type in kinds]

    def _renew(self, id: str, body: HeldLease) -> LeaseRenewalResponse:
        run = self._get_run(id)
        self.renewals += 1
        return LeaseRenewalResponse(
            expires_at=self.clock() + timedelta(seconds=20),
            lost=[run.id] if run.id in self.lost or body.fence != run.fence else [],
            cancel=[run.id] if run.state_type is StateType.CANCELLING else [],
        )

    def _write_logs(self, body: list[LogCreate]) -> None:
        self.logs += body

    def _get_pool(self, name: str) -> WorkPool:
        return _known(self.pools, name, "Work pool")

    def _query_pools(self) -> list[WorkPool]:
        return list(self.pools.values())

    def _set_state(self, id: str, body: SetState) -> OrchestrationResult:
        run = self._get_run(id)
        self.proposals.append(body)
        assert run.state is not None
        status, state, reason, delay = self._decide(run, run.state, body)
        if state is not run.state:
            self._enter(run, state)
        kind = f"{status.value.lower()}_details"
        result = OrchestrationResult(
            state=None if status is ABORT else state,
            status=status,
            details=OrchestrationDetails(type=kind, reason=reason, delay_seconds=delay),
        )
        if body.take_lease and status is ACCEPT:
            run.fence = result.fence = run.fence + 1
        return result

    def _decide(self, run: FlowRun, now: State, body: SetState) -> tuple[OrchestrationStatus, State, str | None, int | None]:
        """The rules of the server that matter to flows: status, the run's state, reason, delay."""
        proposed = body.state
        at = now.state_details.scheduled_time
        transition = proposed.state_details.transition_id if proposed.state_details else None
        retries = run.empirical_policy.retries or 0
        match now.type, proposed.type:
            case _ if body.fence is not None and body.fence != run.fence:
                return ABORT, now, "The claim is no longer valid.", None
            case _ if transition is not None and transition == now.state_details.transition_id:
                return REJECT, now, "This run has already made this state transition.", None
            case old, _ if old in FINAL:
                return ABORT, now, "The run has ended.", None
            case StateType.CANCELLING, new if new is not StateType.CANCELLED:
                return REJECT, now, "The run is being cancelled.", None
            case StateType.PENDING, StateType.PENDING:
                return ABORT, now, "The run is claimed.", None
            case ((StateType.PENDING | StateType.SCHEDULED), StateType.RUNNING) if at and at > self.clock():
                return WAIT, now, "Scheduled time is in the future.", -int((self.clock() - at).total_seconds() // 1)
            case _, StateType.FAILED if run.run_count <= retries and run.run_count:
                return REJECT, self._retry(run, proposed), "Retrying", None
            case _, StateType.CRASHED if run.id in self.restarts:
                again = StateCreate(type=StateType.SCHEDULED, name="AwaitingInfraRetry", state_details=StateDetails())
                return REJECT, self._state(again), "Trying again on other infrastructure", None
        run.run_count += proposed.type is StateType.RUNNING
        entered = self._state(proposed)
        if proposed.type in (StateType.PENDING, StateType.RUNNING):
            entered.state_details.scheduled_time = at
        return ACCEPT, entered, None, None

    def _retry(self, run: FlowRun, failed: StateCreate) -> State:
        delay = run.empirical_policy.retry_delay or 0
        if isinstance(delay, list):
            delay = delay[min(run.run_count, len(delay)) - 1]
        details = StateDetails(scheduled_time=self.clock() + timedelta(seconds=delay))
        waiting = StateCreate(type=StateType.SCHEDULED, name="AwaitingRetry", message=failed.message, state_details=details)
        return self._state(waiting)

    def _state(self, create: StateCreate) -> State:
        return State(
            id=uuid4(),
            type=create.type,
            name=create.name or create.type.value.capitalize(),
            timestamp=self.clock(),
            message=create.message,
            state_details=create.state_details or StateDetails(),
        )

    def _enter(self, run: FlowRun, state: State) -> None:
        with self.changed:
            run.state, run.state_id, run.state_type, run.state_name = state, state.id, state.type, state.name
            self.history[run.id].append(state)
            self.changed.notify_all()


ID = "([0-9a-f-]{36})"
NAME = "([^/]+)"
ROUTES: list[tuple[str, str, Any, Callable[..., Any]]] = [
    ("POST", "/flows/", FlowCreate, FakeApi._create_flow),
    ("GET", f"/flows/{ID}", None, FakeApi._get_flow),
    ("POST", "/deployments/", DeploymentCreate, FakeApi._create_deployment),
    ("POST", "/deployments/get_scheduled_flow_runs", GetScheduledRuns, FakeApi._get_scheduled),
    ("GET", f"/deployments/{ID}", None, FakeApi._get_deployment),
    ("PATCH", f"/deployments/{ID}", DeploymentUpdate, FakeApi._update_deployment),
    ("GET", f"/deployments/name/{NAME}/{NAME}", None, FakeApi._get_deployment_by_name),
    ("POST", f"/deployments/{ID}/create_flow_run", DeploymentFlowRunCreate, FakeApi._create_run),
    ("POST", "/flow_runs/filter", FlowRunQuery, FakeApi._query_runs),
    ("GET", f"/flow_runs/{ID}", None, FakeApi._get_run),
    ("PATCH", f"/flow_runs/{ID}", FlowRunUpdate, FakeApi._update_run),
    ("POST", f"/flow_runs/{ID}/set_state", SetState, FakeApi._set_state),
    ("POST", f"/flow_runs/{ID}/lease", HeldLease, FakeApi._renew),
    ("POST", "/logs/", list[LogCreate], FakeApi._write_logs),
    ("GET", f"/work_pools/{NAME}", None, FakeApi._get_pool),
    ("POST", "/work_pools/filter", None, FakeApi._query_pools),
]


@contextmanager
def served(api: FakeApi) -> Iterator[str]:
    """The URL at which the API answers over HTTP."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            status, content = api.answer(self.command, self.path.removeprefix("/api"), body)
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = answer

        def log_message(self, *_: Any) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/api"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _known(records: dict[Any, Any], key: Any, kind: str) -> Any:
    if key not in records:
        raise Refused(404, f"{kind} not found")
    return records[key]


def _apply(record: Any, changes: Any) -> None:
    for name in changes.__struct_fields__:
        value = getattr(changes, name)
        if value is not msgspec.UNSET:
            setattr(record, name, value)
