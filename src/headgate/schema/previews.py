"""Previews on the wire: what a pool will run, from runs that wait and from schedules."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from msgspec import Meta, Struct, field

from headgate.schema.flow_runs import FlowRun
from headgate.schema.flows import Name
from headgate.schema.times import make_aware

MOST_ENTRIES = 1000
"""The longest preview."""

MOST_HOURS = 8784
"""A year."""

Hours = Annotated[float, Meta(gt=0, le=MOST_HOURS)]
Entries = Annotated[int, Meta(ge=1, le=MOST_ENTRIES)]


class PreviewRequest(Struct, kw_only=True):
    """Which queues (none = all), how far ahead (`hours` from now, or `until`; without either an hour), and how much."""

    work_queue_names: list[Name] | None = None
    hours: Hours | None = None
    until: datetime | None = None
    limit: Entries | None = None

    def __post_init__(self) -> None:
        make_aware(self, "until")


class PreviewEntry(Struct, kw_only=True):
    """A run that waits, or one that a schedule will make (`projected`: there is no flow run yet).

    `held` names what stands in its way however few slots are in use: pauses, and limits of 0.
    """

    scheduled_time: datetime
    projected: bool
    flow_run: FlowRun | None = None
    deployment_id: UUID | None = None
    deployment_name: str | None = None
    flow_id: UUID
    flow_name: str
    work_queue_id: UUID
    work_queue_name: str
    schedule_id: UUID | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    late_by_seconds: float = 0.0
    held: list[str] = field(default_factory=list)


class Preview(Struct, kw_only=True):
    """What falls due up to and including `until`, by time. `cut`: there is more than was asked for, all of it later."""

    entries: list[PreviewEntry]
    until: datetime
    cut: bool = False
