"""States on the wire: the record, what a caller proposes, and the answer to a proposal."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType, field

from headgate.schema.times import make_aware


class StateType(StrEnum):
    """What a run is doing; each member says who moves it on."""

    SCHEDULED = "SCHEDULED"
    """Waiting for its time or a slot. A worker's claim moves it on."""
    PENDING = "PENDING"
    """Claimed; infrastructure is being started. The engine moves it on, or the lifeline when the lease lapses."""
    RUNNING = "RUNNING"
    """User code runs. The engine moves it on, or the lifeline when the lease lapses."""
    PAUSED = "PAUSED"
    """Waiting for a resume. A user moves it on, or its time-out."""
    CANCELLING = "CANCELLING"
    """Told to stop. The worker moves it on once the infrastructure is gone."""
    COMPLETED = "COMPLETED"
    """Final: user code returned."""
    FAILED = "FAILED"
    """Final: user code raised, or timed out."""
    CRASHED = "CRASHED"
    """Final: the infrastructure died under it."""
    CANCELLED = "CANCELLED"
    """Final: a user stopped it."""


class CrashReason(StrEnum):
    """Why a run lost its infrastructure."""

    LAUNCH_ERROR = "launch_error"
    """It could not be started."""
    LOST = "lost"
    """Everything that held the run stopped reporting."""
    OUT_OF_MEMORY = "out_of_memory"
    """It was killed, as the system does when memory runs out."""
    PREEMPTED = "preempted"
    """It was told to go before the run had ended, by its worker, its machine or its cluster."""
    OTHER = "other"
    """It ended badly by itself: the code may be at fault."""


class StateDetails(Struct, kw_only=True):
    """Facts that travel with a state. Existing clients send and expect all of these keys."""

    flow_run_id: UUID | None = None
    task_run_id: UUID | None = None
    child_flow_run_id: UUID | None = None
    scheduled_time: datetime | None = None
    cache_key: str | None = None
    cache_expiration: datetime | None = None
    deferred: bool | None = False
    untrackable_result: bool = False
    pause_timeout: datetime | None = None
    pause_reschedule: bool = False
    pause_key: str | None = None
    run_input_keyset: dict[str, str] | None = None
    refresh_cache: bool | None = None
    retriable: bool | None = None
    transition_id: UUID | None = None
    task_parameters_id: UUID | None = None
    traceparent: str | None = None
    deployment_concurrency_lease_id: UUID | None = None
    crash_reason: CrashReason | UnsetType = UNSET
    """With a CRASHED state; left out the reason counts as `other`."""

    def __post_init__(self) -> None:
        if self.scheduled_time or self.cache_expiration or self.pause_timeout:
            make_aware(self, "scheduled_time", "cache_expiration", "pause_timeout")


class State(Struct, kw_only=True):
    """One entry of a run's history. `data` is opaque result metadata, returned as it came."""

    id: UUID
    type: StateType
    name: str
    timestamp: datetime
    message: str | None = None
    data: Any = None
    state_details: StateDetails = field(default_factory=StateDetails)


class StateCreate(Struct, kw_only=True):
    """A proposed state. Without a `name` the type's own name is used: `Scheduled`, `Pending`, …"""

    type: StateType
    name: str | None = None
    message: str | None = None
    data: Any = None
    state_details: StateDetails | None = None


class SetState(Struct, kw_only=True):
    """Body of `set_state`.

    `force` skips the rules. `fence` is the number from the caller's grant: a write that carries an older one
    than the run's is refused. Callers without a grant leave it out. `take_lease`, with a PENDING state, asks for a
    lease on a run that its caller claims by this call, as a process does that serves its own deployments.
    """

    state: StateCreate
    force: bool = False
    fence: int | None = None
    take_lease: bool = False


class OrchestrationStatus(StrEnum):
    """The four answers to a proposal."""

    ACCEPT = "ACCEPT"
    REJECT = "REJECT"
    WAIT = "WAIT"
    ABORT = "ABORT"


class DetailsType(StrEnum):
    """An answer's kind, said once more with its reason."""

    ACCEPT = "accept_details"
    REJECT = "reject_details"
    WAIT = "wait_details"
    ABORT = "abort_details"


class OrchestrationDetails(Struct, kw_only=True, omit_defaults=True):
    """Why, and for WAIT how long."""

    type: DetailsType
    reason: str | None = None
    delay_seconds: int | None = None


class OrchestrationResult(Struct, kw_only=True):
    """The answer to a proposal, with the state that the run is in now.

    `fence` is there when a lease was asked for and given.
    """

    state: State | None
    status: OrchestrationStatus
    details: OrchestrationDetails
    fence: int | UnsetType = UNSET
