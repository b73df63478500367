"""Saved searches on the wire: filters of a page, kept under a name."""

from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct, field

from headgate.schema.filters import Page


class SearchFilter(Struct, kw_only=True):
    """One condition of a search, in the words of the page that it is for."""

    object: str
    property: str
    type: str
    operation: str
    value: Any


class SavedSearch(Struct, kw_only=True):
    """A search under a name."""

    id: UUID
    created: datetime
    updated: datetime
    name: str
    filters: list[SearchFilter]


class SavedSearchCreate(Struct, kw_only=True):
    """Body that saves a search, in place of the one of the same name."""

    name: str
    filters: list[SearchFilter] = field(default_factory=list)


class SavedSearchQuery(Page, kw_only=True):
    """A page of saved searches, by name."""
