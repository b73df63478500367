"""Events on the wire: something happened to a resource, of which others were part; and what they can be asked by."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from msgspec import Meta, Struct, ValidationError, field

from headgate.schema.filters import Filter
from headgate.schema.times import make_aware

MOST_LABELS, MOST_RELATED = 500, 100
PAGE = 50
"""The largest page of events, and the default."""

RESOURCE, ROLE, NAME = "prefect.resource.id", "prefect.resource.role", "prefect.resource.name"
"""Labels that every resource has, that related ones have, and that most have; the names are the wire's."""

Labels = dict[str, str]
"""A resource: its id and whatever else is told of it."""


class Event(Struct, kw_only=True):
    """Something that happened, as its sender tells."""

    occurred: datetime
    event: Annotated[str, Meta(max_length=1024)]
    resource: Labels
    related: Annotated[list[Labels], Meta(max_length=MOST_RELATED)] = field(default_factory=list)
    payload: dict[str, Any] = field(default_factory=dict)
    id: UUID
    follows: UUID | None = None

    def __post_init__(self) -> None:
        make_aware(self, "occurred")
        for labels in (self.resource, *self.related):
            if not labels.get(RESOURCE):
                raise ValidationError(f"Resources must include the {RESOURCE} label")
            if len(labels) > MOST_LABELS:
                raise ValidationError(f"The maximum number of labels per resource is {MOST_LABELS}")
        if not all(labels.get(ROLE) for labels in self.related):
            raise ValidationError(f"Related Resources must include the {ROLE} label")


class ReceivedEvent(Event, kw_only=True):
    """One as it is kept."""

    received: datetime


class EventPage(Struct, kw_only=True):
    """Some of those that match, how many match in all, and where the next ones are."""

    events: list[ReceivedEvent]
    total: int
    next_page: str | None


class Countable(StrEnum):
    """By what events are counted."""

    DAY = "day"
    TIME = "time"
    EVENT = "event"
    RESOURCE = "resource"


class TimeUnit(StrEnum):
    """In what spans of time are given."""

    WEEK = "week"
    DAY = "day"
    HOUR = "hour"
    MINUTE = "minute"
    SECOND = "second"


class EventCount(Struct, kw_only=True):
    """How many events have one thing in common."""

    value: str
    label: str
    count: int
    start_time: datetime
    end_time: datetime


# --- filters: within one of them everything must hold


class Order(StrEnum):
    """By time."""

    ASC = "ASC"
    DESC = "DESC"


Wanted = dict[str, str | list[str]]
"""By label the values that will do; `*` and `?` stand for any letters and any one, a leading `!` for all others."""


class OccurredFilter(Filter):
    since: datetime | None = None
    until: datetime | None = None

    def __post_init__(self) -> None:
        make_aware(self, "since", "until")


class EventNameFilter(Filter):
    prefix: list[str] | None = None
    exclude_prefix: list[str] | None = None
    name: list[str] | None = None
    exclude_name: list[str] | None = None


class ResourceFilter(Filter):
    """On the resource that an event is about; `distinct`: one event of each."""

    id: list[str] | None = None
    id_prefix: list[str] | None = None
    labels: Wanted | None = None
    distinct: bool = False


class RelatedFilter(Filter):
    """On one of the resources that had a part in it."""

    id: list[str] | None = None
    role: list[str] | None = None
    resources_in_roles: list[tuple[str, str]] | None = None
    labels: Wanted | None = None


class AnyResourceFilter(Filter):
    """On one of all these."""

    id: list[str] | None = None
    id_prefix: list[str] | None = None
    labels: Wanted | None = None


class EventIdFilter(Filter):
    id: list[UUID] | None = None


class EventTextFilter(Filter):
    """Words, of which one must occur; one with `-` or `!` before it must not, with `+` must. Quotes hold words together."""

    query: Annotated[str, Meta(max_length=200)]


class EventFilter(Filter):
    """What events are asked by; without times it means those of the last months up to now."""

    occurred: OccurredFilter = field(default_factory=OccurredFilter)
    event: EventNameFilter | None = None
    resource: ResourceFilter | None = None
    related: RelatedFilter | list[RelatedFilter] | None = None
    any_resource: AnyResourceFilter | list[AnyResourceFilter] | None = None
    id: EventIdFilter = field(default_factory=EventIdFilter)
    text: EventTextFilter | None = None
    order: Order = Order.DESC


class EventQuery(Struct, kw_only=True):
    """Body of a request for events."""

    filter: EventFilter | None = None
    limit: Annotated[int, Meta(ge=0, le=PAGE)] = PAGE


class EventCountQuery(Struct, kw_only=True):
    """Body of a request for counts; `time_interval` is in `time_unit`s."""

    filter: EventFilter
    time_unit: TimeUnit = TimeUnit.DAY
    time_interval: Annotated[float, Meta(ge=0.01, le=1_000_000)] = 1.0
