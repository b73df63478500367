"""Calls that the peer's own pages make."""

from uuid import UUID

from headgate.client.call import Call
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


def run_points(body: FlowRunQuery | None = None) -> Call[list[SimpleFlowRun]]:
    """Up to 1,000 runs that match, as points in a plot."""
    return Call("POST", "/ui/flow_runs/history", body=body or FlowRunQuery(), returns=list[SimpleFlowRun])


def tasks_by_run(body: FlowRunIds) -> Call[dict[str, int]]:
    """How many task runs each flow run has."""
    return Call("POST", "/ui/flow_runs/count-task-runs", body=body, returns=dict[str, int])


def deployments_by_flow(body: FlowIds) -> Call[dict[str, int]]:
    """How many deployments each flow has."""
    return Call("POST", "/ui/flows/count-deployments", body=body, returns=dict[str, int])


def next_runs(body: FlowIds) -> Call[dict[str, SimpleNextFlowRun | None]]:
    """Each flow's next run."""
    return Call("POST", "/ui/flows/next-runs", body=body, returns=dict[str, SimpleNextFlowRun | None])


def tallies(body: TallyQuery) -> Call[list[TaskRunTally]]:
    """Ended task runs by the time that they began."""
    return Call("POST", "/ui/task_runs/dashboard/counts", body=body, returns=list[TaskRunTally])


def tasks_by_state(body: Selection | None = None) -> Call[CountByState]:
    """How many task runs that match are in a state of each type."""
    return Call("POST", "/ui/task_runs/count", body=body or Selection(), returns=CountByState)


def task_run(id: UUID) -> Call[NamedTaskRun]:
    """One task run, with the name of its flow run."""
    return Call("GET", "/ui/task_runs/{id}", at={"id": id}, returns=NamedTaskRun)


def judge_values(body: SchemaValues) -> Call[SchemaVerdict]:
    """Whether values fit a JSON Schema, and where not."""
    return Call("POST", "/ui/schemas/validate", body=body, returns=SchemaVerdict)
