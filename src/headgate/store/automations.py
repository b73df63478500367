"""Rows of automations."""

from datetime import datetime
from typing import Any
from uuid import UUID

from headgate.schema.automations import Automation, AutomationQuery, AutomationSort
from headgate.store.database import Row, Tx
from headgate.store.document_filters import automation_condition
from headgate.store.filters import Params
from headgate.store.paging import page
from headgate.store.statements import load_statements

_SQL = load_statements("automations")
_SELECT = _SQL["select"].sqlite
_ORDER = {
    AutomationSort.CREATED_DESC: "au.created DESC, au.id DESC",
    AutomationSort.UPDATED_DESC: "au.updated DESC, au.id DESC",
    AutomationSort.NAME_ASC: "au.name, au.id",
    AutomationSort.NAME_DESC: "au.name DESC, au.id DESC",
}


def _automation(row: Row) -> Automation:
    values = dict(row)
    return Automation(trigger=values.pop("trigger_data"), **values)


async def insert(tx: Tx, automation: Automation, owner: str | None) -> None:
    """Insert; it goes with `owner`."""
    await tx.execute(_SQL["insert"], _values(automation) | {"owner_resource": owner})


async def get(tx: Tx, id: UUID) -> Automation | None:
    """By id."""
    row = await tx.fetch_one(f"{_SELECT} WHERE au.id = :id", {"id": id})
    return _automation(row) if row else None


async def list_page(tx: Tx, query: AutomationQuery) -> list[Automation]:
    """A page of those that match."""
    p = Params(tx.dialect)
    where = automation_condition(query.automations, p)
    order = _ORDER[query.sort or AutomationSort.NAME_ASC]
    rows = await tx.fetch(f"{_SELECT} WHERE {where} ORDER BY {order} {page(query, p)}", p.values)
    return [_automation(row) for row in rows]


async def list_related(tx: Tx, resource: str) -> list[Automation]:
    """Those that go with a resource or, if it is a deployment, run it; by name."""
    rows = await tx.fetch(_SQL["related"], {"resource": resource})
    return [_automation(row) for row in rows]


async def count(tx: Tx, query: AutomationQuery) -> int:
    """How many match."""
    p = Params(tx.dialect)
    where = automation_condition(query.automations, p)
    found: int = await tx.fetch_value(f"SELECT count(*) FROM automation au WHERE {where}", p.values)
    return found


async def update(tx: Tx, automation: Automation) -> None:
    """Write what may be changed."""
    await tx.execute(_SQL["update"], _values(automation))


async def delete(tx: Tx, id: UUID) -> bool:
    """Delete; False when there is none."""
    return await tx.execute(_SQL["delete"], {"id": id}) > 0


async def delete_owned(tx: Tx, owner: str, *, now: datetime) -> None:
    """Delete those that go with a resource."""
    await tx.execute(_SQL["delete_owned"], {"owner": owner, "now": now})


def _values(automation: Automation) -> dict[str, Any]:
    return {name: getattr(automation, name) for name in automation.__struct_fields__}
