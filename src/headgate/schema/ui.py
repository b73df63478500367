"""Small records that the peer's own pages ask for."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from msgspec import Meta, Struct, field

from headgate.schema.filters import Selection
from headgate.schema.states import StateType
from headgate.schema.task_runs import TaskRun

FewIds = Annotated[list[UUID], Meta(max_length=200)]


class FlowIds(Struct, kw_only=True):
    flow_ids: FewIds


class FlowRunIds(Struct, kw_only=True):
    flow_run_ids: FewIds


class SimpleFlowRun(Struct, kw_only=True):
    """A run as a point in a plot: when it started or was to start; how long it ran and how late it began, in seconds."""

    id: UUID
    state_type: StateType | None
    timestamp: datetime | None
    duration: float
    lateness: float


class SimpleNextFlowRun(Struct, kw_only=True):
    """A flow's next run."""

    id: UUID
    flow_id: UUID
    name: str
    state_name: str
    state_type: StateType
    next_scheduled_start_time: datetime


class NamedTaskRun(TaskRun, kw_only=True):
    """A task run with the name of its flow run."""

    flow_run_name: str | None = None


class TaskRunTally(Struct, kw_only=True):
    """Of the task runs that began in one twentieth of a time, how many completed and how many failed."""

    completed: int = 0
    failed: int = 0


class SchemaValues(Struct, kw_only=True):
    """Values and the JSON Schema that they are to fit."""

    schema: dict[str, Any]
    values: dict[str, Any]


class SchemaFault(Struct, kw_only=True, omit_defaults=True):
    """What is wrong at a property, or at an index of a list: texts, and faults further in."""

    property: str | None = None
    index: int | None = None
    errors: "list[str | SchemaFault]" = field(default_factory=list)


class SchemaVerdict(Struct, kw_only=True):
    """Whether values fit; if not, why and where."""

    valid: bool
    errors: list[str | SchemaFault] = field(default_factory=list)


class CountByState(Struct, kw_only=True):
    """How many there are in a state of each type."""

    COMPLETED: int = 0
    PENDING: int = 0
    RUNNING: int = 0
    FAILED: int = 0
    CANCELLED: int = 0
    CRASHED: int = 0
    PAUSED: int = 0
    CANCELLING: int = 0
    SCHEDULED: int = 0


class TallyQuery(Selection, kw_only=True):
    """Task runs that began after a moment, which the filter has to name."""
