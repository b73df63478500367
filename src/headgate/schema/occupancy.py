"""Who holds the slots of pools and queues, on the wire."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct, field

from headgate.schema.filters import MAX_PAGE, PageNumber
from headgate.schema.states import StateType


class PoolOccupancyQuery(Struct, kw_only=True):
    """Body that asks for a page of a pool's queues, each with up to `flow_run_limit` of its runs."""

    page: PageNumber = 1
    limit: int | None = None
    flow_run_limit: Annotated[int, Meta(ge=0, le=MAX_PAGE)] = 10


class QueueOccupancyQuery(Struct, kw_only=True):
    """Body that asks for a page of a queue's runs."""

    page: PageNumber = 1
    limit: int | None = None


class SlotHolder(Struct, kw_only=True):
    """A run that holds a slot; `time_in_current_state` is in seconds."""

    id: UUID
    name: str
    state_type: StateType | None = None
    state_name: str | None = None
    start_time: datetime | None = None
    state_timestamp: datetime | None = None
    time_in_current_state: float | None = None


class QueueOccupancy(Struct, kw_only=True):
    """A queue's slots, as part of its pool's; `flow_runs` may be some of `flow_run_count`."""

    queue_id: UUID
    queue_name: str
    active_slots: int
    concurrency_limit: int | None = None
    flow_runs: list[SlotHolder] = field(default_factory=list)
    flow_run_count: int | None = None


class WorkPoolOccupancy(Struct, kw_only=True):
    """A pool's slots, and those of a page of its queues; `count` is of all queues."""

    active_slots: int
    concurrency_limit: int | None = None
    queues: list[QueueOccupancy] = field(default_factory=list)
    count: int
    limit: int
    pages: int
    page: int


class WorkQueueOccupancy(Struct, kw_only=True):
    """A queue's slots, and a page of the runs that hold them; `count` is of all."""

    active_slots: int
    concurrency_limit: int | None = None
    flow_runs: list[SlotHolder] = field(default_factory=list)
    count: int
    limit: int
    pages: int
    page: int
