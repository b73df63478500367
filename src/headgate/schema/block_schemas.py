"""Block schemas on the wire: which fields the documents of a block type have, in one version of it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct, field

from headgate.schema.block_types import BlockType
from headgate.schema.document_filters import BlockSchemaFilter
from headgate.schema.filters import Page

NO_VERSION = "non-versioned"


class BlockSchema(Struct, kw_only=True):
    """The fields of a block type's documents as a JSON Schema; known by its checksum."""

    id: UUID
    created: datetime
    updated: datetime
    checksum: str
    fields: dict[str, Any]
    block_type_id: UUID
    block_type: BlockType
    capabilities: list[str]
    version: str


class BlockSchemaCreate(Struct, kw_only=True):
    """Body that creates a block schema."""

    block_type_id: UUID
    fields: dict[str, Any] = field(default_factory=dict)
    capabilities: list[str] = field(default_factory=list)
    version: str = NO_VERSION


class BlockSchemaQuery(Page, kw_only=True):
    """Block schemas that match."""

    block_schemas: BlockSchemaFilter | None = None
