"""Calls about notification policies."""

from uuid import UUID

from headgate.client.call import Call
from headgate.schema.flow_run_notification_policies import (
    FlowRunNotificationPolicy,
    FlowRunNotificationPolicyCreate,
    FlowRunNotificationPolicyQuery,
    FlowRunNotificationPolicyUpdate,
)


def create(body: FlowRunNotificationPolicyCreate) -> Call[FlowRunNotificationPolicy]:
    """Create a notification policy."""
    return Call("POST", "/flow_run_notification_policies/", body=body, returns=FlowRunNotificationPolicy)


def query(body: FlowRunNotificationPolicyQuery | None = None) -> Call[list[FlowRunNotificationPolicy]]:
    """Notification policies that match."""
    sent = body or FlowRunNotificationPolicyQuery()
    return Call("POST", "/flow_run_notification_policies/filter", body=sent, returns=list[FlowRunNotificationPolicy])


def get(id: UUID) -> Call[FlowRunNotificationPolicy]:
    """One notification policy."""
    return Call("GET", "/flow_run_notification_policies/{id}", at={"id": id}, returns=FlowRunNotificationPolicy)


def update(id: UUID, body: FlowRunNotificationPolicyUpdate) -> Call[None]:
    """Change a notification policy."""
    return Call("PATCH", "/flow_run_notification_policies/{id}", at={"id": id}, body=body)


def delete(id: UUID) -> Call[None]:
    """Delete a notification policy."""
    return Call("DELETE", "/flow_run_notification_policies/{id}", at={"id": id})
