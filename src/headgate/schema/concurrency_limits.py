"""Concurrency limits on the wire: slots under a name, which tasks, flows and any other code take and give back."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType, field

from headgate.schema.filters import Page
from headgate.schema.flows import Name
from headgate.schema.work_queues import MAX_COUNT, Limit

Slots = Annotated[int, Meta(gt=0, le=MAX_COUNT)]
Decay = Annotated[float, Meta(ge=0, le=1e9)]
LeaseSeconds = Annotated[float, Meta(ge=60, le=86_400)]
Names = Annotated[list[str], Meta(min_length=1)]
Tag = Annotated[str, Meta(min_length=1, max_length=250)]


class Mode(StrEnum):
    """How slots are taken."""

    CONCURRENCY = "concurrency"
    """To be given back."""
    RATE_LIMIT = "rate_limit"
    """For good: they come back by their limit's decay."""


class HolderType(StrEnum):
    """What may hold slots by a lease."""

    FLOW_RUN = "flow_run"
    TASK_RUN = "task_run"
    DEPLOYMENT = "deployment"


class Holder(Struct, kw_only=True, forbid_unknown_fields=True):
    """Who holds slots."""

    type: HolderType
    id: UUID


class GlobalConcurrencyLimit(Struct, kw_only=True):
    """A number of slots under a name.

    With a `slot_decay_per_second` taken slots come back by themselves, at that rate. A limit that is not `active` lets
    everything pass and counts nothing. A deployment's limit appears as `deployment:<id>`, a tag's as `tag:<tag>`.
    """

    id: UUID
    created: datetime
    updated: datetime
    name: str
    limit: int
    active: bool = True
    active_slots: int = 0
    denied_slots: int = 0
    slot_decay_per_second: float = 0.0
    avg_slot_occupancy_seconds: float = 2.0


class GlobalConcurrencyLimitCreate(Struct, kw_only=True):
    """Body that creates a limit."""

    name: Name
    limit: Limit
    active: bool = True
    active_slots: Limit = 0
    denied_slots: Limit = 0
    slot_decay_per_second: Decay = 0.0


class GlobalConcurrencyLimitUpdate(Struct, kw_only=True):
    """Body that changes a limit; what is left out, or null, stays."""

    name: Name | None | UnsetType = UNSET
    limit: Limit | None | UnsetType = UNSET
    active: bool | None | UnsetType = UNSET
    active_slots: Limit | None | UnsetType = UNSET
    denied_slots: Limit | None | UnsetType = UNSET
    slot_decay_per_second: Decay | None | UnsetType = UNSET


class ConcurrencyLimitQuery(Page, kw_only=True):
    """Body that asks for a page of limits."""


class TakenLimit(Struct, kw_only=True):
    """A limit of which slots were taken or given back."""

    id: UUID
    name: str
    limit: int


class TakeSlots(Struct, kw_only=True):
    """Body that takes slots of all the named limits, or of none. Names without a limit constrain nothing.

    `create_if_missing`, which older clients send, makes inactive limits of them.
    """

    names: Names
    slots: Slots
    mode: Mode = Mode.CONCURRENCY
    create_if_missing: bool | None = None


class TakeSlotsWithLease(Struct, kw_only=True):
    """The same, for as long as the lease is renewed."""

    names: Names
    slots: Slots
    mode: Mode = Mode.CONCURRENCY
    lease_duration: LeaseSeconds = 300.0
    holder: Holder | None = None


class LeasedSlots(Struct, kw_only=True):
    """What was taken, and the lease that it is held by."""

    lease_id: UUID
    limits: list[TakenLimit]


class GiveSlotsBack(Struct, kw_only=True):
    """Body that gives slots back; `occupancy_seconds` says for how long they were held."""

    names: Names
    slots: Slots
    occupancy_seconds: Annotated[float, Meta(gt=0)] | None = None
    create_if_missing: bool | None = None


class EndLease(Struct, kw_only=True):
    """Body that gives back what a lease holds."""

    lease_id: UUID


class RenewLease(Struct, kw_only=True):
    """Body that prolongs a lease, from now on."""

    lease_duration: LeaseSeconds = 300.0


class ConcurrencyLimit(Struct, kw_only=True):
    """The limit of a tag, as clients of old know it; `active_slots` are the task runs that hold a slot."""

    id: UUID
    created: datetime
    updated: datetime
    tag: str
    concurrency_limit: int
    active_slots: list[UUID] = field(default_factory=list)


class ConcurrencyLimitCreate(Struct, kw_only=True):
    """Body that creates a tag's limit, or changes it."""

    tag: Tag
    concurrency_limit: Limit


class ResetSlots(Struct, kw_only=True):
    """Body that frees all slots of a tag's limit but those of `slot_override`, which are taken."""

    slot_override: list[UUID] | None = None


class TaskRunSlots(Struct, kw_only=True):
    """Body that takes, or gives back, a task run's slots of its tags."""

    names: list[str]
    task_run_id: UUID


def is_given(value: Any) -> bool:
    """Whether a change says something about a field: a null says nothing."""
    return value is not UNSET and value is not None
