"""Work pools on the wire."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType, field

from headgate.schema.flow_runs import FlowRun
from headgate.schema.flows import Name
from headgate.schema.pauses import Pause, PauseNote
from headgate.schema.times import make_aware
from headgate.schema.work_queues import Limit, ReadyStatus

UNTYPED = "prefect-agent"
"""The type of pools that agents poll; the name is the wire's."""


class StorageConfiguration(Struct, kw_only=True):
    """Where a pool's flow code and results live; kept for the clients that set it."""

    bundle_upload_step: dict[str, Any] | None = None
    bundle_execution_step: dict[str, Any] | None = None
    default_result_storage_block_id: UUID | None | UnsetType = None


DEFAULT_AGENT_POOL = "default-agent-pool"
"""Where agents look for queues that are named without a pool."""

MOST_LAUNCHES = 1000
"""Of a launch rate; what is quicker can be said of a shorter time."""


class LaunchRate(Struct, kw_only=True):
    """At most `limit` runs are launched in any `seconds`, however many slots are free."""

    limit: Annotated[int, Meta(ge=1, le=MOST_LAUNCHES)]
    seconds: Annotated[float, Meta(ge=0.001, le=86_400)] = 1.0


LaunchLimit = Annotated[int, Meta(ge=1)]
"""How many runs may be launched at the same time: claimed, and not Running yet."""


class WorkPool(Struct, kw_only=True):
    """A named channel of one infrastructure type."""

    id: UUID
    created: datetime
    updated: datetime
    name: str
    description: str | None = None
    type: str = UNTYPED
    base_job_template: dict[str, Any] = field(default_factory=dict)
    is_paused: bool = False
    concurrency_limit: int | None = None
    status: ReadyStatus | None = None
    default_queue_id: UUID
    storage_configuration: StorageConfiguration = field(default_factory=StorageConfiguration)
    active_slots: int | None = None
    pause: Pause | None = None
    launch_rate: LaunchRate | None = None
    launch_limit: LaunchLimit | None = None
    fair_share: bool = False


class WorkPoolCreate(PauseNote, kw_only=True, omit_defaults=True):  # other servers refuse keys that they do not know
    """Body that creates a pool; its `default` queue is made with it."""

    name: Name
    description: str | None = None
    type: str = UNTYPED
    base_job_template: dict[str, Any] = field(default_factory=dict)
    is_paused: bool = False
    concurrency_limit: Limit | None = None
    storage_configuration: StorageConfiguration = field(default_factory=StorageConfiguration)
    launch_rate: LaunchRate | None = None
    launch_limit: LaunchLimit | None = None
    fair_share: bool = False


class WorkPoolUpdate(PauseNote, kw_only=True):
    """Body that changes a pool; what is left out stays, an explicit null clears."""

    description: str | None | UnsetType = UNSET
    is_paused: bool | None | UnsetType = UNSET
    base_job_template: dict[str, Any] | None | UnsetType = UNSET
    concurrency_limit: Limit | None | UnsetType = UNSET
    storage_configuration: StorageConfiguration | None | UnsetType = UNSET
    launch_rate: LaunchRate | None | UnsetType = UNSET
    launch_limit: LaunchLimit | None | UnsetType = UNSET
    fair_share: bool | UnsetType = UNSET


class GetScheduledFlowRuns(Struct, kw_only=True):
    """Body of a poll: which queues (none = all), and until when runs may be due (none = now)."""

    work_queue_names: list[str] | None = None
    scheduled_before: datetime | None = None
    scheduled_after: datetime | None = None
    limit: Limit | None = None

    def __post_init__(self) -> None:
        make_aware(self, "scheduled_before", "scheduled_after")


class WorkerFlowRun(Struct, kw_only=True):
    """One run of a poll's answer."""

    work_pool_id: UUID
    work_queue_id: UUID
    flow_run: FlowRun
