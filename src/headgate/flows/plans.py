"""Deployments as code describes them, before they are sent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, TypedDict, TypeVar, Unpack
from uuid import UUID

import msgspec
from msgspec import UNSET

from headgate.core.concurrency_keys import check_expression
from headgate.errors import Invalid
from headgate.flows.entrypoints import entrypoint_of, split
from headgate.flows.flow import Flow
from headgate.flows.parameters import jsonable
from headgate.schema.deployments import (
    CollisionStrategy,
    ConcurrencyKey,
    ConcurrencyOptions,
    DeploymentCreate,
    DeploymentScheduleCreate,
    InfraRetries,
    said,
)
from headgate.schema.flows import Name
from headgate.schema.schedules import Schedule

T = TypeVar("T")

AnySchedule = Schedule | DeploymentScheduleCreate


@dataclass(frozen=True, slots=True)
class ConcurrencyLimit:
    """At most `limit` runs of a deployment at once, and what becomes of a run that comes on top."""

    limit: int
    collision_strategy: CollisionStrategy | str = CollisionStrategy.ENQUEUE
    grace_period_seconds: int | None = None


class DeploymentOptions(TypedDict, total=False):
    """What may be said about a deployment, beside its flow and name.

    - `work_pool_name` (default: the setting `default_work_pool_name`) and `work_queue_name`.
    - `cron` (text), `interval` (seconds or `timedelta`), `rrule` (text), each one or a list, in the zone `timezone`;
      `schedule` and `schedules` take records, which can also carry parameters of their own. Without any of these a
      deployment that exists keeps its schedules; `schedules=[]` takes them away.
    - `parameters`, `tags`, `job_variables`; `description` and `version`: by default the flow's.
    - `paused`: by default as the deployment was, and not paused when it is new.
    - `concurrency_limit`: a number, or a `ConcurrencyLimit`.
    - `concurrency_key`: runs for which this text comes to the same, such as `{{ parameters.customer }}`, run one at a time;
      or a `ConcurrencyKey`, with a limit and a collision strategy.
    - `infra_retries`: how often a run that lost its infrastructure is given other, or an `InfraRetries`.
    - `entrypoint` and `path`: where the function is; by default found from where it was defined.
    """

    work_pool_name: str | None
    work_queue_name: str | None
    schedules: Sequence[AnySchedule] | None
    schedule: AnySchedule | None
    cron: str | list[str] | None
    interval: float | timedelta | list[float | timedelta] | None
    rrule: str | list[str] | None
    timezone: str | None
    parameters: Mapping[str, Any] | None
    tags: Sequence[str] | None
    description: str | None
    version: str | None
    paused: bool | None
    job_variables: Mapping[str, Any] | None
    concurrency_limit: int | ConcurrencyLimit | None
    concurrency_key: str | ConcurrencyKey | None
    infra_retries: int | InfraRetries | None
    entrypoint: str | None
    path: str | Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentPlan:
    """A deployment of a flow that is not sent yet. Made by `Flow.to_deployment`."""

    flow: Flow[..., Any]
    name: str
    entrypoint: str
    path: Path
    work_pool_name: str | None = None
    work_queue_name: str | None = None
    schedules: list[DeploymentScheduleCreate] | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    description: str | None = None
    version: str | None = None
    paused: bool | None = None
    job_variables: dict[str, Any] = field(default_factory=dict)
    concurrency_limit: ConcurrencyLimit | None = None
    concurrency_key: ConcurrencyKey | None = None
    infra_retries: InfraRetries | None = None

    @property
    def full_name(self) -> str:
        """`flow/deployment`."""
        return f"{self.flow.name}/{self.name}"

    def body(self, flow_id: UUID, *, work_pool_name: str | None) -> DeploymentCreate:
        """What is sent to create the deployment."""
        limit = self.concurrency_limit
        return DeploymentCreate(
            name=self.name,
            flow_id=flow_id,
            version=said(self.version),
            description=said(self.description),
            paused=self.paused,
            schedules=self.schedules,
            concurrency_limit=limit.limit if limit else UNSET,
            concurrency_options=_options_of(limit) if limit else UNSET,
            concurrency_key=self.concurrency_key,
            infra_retries=self.infra_retries,
            job_variables=self.job_variables,
            parameters=self.parameters,
            tags=self.tags,
            work_pool_name=work_pool_name,
            work_queue_name=self.work_queue_name,
            parameter_openapi_schema=self.flow.parameters.schema(),
            path=str(self.path),
            entrypoint=self.entrypoint,
        )


def plan(flow: Flow[..., Any], name: str, **options: Unpack[DeploymentOptions]) -> DeploymentPlan:
    """A plan; `Invalid` or `ConfigError` when a name, a parameter or the entrypoint is wrong."""
    if unknown := set(options) - set(DeploymentOptions.__annotations__):
        known = ", ".join(DeploymentOptions.__annotations__)
        raise TypeError(f"A deployment has no option {', '.join(sorted(unknown))}; it has {known}.")
    try:
        msgspec.convert(name, Name)
    except msgspec.ValidationError:
        raise Invalid(f"A deployment's name has no / % & > < in it: {name!r}.", field="name", value=name) from None
    parameters = options.get("parameters") or {}
    flow.parameters.check_some(parameters)
    entrypoint, path = _place(flow, options)
    return DeploymentPlan(
        flow=flow,
        name=name,
        entrypoint=entrypoint,
        path=path,
        work_pool_name=options.get("work_pool_name"),
        work_queue_name=options.get("work_queue_name"),
        schedules=_schedules(options),
        parameters={key: jsonable(key, value) for key, value in parameters.items()},
        tags=list(options.get("tags") or ()),
        description=options.get("description") or flow.description,
        version=options.get("version") or flow.version,
        paused=options.get("paused"),
        job_variables=dict(options.get("job_variables") or {}),
        concurrency_limit=_limit(options.get("concurrency_limit")),
        concurrency_key=_key(options.get("concurrency_key"), flow, parameters),
        infra_retries=_infra_retries(options.get("infra_retries")),
    )


def _place(flow: Flow[..., Any], options: DeploymentOptions) -> tuple[str, Path]:
    """The entrypoint, and the directory that it is relative to."""
    base = Path(options.get("path") or Path.cwd()).absolute()
    given = options.get("entrypoint")
    if given is None:
        return entrypoint_of(flow, base=base)
    split(given)
    return given, base


def _schedules(options: DeploymentOptions) -> list[DeploymentScheduleCreate] | None:
    """All schedules that the options name; None when they say nothing about schedules."""
    zone = options.get("timezone")
    listed = options.get("schedules")
    single = options.get("schedule")
    schedules: list[AnySchedule] = [*(listed or ()), *((single,) if single is not None else ())]
    schedules += [Schedule(cron=cron, timezone=zone) for cron in _each(options.get("cron"))]
    intervals: list[float | timedelta] = _each(options.get("interval"))
    schedules += [Schedule(interval=_seconds(each), timezone=zone) for each in intervals]
    schedules += [Schedule(rrule=rrule, timezone=zone) for rrule in _each(options.get("rrule"))]
    if not schedules:
        return None if listed is None else []
    return [each if isinstance(each, DeploymentScheduleCreate) else _entry(each) for each in schedules]


def _entry(schedule: Schedule) -> DeploymentScheduleCreate:
    return DeploymentScheduleCreate(schedule=schedule)


def _each(value: T | list[T] | None) -> list[T]:
    if isinstance(value, list):
        return value
    return [] if value is None else [value]


def _seconds(interval: float | timedelta) -> float:
    seconds = interval.total_seconds() if isinstance(interval, timedelta) else float(interval)
    if seconds <= 0:
        raise Invalid(f"An interval must be above 0 seconds, not {seconds:g}.", field="interval", value=seconds)
    return seconds


def _limit(given: int | ConcurrencyLimit | None) -> ConcurrencyLimit | None:
    return ConcurrencyLimit(given) if isinstance(given, int) else given


def _key(given: str | ConcurrencyKey | None, flow: Flow[..., Any], parameters: Mapping[str, Any]) -> ConcurrencyKey | None:
    key = ConcurrencyKey(expression=given) if isinstance(given, str) else given
    if key is not None:
        check_expression(key.expression, flow.parameters.schema(), parameters)
    return key


def _infra_retries(given: int | InfraRetries | None) -> InfraRetries | None:
    return InfraRetries(max=given) if isinstance(given, int) else given


def _options_of(limit: ConcurrencyLimit) -> ConcurrencyOptions:
    return ConcurrencyOptions(
        collision_strategy=CollisionStrategy(limit.collision_strategy), grace_period_seconds=limit.grace_period_seconds
    )
