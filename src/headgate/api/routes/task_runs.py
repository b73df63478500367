"""Routes of task runs and of their histories."""

from uuid import UUID

from headgate.api.routing import Answer, Router
from headgate.schema.filters import HistoryQuery, Selection, TaskRunPageQuery, TaskRunQuery
from headgate.schema.run_history import HistoryInterval
from headgate.schema.states import OrchestrationResult, SetState, State
from headgate.schema.task_runs import TaskRun, TaskRunCreate, TaskRunPage, TaskRunUpdate
from headgate.services import run_history, task_runs, task_states
from headgate.services.scope import Scope

router = Router("/task_runs", tag="Task runs")
states_router = Router("/task_run_states", tag="Task run states")


@router.post("/", status=201)
async def create_task_run(scope: Scope, body: TaskRunCreate) -> Answer[TaskRun]:
    """Create a task run; the one of the same flow run, task key and dynamic key is answered with 200."""
    run, is_new = await task_runs.create(scope, body)
    return Answer(run, 201 if is_new else 200)


@router.post("/filter")
async def read_task_runs(scope: Scope, body: TaskRunQuery | None) -> list[TaskRun]:
    """Task runs that match."""
    return await task_runs.list_page(scope, body or TaskRunQuery())


@router.post("/paginate")
async def paginate_task_runs(scope: Scope, body: TaskRunPageQuery | None) -> TaskRunPage:
    """A numbered page of task runs that match."""
    return await task_runs.paginate(scope, body or TaskRunPageQuery())


@router.post("/count")
async def count_task_runs(scope: Scope, body: Selection | None) -> int:
    """How many task runs match."""
    return await task_runs.count(scope, body or Selection())


@router.post("/history")
async def read_task_run_history(scope: Scope, body: HistoryQuery) -> list[HistoryInterval]:
    """Task runs that match, counted by state and by intervals of their expected start."""
    return await run_history.of_runs(scope, "task_runs", body)


@router.get("/{id}")
async def read_task_run(scope: Scope, id: UUID) -> TaskRun:
    """One task run."""
    return await task_runs.get(scope, id)


@router.patch("/{id}")
async def update_task_run(scope: Scope, id: UUID, body: TaskRunUpdate) -> None:
    """Change a task run's name."""
    await task_runs.update(scope, id, body)


@router.delete("/{id}")
async def delete_task_run(scope: Scope, id: UUID) -> None:
    """Delete a task run with its states and logs."""
    await task_runs.delete(scope, id)


@router.post("/{id}/set_state", status=201, error_key="exception_message", replaces_nul=True)
async def set_task_run_state(scope: Scope, id: UUID, body: SetState) -> Answer[OrchestrationResult]:
    """Propose a state: 201 when the task run entered one, 200 when it keeps the one that it has."""
    answered = await task_states.set_state(scope, id, body)
    return Answer(answered.result, 201 if answered.entered else 200)


@states_router.get("/")
async def read_task_run_states(scope: Scope, task_run_id: UUID) -> list[State]:
    """A task run's history, oldest first."""
    return await task_runs.states(scope, task_run_id)


@states_router.get("/{id}")
async def read_task_run_state(scope: Scope, id: UUID) -> State:
    """One state of a task run."""
    return await task_runs.state(scope, id)
