"""Calls about block types."""

from uuid import UUID

from headgate.client.call import Call
from headgate.schema.block_documents import BlockDocument
from headgate.schema.block_types import BlockType, BlockTypeCreate, BlockTypeQuery, BlockTypeUpdate


def create(body: BlockTypeCreate) -> Call[BlockType]:
    """Create a block type."""
    return Call("POST", "/block_types/", body=body, returns=BlockType)


def query(body: BlockTypeQuery | None = None) -> Call[list[BlockType]]:
    """Block types that match."""
    return Call("POST", "/block_types/filter", body=body or BlockTypeQuery(), returns=list[BlockType])


def install_system_types() -> Call[None]:
    """Have the types that every server can offer by itself."""
    return Call("POST", "/block_types/install_system_block_types")


def get(id: UUID) -> Call[BlockType]:
    """One block type."""
    return Call("GET", "/block_types/{id}", at={"id": id}, returns=BlockType)


def get_by_slug(slug: str) -> Call[BlockType]:
    """One block type, by its slug."""
    return Call("GET", "/block_types/slug/{slug}", at={"slug": slug}, returns=BlockType)


def documents(slug: str, include_secrets: bool = False) -> Call[list[BlockDocument]]:
    """All named documents of a block type."""
    asked = {"include_secrets": "true"} if include_secrets else {}
    path = "/block_types/slug/{slug}/block_documents"
    return Call("GET", path, at={"slug": slug}, query=asked, returns=list[BlockDocument])


def document(slug: str, name: str, include_secrets: bool = False) -> Call[BlockDocument]:
    """One document, by its type's slug and its own name."""
    asked = {"include_secrets": "true"} if include_secrets else {}
    path = "/block_types/slug/{slug}/block_documents/name/{block_document_name}"
    return Call("GET", path, at={"slug": slug, "block_document_name": name}, query=asked, returns=BlockDocument)


def update(id: UUID, body: BlockTypeUpdate) -> Call[None]:
    """Change how a block type is described."""
    return Call("PATCH", "/block_types/{id}", at={"id": id}, body=body)


def delete(id: UUID) -> Call[None]:
    """Delete a block type with its schemas and documents."""
    return Call("DELETE", "/block_types/{id}", at={"id": id})
