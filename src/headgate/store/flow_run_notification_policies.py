"""Rows of notification policies."""

from typing import Any
from uuid import UUID

from headgate.schema.flow_run_notification_policies import FlowRunNotificationPolicy, FlowRunNotificationPolicyQuery
from headgate.store.database import Tx
from headgate.store.document_filters import policy_condition
from headgate.store.filters import Params
from headgate.store.paging import page
from headgate.store.statements import load_statements

_SQL = load_statements("flow_run_notification_policies")
_SELECT = _SQL["select"].sqlite


async def insert(tx: Tx, policy: FlowRunNotificationPolicy) -> None:
    """Insert."""
    await tx.execute(_SQL["insert"], _values(policy))


async def get(tx: Tx, id: UUID) -> FlowRunNotificationPolicy | None:
    """By id."""
    row = await tx.fetch_one(f"{_SELECT} WHERE n.id = :id", {"id": id})
    return FlowRunNotificationPolicy(**row) if row else None


async def list_page(tx: Tx, query: FlowRunNotificationPolicyQuery) -> list[FlowRunNotificationPolicy]:
    """A page of those that match."""
    p = Params(tx.dialect)
    where = policy_condition(query.flow_run_notification_policy_filter, p)
    rows = await tx.fetch(f"{_SELECT} WHERE {where} ORDER BY n.id {page(query, p)}", p.values)
    return [FlowRunNotificationPolicy(**row) for row in rows]


async def update(tx: Tx, policy: FlowRunNotificationPolicy) -> None:
    """Write what may be changed."""
    await tx.execute(_SQL["update"], _values(policy))


async def delete(tx: Tx, id: UUID) -> bool:
    """Delete; False when there is none."""
    return await tx.execute(_SQL["delete"], {"id": id}) > 0


def _values(policy: FlowRunNotificationPolicy) -> dict[str, Any]:
    return {name: getattr(policy, name) for name in policy.__struct_fields__}
