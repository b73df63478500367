"""Calls about flow runs and their states."""

from uuid import UUID

from headgate.client.call import Call
from headgate.schema.explanations import Explanation
from headgate.schema.filters import FlowRunQuery
from headgate.schema.flow_runs import FlowRun, FlowRunCreate, FlowRunUpdate
from headgate.schema.flows import Labels
from headgate.schema.states import OrchestrationResult, SetState, State


def create(body: FlowRunCreate) -> Call[FlowRun]:
    """Create a run without a deployment, to be executed by the caller."""
    return Call("POST", "/flow_runs/", body=body, returns=FlowRun)


def get(id: UUID) -> Call[FlowRun]:
    """One run."""
    return Call("GET", "/flow_runs/{id}", at={"id": id}, returns=FlowRun)


def explain(id: UUID) -> Call[Explanation]:
    """Why a run waits, or who has it."""
    return Call("GET", "/flow_runs/{id}/explain", at={"id": id}, returns=Explanation)


def query(body: FlowRunQuery | None = None) -> Call[list[FlowRun]]:
    """Runs that match."""
    return Call("POST", "/flow_runs/filter", body=body or FlowRunQuery(), returns=list[FlowRun])


def count(body: FlowRunQuery | None = None) -> Call[int]:
    """How many runs match."""
    return Call("POST", "/flow_runs/count", body=body or FlowRunQuery(), returns=int)


def update(id: UUID, body: FlowRunUpdate) -> Call[None]:
    """Change a run."""
    return Call("PATCH", "/flow_runs/{id}", at={"id": id}, body=body)


def update_labels(id: UUID, labels: Labels) -> Call[None]:
    """Add labels to a run."""
    return Call("PATCH", "/flow_runs/{id}/labels", at={"id": id}, body=labels)


def delete(id: UUID) -> Call[None]:
    """Delete a run with its states and logs."""
    return Call("DELETE", "/flow_runs/{id}", at={"id": id})


def set_state(id: UUID, body: SetState) -> Call[OrchestrationResult]:
    """Propose a state."""
    return Call("POST", "/flow_runs/{id}/set_state", at={"id": id}, body=body, returns=OrchestrationResult)


def get_states(id: UUID) -> Call[list[State]]:
    """A run's history, oldest first."""
    return Call("GET", "/flow_run_states/", query={"flow_run_id": str(id)}, returns=list[State])
