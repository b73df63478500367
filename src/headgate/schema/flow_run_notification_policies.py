"""Notification policies on the wire, as 2.x clients keep them: which states of which runs are to be told, and how."""

from datetime import datetime
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType

from headgate.schema.document_filters import FlowRunNotificationPolicyFilter
from headgate.schema.filters import Page


class FlowRunNotificationPolicy(Struct, kw_only=True):
    """That a run with one of these tags which enters one of these states is to be told by a block."""

    id: UUID
    created: datetime
    updated: datetime
    is_active: bool
    state_names: list[str]
    tags: list[str]
    block_document_id: UUID
    message_template: str | None


class FlowRunNotificationPolicyCreate(Struct, kw_only=True):
    """Body that creates a policy."""

    state_names: list[str]
    tags: list[str]
    block_document_id: UUID
    is_active: bool = True
    message_template: str | None = None


class FlowRunNotificationPolicyUpdate(Struct, kw_only=True):
    """Body that changes a policy; what is left out stays."""

    is_active: bool | UnsetType = UNSET
    state_names: list[str] | UnsetType = UNSET
    tags: list[str] | UnsetType = UNSET
    block_document_id: UUID | UnsetType = UNSET
    message_template: str | None | UnsetType = UNSET


class FlowRunNotificationPolicyQuery(Page, kw_only=True):
    """Policies that match."""

    flow_run_notification_policy_filter: FlowRunNotificationPolicyFilter | None = None
