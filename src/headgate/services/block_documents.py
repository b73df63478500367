"""Use cases of block documents: sealed as they are kept, without secrets as they are shown, whole with those they hold."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

from msgspec import UNSET

from headgate.core import blocks
from headgate.core.document_events import CREATED, DELETED, UPDATED, of_block_document
from headgate.errors import BadRequest, Conflict, Invalid, NotFound
from headgate.ids import uuid7
from headgate.schema.block_documents import (
    BlockDocument,
    BlockDocumentCreate,
    BlockDocumentQuery,
    BlockDocumentSelection,
    BlockDocumentUpdate,
)
from headgate.schema.block_schemas import BlockSchema
from headgate.services import block_types, result_storage
from headgate.services.block_contents import sealed, unsealed
from headgate.services.block_trees import assemble
from headgate.services.resource_events import keep
from headgate.services.scope import Scope
from headgate.store import block_documents as rows
from headgate.store import block_schemas as schema_rows
from headgate.store import block_types as type_rows
from headgate.store.block_documents import Kept
from headgate.store.database import Tx


async def create(scope: Scope, body: BlockDocumentCreate) -> BlockDocument:
    """Create a document; answers it without its secrets. `Conflict` when its type has one of the name."""
    name = body.name
    if not name:
        if not body.is_anonymous:
            raise Invalid("Names must be provided for block documents.", field="name")
        name = f"anonymous-{uuid4()}"
    now = scope.now
    id = uuid7(now)
    own, held = _split(body.data)

    async def unit(tx: Tx) -> BlockDocument:
        if await type_rows.get(tx, body.block_type_id) is None:
            raise NotFound(f"Block type {body.block_type_id} not found.")
        schema = await _schema(tx, body.block_schema_id)
        data, is_sealed = sealed(scope, own, schema)
        document = Kept(
            id=id,
            created=now,
            updated=now,
            name=name,
            block_type_id=body.block_type_id,
            block_schema_id=body.block_schema_id,
            is_anonymous=body.is_anonymous,
            is_sealed=is_sealed,
            data=data,
        )
        if not await rows.insert(tx, document):
            raise Conflict("Block already exists")
        await _hold(tx, id, held)
        whole = await _whole(scope, tx, document, include_secrets=False)
        await keep(scope, tx, *of_block_document(whole, CREATED))
        return whole

    return await scope.store.write(unit)


async def get(scope: Scope, id: UUID, *, include_secrets: bool) -> BlockDocument:
    """One document."""

    async def unit(tx: Tx) -> BlockDocument:
        return await _whole(scope, tx, _found(await rows.get(tx, id)), include_secrets=include_secrets)

    return await scope.store.read(unit)


async def get_by_name(scope: Scope, slug: str, name: str, *, include_secrets: bool) -> BlockDocument:
    """One document, by its type's slug and its own name."""

    async def unit(tx: Tx) -> BlockDocument:
        return await _whole(scope, tx, _found(await rows.get_by_name(tx, slug, name)), include_secrets=include_secrets)

    return await scope.store.read(unit)


async def list_of_type(scope: Scope, slug: str, *, include_secrets: bool) -> list[BlockDocument]:
    """All named documents of a type; `NotFound` when there is no such type."""

    async def unit(tx: Tx) -> list[BlockDocument]:
        kind = block_types.found(await type_rows.get_by_slug(tx, slug))
        return await assemble(scope, tx, await rows.list_of_type(tx, kind.id), include_secrets=include_secrets)

    return await scope.store.read(unit)


async def list_page(scope: Scope, query: BlockDocumentQuery) -> list[BlockDocument]:
    """A page of those that match."""

    async def unit(tx: Tx) -> list[BlockDocument]:
        return await assemble(scope, tx, await rows.list_page(tx, query), include_secrets=query.include_secrets)

    return await scope.store.read(unit)


async def count(scope: Scope, selection: BlockDocumentSelection) -> int:
    """How many match."""
    return await scope.store.read(lambda tx: rows.count(tx, selection))


async def update(scope: Scope, id: UUID, body: BlockDocumentUpdate) -> None:
    """Change a document: fields that are given are set, the others stay, or go where that is asked for.

    What stands for a secret leaves the secret as it is. The schema may become another one of the same type.
    """
    given: Mapping[str, Any] = {} if body.data is UNSET or body.data is None else body.data

    async def unit(tx: Tx) -> None:
        before = _found(await rows.get(tx, id))
        schema = await _schema(tx, before.block_schema_id)
        current = unsealed(scope, before)
        own, held = _split(blocks.unmasked(given, current, schema.fields))
        if body.merge_existing_data:
            present = {each.name: each.document_id for each in await rows.held_by(tx, [id])}
            held = {field: other for field, other in present.items() if field not in own} | held
            own = {field: value for field, value in current.items() if field not in held} | own
        if body.block_schema_id not in (None, schema.id):
            schema = await _successor(tx, body.block_schema_id, before)
        data, is_sealed = sealed(scope, own, schema)
        changed = {"updated": scope.now, "block_schema_id": schema.id, "is_sealed": is_sealed, "data": data}
        after = Kept(**{name: getattr(before, name) for name in before.__slots__} | changed)
        await rows.update(tx, after)
        await _hold(tx, id, held)
        whole = await _whole(scope, tx, after, include_secrets=False)
        await keep(scope, tx, *of_block_document(whole, UPDATED))

    await scope.store.write(unit)


async def _successor(tx: Tx, id: UUID | None, document: Kept) -> BlockSchema:
    """The schema that a document is to have from now on."""
    assert id is not None
    schema = await _schema(tx, id)
    if schema.block_type_id != document.block_type_id:
        raise BadRequest(
            f"Block schema {id} is one of the type {schema.block_type.name!r}, not of the document's own; a document "
            "keeps its type."
        )
    return schema


async def delete(scope: Scope, id: UUID) -> None:
    """Delete. Documents that held it lose that field; deployments that name it stay, and cannot find it."""

    async def unit(tx: Tx) -> None:
        whole = await _whole(scope, tx, _found(await rows.get(tx, id)), include_secrets=False)
        await rows.delete(tx, id)
        await keep(scope, tx, *of_block_document(whole, DELETED))
        await result_storage.forget_missing(tx)

    await scope.store.write(unit)


def _split(data: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, UUID]]:
    own, held = blocks.split(data)
    ids: dict[str, UUID] = {}
    for field, given in held.items():
        try:
            ids[field] = UUID(given)
        except (ValueError, TypeError, AttributeError):
            raise BadRequest(f"The field {field!r} refers to the block document {given!r}, which is no id.") from None
    return own, ids


async def _hold(tx: Tx, parent: UUID, held: Mapping[str, UUID]) -> None:
    """Have a document hold these; `Conflict` for one that does not exist, `BadRequest` for one that holds the document."""
    present = await rows.get_many(tx, set(held.values()))
    for field, id in held.items():
        if id not in present:
            raise Conflict(f"The field {field!r} refers to the block document {id}, which does not exist.")
    below, pending = set(held.values()), set(held.values())
    while pending:
        pending = {each.document_id for each in await rows.held_by(tx, pending)} - below
        below |= pending
    if parent in below:
        raise BadRequest(f"Block document {parent} would hold itself: what it is to refer to leads back to it, a cycle.")
    await rows.set_held(tx, parent, held)


async def _schema(tx: Tx, id: UUID) -> BlockSchema:
    schema = await schema_rows.get(tx, id)
    if schema is None:
        raise Conflict(f"There is no block schema {id}; register the block first.")
    return schema


async def _whole(scope: Scope, tx: Tx, document: Kept, *, include_secrets: bool) -> BlockDocument:
    documents: Sequence[BlockDocument] = await assemble(scope, tx, [document], include_secrets=include_secrets)
    return documents[0]


def _found(document: Kept | None) -> Kept:
    if document is None:
        raise _missing()
    return document


def _missing() -> NotFound:
    return NotFound("Block document not found")
