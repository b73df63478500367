"""Calls about task runs and their states."""

from uuid import UUID

from headgate.client.call import Call
from headgate.schema.filters import HistoryQuery, Selection, TaskRunPageQuery, TaskRunQuery
from headgate.schema.run_history import HistoryInterval
from headgate.schema.states import OrchestrationResult, SetState, State
from headgate.schema.task_runs import TaskRun, TaskRunCreate, TaskRunPage, TaskRunUpdate


def create(body: TaskRunCreate) -> Call[TaskRun]:
    """Create a task run, or get the one of the same keys."""
    return Call("POST", "/task_runs/", body=body, returns=TaskRun)


def get(id: UUID) -> Call[TaskRun]:
    """One task run."""
    return Call("GET", "/task_runs/{id}", at={"id": id}, returns=TaskRun)


def query(body: TaskRunQuery | None = None) -> Call[list[TaskRun]]:
    """Task runs that match."""
    return Call("POST", "/task_runs/filter", body=body or TaskRunQuery(), returns=list[TaskRun])


def paginate(body: TaskRunPageQuery | None = None) -> Call[TaskRunPage]:
    """A numbered page of task runs that match."""
    return Call("POST", "/task_runs/paginate", body=body or TaskRunPageQuery(), returns=TaskRunPage)


def count(body: Selection | None = None) -> Call[int]:
    """How many task runs match."""
    return Call("POST", "/task_runs/count", body=body or Selection(), returns=int)


def history(body: HistoryQuery) -> Call[list[HistoryInterval]]:
    """Task runs that match, by state and by intervals of their expected start."""
    return Call("POST", "/task_runs/history", body=body, returns=list[HistoryInterval])


def update(id: UUID, body: TaskRunUpdate) -> Call[None]:
    """Change a task run."""
    return Call("PATCH", "/task_runs/{id}", at={"id": id}, body=body)


def delete(id: UUID) -> Call[None]:
    """Delete a task run with its states and logs."""
    return Call("DELETE", "/task_runs/{id}", at={"id": id})


def set_state(id: UUID, body: SetState) -> Call[OrchestrationResult]:
    """Propose a state."""
    return Call("POST", "/task_runs/{id}/set_state", at={"id": id}, body=body, returns=OrchestrationResult)


def states(id: UUID) -> Call[list[State]]:
    """A task run's history, oldest first."""
    return Call("GET", "/task_run_states/", query={"task_run_id": str(id)}, returns=list[State])


def get_state(id: UUID) -> Call[State]:
    """One state of a task run."""
    return Call("GET", "/task_run_states/{id}", at={"id": id}, returns=State)
