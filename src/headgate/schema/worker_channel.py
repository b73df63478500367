"""Frames of the channel that 3.x workers keep open: they say that they live, and are told of changes of their pool."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import Meta, Struct, field

from headgate.schema.work_pools import WorkPool

VERSION = "work_pool_worker_channel.v1"
HEARTBEAT = "worker_heartbeat.v1"
SNAPSHOT = "work_pool_snapshot.v1"
CAPABILITIES = (HEARTBEAT, SNAPSHOT)
"""What this server does over the channel, and what a worker must ask for."""

Text = Annotated[str, Meta(min_length=1)]
Seconds = Annotated[int, Meta(ge=1, le=31_622_400)]
Names = Annotated[list[Text], Meta(min_length=1)]


class Hello(Struct, kw_only=True):
    """Who the worker is and what it speaks."""

    consumer_id: UUID
    worker_name: Text
    worker_type: Text
    heartbeat_interval_seconds: Seconds
    supported_channel_versions: Names
    requested_capabilities: Names
    work_queue_names: list[Text] = field(default_factory=list)
    handled_cleanup_kinds: list[str] = field(default_factory=list)
    max_cleanup_concurrency: Annotated[int, Meta(ge=0)] | None = None
    create_pool_if_not_found: bool = False
    default_base_job_template: dict[str, Any] = field(default_factory=dict)
    worker_metadata: dict[str, Any] | None = None


class HelloFrame(Struct, kw_only=True):
    """The first frame."""

    type: Literal["worker.hello.v1"]
    id: UUID
    sent_at: datetime
    payload: Hello


class Beat(Struct, kw_only=True):
    """The worker lives."""

    consumer_id: UUID
    worker_name: Text
    heartbeat_interval_seconds: Seconds


class BeatFrame(Struct, kw_only=True):
    """Sent by the worker once per interval; it is not answered."""

    type: Literal["worker.heartbeat.v1"]
    id: UUID
    sent_at: datetime
    payload: Beat


class Snapshot(Struct, kw_only=True):
    """A pool as it is now. Numbers ascend from 1, which is the `initial` one."""

    snapshot_sequence: int
    reason: str
    work_pool: WorkPool


class SnapshotFrame(Struct, kw_only=True, tag="work_pool.snapshot.v1", tag_field="type"):
    """Sent to the worker when its pool has changed."""

    id: UUID
    sent_at: datetime
    payload: Snapshot


class ResolvedQueue(Struct, kw_only=True):
    """A queue that the worker polls."""

    id: UUID
    name: str


class Ready(Struct, kw_only=True):
    """The answer to a hello."""

    consumer_id: UUID
    worker_id: UUID | None = None
    selected_channel_version: str = VERSION
    effective_heartbeat_interval_seconds: int
    accepted_capabilities: list[str]
    rejected_capabilities: list[str]
    effective_max_cleanup_concurrency: int = 0
    resolved_work_queues: list[ResolvedQueue]
    initial_snapshot: Snapshot


class ReadyFrame(Struct, kw_only=True, tag="worker.ready.v1", tag_field="type"):
    """The first frame that a worker gets."""

    id: UUID
    sent_at: datetime
    payload: Ready
