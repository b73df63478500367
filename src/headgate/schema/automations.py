"""Automations on the wire, as existing clients keep them: what is to be done when events come, or stay away."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from msgspec import Struct, field

from headgate.schema.document_filters import AutomationFilter
from headgate.schema.filters import Page


class Automation(Struct, kw_only=True):
    """An automation. Triggers have an `id` and all of their fields."""

    id: UUID
    created: datetime
    updated: datetime
    name: str
    description: str
    enabled: bool
    tags: list[str]
    trigger: dict[str, Any]
    actions: list[dict[str, Any]]
    actions_on_trigger: list[dict[str, Any]]
    actions_on_resolve: list[dict[str, Any]]


class AutomationUpdate(Struct, kw_only=True, forbid_unknown_fields=True):
    """Body that replaces an automation. Another key, such as an id, is no wish that could be met."""

    name: str
    trigger: dict[str, Any]
    actions: list[dict[str, Any]]
    description: str = ""
    enabled: bool = True
    tags: list[str] = field(default_factory=list)
    actions_on_trigger: list[dict[str, Any]] = field(default_factory=list)
    actions_on_resolve: list[dict[str, Any]] = field(default_factory=list)


class AutomationCreate(AutomationUpdate, kw_only=True):
    """Body that creates an automation; it goes with its `owner_resource`."""

    owner_resource: str | None = None


class AutomationPartialUpdate(Struct, kw_only=True, forbid_unknown_fields=True):
    """Body that switches an automation on or off."""

    enabled: bool = True


class AutomationSort(StrEnum):
    CREATED_DESC = "CREATED_DESC"
    UPDATED_DESC = "UPDATED_DESC"
    NAME_ASC = "NAME_ASC"
    NAME_DESC = "NAME_DESC"


class AutomationQuery(Page, kw_only=True):
    """Automations that match."""

    automations: AutomationFilter | None = None
    sort: AutomationSort | None = None
