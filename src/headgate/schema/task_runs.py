"""Task runs on the wire."""

from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType, field

from headgate.schema.flow_runs import Delay, Retries
from headgate.schema.flows import Labels
from headgate.schema.states import State, StateCreate, StateType
from headgate.schema.times import make_aware


class TaskRunPolicy(Struct, kw_only=True):
    """How often and after how long a failed task runs again. Delays are in seconds; the last stands for all further ones.

    With a jitter factor each delay is drawn at random around its value, at most that many times longer.
    """

    max_retries: Retries = 0
    retry_delay_seconds: Delay = 0.0
    retries: Retries | None = None
    retry_delay: Delay | list[Delay] | None = None
    retry_jitter_factor: float | None = None

    def __post_init__(self) -> None:
        # The names of yesterday count where those of today are not given.
        if self.max_retries and self.retries is None:
            self.retries = self.max_retries
        if self.retry_delay_seconds and self.retry_delay is None:
            self.retry_delay = self.retry_delay_seconds


class TaskRun(Struct, kw_only=True):
    """One execution of a task, within a flow run or by itself. Durations are in seconds."""

    id: UUID
    created: datetime
    updated: datetime
    name: str
    flow_run_id: UUID | None = None
    task_key: str
    dynamic_key: str
    """Tells the runs of one task within a flow run apart."""
    cache_key: str | None = None
    cache_expiration: datetime | None = None
    task_version: str | None = None
    empirical_policy: TaskRunPolicy = field(default_factory=TaskRunPolicy)
    tags: list[str] = field(default_factory=list)
    labels: dict[str, Any] = field(default_factory=dict)
    state_id: UUID | None = None
    task_inputs: dict[str, Any] = field(default_factory=dict)
    state_type: StateType | None = None
    state_name: str | None = None
    run_count: int = 0
    flow_run_run_count: int = 0
    """The number of the flow run's attempt that it belongs to."""
    expected_start_time: datetime | None = None
    next_scheduled_start_time: datetime | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    total_run_time: float = 0.0
    estimated_run_time: float = 0.0
    estimated_start_time_delta: float = 0.0
    state: State | None = None


class TaskRunReport(Struct, kw_only=True):
    """What a client that orchestrates a task run itself says of it with each state; what is left out stays."""

    task_key: str
    dynamic_key: str
    name: str | UnsetType = UNSET
    cache_key: str | None | UnsetType = UNSET
    cache_expiration: datetime | None | UnsetType = UNSET
    task_version: str | None | UnsetType = UNSET
    empirical_policy: TaskRunPolicy | UnsetType = UNSET
    tags: list[str] | UnsetType = UNSET
    labels: Labels | None | UnsetType = UNSET
    task_inputs: dict[str, Any] | UnsetType = UNSET
    run_count: int | UnsetType = UNSET
    flow_run_run_count: int | UnsetType = UNSET
    expected_start_time: datetime | None | UnsetType = UNSET
    next_scheduled_start_time: datetime | None | UnsetType = UNSET
    start_time: datetime | None | UnsetType = UNSET
    end_time: datetime | None | UnsetType = UNSET
    total_run_time: float | UnsetType = UNSET

    def __post_init__(self) -> None:
        make_aware(self, "cache_expiration", "expected_start_time", "next_scheduled_start_time", "start_time", "end_time")


class TaskRunCreate(Struct, kw_only=True):
    """Body that creates a task run; the one of the same flow run, task key and dynamic key is answered instead.

    Without a state it starts Pending.
    """

    task_key: str
    dynamic_key: str
    id: UUID | None = None
    state: StateCreate | None = None
    name: str | None = None
    flow_run_id: UUID | None = None
    cache_key: str | None = None
    cache_expiration: datetime | None = None
    task_version: str | None = None
    empirical_policy: TaskRunPolicy | None = None
    tags: list[str] | None = None
    labels: Labels | None = None
    task_inputs: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        make_aware(self, "cache_expiration")


class TaskRunUpdate(Struct, kw_only=True):
    """Body that changes a task run; what is left out stays."""

    name: str | UnsetType = UNSET


class TaskRunPage(Struct, kw_only=True):
    """A numbered page: its task runs, how many match in all, and how many pages that makes."""

    results: list[TaskRun]
    count: int
    limit: int
    pages: int
    page: int
