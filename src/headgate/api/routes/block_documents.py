"""Routes of block documents: secrets are in an answer only when asked for, and never in a refusal."""

from uuid import UUID

from headgate.api.routing import Router
from headgate.schema.block_documents import (
    BlockDocument,
    BlockDocumentCreate,
    BlockDocumentQuery,
    BlockDocumentSelection,
    BlockDocumentUpdate,
)
from headgate.services import block_documents
from headgate.services.scope import Scope

router = Router("/block_documents", tag="Block documents", confidential=True)


@router.post("/", status=201)
async def create_block_document(scope: Scope, body: BlockDocumentCreate) -> BlockDocument:
    """Create a block document; answered without its secrets."""
    return await block_documents.create(scope, body)


@router.post("/filter")
async def read_block_documents(scope: Scope, body: BlockDocumentQuery | None) -> list[BlockDocument]:
    """Block documents that match, by name; anonymous ones only if asked for."""
    return await block_documents.list_page(scope, body or BlockDocumentQuery())


@router.post("/count")
async def count_block_documents(scope: Scope, body: BlockDocumentSelection | None) -> int:
    """How many block documents match."""
    return await block_documents.count(scope, body or BlockDocumentSelection())


@router.get("/{id}")
async def read_block_document(scope: Scope, id: UUID, include_secrets: bool = False) -> BlockDocument:
    """One block document."""
    return await block_documents.get(scope, id, include_secrets=include_secrets)


@router.patch("/{id}")
async def update_block_document(scope: Scope, id: UUID, body: BlockDocumentUpdate) -> None:
    """Change a block document; asterisks in place of a secret leave it as it is."""
    await block_documents.update(scope, id, body)


@router.delete("/{id}")
async def delete_block_document(scope: Scope, id: UUID) -> None:
    """Delete a block document."""
    await block_documents.delete(scope, id)
