"""Rows of block schemas, each with its type."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from headgate.schema.block_schemas import BlockSchema, BlockSchemaQuery
from headgate.schema.block_types import BlockType
from headgate.store.database import Row, Tx
from headgate.store.document_filters import block_schema_condition
from headgate.store.filters import Params
from headgate.store.paging import page
from headgate.store.statements import load_statements

_SQL = load_statements("block_schemas")
_SELECT = _SQL["select"].sqlite
_TYPE = "type_"
_NEWEST = "ORDER BY c.created DESC, c.id DESC"


def _schema(row: Row) -> BlockSchema:
    values = dict(row)
    kind = {name.removeprefix(_TYPE): values.pop(name) for name in [*values] if name.startswith(_TYPE)}
    return BlockSchema(**values, block_type=BlockType(**kind))


async def insert(tx: Tx, schema: BlockSchema) -> bool:
    """Insert; False when there is one of that checksum and version."""
    return await tx.execute(_SQL["insert"], _values(schema)) > 0


async def get(tx: Tx, id: UUID) -> BlockSchema | None:
    """By id."""
    row = await tx.fetch_one(f"{_SELECT} WHERE c.id = :id", {"id": id})
    return _schema(row) if row else None


async def get_many(tx: Tx, ids: Collection[UUID]) -> dict[UUID, BlockSchema]:
    """Those that exist, by id."""
    rows = await tx.fetch(f"{_SELECT} WHERE c.id IN :ids::uuid[]", {"ids": sorted(ids)})
    return {row["id"]: _schema(row) for row in rows}


async def get_by_checksum(tx: Tx, checksum: str, version: str | None) -> BlockSchema | None:
    """The one of this version, or the newest of any."""
    exact = "" if version is None else " AND c.version = :version"
    params = {"checksum": checksum} if version is None else {"checksum": checksum, "version": version}
    row = await tx.fetch_one(f"{_SELECT} WHERE c.checksum = :checksum{exact} {_NEWEST} LIMIT 1", params)
    return _schema(row) if row else None


async def list_page(tx: Tx, query: BlockSchemaQuery) -> list[BlockSchema]:
    """A page of those that match, the newest first."""
    p = Params(tx.dialect)
    where = block_schema_condition(query.block_schemas, p)
    rows = await tx.fetch(f"{_SELECT} WHERE {where} {_NEWEST} {page(query, p)}", p.values)
    return [_schema(row) for row in rows]


async def capabilities(tx: Tx) -> set[str]:
    """What any of them can do."""
    return {each for row in await tx.fetch(_SQL["capabilities"]) for each in row["capabilities"]}


async def delete(tx: Tx, id: UUID) -> None:
    """Delete, with its documents."""
    await tx.execute(_SQL["delete"], {"id": id})


def _values(schema: BlockSchema) -> dict[str, Any]:
    return {name: getattr(schema, name) for name in schema.__struct_fields__ if name != "block_type"}
