"""Deployments and their schedules on the wire."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, TypeVar
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType, field

from headgate.schema.concurrency_limits import GlobalConcurrencyLimit
from headgate.schema.filters import MAX_PAGE, DeploymentFilter
from headgate.schema.flow_runs import CreatedBy, Delay
from headgate.schema.flows import Labels, Name
from headgate.schema.pauses import Pause, PauseNote
from headgate.schema.schedules import Schedule
from headgate.schema.states import CrashReason
from headgate.schema.times import make_aware
from headgate.schema.work_queues import MAX_COUNT, Limit, ReadyStatus

T = TypeVar("T")
PositiveCount = Annotated[int, Meta(gt=0, le=MAX_COUNT)]


class CollisionStrategy(StrEnum):
    """What happens to a run that its deployment's limit does not admit."""

    ENQUEUE = "ENQUEUE"
    """It waits for a slot."""
    CANCEL_NEW = "CANCEL_NEW"
    """It is cancelled."""


GraceSeconds = Annotated[int, Meta(ge=60, le=86_400)]
"""How long existing servers wait for a run's infrastructure before they give its slot to another; kept for them. Here a
lease tells."""


class ConcurrencyOptions(Struct, kw_only=True):
    """How a deployment's concurrency limit behaves."""

    collision_strategy: CollisionStrategy = CollisionStrategy.ENQUEUE
    grace_period_seconds: GraceSeconds | None = None


class KeyStrategy(StrEnum):
    """What happens when a run falls due and as many runs of its concurrency key as may be are in progress."""

    ENQUEUE = "ENQUEUE"
    """It waits for its turn."""
    CANCEL_NEW = "CANCEL_NEW"
    """It is cancelled."""
    CANCEL_RUNNING = "CANCEL_RUNNING"
    """Older runs of its key are cancelled, in progress or not, and it takes their place."""
    REPLACE_QUEUED = "REPLACE_QUEUED"
    """It waits, and older runs of its key that still wait are cancelled."""


class ConcurrencyKey(Struct, kw_only=True):
    """At most `limit` runs at once of those for which `expression` gives the same text.

    `expression` is text with placeholders of the run's parameters, such as `{{ parameters.customer }}`. It is resolved
    once, when a run is created.
    """

    expression: Annotated[str, Meta(max_length=1000)]
    limit: PositiveCount = 1
    collision_strategy: KeyStrategy = KeyStrategy.ENQUEUE


INFRASTRUCTURES_FAULT = (CrashReason.LAUNCH_ERROR, CrashReason.LOST, CrashReason.OUT_OF_MEMORY, CrashReason.PREEMPTED)


class InfraRetries(Struct, kw_only=True):
    """How often a run that lost its infrastructure is given other, and after how many seconds.

    The delay is multiplied by `backoff` with each further time, up to `max_delay_seconds`. A flow's own retries, which
    are for its errors, are counted apart from these.
    """

    max: Annotated[int, Meta(ge=0, le=100)]
    delay_seconds: Delay = 10.0
    backoff: Annotated[float, Meta(ge=1, le=100)] = 2.0
    max_delay_seconds: Delay = 600.0
    reasons: list[CrashReason] = field(default_factory=lambda: [*INFRASTRUCTURES_FAULT])


class MisfirePolicy(StrEnum):
    """What becomes of a schedule's runs that could not start at their time, for whatever reason."""

    RUN_ALL = "run_all"
    """They start when they can; times that passed while no server was up are made up for."""
    LATEST = "latest"
    """The latest of them starts when it can; those before it are skipped."""
    SKIP = "skip"
    """They are skipped once they are late."""


class Misfire(Struct, kw_only=True):
    """A schedule's misfire policy. A run that has not started `start_deadline_seconds` after its time is skipped."""

    policy: MisfirePolicy = MisfirePolicy.RUN_ALL
    start_deadline_seconds: Delay | None = None


class DeploymentSchedule(Struct, kw_only=True):
    """One schedule of a deployment, with its own switch, parameters and job variables."""

    id: UUID
    created: datetime
    updated: datetime
    deployment_id: UUID
    schedule: Schedule
    active: bool = True
    max_scheduled_runs: int | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    job_variables: dict[str, Any] = field(default_factory=dict)
    slug: str | None = None
    misfire: Misfire | None = None
    """Without one, runs that wait start when they can, and times that passed while no server was up are let go."""
    pause: Pause | None = None


class DeploymentScheduleCreate(Struct, kw_only=True):
    """A schedule as its author sends it. A deploy finds the one it replaces by `replaces`, `slug` or same timing."""

    schedule: Schedule
    active: bool | None = None
    max_scheduled_runs: PositiveCount | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    job_variables: dict[str, Any] = field(default_factory=dict)
    slug: str | None = None
    misfire: Misfire | None = None
    replaces: str | None = None


class DeploymentScheduleUpdate(PauseNote, kw_only=True):
    """Body that changes a schedule; what is left out stays."""

    schedule: Schedule | UnsetType = UNSET
    active: bool | None | UnsetType = UNSET
    max_scheduled_runs: PositiveCount | None | UnsetType = UNSET
    parameters: dict[str, Any] | UnsetType = UNSET
    job_variables: dict[str, Any] | UnsetType = UNSET
    misfire: Misfire | None | UnsetType = UNSET
    slug: str | None | UnsetType = UNSET


class DeploymentScheduleChange(Struct, kw_only=True):
    """One schedule in a change of a deployment; what is left out of one that is there already stays.

    `replaces` is the slug of the schedule that is meant, where it is to get another.
    """

    schedule: Schedule | UnsetType = UNSET
    active: bool | None = None
    max_scheduled_runs: PositiveCount | None | UnsetType = UNSET
    parameters: dict[str, Any] | UnsetType = UNSET
    job_variables: dict[str, Any] | UnsetType = UNSET
    slug: str | None = None
    misfire: Misfire | None | UnsetType = UNSET
    replaces: str | None = None


class Deployment(Struct, kw_only=True):
    """A flow plus where its code is and how it is run.

    `global_concurrency_limit` holds its limit; `concurrency_limit`, where clients of old read it, is null. `schedules` begin
    with the one that was changed last. `schedule` and `is_schedule_active` are what clients of old read: that one, and that
    the deployment is not paused.

    Exactly one of `entrypoint` (`path.py:function` or `package.module:function`) and `command` names the code;
    deployments made by other tools may carry neither.
    """

    id: UUID
    created: datetime
    updated: datetime
    name: str
    flow_id: UUID
    version: str | None = None
    description: str | None = None
    paused: bool = False
    schedules: list[DeploymentSchedule] = field(default_factory=list)
    concurrency_limit: int | None = None
    global_concurrency_limit: GlobalConcurrencyLimit | None = None
    concurrency_options: ConcurrencyOptions | None = None
    concurrency_key: ConcurrencyKey | None = None
    infra_retries: InfraRetries | None = None
    job_variables: dict[str, Any] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    labels: dict[str, Any] = field(default_factory=dict)
    is_schedule_active: bool = True
    schedule: Schedule | None = None
    work_queue_name: str | None = None
    work_queue_id: UUID | None = None
    last_polled: datetime | None = None
    parameter_openapi_schema: dict[str, Any] | None = None
    path: str | None = None
    pull_steps: list[dict[str, Any]] | None = None
    entrypoint: str | None = None
    command: str | None = None
    storage_document_id: UUID | None = None
    infrastructure_document_id: UUID | None = None
    created_by: CreatedBy | None = None
    updated_by: CreatedBy | None = None
    work_pool_name: str | None = None
    work_pool_id: UUID | None = None
    status: ReadyStatus | None = None
    enforce_parameter_schema: bool = True
    pause: Pause | None = None

    @property
    def limit(self) -> int | None:
        """How many of its runs may be in progress at once, by a limit of its own, which has its id."""
        limit = self.global_concurrency_limit
        return limit.limit if limit and limit.id == self.id else None

    @property
    def shared_limit(self) -> GlobalConcurrencyLimit | None:
        """The named limit of which its runs take slots, if it has none of its own."""
        limit = self.global_concurrency_limit
        return limit if limit and limit.id != self.id else None

    @property
    def shared_limit_id(self) -> UUID | None:
        """The id of that one."""
        return self.shared_limit.id if self.shared_limit else None


def said(value: T | None) -> T | UnsetType:
    """A value for a field that may be UNSET; None says nothing, so that what is there stays."""
    return UNSET if value is None else value


class DeploymentCreate(PauseNote, kw_only=True):
    """Body that creates a deployment, or replaces the one of the same flow and name.

    What is left out stays as it is on the one that exists. So does what is null, but where fields may be UNSET here: those
    existing clients always send, so that their null is a value that was taken away.

    `infra_overrides` is the older name of `job_variables`; clients of old say `schedule` and `is_schedule_active`
    where `schedules` and `paused` are left out.
    """

    name: Name
    flow_id: UUID
    version: str | None | UnsetType = UNSET
    description: str | None | UnsetType = UNSET
    paused: bool | None = None
    schedules: list[DeploymentScheduleCreate] | None = None
    concurrency_limit: Limit | None | UnsetType = UNSET
    concurrency_options: ConcurrencyOptions | None | UnsetType = UNSET
    concurrency_key: ConcurrencyKey | None = None
    infra_retries: InfraRetries | None = None
    job_variables: dict[str, Any] | None = None
    infra_overrides: dict[str, Any] | None = None
    parameters: dict[str, Any] | None = None
    tags: list[str] | None = None
    labels: Labels | None = None
    work_queue_name: Name | None = None
    work_pool_name: str | None = None
    parameter_openapi_schema: dict[str, Any] | None = None
    path: str | None | UnsetType = UNSET
    pull_steps: list[dict[str, Any]] | None = None
    entrypoint: str | None | UnsetType = UNSET
    command: str | None = None
    storage_document_id: UUID | None | UnsetType = UNSET
    infrastructure_document_id: UUID | None | UnsetType = UNSET
    enforce_parameter_schema: bool | None = None
    schedule: Schedule | None = None
    is_schedule_active: bool | None = None
    global_concurrency_limit_id: UUID | None = None


class DeploymentUpdate(PauseNote, kw_only=True):
    """Body that changes a deployment; what is left out stays, an explicit null clears.

    `schedules`, when given, is the whole new list: schedules found again by slug or timing keep their ids.
    """

    version: str | None | UnsetType = UNSET
    description: str | None | UnsetType = UNSET
    paused: bool | UnsetType = UNSET
    schedules: list[DeploymentScheduleCreate] | UnsetType = UNSET
    concurrency_limit: Limit | None | UnsetType = UNSET
    concurrency_options: ConcurrencyOptions | None | UnsetType = UNSET
    concurrency_key: ConcurrencyKey | None | UnsetType = UNSET
    infra_retries: InfraRetries | None | UnsetType = UNSET
    job_variables: dict[str, Any] | None | UnsetType = UNSET
    infra_overrides: dict[str, Any] | None | UnsetType = UNSET
    parameters: dict[str, Any] | UnsetType = UNSET
    tags: list[str] | UnsetType = UNSET
    labels: Labels | UnsetType = UNSET
    work_queue_name: Name | None | UnsetType = UNSET
    work_pool_name: str | None | UnsetType = UNSET
    parameter_openapi_schema: dict[str, Any] | None | UnsetType = UNSET
    path: str | None | UnsetType = UNSET
    pull_steps: list[dict[str, Any]] | None | UnsetType = UNSET
    entrypoint: str | None | UnsetType = UNSET
    command: str | None | UnsetType = UNSET
    storage_document_id: UUID | None | UnsetType = UNSET
    infrastructure_document_id: UUID | None | UnsetType = UNSET
    enforce_parameter_schema: bool | UnsetType = UNSET
    schedule: Schedule | None | UnsetType = UNSET
    is_schedule_active: bool | None | UnsetType = UNSET
    global_concurrency_limit_id: UUID | None | UnsetType = UNSET


class DeploymentPatch(DeploymentUpdate, kw_only=True):
    """The same as it comes from a client, which may change some schedules and leave the others.

    Where all schedules have slugs, those that are there and those that are given, `schedules` are the ones to be changed or
    added. Otherwise, and with `whole_schedules`, they are the whole new list, as an empty one always is.
    """

    schedules: list[DeploymentScheduleChange] | UnsetType = UNSET  # type: ignore[assignment]  # each is made whole
    whole_schedules: bool = False


class DeploymentPage(Struct, kw_only=True):
    """A page of deployments; `count` is of all that match."""

    results: list[Deployment]
    count: int
    limit: int
    pages: int
    page: int


class BulkDeleteDeployments(Struct, kw_only=True):
    """Body that deletes the deployments that match, up to `limit` of them; no filter matches none."""

    deployments: DeploymentFilter | None = None
    limit: Annotated[int, Meta(ge=1, le=MAX_PAGE)] = 50


class BulkDeletedDeployments(Struct, kw_only=True):
    """Which deployments were deleted."""

    deleted: list[UUID] = field(default_factory=list)


class ScheduleRuns(Struct, kw_only=True):
    """Body that has a deployment's schedules make their runs from `start_time` (now) on; it may be in the past.

    Up to `max_runs` of each, none after `end_time`; until there are `min_runs` and `min_time` seconds are covered.
    """

    start_time: datetime | None = None
    end_time: datetime | None = None
    min_time: Annotated[float, Meta(ge=0, le=1e9)] | None = None
    min_runs: Limit | None = None
    max_runs: Annotated[int, Meta(ge=0, le=1000)] | None = None

    def __post_init__(self) -> None:
        make_aware(self, "start_time", "end_time")


class GetScheduledRuns(Struct, kw_only=True):
    """Body of the poll that a process which serves deployments makes."""

    deployment_ids: list[UUID]
    scheduled_before: datetime | None = None
    limit: Limit | None = None

    def __post_init__(self) -> None:
        make_aware(self, "scheduled_before")
