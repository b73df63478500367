"""Block types on the wire: a kind of document that clients keep, such as a secret or a file system."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from headgate.schema.document_filters import BlockSchemaFilter, BlockTypeFilter
from headgate.schema.filters import Page

BlockTypeName = Annotated[str, Meta(min_length=1, pattern=r"^[^/%&><]+$", description="no / % & > or <")]
Slug = Annotated[str, Meta(min_length=1, pattern=r"^[a-z0-9-]+$", description="lowercase letters, digits and -")]


class BlockType(Struct, kw_only=True):
    """A kind of block; a protected one cannot be deleted."""

    id: UUID
    created: datetime
    updated: datetime
    name: str
    slug: str
    logo_url: str | None = None
    documentation_url: str | None = None
    description: str | None = None
    code_example: str | None = None
    is_protected: bool = False


class BlockTypeCreate(Struct, kw_only=True):
    """Body that creates a block type."""

    name: BlockTypeName
    slug: Slug
    logo_url: str | None = None
    documentation_url: str | None = None
    description: str | None = None
    code_example: str | None = None


class BlockTypeUpdate(Struct, kw_only=True):
    """Body that changes how a block type is described; what is left out stays."""

    logo_url: str | None | UnsetType = UNSET
    documentation_url: str | None | UnsetType = UNSET
    description: str | None | UnsetType = UNSET
    code_example: str | None | UnsetType = UNSET


class BlockTypeQuery(Page, kw_only=True):
    """Block types that match, and of which a schema matches."""

    block_types: BlockTypeFilter | None = None
    block_schemas: BlockSchemaFilter | None = None
