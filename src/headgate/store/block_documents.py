"""Rows of block documents as they are kept, sealed or not, and which of them hold others."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from headgate.schema.block_documents import BlockDocumentQuery, BlockDocumentSelection, BlockDocumentSort
from headgate.store.database import Row, Tx
from headgate.store.document_filters import block_document_condition, block_schema_condition, block_type_condition
from headgate.store.filters import Params, joined
from headgate.store.paging import page
from headgate.store.statements import load_statements

_SQL = load_statements("block_documents")
_SELECT = _SQL["select"].sqlite
_COUNT = f"SELECT count(*) {_SELECT[_SELECT.index('FROM block_document') :]}"
_ORDER = {
    BlockDocumentSort.NAME_ASC: "b.name, b.id",
    BlockDocumentSort.NAME_DESC: "b.name DESC, b.id DESC",
    BlockDocumentSort.BLOCK_TYPE_AND_NAME_ASC: "t.name, b.name, b.id",
}


@dataclass(frozen=True, slots=True)
class Kept:
    """A document as it is kept: `data` is JSON, encrypted if `is_sealed`."""

    id: UUID
    created: datetime
    updated: datetime
    name: str
    block_type_id: UUID
    block_schema_id: UUID
    is_anonymous: bool
    is_sealed: bool
    data: str


@dataclass(frozen=True, slots=True)
class Held:
    """That a document holds another one, in the field `name`."""

    parent_id: UUID
    name: str
    document_id: UUID


def _kept(row: Row) -> Kept:
    return Kept(**row)


async def insert(tx: Tx, document: Kept) -> bool:
    """Insert; False when the type has one of that name."""
    return await tx.execute(_SQL["insert"], _values(document)) > 0


async def get(tx: Tx, id: UUID) -> Kept | None:
    """By id."""
    return (await get_many(tx, [id])).get(id)


async def get_many(tx: Tx, ids: Collection[UUID]) -> dict[UUID, Kept]:
    """Those that exist, by id."""
    rows = await tx.fetch(_SQL["by_ids"], {"ids": sorted(ids)})
    return {row["id"]: _kept(row) for row in rows}


async def get_by_name(tx: Tx, slug: str, name: str) -> Kept | None:
    """By its type's slug and its own name."""
    row = await tx.fetch_one(f"{_SELECT} WHERE t.slug = :slug AND b.name = :name", {"slug": slug, "name": name})
    return _kept(row) if row else None


async def list_of_type(tx: Tx, block_type_id: UUID) -> list[Kept]:
    """The named ones of a type, by name."""
    condition = "b.block_type_id = :id AND NOT b.is_anonymous"
    rows = await tx.fetch(f"{_SELECT} WHERE {condition} ORDER BY b.name", {"id": block_type_id})
    return [_kept(row) for row in rows]


async def list_page(tx: Tx, query: BlockDocumentQuery) -> list[Kept]:
    """A page of those that match."""
    p = Params(tx.dialect)
    where = _where(query, p)
    order = _ORDER[query.sort or BlockDocumentSort.NAME_ASC]
    rows = await tx.fetch(f"{_SELECT} WHERE {where} ORDER BY {order} {page(query, p)}", p.values)
    return [_kept(row) for row in rows]


async def count(tx: Tx, selection: BlockDocumentSelection) -> int:
    """How many match."""
    p = Params(tx.dialect)
    where = _where(selection, p)
    found: int = await tx.fetch_value(f"{_COUNT} WHERE {where}", p.values)
    return found


def _where(selection: BlockDocumentSelection, p: Params) -> str:
    return joined(
        [
            block_document_condition(selection.block_documents, p),
            block_type_condition(selection.block_types, p),
            block_schema_condition(selection.block_schemas, p),
        ]
    )


async def update(tx: Tx, document: Kept) -> None:
    """Write what may be changed."""
    await tx.execute(_SQL["update"], _values(document))


async def delete(tx: Tx, id: UUID) -> bool:
    """Delete; False when there is none. Those that held it do so no longer."""
    return await tx.execute(_SQL["delete"], {"id": id}) > 0


async def held_by(tx: Tx, parents: Collection[UUID]) -> list[Held]:
    """What these documents hold, themselves."""
    return [Held(**row) for row in await tx.fetch(_SQL["references"], {"parents": sorted(parents)})]


async def set_held(tx: Tx, parent: UUID, held: Mapping[str, UUID]) -> None:
    """Have a document hold these, by field, and no others."""
    await tx.execute(_SQL["unrefer"], {"parent_id": parent})
    rows = [{"parent_id": parent, "name": name, "document_id": id} for name, id in held.items()]
    if rows:
        await tx.execute_many(_SQL["refer"], rows)


def _values(document: Kept) -> dict[str, Any]:
    return {name: getattr(document, name) for name in document.__slots__}
