"""Use cases of deployments' schedules."""

from collections.abc import Sequence
from uuid import UUID

from msgspec import UNSET, structs

from headgate.core import schedules as rules
from headgate.core.pauses import pause_after
from headgate.core.redeploy import match_schedules
from headgate.core.templates import validate_variables
from headgate.errors import Conflict, Invalid, NotFound
from headgate.ids import uuid7
from headgate.schema.deployments import Deployment, DeploymentSchedule, DeploymentScheduleCreate, DeploymentScheduleUpdate
from headgate.schema.pauses import PauseNote
from headgate.services import scheduling
from headgate.services.scope import Scope
from headgate.services.wakeups import place_of_new
from headgate.store import deployment_schedules as rows
from headgate.store import deployments as deployment_rows
from headgate.store import work_pools as pool_rows
from headgate.store.database import Tx


def check(wanted: Sequence[DeploymentScheduleCreate]) -> None:
    """`Invalid` for a schedule that cannot fire; `Conflict` for a slug that is given twice."""
    slugs: set[str] = set()
    for index, want in enumerate(wanted):
        try:
            rules.check(want.schedule)
        except Invalid as error:
            raise Invalid(str(error), field=f"schedules[{index}].schedule.{error.field}", value=error.value) from None
        if want.slug is not None and want.slug in slugs:
            raise _taken(want.slug)
        slugs |= {want.slug} if want.slug else set()


async def check_job_variables(
    scope: Scope,
    tx: Tx,
    deployment: Deployment,
    schedules: Sequence[DeploymentScheduleCreate | DeploymentSchedule],
    *,
    field: str = "schedules",
) -> None:
    """`Invalid`, naming the schedule, for variables that the deployment's pool does not take over the deployment's own."""
    if deployment.work_pool_name is None or not any(schedule.job_variables for schedule in schedules):
        return
    pool = await pool_rows.get(tx, deployment.work_pool_name, now=scope.now)
    for index, schedule in enumerate(schedules):
        try:
            if pool is not None and schedule.job_variables:
                validate_variables(pool.base_job_template, deployment.job_variables, schedule.job_variables)
        except Invalid as error:
            name = f" {schedule.slug!r}" if schedule.slug else ""
            raise Invalid(f"Schedule{name}: {error}", field=f"{field}[{index}].{error.field}", value=error.value) from None


async def insert(
    scope: Scope, tx: Tx, deployment_id: UUID, wanted: Sequence[DeploymentScheduleCreate]
) -> list[DeploymentSchedule]:
    """Add schedules to a deployment."""
    now = scope.now
    made = [
        DeploymentSchedule(
            id=uuid7(now),
            created=now,
            updated=now,
            deployment_id=deployment_id,
            schedule=rules.canonical(want.schedule, now=now),
            active=want.active is not False,
            max_scheduled_runs=want.max_scheduled_runs,
            parameters=want.parameters,
            job_variables=want.job_variables,
            slug=want.slug,
            misfire=want.misfire,
            pause=pause_after(None, PauseNote(), was_paused=False, is_paused=want.active is False, now=now),
        )
        for want in wanted
    ]
    await rows.insert(tx, made)
    return made


async def replace(scope: Scope, tx: Tx, deployment: Deployment, wanted: Sequence[DeploymentScheduleCreate]) -> set[UUID]:
    """Bring a deployment's schedules to `wanted`; answers those whose runs made ahead no longer fit.

    A schedule that is found again keeps its id, and its switch unless the author sets it.
    """
    redeploy = match_schedules(deployment.schedules, wanted)
    changed = set()
    for schedule, want in redeploy.kept:
        before = structs.replace(schedule)
        _bring_to(schedule, want, scope)
        if _runs_ahead(before) != _runs_ahead(schedule):
            changed.add(schedule.id)
        if before != schedule:
            schedule.updated = scope.now
            await rows.update(tx, schedule)
    await insert(scope, tx, deployment.id, redeploy.added)
    for schedule in redeploy.dropped:
        changed.add(schedule.id)
        await rows.delete(tx, schedule.id)
    return changed


def _bring_to(schedule: DeploymentSchedule, want: DeploymentScheduleCreate, scope: Scope) -> None:
    if not rules.same_timing(schedule.schedule, want.schedule):
        schedule.schedule = rules.canonical(want.schedule, now=scope.now)
    if want.active is not None:
        _switch(schedule, want.active, PauseNote(), scope)
    schedule.max_scheduled_runs = want.max_scheduled_runs
    schedule.parameters, schedule.job_variables = want.parameters, want.job_variables
    schedule.slug = want.slug or schedule.slug
    schedule.misfire = want.misfire


def _runs_ahead(schedule: DeploymentSchedule) -> tuple[object, ...]:
    """What decides which runs are made ahead, and what they take from their schedule."""
    made = (schedule.parameters, schedule.job_variables, schedule.max_scheduled_runs)
    return schedule.schedule, schedule.active, *made


async def of_deployment(scope: Scope, deployment_id: UUID) -> list[DeploymentSchedule]:
    """A deployment's schedules."""

    async def unit(tx: Tx) -> list[DeploymentSchedule]:
        return (await _deployment(scope, tx, deployment_id)).schedules

    return await scope.store.read(unit)


async def create(scope: Scope, deployment_id: UUID, body: list[DeploymentScheduleCreate]) -> list[DeploymentSchedule]:
    """Add schedules, and make their runs ahead at once."""
    check(body)

    async def unit(tx: Tx) -> tuple[list[DeploymentSchedule], UUID]:
        deployment = await _locked(scope, tx, deployment_id)
        taken = {schedule.slug for schedule in deployment.schedules if schedule.slug}
        for want in body:
            if want.slug in taken:
                raise _taken(want.slug)
        await check_job_variables(scope, tx, deployment, body, field="")
        made = await insert(scope, tx, deployment_id, body)
        await scheduling.materialise_deployment(scope, tx, deployment)
        return made, place_of_new(deployment)

    made, place = await scope.store.write(unit)
    scope.wakeups.wake([place])
    return made


async def update(scope: Scope, deployment_id: UUID, id: UUID, body: DeploymentScheduleUpdate) -> None:
    """Change a schedule: the runs that it made ahead are made anew."""
    if body.schedule is not UNSET:
        rules.check(body.schedule)

    async def unit(tx: Tx) -> UUID:
        deployment, schedule = await _schedule(scope, tx, deployment_id, id)
        taken = {other.slug for other in deployment.schedules if other.slug and other.id != id}
        if body.slug in taken:
            raise _taken(body.slug)
        _apply(body, schedule, scope)
        if body.job_variables is not UNSET:
            await check_job_variables(scope, tx, deployment, [schedule])
        await rows.update(tx, schedule)
        await scheduling.withdraw(scope, tx, [id])
        await scheduling.materialise_deployment(scope, tx, deployment)
        return place_of_new(deployment)

    scope.wakeups.wake([await scope.store.write(unit)])


def _apply(body: DeploymentScheduleUpdate, schedule: DeploymentSchedule, scope: Scope) -> None:
    schedule.updated = scope.now
    if body.schedule is not UNSET:
        schedule.schedule = rules.canonical(body.schedule, now=scope.now)
    active = schedule.active if body.active is UNSET or body.active is None else body.active
    _switch(schedule, active, body, scope)
    if body.max_scheduled_runs is not UNSET:
        schedule.max_scheduled_runs = body.max_scheduled_runs
    if body.parameters is not UNSET:
        schedule.parameters = body.parameters
    if body.job_variables is not UNSET:
        schedule.job_variables = body.job_variables
    if body.slug is not UNSET:
        schedule.slug = body.slug
    if body.misfire is not UNSET:
        schedule.misfire = body.misfire


def _switch(schedule: DeploymentSchedule, active: bool, note: PauseNote, scope: Scope) -> None:
    schedule.pause = pause_after(schedule.pause, note, was_paused=not schedule.active, is_paused=not active, now=scope.now)
    schedule.active = active


async def delete(scope: Scope, deployment_id: UUID, id: UUID) -> None:
    """Delete a schedule and the runs that it made ahead."""

    async def unit(tx: Tx) -> None:
        await _schedule(scope, tx, deployment_id, id)
        await scheduling.withdraw(scope, tx, [id])
        await rows.delete(tx, id)

    await scope.store.write(unit)


def _taken(slug: object) -> Conflict:
    return Conflict(f"Schedule slugs must be unique within a deployment; {slug!r} is there already.")


async def _locked(scope: Scope, tx: Tx, id: UUID) -> Deployment:
    """A deployment as it is once nobody else can change it or its schedules."""
    await deployment_rows.lock(tx, [id])
    return await _deployment(scope, tx, id)


async def _deployment(scope: Scope, tx: Tx, id: UUID) -> Deployment:
    deployment = await deployment_rows.get(tx, id, now=scope.now)
    if deployment is None:
        raise NotFound("Deployment not found")
    return deployment


async def _schedule(scope: Scope, tx: Tx, deployment_id: UUID, id: UUID) -> tuple[Deployment, DeploymentSchedule]:
    """A schedule with its deployment, locked."""
    deployment = await _locked(scope, tx, deployment_id)
    schedule = next((schedule for schedule in deployment.schedules if schedule.id == id), None)
    if schedule is None:
        raise NotFound("Schedule not found")
    return deployment, schedule
