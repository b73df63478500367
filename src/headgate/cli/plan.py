"""From a deployment's entry to the records that a deploy writes, with everything checked that can be checked before."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from msgspec import UNSET

from headgate.cli.job_variables import job_variables_of
from headgate.cli.misfires import misfire_of
from headgate.cli.output import Problems
from headgate.cli.program import Program, program_of
from headgate.cli.project import DeploymentEntry, LimitEntry, ScheduleEntry
from headgate.cli.times import seconds_of
from headgate.cli.values import parameters_of
from headgate.core import schedules, templates
from headgate.core.concurrency_keys import check_expression
from headgate.errors import HeadgateError, Invalid
from headgate.schema.deployments import (
    CollisionStrategy,
    ConcurrencyOptions,
    DeploymentCreate,
    DeploymentScheduleCreate,
    InfraRetries,
    Misfire,
    said,
)
from headgate.schema.flows import Name
from headgate.schema.schedules import Schedule
from headgate.schema.work_pools import WorkPool

T = TypeVar("T")

NOT_YET = UUID(int=0)
"""Stands for the flow's id until the flow is written."""


@dataclass(frozen=True, slots=True)
class Destination:
    """What a plan looks at of its work pool, which may not be there yet."""

    name: str
    type: str
    base_job_template: dict[str, Any]


def destination_of(pool: WorkPool) -> Destination:
    """The same of a pool that is there."""
    return Destination(pool.name, pool.type, pool.base_job_template)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a deploy of one deployment writes. `paused` None: as it is now. `warnings` are for people.

    `shared_limit` is the name of the limit whose id `body` has, if it is there already.
    """

    flow_name: str
    pool: Destination
    body: DeploymentCreate
    paused: bool | None
    warnings: Sequence[str]
    shared_limit: str | None = None

    @property
    def full_name(self) -> str:
        """`flow/deployment`."""
        return f"{self.flow_name}/{self.body.name}"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a plan depends on besides its entry.

    `pool_of` gives a pool by name, or raises `NotFound`; `limit_of` does so with the id of a limit that deployments may
    share, None for one that is yet to be made. `parameters` are KEY=VALUE from flags and go before the entry's.
    """

    directory: Path
    pool_of: Callable[[str], Destination]
    limit_of: Callable[[str], UUID | None]
    default_pool: str | None = None
    parameters: Sequence[str] = ()


def make_plan(entry: DeploymentEntry, where: str, around: Surroundings) -> Plan:
    """The plan for an entry; `Problems` lists all that is wrong with it."""
    findings = _Findings(where)
    name = findings.of(lambda: _name(entry))
    program = findings.of(lambda: program_of(entry, around.directory))
    parameters = findings.of(lambda: _parameters(entry, program, around.parameters))
    pool = findings.of(lambda: _pool(entry, around))
    variables = findings.of(lambda: _job_variables(entry, pool))
    timing = findings.of(lambda: _schedules(entry, program, pool, variables or {}))
    restarts = findings.of(lambda: _infra_retries(entry.infra_retries))
    findings.of(lambda: _check_key(entry, program, parameters))
    shared = entry.concurrency_limit.shared if entry.concurrency_limit else None
    shared_id = findings.of(lambda: around.limit_of(shared)) if shared is not None else None
    if findings.problems or name is None or program is None or pool is None:
        raise Problems(findings.problems)
    body = DeploymentCreate(
        name=name,
        flow_id=NOT_YET,
        version=said(str(entry.version) if entry.version is not None else program.version),
        description=said(entry.description if entry.description is not None else program.description),
        schedules=timing,
        concurrency_limit=said(entry.concurrency_limit.limit if entry.concurrency_limit else None),
        global_concurrency_limit_id=shared_id,
        concurrency_options=said(_options(entry.concurrency_limit)),
        concurrency_key=entry.concurrency_key,
        infra_retries=restarts,
        job_variables=variables,
        parameters=parameters,
        tags=entry.tags or [],
        work_pool_name=pool.name,
        work_queue_name=entry.work_pool.work_queue_name if entry.work_pool else None,
        parameter_openapi_schema=program.schema,
        path=said(_path(entry, around.directory)),
        labels=entry.labels,
        pull_steps=entry.pull,
        entrypoint=said(entry.entrypoint),
        command=entry.command,
        enforce_parameter_schema=entry.enforce_parameter_schema,
    )
    warnings = [f"{where}: {text}" for text in _warnings(entry, program)]
    return Plan(program.flow_name or entry.flow_name or name, pool, body, entry.paused, warnings, shared)


class _Findings:
    """What is wrong with an entry, in the order in which it was found."""

    def __init__(self, where: str) -> None:
        self._where = where
        self.problems: list[str] = []

    def of(self, find: Callable[[], T]) -> T | None:
        """What `find` answers, or None and one problem more."""
        try:
            return find()
        except Invalid as error:
            self.problems.append(f"{self._where}{f'.{error.field}' if error.field else ''}: {error}")
        except HeadgateError as error:
            self.problems.append(f"{self._where}: {error}")
        return None


def _name(entry: DeploymentEntry) -> str:
    if entry.name is None:
        raise Invalid("the deployment has no name", field="name")
    for field, name in (("name", entry.name), ("flow_name", entry.flow_name or entry.name)):
        try:
            msgspec.convert(name, Name)
        except msgspec.ValidationError:
            raise Invalid(f"{name!r} is no name: it needs a letter, and none of / % & > <", field=field) from None
    return entry.name


def _path(entry: DeploymentEntry, directory: Path) -> str | None:
    """What the entrypoint is relative to: this project, unless the entry says otherwise or fetches the code first."""
    if entry.path is not UNSET:
        return entry.path
    return None if entry.pull else str(directory)


def _parameters(entry: DeploymentEntry, program: Program | None, given: Sequence[str]) -> dict[str, Any]:
    values = (entry.parameters or {}) | parameters_of(given, None, schema=program.schema if program else None)
    if program and entry.enforce_parameter_schema is not False:
        program.check(values, "parameters")
    return values


def _infra_retries(given: InfraRetries | int | None) -> InfraRetries | None:
    """A number alone is how often."""
    if not isinstance(given, int):
        return given
    try:
        return msgspec.convert({"max": given}, InfraRetries)
    except msgspec.ValidationError as error:
        raise Invalid(f"{given}: {str(error).partition(' - at')[0]}", field="infra_retries") from None


def _pool(entry: DeploymentEntry, around: Surroundings) -> Destination:
    name = (entry.work_pool and entry.work_pool.name) or around.default_pool
    if name is None:
        raise Invalid("no work pool is named; give --pool NAME, or work_pool: {name: NAME}", field="work_pool.name")
    return around.pool_of(name)


def _job_variables(entry: DeploymentEntry, pool: Destination | None) -> dict[str, Any]:
    variables = job_variables_of(entry)
    if pool is not None:
        _check_variables(pool, "work_pool.job_variables", variables)
    return variables


def _check_variables(pool: Destination, field: str, *layers: dict[str, Any]) -> None:
    try:
        templates.validate_variables(pool.base_job_template, *layers, known_only=True)
    except Invalid as error:
        raise Invalid(f"work pool {pool.name!r}: {error}", field=field) from None


def _schedules(
    entry: DeploymentEntry, program: Program | None, pool: Destination | None, variables: dict[str, Any]
) -> list[DeploymentScheduleCreate] | None:
    """The schedules that the entry lists; None when it says nothing of schedules, and those that are there stay."""
    if entry.schedule is not None and entry.schedules is not None:
        raise Invalid("`schedule` and `schedules` cannot both be given", field="schedules")
    if entry.schedule is not None and entry.schedule != ScheduleEntry():
        return [_schedule(entry.schedule, "schedule", program, pool, variables)]
    if entry.schedules is None:
        return None
    return [_schedule(each, f"schedules[{number}]", program, pool, variables) for number, each in enumerate(entry.schedules)]


def _schedule(
    entry: ScheduleEntry, field: str, program: Program | None, pool: Destination | None, of_deployment: dict[str, Any]
) -> DeploymentScheduleCreate:
    parameters, variables = entry.parameters or {}, entry.job_variables or {}
    if program:
        program.check(parameters, f"{field}.parameters")
    if pool and variables:
        _check_variables(pool, f"{field}.job_variables", of_deployment, variables)
    return DeploymentScheduleCreate(
        schedule=_timing(entry, field),
        active=entry.active,
        max_scheduled_runs=entry.max_scheduled_runs,
        parameters=parameters,
        job_variables=variables,
        slug=entry.slug,
        misfire=_misfire(entry, field),
        replaces=entry.replaces,
    )


def _misfire(entry: ScheduleEntry, field: str) -> Misfire | None:
    deadline = None if entry.start_deadline is None else str(entry.start_deadline)
    try:
        return misfire_of(entry.misfire, deadline, option="start_deadline")
    except HeadgateError as error:
        raise Invalid(str(error), field=f"{field}.start_deadline") from None


def _timing(entry: ScheduleEntry, field: str) -> Schedule:
    try:
        interval = seconds_of(str(entry.interval), option="interval") if entry.interval is not None else UNSET
        schedule = Schedule(
            interval=interval,
            anchor_date=said(entry.anchor_date),
            cron=said(entry.cron),
            day_or=said(entry.day_or),
            rrule=said(entry.rrule),
            timezone=entry.timezone,
        )
        schedules.check(schedule)
    except Invalid as error:
        raise Invalid(str(error), field=f"{field}.{error.field}" if error.field else field) from None
    except (HeadgateError, ValueError) as error:
        raise Invalid(str(error), field=field) from None
    return schedule


def _check_key(entry: DeploymentEntry, program: Program | None, parameters: dict[str, Any] | None) -> None:
    if entry.concurrency_key is not None and program is not None:
        check_expression(entry.concurrency_key.expression, program.schema, parameters or {})


def _options(limit: LimitEntry | None) -> ConcurrencyOptions | None:
    if limit is None or (limit.collision_strategy is None and limit.grace_period_seconds is None):
        return None
    strategy = limit.collision_strategy or CollisionStrategy.ENQUEUE
    return ConcurrencyOptions(collision_strategy=strategy, grace_period_seconds=limit.grace_period_seconds)


def _warnings(entry: DeploymentEntry, program: Program) -> Iterator[str]:
    if entry.flow_name and program.flow_name not in (None, entry.flow_name):
        yield f"flow_name has no effect: the flow at {entry.entrypoint} is called {program.flow_name!r}."
    for key in ("build", "push"):
        if getattr(entry, key):
            yield f"the `{key}` steps are not run; run them yourself before you deploy."
    for name in [name for step in entry.pull or () for name in step]:
        if name.rpartition(".")[2] != "set_working_directory":
            yield f"the pull step {name!r} is kept for other tools; workers of headgate cannot do it."
