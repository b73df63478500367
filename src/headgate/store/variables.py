"""Rows of variables."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from headgate.schema.filters import VariableQuery, VariableSort
from headgate.schema.variables import Variable
from headgate.store.database import Row, Tx
from headgate.store.filters import Params, variable_condition
from headgate.store.paging import page
from headgate.store.statements import load_statements

_SQL = load_statements("variables")
_SELECT = _SQL["select"].sqlite
_ORDER = {
    VariableSort.CREATED_DESC: "v.created DESC, v.id DESC",
    VariableSort.UPDATED_DESC: "v.updated DESC, v.id DESC",
    VariableSort.NAME_DESC: "v.name DESC",
    VariableSort.NAME_ASC: "v.name",
}


def _variable(row: Row) -> Variable:
    return Variable(**row)


async def insert(tx: Tx, variable: Variable) -> bool:
    """Insert; False when the name is taken."""
    return await tx.execute(_SQL["insert"], _values(variable)) > 0


async def get(tx: Tx, id: UUID) -> Variable | None:
    """By id."""
    row = await tx.fetch_one(f"{_SELECT} WHERE v.id = :id", {"id": id})
    return _variable(row) if row else None


async def get_by_name(tx: Tx, name: str) -> Variable | None:
    """By name."""
    row = await tx.fetch_one(f"{_SELECT} WHERE v.name = :name", {"name": name})
    return _variable(row) if row else None


async def values_of(tx: Tx, names: Collection[str]) -> dict[str, Any]:
    """The values of those that exist, by name."""
    rows = await tx.fetch(_SQL["values_of"], {"names": sorted(names)})
    return {row["name"]: row["value"] for row in rows}


async def list_page(tx: Tx, query: VariableQuery) -> list[Variable]:
    """A page of those that match."""
    p = Params(tx.dialect)
    where = variable_condition(query.variables, p)
    order = _ORDER[query.sort or VariableSort.NAME_ASC]
    rows = await tx.fetch(f"{_SELECT} WHERE {where} ORDER BY {order} {page(query, p)}", p.values)
    return [_variable(row) for row in rows]


async def count(tx: Tx, query: VariableQuery) -> int:
    """How many match."""
    p = Params(tx.dialect)
    where = variable_condition(query.variables, p)
    found: int = await tx.fetch_value(f"SELECT count(*) FROM variable v WHERE {where}", p.values)
    return found


async def update(tx: Tx, variable: Variable) -> bool:
    """Write what may be changed; False when the name is another's."""
    return await tx.execute(_SQL["update"], _values(variable)) > 0


async def delete(tx: Tx, id: UUID) -> None:
    """Delete."""
    await tx.execute(_SQL["delete"], {"id": id})


def _values(variable: Variable) -> dict[str, Any]:
    return {name: getattr(variable, name) for name in variable.__struct_fields__}
