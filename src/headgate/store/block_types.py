"""Rows of block types."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from headgate.schema.block_types import BlockType, BlockTypeQuery
from headgate.store.database import Row, Tx
from headgate.store.document_filters import block_schema_condition, block_type_condition
from headgate.store.filters import Params
from headgate.store.paging import page
from headgate.store.statements import load_statements

_SQL = load_statements("block_types")
_SELECT = _SQL["select"].sqlite


def _type(row: Row) -> BlockType:
    return BlockType(**row)


async def insert(tx: Tx, kind: BlockType) -> bool:
    """Insert; False when the slug is taken."""
    return await tx.execute(_SQL["insert"], _values(kind)) > 0


async def get(tx: Tx, id: UUID) -> BlockType | None:
    """By id."""
    row = await tx.fetch_one(f"{_SELECT} WHERE t.id = :id", {"id": id})
    return _type(row) if row else None


async def get_many(tx: Tx, ids: Collection[UUID]) -> dict[UUID, BlockType]:
    """Those that exist, by id."""
    rows = await tx.fetch(f"{_SELECT} WHERE t.id IN :ids::uuid[]", {"ids": sorted(ids)})
    return {row["id"]: _type(row) for row in rows}


async def get_by_slug(tx: Tx, slug: str) -> BlockType | None:
    """By slug."""
    row = await tx.fetch_one(f"{_SELECT} WHERE t.slug = :slug", {"slug": slug})
    return _type(row) if row else None


async def list_page(tx: Tx, query: BlockTypeQuery) -> list[BlockType]:
    """A page of those that match, by name."""
    p = Params(tx.dialect)
    where = block_type_condition(query.block_types, p)
    if query.block_schemas is not None:
        matching = block_schema_condition(query.block_schemas, p)
        where += f" AND EXISTS (SELECT 1 FROM block_schema c WHERE c.block_type_id = t.id AND {matching})"
    rows = await tx.fetch(f"{_SELECT} WHERE {where} ORDER BY t.name, t.id {page(query, p)}", p.values)
    return [_type(row) for row in rows]


async def update(tx: Tx, kind: BlockType) -> None:
    """Write what may be changed."""
    await tx.execute(_SQL["update"], _values(kind))


async def delete(tx: Tx, id: UUID) -> None:
    """Delete, with its schemas and documents."""
    await tx.execute(_SQL["delete"], {"id": id})


def _values(kind: BlockType) -> dict[str, Any]:
    return {name: getattr(kind, name) for name in kind.__struct_fields__}
