"""Routes of flow runs' histories."""

from uuid import UUID

from headgate.api.routing import Router
from headgate.schema.states import State
from headgate.services import flow_runs
from headgate.services.scope import Scope

router = Router("/flow_run_states", tag="Flow run states")


@router.get("/")
async def read_flow_run_states(scope: Scope, flow_run_id: UUID) -> list[State]:
    """A run's history, oldest first."""
    return await flow_runs.states(scope, flow_run_id)


@router.get("/{id}")
async def read_flow_run_state(scope: Scope, id: UUID) -> State:
    """One state of a run."""
    return await flow_runs.state(scope, id)
