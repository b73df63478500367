"""`headgate deployment schedule`: when a deployment's runs are made by themselves."""

from datetime import datetime
from operator import attrgetter
from typing import Annotated

from cyclopts import App, Parameter
from msgspec import UNSET

from headgate.cli.find import find_deployment
from headgate.cli.fire_times import fire_table, next_fire_times
from headgate.cli.misfires import Deadline, Policy, misfire_of, misfire_text
from headgate.cli.options import DeploymentName, InSession, Output, Verbose, Yes
from headgate.cli.output import Column, UsageError, ago, confirm, local, print_json, print_table
from headgate.cli.overrides import Cron, Interval, Rrule, Timezone
from headgate.cli.pauses import By, Reason, note_of, paused_line, said
from headgate.cli.times import instant_of, seconds_of
from headgate.client.calls import deployments
from headgate.core import schedules
from headgate.core.wall_clock import find_zone
from headgate.errors import NotFound
from headgate.schema.deployments import Deployment, DeploymentSchedule, DeploymentScheduleCreate, DeploymentScheduleUpdate
from headgate.schema.schedules import KINDS, Schedule

app = App(name="schedule")

ScheduleName = Annotated[
    str | None, Parameter(help="Id or slug of the schedule; may be left out when the deployment has only one.")
]
Anchor = Annotated[
    str | None,
    Parameter(
        name="--anchor",
        metavar="MOMENT",
        help="A moment that the interval is counted from: '2026-03-01 09:00', in the schedule's time zone.",
    ),
]
DayOr = Annotated[
    bool | None,
    Parameter(
        name="--day-or",
        negative="--no-day-or",
        help="Whether one of a cron's two day fields has to match, or (--no-day-or) both. Without it one.",
    ),
]
NoActive = Annotated[bool, Parameter(name="--no-active", help="Create it paused: it makes no runs until it is resumed.")]
Count = Annotated[int, Parameter(name=["--count", "-n"], help="How many fire times to show.")]


@app.command
def ls(deployment: DeploymentName, /, *, verbose: Verbose = False, output: Output = "table", session: InSession) -> None:
    """List the schedules of a deployment, and when each fires next.

    For example:
        headgate deployment schedule ls inventory/nightly --verbose
    """
    with session.client() as client:
        found = find_deployment(client, deployment)
    found.schedules.sort(key=attrgetter("id"))
    if output == "json":
        print_json(found.schedules)
    else:
        now = session.now()
        columns = [Column("ID", keep=True), Column("Schedule"), Column("Next")]
        columns += [Column("Slug"), Column("Misfire"), Column("Paused")] if verbose else []
        rows = [_row(item, now, verbose=verbose) for item in found.schedules]
        print_table(f"Schedules of {deployment}", columns, rows, caption="(**) denotes a paused schedule")
        _say_paused(found, deployment, now)


@app.command
def create(
    deployment: DeploymentName,
    /,
    *,
    cron: Cron = None,
    day_or: DayOr = None,
    interval: Interval = None,
    anchor: Anchor = None,
    rrule: Rrule = None,
    timezone: Timezone = None,
    no_active: NoActive = False,
    misfire: Policy = None,
    start_deadline: Deadline = None,
    output: Output = "table",
    session: InSession,
) -> None:
    """Add a schedule to a deployment.

    For example:
        headgate deployment schedule create inventory/nightly --cron "0 3 * * *"
        headgate deployment schedule create etl/sync --interval 1h --misfire latest
    """
    late = misfire_of(misfire, start_deadline)
    timing = _timing(cron=cron, interval=interval, rrule=rrule, timezone=timezone, anchor=anchor, day_or=day_or)
    with session.client() as client:
        id = find_deployment(client, deployment).id
        body = DeploymentScheduleCreate(schedule=timing, active=not no_active, misfire=late)
        [created] = client.send(deployments.create_schedules(id, [body]))
    if output == "json":
        print_json(created)
    else:
        print(_created(created, session.now()))


@app.command
def preview(
    deployment: DeploymentName,
    schedule: ScheduleName = None,
    /,
    *,
    count: Count = 10,
    output: Output = "table",
    session: InSession,
) -> None:
    """Show when a schedule fires next, in its time zone, and where clocks change in between.

    With -o json each fire time has its `time` in UTC, `local` in the zone, and the `note`.

    For example:
        headgate deployment schedule preview inventory/nightly --count 5
    """
    if not 0 < count <= _MOST_TIMES:
        raise UsageError(f"--count {count}: give a number from 1 to {_MOST_TIMES}.")
    with session.client() as client:
        found = find_deployment(client, deployment)
    item, now = _find(found, schedule), session.now()
    times = next_fire_times(item.schedule, after=now, count=count)
    if output == "json":
        print_json(times)
    else:
        fire_table(f"{schedules.describe(item.schedule)}", times, now=now)
        if not item.active:
            resume = f"headgate deployment schedule resume {deployment} {item.id}"
            print(paused_line("The schedule", item.pause, now, effect="makes no runs", resume=resume))
        _say_paused(found, deployment, now)


@app.command
def pause(
    deployment: DeploymentName,
    schedule: ScheduleName = None,
    /,
    *,
    reason: Reason = None,
    by: By = None,
    session: InSession,
) -> None:
    """Stop a schedule and take back the runs that it has made ahead.

    For example:
        headgate deployment schedule pause inventory/nightly --reason "db upgrade"
    """
    with session.client() as client:
        found = find_deployment(client, deployment)
        item = _find(found, schedule)
        note = note_of(reason, by, is_paused=not item.active)
        body = DeploymentScheduleUpdate(active=False, pause_reason=note.pause_reason, paused_by=note.paused_by)
        client.send(deployments.update_schedule(found.id, item.id, body))
    print(f"Paused schedule {schedules.describe(item.schedule)} of deployment {deployment!r}")


@app.command
def resume(deployment: DeploymentName, schedule: ScheduleName = None, /, *, session: InSession) -> None:
    """Undo `pause`: runs are made again, and why it was paused is forgotten.

    For example:
        headgate deployment schedule resume inventory/nightly
    """
    with session.client() as client:
        found = find_deployment(client, deployment)
        item = _find(found, schedule)
        client.send(deployments.update_schedule(found.id, item.id, DeploymentScheduleUpdate(active=True)))
    print(f"Resumed schedule {schedules.describe(item.schedule)} of deployment {deployment!r}")


@app.command
def delete(deployment: DeploymentName, schedule: ScheduleName = None, /, *, yes: Yes = False, session: InSession) -> None:
    """Delete a schedule with the runs that it has made ahead.

    For example:
        headgate deployment schedule delete inventory/nightly
    """
    with session.client() as client:
        found = find_deployment(client, deployment)
        item = _find(found, schedule)
        title = f"schedule {schedules.describe(item.schedule)} of deployment {deployment!r}"
        confirm(f"Delete {title} with the runs that it has made ahead?", yes=yes)
        client.send(deployments.delete_schedule(found.id, item.id))
    print(f"Deleted {title}")


_MOST_TIMES = 1000


def _find(deployment: Deployment, text: str | None) -> DeploymentSchedule:
    """The schedule that an id or a slug names, or without one the only schedule."""
    known = sorted(deployment.schedules, key=attrgetter("id"))
    listed = "; ".join(f"{item.id} ({schedules.describe(item.schedule)})" for item in known) or "none"
    match [item for item in known if text is None or text in (str(item.id), item.slug)]:
        case [item]:
            return item
        case [_, _, *_]:
            raise UsageError(f"Which schedule? The deployment has {listed}.")
        case _ if text is None:
            raise NotFound("The deployment has no schedule; `headgate deployment schedule create` adds one.")
        case _:
            raise NotFound(f"The deployment has no schedule {text!r}; it has {listed}.")


def _timing(
    *,
    cron: str | None,
    interval: str | None,
    rrule: str | None,
    timezone: str | None,
    anchor: str | None,
    day_or: bool | None,
) -> Schedule:
    """The schedule that the options describe; `Invalid` when it can never fire."""
    if [cron, interval, rrule].count(None) != len(KINDS) - 1:
        raise UsageError("Give one of --cron, --interval and --rrule.")
    if anchor is not None and interval is None:
        raise UsageError("--anchor belongs to an --interval.")
    if day_or is not None and cron is None:
        raise UsageError("--day-or belongs to a --cron.")
    zone = find_zone(timezone)
    timing = Schedule(
        cron=UNSET if cron is None else cron,
        day_or=UNSET if day_or is None else day_or,
        interval=UNSET if interval is None else seconds_of(interval, option="--interval"),
        anchor_date=UNSET if anchor is None else instant_of(anchor, zone, option="--anchor"),
        rrule=UNSET if rrule is None else rrule,
        timezone=timezone,
    )
    schedules.check(timing)
    return timing


def _created(item: DeploymentSchedule, now: datetime) -> str:
    when = _next(item, now)
    return f"""\
Created deployment schedule with properties:
    schedule - {schedules.describe(item.schedule)}
    id - {item.id}
    active - {item.active}
    next - {f"{local(when)[:-4]} ({ago(when, now)})" if when else "none"}"""


def _next(item: DeploymentSchedule, now: datetime) -> datetime | None:
    return schedules.next_fire(item.schedule, after=now) if item.active else None


def _row(item: DeploymentSchedule, now: datetime, *, verbose: bool) -> tuple[str, ...]:
    mark = "" if item.active else " **"
    row = (str(item.id), schedules.describe(item.schedule) + mark, ago(_next(item, now), now, short=True))
    return (*row, item.slug or "", misfire_text(item.misfire), said(item.pause, now)) if verbose else row


def _say_paused(deployment: Deployment, name: str, now: datetime) -> None:
    if deployment.paused:
        resume = f"headgate deployment resume {name}"
        print(paused_line("The whole deployment", deployment.pause, now, effect="makes no runs", resume=resume))
