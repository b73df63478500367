"""Routes of block types, and of the documents of one of them."""

from uuid import UUID

from headgate.api.routing import Router
from headgate.schema.block_documents import BlockDocument
from headgate.schema.block_types import BlockType, BlockTypeCreate, BlockTypeQuery, BlockTypeUpdate
from headgate.services import block_documents, block_types
from headgate.services.scope import Scope

router = Router("/block_types", tag="Block types")


@router.post("/", status=201)
async def create_block_type(scope: Scope, body: BlockTypeCreate) -> BlockType:
    """Create a block type."""
    return await block_types.create(scope, body)


@router.post("/filter")
async def read_block_types(scope: Scope, body: BlockTypeQuery | None) -> list[BlockType]:
    """Block types that match, by name."""
    return await block_types.list_page(scope, body or BlockTypeQuery())


@router.post("/install_system_block_types")
async def install_system_block_types(scope: Scope) -> None:
    """Have the block types that every server can offer by itself, protected."""
    await block_types.install_system_types(scope)


@router.get("/slug/{slug}")
async def read_block_type_by_slug(scope: Scope, slug: str) -> BlockType:
    """One block type, by its slug."""
    return await block_types.get_by_slug(scope, slug)


@router.get("/slug/{slug}/block_documents")
async def read_block_documents_of_type(scope: Scope, slug: str, include_secrets: bool = False) -> list[BlockDocument]:
    """All named documents of a block type, by name."""
    return await block_documents.list_of_type(scope, slug, include_secrets=include_secrets)


@router.get("/slug/{slug}/block_documents/name/{block_document_name}")
async def read_block_document_by_name(
    scope: Scope, slug: str, block_document_name: str, include_secrets: bool = False
) -> BlockDocument:
    """One document, by its type's slug and its own name."""
    return await block_documents.get_by_name(scope, slug, block_document_name, include_secrets=include_secrets)


@router.get("/{id}")
async def read_block_type(scope: Scope, id: UUID) -> BlockType:
    """One block type."""
    return await block_types.get(scope, id)


@router.patch("/{id}")
async def update_block_type(scope: Scope, id: UUID, body: BlockTypeUpdate) -> None:
    """Change how a block type is described: what is left out stays, an explicit null clears."""
    await block_types.update(scope, id, body)


@router.delete("/{id}")
async def delete_block_type(scope: Scope, id: UUID) -> None:
    """Delete a block type with its schemas and documents; a protected one stays."""
    await block_types.delete(scope, id)
