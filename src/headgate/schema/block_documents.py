"""Block documents on the wire: values under a name, some of them secret, some of them other documents."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType, field

from headgate.schema.block_schemas import BlockSchema
from headgate.schema.block_types import BlockType, Slug
from headgate.schema.document_filters import BlockDocumentFilter, BlockSchemaFilter, BlockTypeFilter
from headgate.schema.filters import Page


class BlockDocument(Struct, kw_only=True):
    """A document with its schema and its type.

    `data` holds the documents that it refers to in full, `block_document_references` says which they are.
    """

    id: UUID
    created: datetime
    updated: datetime
    name: str
    data: dict[str, Any]
    block_schema_id: UUID
    block_schema: BlockSchema
    block_type_id: UUID
    block_type_name: str
    block_type: BlockType
    block_document_references: dict[str, Any]
    is_anonymous: bool


class BlockDocumentCreate(Struct, kw_only=True):
    """Body that creates a document. `{"$ref": {"block_document_id": …}}` in a field stands for another document."""

    block_schema_id: UUID
    block_type_id: UUID
    name: Slug | None = None
    data: dict[str, Any] = field(default_factory=dict)
    is_anonymous: bool = False


class BlockDocumentUpdate(Struct, kw_only=True):
    """Body that changes a document: its fields are set one by one, or, without `merge_existing_data`, as a whole."""

    data: dict[str, Any] | None | UnsetType = UNSET
    block_schema_id: UUID | None = None
    merge_existing_data: bool = True


class BlockDocumentSort(StrEnum):
    NAME_DESC = "NAME_DESC"
    NAME_ASC = "NAME_ASC"
    BLOCK_TYPE_AND_NAME_ASC = "BLOCK_TYPE_AND_NAME_ASC"


class BlockDocumentSelection(Page, kw_only=True):
    """Documents that match, and whose type and schema match. Those without a name of their own only if asked for."""

    block_documents: BlockDocumentFilter | None = None
    block_types: BlockTypeFilter | None = None
    block_schemas: BlockSchemaFilter | None = None


class BlockDocumentQuery(BlockDocumentSelection, kw_only=True):
    """A page of them, with or without secrets."""

    include_secrets: bool = False
    sort: BlockDocumentSort | None = None
