"""Routes of flow runs."""

from uuid import UUID

from headgate.api.routing import Answer, Router
from headgate.schema.claims import HeldLease, LeaseRenewalResponse
from headgate.schema.explanations import Explanation
from headgate.schema.filters import FlowRunQuery
from headgate.schema.flow_runs import FlowRun, FlowRunCreate, FlowRunUpdate
from headgate.schema.flows import Labels
from headgate.schema.states import OrchestrationResult, SetState
from headgate.services import explanations, flow_runs, leases, states
from headgate.services.scope import Scope

router = Router("/flow_runs", tag="Flow runs")


@router.post("/", status=201)
async def create_flow_run(scope: Scope, body: FlowRunCreate) -> Answer[FlowRun]:
    """Create a run that its caller executes; the run of the same idempotency key is answered with 200."""
    created = await flow_runs.create(scope, body)
    return Answer(created.run, 201 if created.is_new else 200)


@router.post("/filter")
async def read_flow_runs(scope: Scope, body: FlowRunQuery | None) -> list[FlowRun]:
    """Runs that match."""
    return await flow_runs.list_page(scope, body or FlowRunQuery())


@router.post("/count")
async def count_flow_runs(scope: Scope, body: FlowRunQuery | None) -> int:
    """How many runs match."""
    return await flow_runs.count(scope, body or FlowRunQuery())


@router.get("/{id}")
async def read_flow_run(scope: Scope, id: UUID) -> FlowRun:
    """One run."""
    return await flow_runs.get(scope, id)


@router.get("/{id}/explain")
async def explain_flow_run(scope: Scope, id: UUID) -> Explanation:
    """Why a run waits: the gates that block it and its place among others; or who has it, and how long it waited."""
    return await explanations.explain(scope, id)


@router.patch("/{id}")
async def update_flow_run(scope: Scope, id: UUID, body: FlowRunUpdate) -> None:
    """Change a run, but for its state."""
    await flow_runs.update(scope, id, body)


@router.patch("/{id}/labels", error_key="exception_message")
async def update_flow_run_labels(scope: Scope, id: UUID, body: Labels) -> None:
    """Add labels to a run."""
    await flow_runs.update_labels(scope, id, body)


@router.delete("/{id}")
async def delete_flow_run(scope: Scope, id: UUID) -> None:
    """Delete a run with its states and logs."""
    await flow_runs.delete(scope, id)


@router.post("/{id}/set_state", status=201, error_key="exception_message", replaces_nul=True)
async def set_flow_run_state(scope: Scope, id: UUID, body: SetState) -> Answer[OrchestrationResult]:
    """Propose a state: 201 when the run entered one, 200 when it keeps the one that it has."""
    answered = await states.set_state(scope, id, body)
    return Answer(answered.result, 201 if answered.entered else 200)


@router.post("/{id}/lease")
async def renew_flow_run_lease(scope: Scope, id: UUID, body: HeldLease) -> LeaseRenewalResponse:
    """An engine's heartbeat: it is alive, and so is its run."""
    return await leases.renew_run(scope, id, body)
