"""Calls about flow runs besides their records: pages, histories, graphs, inputs, logs as a file."""

from uuid import UUID

from headgate.client.call import Call
from headgate.schema.filters import FlowRunPageQuery, HistoryQuery, Selection
from headgate.schema.flow_run_inputs import FlowRunInput, FlowRunInputCreate, FlowRunInputQuery, ResumeFlowRun
from headgate.schema.flow_runs import FlowRunPage
from headgate.schema.graphs import Dependency, Graph
from headgate.schema.run_history import HistoryInterval
from headgate.schema.states import OrchestrationResult, State


def paginate(body: FlowRunPageQuery | None = None) -> Call[FlowRunPage]:
    """A numbered page of runs that match."""
    return Call("POST", "/flow_runs/paginate", body=body or FlowRunPageQuery(), returns=FlowRunPage)


def history(body: HistoryQuery) -> Call[list[HistoryInterval]]:
    """Runs that match, by state and by intervals of their expected start."""
    return Call("POST", "/flow_runs/history", body=body, returns=list[HistoryInterval])


def lateness(body: Selection | None = None) -> Call[float | None]:
    """Seconds that runs that match are late on average."""
    return Call("POST", "/flow_runs/lateness", body=body or Selection(), returns=float | None)


def dependencies(id: UUID) -> Call[list[Dependency]]:
    """A run's task runs, each with those whose results it took."""
    return Call("GET", "/flow_runs/{id}/graph", at={"id": id}, returns=list[Dependency])


def graph(id: UUID) -> Call[Graph]:
    """A run's graph."""
    return Call("GET", "/flow_runs/{id}/graph-v2", at={"id": id}, returns=Graph)


def resume(id: UUID, body: ResumeFlowRun | None = None) -> Call[OrchestrationResult]:
    """Resume a paused run."""
    return Call("POST", "/flow_runs/{id}/resume", at={"id": id}, body=body or ResumeFlowRun(), returns=OrchestrationResult)


def create_input(id: UUID, body: FlowRunInputCreate) -> Call[None]:
    """Give a run an input."""
    return Call("POST", "/flow_runs/{id}/input", at={"id": id}, body=body)


def inputs(id: UUID, body: FlowRunInputQuery) -> Call[list[FlowRunInput]]:
    """A run's inputs by what their keys begin with."""
    return Call("POST", "/flow_runs/{id}/input/filter", at={"id": id}, body=body, returns=list[FlowRunInput])


def get_input(id: UUID, key: str) -> Call[str]:
    """The value of one input, as it stands."""
    return Call("GET", "/flow_runs/{id}/input/{key}", at={"id": id, "key": key}, returns=str, text=True)


def delete_input(id: UUID, key: str) -> Call[None]:
    """Delete one input."""
    return Call("DELETE", "/flow_runs/{id}/input/{key}", at={"id": id, "key": key})


def download_logs(id: UUID) -> Call[str]:
    """All of a run's log lines as CSV."""
    return Call("GET", "/flow_runs/{id}/logs/download", at={"id": id}, returns=str, text=True)


def get_state(id: UUID) -> Call[State]:
    """One state of a run."""
    return Call("GET", "/flow_run_states/{id}", at={"id": id}, returns=State)
