"""Routes of many flow runs at once."""

from uuid import UUID

from headgate.api.routing import Router
from headgate.schema.flow_runs import DeploymentFlowRunCreate
from headgate.schema.flow_runs_bulk import BulkCreate, BulkCreated, BulkDelete, BulkDeleted, BulkSetState, BulkStatesSet
from headgate.services import flow_runs_bulk
from headgate.services.scope import Scope

router = Router("", tag="Flow runs")


@router.post("/flow_runs/bulk_create")
async def bulk_create_flow_runs(scope: Scope, body: BulkCreate) -> BulkCreated:
    """Create up to 10,000 runs of one or several deployments; each is answered for itself."""
    return await flow_runs_bulk.create(scope, body)


@router.post("/deployments/{id}/create_flow_run/bulk")
async def bulk_create_flow_runs_from_deployment(scope: Scope, id: UUID, body: list[DeploymentFlowRunCreate]) -> BulkCreated:
    """Create up to 10,000 runs of a deployment; each is answered for itself."""
    return await flow_runs_bulk.create_of_deployment(scope, id, body)


@router.post("/flow_runs/bulk_set_state", replaces_nul=True)
async def bulk_set_flow_run_state(scope: Scope, body: BulkSetState) -> BulkStatesSet:
    """Propose a state for all runs that match, under the ordinary rules; a dry run counts."""
    return await flow_runs_bulk.set_state(scope, body)


@router.post("/flow_runs/bulk_delete")
async def bulk_delete_flow_runs(scope: Scope, body: BulkDelete) -> BulkDeleted:
    """Delete all runs that match, with their states and logs; a dry run counts."""
    return await flow_runs_bulk.delete(scope, body)
