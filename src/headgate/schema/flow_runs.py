"""Flow runs on the wire."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType, field

from headgate.schema.flows import Labels, Name
from headgate.schema.states import State, StateCreate, StateType
from headgate.schema.work_queues import MAX_COUNT

IdempotencyKey = Annotated[str, Meta(max_length=500)]
"""As long as an index of either database takes."""

Retries = Annotated[int, Meta(ge=0, le=MAX_COUNT)]
Delay = Annotated[float, Meta(ge=0, le=31_622_400)]
"""Seconds, up to a year."""


class CreatedBy(Struct, kw_only=True):
    """Who made a record: a user, a schedule, a deployment."""

    id: UUID | None = None
    type: str | None = None
    display_value: str | None = None


class RetryType(StrEnum):
    """What runs a run again that was over: the process that it was in, or whoever takes it from its queue."""

    IN_PROCESS = "in_process"
    RESCHEDULE = "reschedule"


class FlowRunPolicy(Struct, kw_only=True):
    """How often and after how long the engine runs a failed flow again. Delays are in seconds."""

    max_retries: Retries = 0
    retry_delay_seconds: Delay = 0.0
    retries: Retries | None = None
    retry_delay: Delay | list[Delay] | None = None
    pause_keys: list[str] | None = field(default_factory=list)
    resuming: bool | None = False
    retry_type: RetryType | None = None

    def __post_init__(self) -> None:
        # The names of yesterday count where those of today are not given.
        if self.max_retries and self.retries is None:
            self.retries = self.max_retries
        if self.retry_delay_seconds and self.retry_delay is None:
            self.retry_delay = self.retry_delay_seconds


class FlowRun(Struct, kw_only=True):
    """One execution of a flow. Durations are in seconds."""

    id: UUID
    created: datetime
    updated: datetime
    name: str
    flow_id: UUID
    state_id: UUID | None = None
    deployment_id: UUID | None = None
    deployment_version: str | None = None
    work_queue_id: UUID | None = None
    work_queue_name: str | None = None
    work_pool_id: UUID | None = None
    work_pool_name: str | None = None
    flow_version: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    idempotency_key: str | None = None
    context: dict[str, Any] = field(default_factory=dict)
    empirical_policy: FlowRunPolicy = field(default_factory=FlowRunPolicy)
    tags: list[str] = field(default_factory=list)
    labels: dict[str, Any] = field(default_factory=dict)
    parent_task_run_id: UUID | None = None
    state_type: StateType | None = None
    state_name: str | None = None
    run_count: int = 0
    expected_start_time: datetime | None = None
    next_scheduled_start_time: datetime | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    total_run_time: float = 0.0
    estimated_run_time: float = 0.0
    estimated_start_time_delta: float = 0.0
    auto_scheduled: bool = False
    infrastructure_document_id: UUID | None = None
    infrastructure_pid: str | None = None
    created_by: CreatedBy | None = None
    job_variables: dict[str, Any] | None = None
    state: State | None = None
    fence: int = 0
    """How often the run was claimed; a holder of an older number may no longer write."""
    concurrency_key: str | None = None
    """What its deployment's concurrency key came to for its parameters."""


class FlowRunCreate(Struct, kw_only=True):
    """Body that creates a run without a deployment. Without a state it starts Pending: its caller runs it."""

    flow_id: UUID
    name: str | None = None
    flow_version: str | None = None
    parameters: dict[str, Any] | None = None
    context: dict[str, Any] | None = None
    parent_task_run_id: UUID | None = None
    infrastructure_document_id: UUID | None = None
    empirical_policy: FlowRunPolicy | None = None
    tags: list[str] | None = None
    labels: Labels | None = None
    idempotency_key: IdempotencyKey | None = None
    deployment_id: UUID | None = None
    work_pool_name: str | None = None
    work_queue_name: Name | None = None
    job_variables: dict[str, Any] | None = None
    state: StateCreate | None = None


class DeploymentFlowRunCreate(Struct, kw_only=True):
    """Body that creates a run of a deployment. Without a state it is due now.

    `parameters` overlay the deployment's, `tags` add to them, `job_variables` overlay its job variables when
    the run is claimed. The same `idempotency_key` answers with the same run.
    """

    state: StateCreate | None = None
    name: str | None = None
    parameters: dict[str, Any] | None = None
    enforce_parameter_schema: bool | None = None
    context: dict[str, Any] | None = None
    infrastructure_document_id: UUID | None = None
    empirical_policy: FlowRunPolicy | None = None
    tags: list[str] | None = None
    labels: Labels | None = None
    idempotency_key: IdempotencyKey | None = None
    parent_task_run_id: UUID | None = None
    work_queue_name: Name | None = None
    job_variables: dict[str, Any] | None = None
    priority: Annotated[int, Meta(ge=-1000, le=1000)] = 0
    """Runs of a higher number go first inside their queue."""


class Trace(Struct, kw_only=True):
    """How infrastructure is found again by another than who started it.

    `site` is where it can be reached, such as one boot of one machine; `handle` names it there, so that it is never taken
    for another; `fence` is that of the claim for which it was started.
    """

    site: str
    handle: str
    fence: int


class FlowRunUpdate(Struct, kw_only=True):
    """Body that changes a run; what is left out stays. A new `infrastructure_pid` takes the old one's trace away."""

    name: str | None | UnsetType = UNSET
    flow_version: str | None | UnsetType = UNSET
    parameters: dict[str, Any] | UnsetType = UNSET
    empirical_policy: FlowRunPolicy | UnsetType = UNSET
    tags: list[str] | UnsetType = UNSET
    infrastructure_pid: str | None | UnsetType = UNSET
    infrastructure_trace: Trace | None | UnsetType = UNSET
    job_variables: dict[str, Any] | None | UnsetType = UNSET


class FlowRunPage(Struct, kw_only=True):
    """A numbered page: its runs, how many match in all, and how many pages that makes."""

    results: list[FlowRun]
    count: int
    limit: int
    pages: int
    page: int
