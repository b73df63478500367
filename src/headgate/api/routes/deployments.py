"""Routes of deployments and their schedules."""

from uuid import UUID

from headgate.api.routing import Answer, Router
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
from headgate.services import deployment_schedules, deployments, flow_runs, polls
from headgate.services.scope import Scope

router = Router("/deployments", tag="Deployments")


@router.post("/", status=201)
async def create_deployment(scope: Scope, body: DeploymentCreate) -> Answer[Deployment]:
    """Create a deployment; the one of the same flow and name is changed and answered with 200."""
    deployment, is_new = await deployments.create(scope, body)
    return Answer(deployment, 201 if is_new else 200)


@router.post("/filter")
async def read_deployments(scope: Scope, body: DeploymentQuery | None) -> list[Deployment]:
    """Deployments that match."""
    return await deployments.list_page(scope, body or DeploymentQuery())


@router.post("/count")
async def count_deployments(scope: Scope, body: DeploymentQuery | None) -> int:
    """How many deployments match."""
    return await deployments.count(scope, body or DeploymentQuery())


@router.post("/paginate")
async def paginate_deployments(scope: Scope, body: DeploymentPageQuery | None) -> DeploymentPage:
    """A page of the deployments that match, by its number."""
    return await deployments.paginate(scope, body or DeploymentPageQuery())


@router.post("/bulk_delete")
async def bulk_delete_deployments(scope: Scope, body: BulkDeleteDeployments | None) -> BulkDeletedDeployments:
    """Delete the deployments that match, with their schedules and their runs that have not started."""
    return await deployments.delete_many(scope, body or BulkDeleteDeployments())


@router.post("/get_scheduled_flow_runs")
async def read_scheduled_flow_runs_of_deployments(scope: Scope, body: GetScheduledRuns) -> list[FlowRun]:
    """Due runs of deployments that a process serves itself."""
    return await polls.poll_deployments(scope, body)


@router.get("/name/{flow_name}/{deployment_name}")
async def read_deployment_by_name(scope: Scope, flow_name: str, deployment_name: str) -> Deployment:
    """One deployment, by its flow's name and its own."""
    return await deployments.get_by_name(scope, flow_name, deployment_name)


@router.get("/{id}")
async def read_deployment(scope: Scope, id: UUID) -> Deployment:
    """One deployment."""
    return await deployments.get(scope, id)


@router.patch("/{id}")
async def update_deployment(scope: Scope, id: UUID, body: DeploymentPatch) -> None:
    """Change a deployment: what is left out stays, an explicit null clears."""
    await deployments.patch(scope, id, body)


@router.delete("/{id}")
async def delete_deployment(scope: Scope, id: UUID) -> None:
    """Delete a deployment with its schedules and its runs that have not started."""
    await deployments.delete(scope, id)


@router.post("/{id}/pause_deployment")
async def pause_deployment(scope: Scope, id: UUID, body: PauseNote | None) -> None:
    """Stop a deployment's schedules and hold back its runs; the body may say why and who did it."""
    await deployments.pause(scope, id, paused=True, note=body)


@router.post("/{id}/resume_deployment")
async def resume_deployment(scope: Scope, id: UUID) -> None:
    """Undo a pause."""
    await deployments.pause(scope, id, paused=False)


@router.post("/{id}/set_schedule_active")
async def set_schedule_active(scope: Scope, id: UUID) -> None:
    """What clients of old call to resume a deployment."""
    await deployments.pause(scope, id, paused=False)


@router.post("/{id}/set_schedule_inactive")
async def set_schedule_inactive(scope: Scope, id: UUID) -> None:
    """What clients of old call to pause a deployment."""
    await deployments.pause(scope, id, paused=True)


@router.post("/{id}/schedule")
async def schedule_deployment(scope: Scope, id: UUID, body: ScheduleRuns | None) -> None:
    """Have a deployment's schedules make runs of a span of time, which may be in the past."""
    await deployments.schedule_runs(scope, id, body or ScheduleRuns())


@router.get("/{id}/work_queue_check")
async def read_work_queues_of_deployment(scope: Scope, id: UUID) -> list[WorkQueue]:
    """The queue that a deployment's runs go to."""
    return await deployments.queues_of(scope, id)


@router.post("/{id}/create_flow_run", status=201)
async def create_flow_run_from_deployment(scope: Scope, id: UUID, body: DeploymentFlowRunCreate | None) -> Answer[FlowRun]:
    """Create a run, due now unless its state says when; the run of the same idempotency key is answered with 200."""
    created = await flow_runs.create_of_deployment(scope, id, body or DeploymentFlowRunCreate())
    return Answer(created.run, 201 if created.is_new else 200)


@router.get("/{id}/schedules")
async def read_deployment_schedules(scope: Scope, id: UUID) -> list[DeploymentSchedule]:
    """A deployment's schedules."""
    return await deployment_schedules.of_deployment(scope, id)


@router.post("/{id}/schedules", status=201)
async def create_deployment_schedules(
    scope: Scope, id: UUID, body: list[DeploymentScheduleCreate]
) -> list[DeploymentSchedule]:
    """Add schedules."""
    return await deployment_schedules.create(scope, id, body)


@router.patch("/{id}/schedules/{schedule_id}")
async def update_deployment_schedule(scope: Scope, id: UUID, schedule_id: UUID, body: DeploymentScheduleUpdate) -> None:
    """Change a schedule; the runs that it made ahead are made anew."""
    await deployment_schedules.update(scope, id, schedule_id, body)


@router.delete("/{id}/schedules/{schedule_id}")
async def delete_deployment_schedule(scope: Scope, id: UUID, schedule_id: UUID) -> None:
    """Delete a schedule and the runs that it made ahead."""
    await deployment_schedules.delete(scope, id, schedule_id)
