"""From schedules to runs: which fire times to materialise, and the rows for them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID

from headgate.core.misfires import made_up
from headgate.core.projection import fire_key
from headgate.core.schedules import fire_times
from headgate.errors import Invalid
from headgate.schema.deployments import Deployment, ScheduleRuns
from headgate.schema.flow_runs import CreatedBy, DeploymentFlowRunCreate
from headgate.schema.states import StateCreate, StateDetails, StateType
from headgate.services.flow_runs import new_run, set_key
from headgate.services.scope import Scope
from headgate.settings import Settings
from headgate.store import deployment_schedules as schedule_rows
from headgate.store import flow_runs as rows
from headgate.store import waiting_runs
from headgate.store.database import Tx
from headgate.store.deployment_schedules import ActiveSchedule
from headgate.store.flow_runs import NewRun
from headgate.telemetry import ScheduleUnreadable

_INSTANT = timedelta(microseconds=1)

AUTO_TAG = "auto-scheduled"


def ahead(schedule: ActiveSchedule, settings: Settings, *, now: datetime) -> list[datetime]:
    """The fire times that should have a run by now: all of the next while and at least a few, but never too many."""
    soon = now + timedelta(seconds=settings.server_services_scheduler_min_scheduled_time)
    last = now + timedelta(seconds=settings.server_services_scheduler_max_scheduled_time)
    most = min(
        settings.server_services_scheduler_max_runs,
        schedule.max_scheduled_runs or settings.server_services_scheduler_max_runs,
    )
    least = settings.server_services_scheduler_min_runs
    times: list[datetime] = []
    for time in islice(fire_times(schedule.schedule, after=now, before=last), most):
        if time > soon and len(times) >= least:
            break
        times.append(time)
    return times


async def materialise(scope: Scope, tx: Tx, deployment: Deployment, schedules: Sequence[ActiveSchedule]) -> int:
    """Insert the missing runs of a deployment's schedules; a fire time that has its run already is left alone."""
    new: list[NewRun] = []
    for schedule in schedules:
        present = await waiting_runs.fire_times(tx, schedule.id)
        try:
            wanted = [*_missed(schedule, scope), *ahead(schedule, scope.settings, now=scope.now)]
            times = [time for time in wanted if time not in present]
        except Invalid as error:  # written by an older program, or by hand: the others go on
            scope.telemetry.emit(ScheduleUnreadable(schedule.id, deployment.id, error))
            continue
        new += [_scheduled_run(deployment, schedule, time, scope.now) for time in times]
        if schedule.misfire is not None:
            await schedule_rows.set_made_until(tx, [schedule.id], max([scope.now, *wanted]))
    return len(await rows.insert(tx, new)) if new else 0


def _missed(schedule: ActiveSchedule, scope: Scope) -> list[datetime]:
    """Fire times that passed while no scheduler was there to make their runs, as far as they are made up for."""
    if schedule.misfire is None or schedule.made_until is None:
        return []
    most = scope.settings.server_services_scheduler_max_runs
    return made_up(schedule.schedule, schedule.misfire, since=schedule.made_until, now=scope.now, most=most)


async def materialise_deployment(scope: Scope, tx: Tx, deployment: Deployment) -> int:
    """The same for all active schedules of one deployment."""
    return await materialise(scope, tx, deployment, await schedule_rows.active_of_deployment(tx, deployment.id))


async def materialise_span(scope: Scope, tx: Tx, deployment: Deployment, span: ScheduleRuns) -> int:
    """Insert the runs of a deployment's active schedules in a span of time; a fire time that has its run keeps it."""
    settings = scope.settings
    start = span.start_time or scope.now
    end = span.end_time or start + timedelta(seconds=settings.server_services_scheduler_max_scheduled_time)
    least = settings.server_services_scheduler_min_runs if span.min_runs is None else span.min_runs
    most = settings.server_services_scheduler_max_runs if span.max_runs is None else span.max_runs
    seconds = settings.server_services_scheduler_min_scheduled_time if span.min_time is None else span.min_time
    new: list[NewRun] = []
    for schedule in await schedule_rows.active_of_deployment(tx, deployment.id):
        present = await waiting_runs.fire_times(tx, schedule.id)
        times = islice(fire_times(schedule.schedule, after=start - _INSTANT, before=end), most)
        for number, time in enumerate(times):
            if number >= least and (time - start).total_seconds() > seconds:
                break
            if time not in present:
                new.append(_scheduled_run(deployment, schedule, time, scope.now))
    return len(await rows.insert(tx, new)) if new else 0


async def withdraw(scope: Scope, tx: Tx, schedule_ids: Sequence[UUID]) -> int:
    """Delete the runs that schedules made ahead; runs that are due already, late ones among them, stay."""
    await schedule_rows.set_made_until(tx, schedule_ids, None)
    ids = [id for each in schedule_ids for id in await waiting_runs.ahead_of_schedule(tx, each, now=scope.now)]
    return await rows.delete(tx, await still_waiting(tx, ids))


async def still_waiting(tx: Tx, ids: Sequence[UUID]) -> list[UUID]:
    """Those that nobody claimed between the look that found them and their lock, which the transaction now holds."""
    locked = await rows.lock(tx, ids) if ids else {}
    return [run.id for run in locked.values() if run.current.type is StateType.SCHEDULED and not run.current.held]


def _scheduled_run(deployment: Deployment, schedule: ActiveSchedule, time: datetime, now: datetime) -> NewRun:
    body = DeploymentFlowRunCreate(
        state=StateCreate(
            type=StateType.SCHEDULED, message="Flow run scheduled", state_details=StateDetails(scheduled_time=time)
        ),
        tags=[AUTO_TAG],
        idempotency_key=fire_key(deployment.id, schedule.id, time),
        job_variables=schedule.job_variables or None,
    )
    parameters: dict[str, Any] = deployment.parameters | schedule.parameters
    run = new_run(deployment.flow_id, now, body, deployment=deployment, parameters=parameters)
    run.auto_scheduled = True
    run.created_by = CreatedBy(id=schedule.id, type="SCHEDULE", display_value=schedule.slug)
    return NewRun(run, schedule_id=schedule.id, key_id=set_key(run, deployment))
