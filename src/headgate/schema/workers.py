"""Workers on the wire."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

Interval = Annotated[float, Meta(ge=0, le=31_622_400)]
"""Seconds, up to a year."""


class WorkerStatus(StrEnum):
    """Derived from the age of the last heartbeat when it is read."""

    ONLINE = "ONLINE"
    OFFLINE = "OFFLINE"


class Worker(Struct, kw_only=True):
    """A process that joined one pool; one that starts anew under its name has a new id.

    `draining`: it was told to finish what it has and to leave.
    """

    id: UUID
    created: datetime
    updated: datetime
    name: str
    work_pool_id: UUID
    type: str | None = None
    last_heartbeat_time: datetime | None = None
    heartbeat_interval_seconds: float | None = None
    status: WorkerStatus = WorkerStatus.OFFLINE
    draining: bool = False


class WorkerHeartbeat(Struct, kw_only=True):
    """Body of the heartbeat that existing clients send."""

    name: Annotated[str, Meta(min_length=1, max_length=255)]
    """Whatever its owner calls it: what stands in a path elsewhere may stand here."""
    heartbeat_interval_seconds: Interval | None = None
