"""Use cases of notification policies: kept as clients wish, and not acted upon."""

from string import Formatter
from uuid import UUID

from msgspec import UNSET
from msgspec.structs import asdict

from headgate.errors import Conflict, Invalid, NotFound
from headgate.ids import uuid7
from headgate.schema.flow_run_notification_policies import (
    FlowRunNotificationPolicy,
    FlowRunNotificationPolicyCreate,
    FlowRunNotificationPolicyQuery,
    FlowRunNotificationPolicyUpdate,
)
from headgate.services.scope import Scope
from headgate.store import block_documents
from headgate.store import flow_run_notification_policies as rows
from headgate.store.database import Tx

PLACES = frozenset(
    {
        "flow_run_notification_policy_id",
        "flow_id",
        "flow_name",
        "flow_run_url",
        "flow_run_id",
        "flow_run_name",
        "flow_run_parameters",
        "flow_run_state_type",
        "flow_run_state_name",
        "flow_run_state_timestamp",
        "flow_run_state_message",
    }
)
"""What a message's template can speak of."""


async def create(scope: Scope, body: FlowRunNotificationPolicyCreate) -> FlowRunNotificationPolicy:
    """Create a policy; `Conflict` when its block does not exist."""
    now = scope.now
    policy = FlowRunNotificationPolicy(id=uuid7(now), created=now, updated=now, **asdict(body))

    async def unit(tx: Tx) -> None:
        await _check(tx, policy)
        await rows.insert(tx, policy)

    await scope.store.write(unit)
    return policy


async def _check(tx: Tx, policy: FlowRunNotificationPolicy) -> None:
    if policy.message_template is not None:
        _check_template(policy.message_template)
    if await block_documents.get(tx, policy.block_document_id) is None:
        raise Conflict(f"There is no block document {policy.block_document_id}, which is to tell of runs.")


def _check_template(template: str) -> None:
    try:
        names = [name for _, name, _, _ in Formatter().parse(template) if name is not None]
    except ValueError as error:
        raise Invalid(f"The template cannot be read: {error}.", field="message_template", value=template) from None
    for name in names:
        if name not in PLACES:
            known = ", ".join(sorted(PLACES))
            raise Invalid(f"Nothing is called {name!r} in a message; there are {known}.", field="message_template")


async def get(scope: Scope, id: UUID) -> FlowRunNotificationPolicy:
    """One policy."""
    return _found(await scope.store.read(lambda tx: rows.get(tx, id)))


async def list_page(scope: Scope, query: FlowRunNotificationPolicyQuery) -> list[FlowRunNotificationPolicy]:
    """A page of those that match."""
    return await scope.store.read(lambda tx: rows.list_page(tx, query))


async def update(scope: Scope, id: UUID, body: FlowRunNotificationPolicyUpdate) -> None:
    """Change a policy: what is left out stays."""

    async def unit(tx: Tx) -> None:
        policy = _found(await rows.get(tx, id))
        for name, value in asdict(body).items():
            if value is not UNSET:
                setattr(policy, name, value)
        policy.updated = scope.now
        await _check(tx, policy)
        await rows.update(tx, policy)

    await scope.store.write(unit)


async def delete(scope: Scope, id: UUID) -> None:
    """Delete a policy."""
    if not await scope.store.write(lambda tx: rows.delete(tx, id)):
        raise _missing()


def _found(policy: FlowRunNotificationPolicy | None) -> FlowRunNotificationPolicy:
    if policy is None:
        raise _missing()
    return policy


def _missing() -> NotFound:
    return NotFound("flow run notification policy not found")
