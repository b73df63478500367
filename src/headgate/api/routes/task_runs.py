"""Routes of task runs and of their histories."""

from uuid import UUID

from headgate.api.routing import Router
from headgate.schema.states import State
from headgate.schema.task_runs import TaskRun
from headgate.services import task_runs
from headgate.services.scope import Scope

router = Router("/task_runs", tag="Task runs")
states_router = Router("/task_run_states", tag="Task run states")


@router.get("/{id}")
async def read_task_run(scope: Scope, id: UUID) -> TaskRun:
    """One task run."""
    return await task_runs.get(scope, id)


@states_router.get("/")
async def read_task_run_states(scope: Scope, task_run_id: UUID) -> list[State]:
    """A task run's history, oldest first."""
    return await task_runs.states(scope, task_run_id)
