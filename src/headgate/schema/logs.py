"""Log lines on the wire."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

Level = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]
"""The number of a level of Python's `logging`."""


class Log(Struct, kw_only=True):
    """One line."""

    id: UUID
    created: datetime
    updated: datetime
    name: str
    level: int
    message: str
    timestamp: datetime
    flow_run_id: UUID | None = None
    task_run_id: UUID | None = None


class LogCreate(Struct, kw_only=True, gc=False):
    """One line as its writer sends it; a time without a zone means UTC."""

    name: str
    level: Level
    message: str
    timestamp: datetime
    flow_run_id: UUID | None = None
    task_run_id: UUID | None = None
