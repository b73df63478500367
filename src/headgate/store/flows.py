"""Rows of flows."""

from uuid import UUID

from headgate.schema.filters import FlowQuery, FlowSort
from headgate.schema.flows import Flow
from headgate.store.database import Row, Tx
from headgate.store.filters import Params
from headgate.store.paging import page
from headgate.store.selections import selection_condition
from headgate.store.statements import load_statements

_SQL = load_statements("flows")
_SELECT = _SQL["select"].sqlite
_ORDER = {
    FlowSort.CREATED_DESC: "f.created DESC, f.id DESC",
    FlowSort.UPDATED_DESC: "f.updated DESC, f.id DESC",
    FlowSort.NAME_ASC: "f.name, f.id",
    FlowSort.NAME_DESC: "f.name DESC, f.id DESC",
}


def _flow(row: Row) -> Flow:
    return Flow(**row)


async def insert(tx: Tx, flow: Flow) -> bool:
    """Insert; False when the name is taken."""
    values = {name: getattr(flow, name) for name in flow.__struct_fields__}
    return await tx.execute(_SQL["insert"], values) > 0


async def get(tx: Tx, id: UUID) -> Flow | None:
    """By id."""
    row = await tx.fetch_one(f"{_SELECT} WHERE f.id = :id", {"id": id})
    return _flow(row) if row else None


async def get_many(tx: Tx, ids: set[UUID]) -> dict[UUID, Flow]:
    """By ids."""
    rows = await tx.fetch(f"{_SELECT} WHERE f.id IN :ids::uuid[]", {"ids": list(ids)}) if ids else []
    return {row["id"]: _flow(row) for row in rows}


async def get_by_name(tx: Tx, name: str) -> Flow | None:
    """By name."""
    row = await tx.fetch_one(f"{_SELECT} WHERE f.name = :name", {"name": name})
    return _flow(row) if row else None


async def list_page(tx: Tx, query: FlowQuery) -> list[Flow]:
    """A page of those that match."""
    p = Params(tx.dialect)
    where = selection_condition("flows", query, p)
    order = _ORDER[query.sort or FlowSort.NAME_ASC]
    rows = await tx.fetch(f"{_SELECT} WHERE {where} ORDER BY {order} {page(query, p)}", p.values)
    return [_flow(row) for row in rows]


async def count(tx: Tx, query: FlowQuery) -> int:
    """How many match."""
    p = Params(tx.dialect)
    found: int = await tx.fetch_value(
        f"SELECT count(*) FROM flow f WHERE {selection_condition('flows', query, p)}", p.values
    )
    return found


async def update(tx: Tx, flow: Flow) -> None:
    """Write its tags and labels."""
    await tx.execute(_SQL["update"], {"id": flow.id, "updated": flow.updated, "tags": flow.tags, "labels": flow.labels})


async def delete(tx: Tx, id: UUID) -> bool:
    """Delete; False when there is none."""
    return await tx.execute(_SQL["delete"], {"id": id}) > 0
