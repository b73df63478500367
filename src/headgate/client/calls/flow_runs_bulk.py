"""Calls about many flow runs at once."""

from uuid import UUID

from headgate.client.call import Call
from headgate.schema.flow_runs import DeploymentFlowRunCreate
from headgate.schema.flow_runs_bulk import BulkCreate, BulkCreated, BulkDelete, BulkDeleted, BulkSetState, BulkStatesSet


def create(body: BulkCreate) -> Call[BulkCreated]:
    """Create runs of the deployments that they name."""
    return Call("POST", "/flow_runs/bulk_create", body=body, returns=BulkCreated)


def create_of_deployment(id: UUID, body: list[DeploymentFlowRunCreate]) -> Call[BulkCreated]:
    """Create runs of one deployment."""
    return Call("POST", "/deployments/{id}/create_flow_run/bulk", at={"id": id}, body=body, returns=BulkCreated)


def set_state(body: BulkSetState) -> Call[BulkStatesSet]:
    """Propose a state for all runs that match."""
    return Call("POST", "/flow_runs/bulk_set_state", body=body, returns=BulkStatesSet)


def delete(body: BulkDelete) -> Call[BulkDeleted]:
    """Delete all runs that match."""
    return Call("POST", "/flow_runs/bulk_delete", body=body, returns=BulkDeleted)
