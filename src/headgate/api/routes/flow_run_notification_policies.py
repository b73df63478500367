"""Routes of notification policies."""

from uuid import UUID

from headgate.api.routing import Router
from headgate.schema.flow_run_notification_policies import (
    FlowRunNotificationPolicy,
    FlowRunNotificationPolicyCreate,
    FlowRunNotificationPolicyQuery,
    FlowRunNotificationPolicyUpdate,
)
from headgate.services import flow_run_notification_policies as policies
from headgate.services.scope import Scope

router = Router("/flow_run_notification_policies", tag="Flow run notification policies")


@router.post("/", status=201)
async def create_notification_policy(scope: Scope, body: FlowRunNotificationPolicyCreate) -> FlowRunNotificationPolicy:
    """Create a notification policy; it is kept, and not acted upon."""
    return await policies.create(scope, body)


@router.post("/filter")
async def read_notification_policies(
    scope: Scope, body: FlowRunNotificationPolicyQuery | None
) -> list[FlowRunNotificationPolicy]:
    """Notification policies that match."""
    return await policies.list_page(scope, body or FlowRunNotificationPolicyQuery())


@router.get("/{id}")
async def read_notification_policy(scope: Scope, id: UUID) -> FlowRunNotificationPolicy:
    """One notification policy."""
    return await policies.get(scope, id)


@router.patch("/{id}")
async def update_notification_policy(scope: Scope, id: UUID, body: FlowRunNotificationPolicyUpdate) -> None:
    """Change a notification policy: what is left out stays."""
    await policies.update(scope, id, body)


@router.delete("/{id}")
async def delete_notification_policy(scope: Scope, id: UUID) -> None:
    """Delete a notification policy."""
    await policies.delete(scope, id)
