"""A server of Prefect's in memory: the routes of it that a worker needs, as strict as the real one."""

from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import msgspec
from worker_api import FakeApi, Run, answer, ok

from headgate.client.transport import Response
from headgate.schema.states import OrchestrationStatus, SetState, StateType
from headgate.schema.work_pools import WorkerFlowRun

NOT_FOUND = Response(404, b'{"detail":"Not Found"}')
OURS = ("/claim", "/leases", "/lease", "/agents")


class PrefectApi(FakeApi):
    """Knows no claims; `refusals` has answers to the next proposals of Pending by status, `slot` a lease of each run's."""

    def __init__(self) -> None:
        super().__init__()
        self.beats: list[dict[str, Any]] = []
        self.labels: dict[UUID, dict[str, Any]] = {}
        self.refusals: list[OrchestrationStatus] = []
        self.lose_answers = 0
        self.forced: list[UUID] = []
        self.slot: UUID | None = None
        self.renewed: list[str] = []
        self.variables: dict[str, Any] = {}

    def posts(self, end: str) -> int:
        """How many requests were sent to such a path."""
        return sum(request.endswith(end) for request in self.requests)

    def _routes(self) -> dict[str, Callable[..., Coroutine[Any, Any, Response]]]:
        kept = {pattern: route for pattern, route in super()._routes().items() if not any(each in pattern for each in OURS)}
        return kept | {
            "POST /work_pools/([^/]+)/workers/heartbeat": self._beat,
            "POST /work_pools/([^/]+)/get_scheduled_flow_runs": self._scheduled,
            "GET /deployments/([^/]+)": self._get_deployment,
            "GET /flows/([^/]+)": self._get_flow,
            "POST /flow_runs/filter": self._filter,
            "PATCH /flow_runs/([^/]+)/labels": self._label,
            "POST /v2/concurrency_limits/leases/([^/]+)/renew": self._renew_slot,
            "GET /variables/name/([^/]+)": self._get_variable,
        }

    async def _beat(self, body: bytes, name: str) -> Response:
        beat = msgspec.json.decode(body)
        if beat["heartbeat_interval_seconds"] % 1:
            return Response(422, b'{"detail":"a valid integer"}')
        self.beats.append(beat)
        return Response(204, b"")

    async def _scheduled(self, body: bytes, name: str) -> Response:
        asked = msgspec.json.decode(body)
        until = datetime.fromisoformat(asked["scheduled_before"])
        due = [run for run in self.runs.values() if self._is_due(run, until)]
        names = asked["work_queue_names"]
        chosen = [run for run in due if not names or run.queue in names][: asked["limit"]]
        if name not in self.pools:
            return NOT_FOUND
        # The real one does not name the pool in these runs.
        found = [msgspec.structs.replace(run.record, work_pool_name=None) for run in chosen]
        return ok([WorkerFlowRun(work_pool_id=uuid4(), work_queue_id=uuid4(), flow_run=run) for run in found])

    def _is_due(self, run: Run, until: datetime) -> bool:
        state = run.record.state
        assert state is not None
        return state.type is StateType.SCHEDULED and (state.state_details.scheduled_time or datetime.now(UTC)) <= until

    async def _get_deployment(self, body: bytes, id: str) -> Response:
        found = [run.deployment for run in self.runs.values() if str(run.deployment.id) == id]
        return ok(found[0]) if found else NOT_FOUND

    async def _get_flow(self, body: bytes, id: str) -> Response:
        return ok(self.flow)

    async def _filter(self, body: bytes) -> Response:
        ids = msgspec.json.decode(body)["flow_runs"]["id"]["any_"]
        return ok([run.record for id, run in self.runs.items() if str(id) in ids])

    async def _label(self, body: bytes, id: str) -> Response:
        self.labels[UUID(id)] = msgspec.json.decode(body)
        return Response(204, b"")

    async def _renew_slot(self, body: bytes, id: str) -> Response:
        self.renewed.append(id)
        return Response(204, b"")

    async def _get_variable(self, body: bytes, name: str) -> Response:
        stamps = {"id": uuid4(), "created": datetime.now(UTC), "updated": datetime.now(UTC)}
        return ok(stamps | {"name": name, "value": self.variables[name]}) if name in self.variables else NOT_FOUND

    async def _update_run(self, body: bytes, id: str) -> Response:
        unknown = set(msgspec.json.decode(body)) - {"infrastructure_pid"}
        return (
            Response(422, f"extra fields not permitted: {unknown}".encode())
            if unknown
            else await super()._update_run(body, id)
        )

    async def _set_state(self, body: bytes, id: str) -> Response:
        proposal = msgspec.json.decode(body, type=SetState)
        assert proposal.fence is None
        run = self.runs[UUID(id)]
        if proposal.force:
            self.forced.append(UUID(id))
            self.enter(run, proposal.state)
            return answer(run, OrchestrationStatus.ACCEPT)
        if proposal.state.type is StateType.PENDING and self.refusals:
            return answer(run, self.refusals.pop(0), "not for you")
        response = await super()._set_state(body, id)
        if proposal.state.type is StateType.PENDING and run.record.state is not None:
            run.record.state.state_details.deployment_concurrency_lease_id = self.slot
            if self.lose_answers:
                self.lose_answers -= 1
                return Response(503, b'{"exception_message":"Service Unavailable"}')
        return response
