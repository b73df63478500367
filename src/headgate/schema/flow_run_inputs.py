"""Inputs of flow runs on the wire: what a run is given while it runs or is paused."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from msgspec import Meta, Struct, field

InputKey = Annotated[str, Meta(min_length=1, max_length=1000)]
"""As long as an index of either database takes."""


class FlowRunInput(Struct, kw_only=True):
    """A value under a key; its text is opaque, most often JSON."""

    id: UUID
    created: datetime
    updated: datetime
    flow_run_id: UUID
    key: str
    value: str
    sender: str | None = None


class FlowRunInputCreate(Struct, kw_only=True):
    """Body that gives a run an input."""

    key: InputKey
    value: str
    sender: str | None = None


class FlowRunInputQuery(Struct, kw_only=True):
    """Body that looks for a run's inputs by what their keys begin with, the earliest first."""

    prefix: str
    limit: Annotated[int, Meta(ge=0, le=10_000)] = 1
    exclude_keys: list[str] = field(default_factory=list)


class ResumeFlowRun(Struct, kw_only=True):
    """Body that resumes a paused run; `run_input` answers what it asked for when it paused."""

    run_input: dict[str, Any] | None = None
