"""Log lines on the wire."""

from datetime import datetime
from uuid import UUID

from msgspec import Struct

from headgate.schema.times import make_aware


class Log(Struct, kw_only=True):
    """One line; `level` is the number of Python's `logging`."""

    id: UUID
    created: datetime
    updated: datetime
    name: str
    level: int
    message: str
    timestamp: datetime
    flow_run_id: UUID | None = None
    task_run_id: UUID | None = None


class LogCreate(Struct, kw_only=True):
    """One line as its writer sends it."""

    name: str
    level: int
    message: str
    timestamp: datetime
    flow_run_id: UUID | None = None
    task_run_id: UUID | None = None

    def __post_init__(self) -> None:
        make_aware(self, "timestamp")
