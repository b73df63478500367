"""Agents on the wire."""

from datetime import datetime
from uuid import UUID

from msgspec import Struct, field

from headgate.schema.workers import WorkerStatus


class Agent(Struct, kw_only=True):
    """A process that polls queues, of one pool or of several. It makes its id up when it starts.

    It polls the queues of these names, or all whose names begin with the prefix, or else all of the pool. Without a pool,
    names are looked for in `default-agent-pool`, and a prefix in all untyped pools. `draining`: it was told to leave.
    """

    id: UUID
    created: datetime
    updated: datetime
    name: str | None = None
    work_pool_name: str | None = None
    work_queue_names: list[str] = field(default_factory=list)
    work_queue_prefix: str | None = None
    last_heartbeat_time: datetime | None = None
    heartbeat_interval_seconds: float | None = None
    status: WorkerStatus = WorkerStatus.OFFLINE
    draining: bool = False
