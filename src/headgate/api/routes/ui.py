"""Routes that the peer's own pages ask."""

from uuid import UUID

from headgate.api.routing import Router
from headgate.schema.filters import FlowRunQuery, Selection
from headgate.schema.ui import (
    CountByState,
    FlowIds,
    FlowRunIds,
    NamedTaskRun,
    SchemaValues,
    SchemaVerdict,
    SimpleFlowRun,
    SimpleNextFlowRun,
    TallyQuery,
    TaskRunTally,
)
from headgate.services import ui
from headgate.services.scope import Scope

router = Router("/ui", tag="UI")


@router.post("/flow_runs/history")
async def read_flow_run_points(scope: Scope, body: FlowRunQuery | None) -> list[SimpleFlowRun]:
    """Up to 1,000 runs that match, as points in a plot."""
    return await ui.run_points(scope, body or FlowRunQuery())


@router.post("/flow_runs/count-task-runs")
async def count_task_runs_by_flow_run(scope: Scope, body: FlowRunIds) -> dict[str, int]:
    """How many task runs each flow run has, without those that stand for flow runs."""
    return await ui.tasks_by_run(scope, body.flow_run_ids)


@router.post("/flows/count-deployments")
async def count_deployments_by_flow(scope: Scope, body: FlowIds) -> dict[str, int]:
    """How many deployments each flow has."""
    return await ui.deployments_by_flow(scope, body.flow_ids)


@router.post("/flows/next-runs")
async def read_next_runs_by_flow(scope: Scope, body: FlowIds) -> dict[str, SimpleNextFlowRun | None]:
    """Each flow's next run."""
    return await ui.next_runs(scope, body.flow_ids)


@router.post("/task_runs/dashboard/counts")
async def read_task_run_tallies(scope: Scope, body: TallyQuery) -> list[TaskRunTally]:
    """Ended task runs by the time that they began, in twenty equal parts of the time that the filter names."""
    return await ui.tallies(scope, body)


@router.post("/task_runs/count")
async def count_task_runs_by_state(scope: Scope, body: Selection | None) -> CountByState:
    """How many task runs that match are in a state of each type."""
    return await ui.tasks_by_state(scope, body or Selection())


@router.get("/task_runs/{id}")
async def read_named_task_run(scope: Scope, id: UUID) -> NamedTaskRun:
    """One task run, with the name of its flow run."""
    return await ui.task_run(scope, id)


@router.post("/schemas/validate")
async def validate_schema_values(scope: Scope, body: SchemaValues) -> SchemaVerdict:
    """Whether values fit a JSON Schema, and where not."""
    return await ui.judge_values(scope, body)
