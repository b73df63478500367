"""Calls about deployments and their schedules."""

from uuid import UUID

from headgate.client.call import Call
from headgate.schema.deployments import (
    BulkDeletedDeployments,
    BulkDeleteDeployments,
    Deployment,
    DeploymentCreate,
    DeploymentPage,
    DeploymentPatch,
    DeploymentSchedule,
    DeploymentScheduleCreate,
    DeploymentScheduleUpdate,
    GetScheduledRuns,
    ScheduleRuns,
)
from headgate.schema.filters import DeploymentPageQuery, DeploymentQuery
from headgate.schema.flow_runs import DeploymentFlowRunCreate, FlowRun
from headgate.schema.pauses import PauseNote
from headgate.schema.work_queues import WorkQueue


def create(body: DeploymentCreate) -> Call[Deployment]:
    """Create a deployment, or replace the one of the same flow and name."""
    return Call("POST", "/deployments/", body=body, returns=Deployment)


def get(id: UUID) -> Call[Deployment]:
    """One deployment."""
    return Call("GET", "/deployments/{id}", at={"id": id}, returns=Deployment)


def get_by_name(flow_name: str, name: str) -> Call[Deployment]:
    """One deployment, by its flow's name and its own."""
    at: dict[str, str | UUID] = {"flow_name": flow_name, "deployment_name": name}
    return Call("GET", "/deployments/name/{flow_name}/{deployment_name}", at=at, returns=Deployment)


def query(body: DeploymentQuery | None = None) -> Call[list[Deployment]]:
    """Deployments that match."""
    return Call("POST", "/deployments/filter", body=body or DeploymentQuery(), returns=list[Deployment])


def count(body: DeploymentQuery | None = None) -> Call[int]:
    """How many deployments match."""
    return Call("POST", "/deployments/count", body=body or DeploymentQuery(), returns=int)


def update(id: UUID, body: DeploymentPatch) -> Call[None]:
    """Change a deployment."""
    return Call("PATCH", "/deployments/{id}", at={"id": id}, body=body)


def delete(id: UUID) -> Call[None]:
    """Delete a deployment with its schedules; its unstarted runs go too, its history stays."""
    return Call("DELETE", "/deployments/{id}", at={"id": id})


def pause(id: UUID, body: PauseNote | None = None) -> Call[None]:
    """Stop all of a deployment's schedules and hold back its runs; the body may say why and who did it."""
    return Call("POST", "/deployments/{id}/pause_deployment", at={"id": id}, body=body or PauseNote())


def resume(id: UUID) -> Call[None]:
    """Undo `pause`."""
    return Call("POST", "/deployments/{id}/resume_deployment", at={"id": id})


def create_flow_run(id: UUID, body: DeploymentFlowRunCreate | None = None) -> Call[FlowRun]:
    """Create a run of a deployment, due now unless its state says when."""
    body = body or DeploymentFlowRunCreate()
    return Call("POST", "/deployments/{id}/create_flow_run", at={"id": id}, body=body, returns=FlowRun)


def get_scheduled_flow_runs(body: GetScheduledRuns) -> Call[list[FlowRun]]:
    """Due runs of deployments that a process serves itself."""
    return Call("POST", "/deployments/get_scheduled_flow_runs", body=body, returns=list[FlowRun])


def get_schedules(id: UUID) -> Call[list[DeploymentSchedule]]:
    """A deployment's schedules."""
    return Call("GET", "/deployments/{id}/schedules", at={"id": id}, returns=list[DeploymentSchedule])


def create_schedules(id: UUID, body: list[DeploymentScheduleCreate]) -> Call[list[DeploymentSchedule]]:
    """Add schedules to a deployment."""
    return Call("POST", "/deployments/{id}/schedules", at={"id": id}, body=body, returns=list[DeploymentSchedule])


def update_schedule(id: UUID, schedule_id: UUID, body: DeploymentScheduleUpdate) -> Call[None]:
    """Change one schedule."""
    at: dict[str, str | UUID] = {"id": id, "schedule_id": schedule_id}
    return Call("PATCH", "/deployments/{id}/schedules/{schedule_id}", at=at, body=body)


def delete_schedule(id: UUID, schedule_id: UUID) -> Call[None]:
    """Delete one schedule and the runs that it made ahead."""
    at: dict[str, str | UUID] = {"id": id, "schedule_id": schedule_id}
    return Call("DELETE", "/deployments/{id}/schedules/{schedule_id}", at=at)


def page(body: DeploymentPageQuery | None = None) -> Call[DeploymentPage]:
    """A page of the deployments that match, by its number."""
    return Call("POST", "/deployments/paginate", body=body or DeploymentPageQuery(), returns=DeploymentPage)


def delete_many(body: BulkDeleteDeployments) -> Call[BulkDeletedDeployments]:
    """Delete the deployments that match."""
    return Call("POST", "/deployments/bulk_delete", body=body, returns=BulkDeletedDeployments)


def set_schedule_active(id: UUID) -> Call[None]:
    """Resume, as clients of old call it."""
    return Call("POST", "/deployments/{id}/set_schedule_active", at={"id": id})


def set_schedule_inactive(id: UUID) -> Call[None]:
    """Pause, as clients of old call it."""
    return Call("POST", "/deployments/{id}/set_schedule_inactive", at={"id": id})


def schedule_runs(id: UUID, body: ScheduleRuns | None = None) -> Call[None]:
    """Have its schedules make runs of a span of time."""
    return Call("POST", "/deployments/{id}/schedule", at={"id": id}, body=body or ScheduleRuns())


def queues_of(id: UUID) -> Call[list[WorkQueue]]:
    """The queue that its runs go to."""
    return Call("GET", "/deployments/{id}/work_queue_check", at={"id": id}, returns=list[WorkQueue])
