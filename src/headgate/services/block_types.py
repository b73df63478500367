"""Use cases of block types."""

import html
from uuid import UUID

from msgspec import UNSET
from msgspec.structs import asdict

from headgate.core import blocks
from headgate.core.document_events import CREATED, DELETED, UPDATED, of_block_type
from headgate.errors import Conflict, Forbidden, NotFound
from headgate.ids import uuid7
from headgate.schema.block_schemas import NO_VERSION, BlockSchema
from headgate.schema.block_types import BlockType, BlockTypeCreate, BlockTypeQuery, BlockTypeUpdate
from headgate.services import result_storage
from headgate.services.resource_events import keep
from headgate.services.scope import Scope
from headgate.services.system_blocks import SYSTEM_BLOCKS, SystemBlock
from headgate.store import block_schemas as schema_rows
from headgate.store import block_types as rows
from headgate.store.database import Tx

RESERVED = "prefect"


async def create(scope: Scope, body: BlockTypeCreate) -> BlockType:
    """Create a block type; `Conflict` when the slug is taken."""
    if body.name.lower().startswith(RESERVED):
        raise Forbidden("Block type names beginning with 'Prefect' are reserved.")
    now = scope.now
    kind = BlockType(id=uuid7(now), created=now, updated=now, **asdict(body))
    # As existing servers keep what pages show as it is.
    kind.description = _escaped(body.description)
    kind.code_example = _escaped(body.code_example)

    async def unit(tx: Tx) -> None:
        if not await rows.insert(tx, kind):
            raise Conflict(f'Block type with name "{body.name}" already exists')
        await keep(scope, tx, of_block_type(kind, CREATED))

    await scope.store.write(unit)
    return kind


def _escaped(text: str | None) -> str | None:
    return None if text is None else html.escape(text, quote=False)


async def get(scope: Scope, id: UUID) -> BlockType:
    """One block type."""
    return found(await scope.store.read(lambda tx: rows.get(tx, id)))


async def get_by_slug(scope: Scope, slug: str) -> BlockType:
    """One block type, by its slug."""
    return found(await scope.store.read(lambda tx: rows.get_by_slug(tx, slug)))


async def list_page(scope: Scope, query: BlockTypeQuery) -> list[BlockType]:
    """A page of those that match."""
    return await scope.store.read(lambda tx: rows.list_page(tx, query))


async def update(scope: Scope, id: UUID, body: BlockTypeUpdate) -> None:
    """Change how a block type is described; one that says so already stays as it is."""

    async def unit(tx: Tx) -> None:
        kind = found(await rows.get(tx, id))
        given = {name: value for name, value in asdict(body).items() if value is not UNSET}
        changed = {name: value for name, value in given.items() if getattr(kind, name) != value}
        for name, value in changed.items():
            setattr(kind, name, value)
        if changed:
            kind.updated = scope.now
            await rows.update(tx, kind)
            await keep(scope, tx, of_block_type(kind, UPDATED))

    await scope.store.write(unit)


async def delete(scope: Scope, id: UUID) -> None:
    """Delete, with its schemas and documents; `Forbidden` for a protected one."""

    async def unit(tx: Tx) -> None:
        kind = found(await rows.get(tx, id))
        if kind.is_protected:
            raise Forbidden("protected block types cannot be deleted.")
        await rows.delete(tx, id)
        await keep(scope, tx, of_block_type(kind, DELETED))
        await result_storage.forget_missing(tx)

    await scope.store.write(unit)


async def install_system_types(scope: Scope) -> None:
    """Have the types that every server has, protected, with a schema each."""

    async def unit(tx: Tx) -> None:
        for block in SYSTEM_BLOCKS:
            await _install(scope, tx, block)

    await scope.store.write(unit)


async def _install(scope: Scope, tx: Tx, block: SystemBlock) -> None:
    now = scope.now
    kind = await rows.get_by_slug(tx, block.slug)
    if kind is None:
        kind = BlockType(id=uuid7(now), created=now, updated=now, name=block.name, slug=block.slug, is_protected=True)
        kind.description = block.description
        await rows.insert(tx, kind)
    elif not kind.is_protected:
        kind.is_protected, kind.updated = True, now
        await rows.update(tx, kind)
    schema = BlockSchema(
        id=uuid7(now),
        created=now,
        updated=now,
        checksum=blocks.checksum(block.fields),
        fields=dict(block.fields),
        block_type_id=kind.id,
        block_type=kind,
        capabilities=list(block.capabilities),
        version=NO_VERSION,
    )
    await schema_rows.insert(tx, schema)


def found(kind: BlockType | None) -> BlockType:
    """The block type, or `NotFound`."""
    if kind is None:
        raise NotFound("Block type not found")
    return kind
