"""Block documents made whole: each with its type, its schema, and those that it holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from headgate.core import blocks
from headgate.schema.block_documents import BlockDocument
from headgate.schema.block_schemas import BlockSchema
from headgate.schema.block_types import BlockType
from headgate.services.block_contents import unsealed
from headgate.services.scope import Scope
from headgate.store import block_documents as rows
from headgate.store import block_schemas as schema_rows
from headgate.store import block_types as type_rows
from headgate.store.block_documents import Kept
from headgate.store.database import Tx


@dataclass(frozen=True, slots=True)
class _Forest:
    """Documents with all that they hold, directly or not, and what there is to be said of each."""

    documents: Mapping[UUID, Kept]
    held: Mapping[UUID, Mapping[str, UUID]]
    contents: Mapping[UUID, dict[str, Any]]
    schemas: Mapping[UUID, BlockSchema]
    types: Mapping[UUID, BlockType]


async def assemble(scope: Scope, tx: Tx, roots: Sequence[Kept], *, include_secrets: bool) -> list[BlockDocument]:
    """These documents, whole, in their order; without what is secret unless that is asked for."""
    if not roots:
        return []
    forest = await _gather(scope, tx, roots, include_secrets=include_secrets)
    return [_whole(forest, root) for root in roots]


async def _gather(scope: Scope, tx: Tx, roots: Sequence[Kept], *, include_secrets: bool) -> _Forest:
    documents = {root.id: root for root in roots}
    held: dict[UUID, dict[str, UUID]] = {}
    pending = set(documents)
    while pending:
        links = await rows.held_by(tx, pending)
        for link in links:
            held.setdefault(link.parent_id, {})[link.name] = link.document_id
        pending = {link.document_id for link in links} - documents.keys()
        documents |= await rows.get_many(tx, pending) if pending else {}
    schemas = await schema_rows.get_many(tx, {each.block_schema_id for each in documents.values()})
    types = await type_rows.get_many(tx, {each.block_type_id for each in documents.values()})
    contents = {}
    for id, document in documents.items():
        own = unsealed(scope, document)
        contents[id] = own if include_secrets else blocks.masked(own, schemas[document.block_schema_id].fields)
    return _Forest(documents, held, contents, schemas, types)


def _whole(forest: _Forest, root: Kept) -> BlockDocument:
    data, references = _filled(forest, root.id, frozenset())
    kind = forest.types[root.block_type_id]
    return BlockDocument(
        id=root.id,
        created=root.created,
        updated=root.updated,
        name=root.name,
        data=data,
        block_schema_id=root.block_schema_id,
        block_schema=forest.schemas[root.block_schema_id],
        block_type_id=root.block_type_id,
        block_type_name=kind.name,
        block_type=kind,
        block_document_references=references,
        is_anonymous=root.is_anonymous,
    )


def _filled(forest: _Forest, id: UUID, above: frozenset[UUID]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a document holds, those that it refers to in their fields; and what is said of these.

    Two writers at once can make a circle, which is cut where it closes.
    """
    data, references = dict(forest.contents[id]), {}
    for field, inner_id in forest.held.get(id, {}).items():
        inner = forest.documents.get(inner_id)
        if inner is None or inner_id in above:
            continue
        data[field], below = _filled(forest, inner_id, above | {id})
        references[field] = {
            "block_document": {
                "id": inner.id,
                "name": inner.name,
                "block_type": forest.types[inner.block_type_id],
                "is_anonymous": inner.is_anonymous,
                "block_document_references": below,
            }
        }
    return data, references
