"""Rows of saved searches."""

from uuid import UUID

import msgspec

from headgate.schema.saved_searches import SavedSearch, SavedSearchQuery
from headgate.store.database import Row, Tx
from headgate.store.filters import Params
from headgate.store.paging import page
from headgate.store.statements import load_statements

_SQL = load_statements("saved_searches")
_SELECT = _SQL["select"].sqlite


def _search(row: Row) -> SavedSearch:
    return msgspec.convert(dict(row), SavedSearch)


async def put(tx: Tx, search: SavedSearch) -> SavedSearch:
    """Insert, or replace the one of its name; answers what is kept now."""
    values = {name: getattr(search, name) for name in search.__struct_fields__}
    await tx.execute(_SQL["put"], values | {"filters": msgspec.to_builtins(search.filters)})
    row = await tx.fetch_one(f"{_SELECT} WHERE h.name = :name", {"name": search.name})
    return _search(row) if row else search


async def get(tx: Tx, id: UUID) -> SavedSearch | None:
    """By id."""
    row = await tx.fetch_one(f"{_SELECT} WHERE h.id = :id", {"id": id})
    return _search(row) if row else None


async def list_page(tx: Tx, query: SavedSearchQuery) -> list[SavedSearch]:
    """A page of them, by name."""
    p = Params(tx.dialect)
    rows = await tx.fetch(f"{_SELECT} ORDER BY h.name {page(query, p)}", p.values)
    return [_search(row) for row in rows]


async def delete(tx: Tx, id: UUID) -> bool:
    """Delete; False when there is none."""
    return await tx.execute(_SQL["delete"], {"id": id}) > 0
