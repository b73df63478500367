"""Calls about block documents."""

from uuid import UUID

from headgate.client.call import Call
from headgate.schema.block_documents import (
    BlockDocument,
    BlockDocumentCreate,
    BlockDocumentQuery,
    BlockDocumentSelection,
    BlockDocumentUpdate,
)


def create(body: BlockDocumentCreate) -> Call[BlockDocument]:
    """Create a block document."""
    return Call("POST", "/block_documents/", body=body, returns=BlockDocument)


def query(body: BlockDocumentQuery | None = None) -> Call[list[BlockDocument]]:
    """Block documents that match."""
    return Call("POST", "/block_documents/filter", body=body or BlockDocumentQuery(), returns=list[BlockDocument])


def count(body: BlockDocumentSelection | None = None) -> Call[int]:
    """How many block documents match."""
    return Call("POST", "/block_documents/count", body=body or BlockDocumentSelection(), returns=int)


def get(id: UUID, include_secrets: bool = False) -> Call[BlockDocument]:
    """One block document."""
    asked = {"include_secrets": "true"} if include_secrets else {}
    return Call("GET", "/block_documents/{id}", at={"id": id}, query=asked, returns=BlockDocument)


def update(id: UUID, body: BlockDocumentUpdate) -> Call[None]:
    """Change a block document."""
    return Call("PATCH", "/block_documents/{id}", at={"id": id}, body=body)


def delete(id: UUID) -> Call[None]:
    """Delete a block document."""
    return Call("DELETE", "/block_documents/{id}", at={"id": id})
