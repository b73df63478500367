"""Work queues on the wire."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from headgate.schema.flows import Name
from headgate.schema.pauses import Pause, PauseNote
from headgate.schema.times import make_aware

MAX_COUNT = 2**31 - 1
"""The largest number that a column of counts holds."""

Limit = Annotated[int, Meta(ge=0, le=MAX_COUNT)]
Priority = Annotated[int, Meta(ge=1, le=1_000_000)]


class ReadyStatus(StrEnum):
    """READY: something polls it; NOT_READY: nothing does; PAUSED: it delivers nothing."""

    READY = "READY"
    NOT_READY = "NOT_READY"
    PAUSED = "PAUSED"


class WorkQueue(Struct, kw_only=True):
    """A lane of a pool. Priority 1 is served first; priorities are unique in a pool."""

    id: UUID
    created: datetime
    updated: datetime
    name: str
    description: str | None = ""
    is_paused: bool = False
    concurrency_limit: int | None = None
    priority: int = 1
    work_pool_id: UUID | None = None
    filter: Any = None
    last_polled: datetime | None = None
    work_pool_name: str | None = None
    status: ReadyStatus | None = None
    active_slots: int | None = None
    pause: Pause | None = None


class WorkQueueCreate(PauseNote, kw_only=True):
    """Body that creates a queue. Without a priority it takes the first free one; a taken one shifts the others."""

    name: Name
    description: str | None = ""
    is_paused: bool = False
    concurrency_limit: Limit | None = None
    priority: Priority | None = None
    filter: Any = None


class WorkQueueUpdate(PauseNote, kw_only=True):
    """Body that changes a queue; what is left out stays, an explicit null clears."""

    name: Name | UnsetType = UNSET
    description: str | None | UnsetType = UNSET
    is_paused: bool | UnsetType = UNSET
    concurrency_limit: Limit | None | UnsetType = UNSET
    priority: Priority | None | UnsetType = UNSET
    last_polled: datetime | None | UnsetType = UNSET
    filter: Any = UNSET

    def __post_init__(self) -> None:
        make_aware(self, "last_polled")


class GetQueueRuns(Struct, kw_only=True):
    """Body of an agent's poll of one queue: until when runs may be due (none = any time), and which agent asks."""

    scheduled_before: datetime | None = None
    limit: Limit | None = None
    agent_id: UUID | None = None

    def __post_init__(self) -> None:
        make_aware(self, "scheduled_before")


class HealthCheckPolicy(Struct, kw_only=True):
    """When a queue counts as healthy."""

    maximum_late_runs: int | None = 0
    maximum_seconds_since_last_polled: int | None = 60


class WorkQueueStatusDetail(Struct, kw_only=True):
    """A queue's health and the figures behind it."""

    healthy: bool
    late_runs_count: int
    last_polled: datetime | None
    health_check_policy: HealthCheckPolicy
