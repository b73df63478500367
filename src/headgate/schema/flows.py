"""Flows on the wire."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType, field

Name = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[^/%&><]+$", description="no / % & > < in it")]
"""A name that may stand in a URL path, and in an index of either database."""

Labels = dict[str, str | int | float | bool]
"""What labels may hold: existing clients fail to read a record with any other value."""


class Flow(Struct, kw_only=True):
    """A named program."""

    id: UUID
    created: datetime
    updated: datetime
    name: str
    tags: list[str] = field(default_factory=list)
    labels: dict[str, Any] = field(default_factory=dict)


class FlowCreate(Struct, kw_only=True):
    """Body that registers a flow; an existing flow of that name is answered instead."""

    name: Name
    tags: list[str] = field(default_factory=list)
    labels: Labels | None = None


class FlowUpdate(Struct, kw_only=True):
    """Body that changes a flow; what is left out stays."""

    tags: list[str] | UnsetType = UNSET
    labels: Labels | UnsetType = UNSET


class FlowPage(Struct, kw_only=True):
    """A numbered page: its flows, how many match in all, and how many pages that makes."""

    results: list[Flow]
    count: int
    limit: int
    pages: int
    page: int


class FlowsDeleted(Struct, kw_only=True):
    """The ids of flows that are gone."""

    deleted: list[UUID] = field(default_factory=list)
