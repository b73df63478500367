"""Routes of flow runs besides their records: pages, histories, graphs, inputs, logs as a file."""

from datetime import datetime
from urllib.parse import quote
from uuid import UUID

from headgate.api.routing import Answer, Download, Router, Text
from headgate.schema.filters import FlowRunPageQuery, HistoryQuery, Selection
from headgate.schema.flow_run_inputs import FlowRunInput, FlowRunInputCreate, FlowRunInputQuery, ResumeFlowRun
from headgate.schema.flow_runs import FlowRunPage
from headgate.schema.graphs import Dependency, Graph
from headgate.schema.run_history import HistoryInterval
from headgate.schema.states import OrchestrationResult
from headgate.services import flow_run_inputs, flow_runs, graphs, logs, run_history
from headgate.services.scope import Scope

router = Router("/flow_runs", tag="Flow runs")


@router.post("/paginate")
async def paginate_flow_runs(scope: Scope, body: FlowRunPageQuery | None) -> FlowRunPage:
    """A numbered page of runs that match."""
    return await flow_runs.paginate(scope, body or FlowRunPageQuery())


@router.post("/history")
async def read_flow_run_history(scope: Scope, body: HistoryQuery) -> list[HistoryInterval]:
    """Runs that match, counted by state and by intervals of their expected start."""
    return await run_history.of_runs(scope, "flow_runs", body)


@router.post("/lateness")
async def read_flow_run_lateness(scope: Scope, body: Selection | None) -> float | None:
    """Seconds that runs that match are late on average; null when there are none."""
    return await run_history.mean_lateness(scope, body or Selection())


@router.get("/{id}/graph", error_key="exception_message")
async def read_flow_run_dependencies(scope: Scope, id: UUID) -> list[Dependency]:
    """A run's task runs, each with those whose results it took."""
    return await graphs.dependencies(scope, id)


@router.get("/{id}/graph-v2", error_key="exception_message")
async def read_flow_run_graph(scope: Scope, id: UUID, since: datetime | None = None) -> Graph:
    """A run's graph; `since` leaves out what had ended by then."""
    return await graphs.graph(scope, id, since=since)


@router.post("/{id}/resume", status=201, error_key="exception_message")
async def resume_flow_run(scope: Scope, id: UUID, body: ResumeFlowRun | None) -> Answer[OrchestrationResult]:
    """Resume a paused run: 201 when it goes on, 200 when it does not."""
    answered = await flow_run_inputs.resume(scope, id, body or ResumeFlowRun())
    return Answer(answered.result, 201 if answered.entered else 200)


@router.post("/{id}/input", status=201)
async def create_flow_run_input(scope: Scope, id: UUID, body: FlowRunInputCreate) -> None:
    """Give a run an input."""
    await flow_run_inputs.create(scope, id, body)


@router.post("/{id}/input/filter")
async def filter_flow_run_inputs(scope: Scope, id: UUID, body: FlowRunInputQuery) -> list[FlowRunInput]:
    """A run's inputs by what their keys begin with."""
    return await flow_run_inputs.list_some(scope, id, body)


@router.get("/{id}/input/{key}")
async def read_flow_run_input(scope: Scope, id: UUID, key: str) -> Text:
    """The value of one input, as it stands."""
    return Text(await flow_run_inputs.get(scope, id, key))


@router.delete("/{id}/input/{key}")
async def delete_flow_run_input(scope: Scope, id: UUID, key: str) -> None:
    """Delete one input."""
    await flow_run_inputs.delete(scope, id, key)


@router.get("/{id}/logs/download")
async def download_flow_run_logs(scope: Scope, id: UUID) -> Download:
    """All of a run's log lines as a CSV file."""
    name, lines = await logs.as_csv(scope, id)
    file = f"attachment; filename=\"flow-run-logs.csv\"; filename*=UTF-8''{quote(name + '-logs.csv', safe='')}"
    return Download(lines, "text/csv; charset=utf-8", {"content-disposition": file})
