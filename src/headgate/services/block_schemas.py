"""Use cases of block schemas."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from headgate.core import blocks
from headgate.errors import Conflict, Forbidden, NotFound
from headgate.ids import uuid7
from headgate.schema.block_schemas import NO_VERSION, BlockSchema, BlockSchemaCreate, BlockSchemaQuery
from headgate.schema.block_types import BlockType
from headgate.services import result_storage
from headgate.services.scope import Scope
from headgate.store import block_schemas as rows
from headgate.store import block_types as type_rows
from headgate.store.database import Tx

_DEEPEST = 50


async def create(scope: Scope, body: BlockSchemaCreate) -> tuple[BlockSchema, bool]:
    """Create a schema, and those that it lists; answers it, and whether it is new.

    `NotFound` when its type does not exist, `Conflict` when that of one that it lists does not.
    """

    async def unit(tx: Tx) -> tuple[BlockSchema, bool]:
        kind = await type_rows.get(tx, body.block_type_id)
        if kind is None:
            raise NotFound(f"Block type {body.block_type_id} not found.")
        return await _ensure(scope, tx, kind, body.fields, body.capabilities, body.version)

    return await scope.store.write(unit)


async def _ensure(
    scope: Scope,
    tx: Tx,
    kind: BlockType,
    fields: Mapping[str, Any],
    capabilities: list[str],
    version: str,
    depth: int = 0,
) -> tuple[BlockSchema, bool]:
    checksum = blocks.checksum(fields)
    if (present := await rows.get_by_checksum(tx, checksum, version)) is not None:
        return present, False
    now = scope.now
    made = BlockSchema(
        id=uuid7(now),
        created=now,
        updated=now,
        checksum=checksum,
        fields=blocks.with_listed(fields),
        block_type_id=kind.id,
        block_type=kind,
        capabilities=capabilities,
        version=version,
    )
    is_new = await rows.insert(tx, made)
    await _ensure_listed(scope, tx, fields, depth + 1)
    return await rows.get_by_checksum(tx, checksum, version) or made, is_new


async def _ensure_listed(scope: Scope, tx: Tx, fields: Mapping[str, Any], depth: int) -> None:
    """Have the schemas that another one lists, made of what its definitions say."""
    if depth > _DEEPEST:
        raise Conflict(f"The block schema lists others more than {_DEEPEST} deep.")
    for field, slug, checksum in blocks.listed_schemas(fields):
        kind = await type_rows.get_by_slug(tx, slug)
        if kind is None:
            raise Conflict(
                f"The field {field!r} holds blocks of the type {slug!r}, which does not exist; register that first."
            )
        if await rows.get_by_checksum(tx, checksum, None) is not None:
            continue
        inner = blocks.fields_of_listed(fields, field, slug)
        if inner is None:
            raise Conflict(
                f"The field {field!r} holds blocks of the schema {checksum}, which does not exist, and `definitions` "
                f"says nothing of it; register that block first."
            )
        await _ensure(scope, tx, kind, inner, [], NO_VERSION, depth)


async def get(scope: Scope, id: UUID) -> BlockSchema:
    """One schema."""
    return _found(await scope.store.read(lambda tx: rows.get(tx, id)))


async def get_by_checksum(scope: Scope, checksum: str, version: str | None) -> BlockSchema:
    """The schema of this version, or the newest of any."""
    return _found(await scope.store.read(lambda tx: rows.get_by_checksum(tx, checksum, version)))


async def list_page(scope: Scope, query: BlockSchemaQuery) -> list[BlockSchema]:
    """A page of those that match."""
    return await scope.store.read(lambda tx: rows.list_page(tx, query))


async def capabilities(scope: Scope) -> list[str]:
    """What the blocks of some schema can do, by name."""
    return sorted(await scope.store.read(rows.capabilities))


async def delete(scope: Scope, id: UUID) -> None:
    """Delete, with its documents; `Forbidden` for one of a protected type."""

    async def unit(tx: Tx) -> None:
        if _found(await rows.get(tx, id)).block_type.is_protected:
            raise Forbidden("Block schemas for protected block types cannot be deleted.")
        await rows.delete(tx, id)
        await result_storage.forget_missing(tx)

    await scope.store.write(unit)


def _found(schema: BlockSchema | None) -> BlockSchema:
    if schema is None:
        raise NotFound("Block schema not found")
    return schema
