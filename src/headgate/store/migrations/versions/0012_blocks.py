"""Blocks: types, schemas, documents, and which of these hold others."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from headgate.store import tables

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """New tables."""
    op.create_table(
        "block_type",
        *_head(),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("slug", sa.Text, nullable=False, unique=True),
        *(sa.Column(name, sa.Text) for name in ("logo_url", "documentation_url", "description", "code_example")),
        sa.Column("is_protected", tables.Flag, nullable=False),
    )
    op.create_table(
        "block_schema",
        *_head(),
        sa.Column("checksum", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("fields", tables.Json, nullable=False),
        sa.Column("capabilities", tables.Tags, nullable=False),
        _parent("block_type_id", "block_type.id"),
        sa.UniqueConstraint("checksum", "version", name="uq_block_schema_checksum_version"),
    )
    op.create_index("ix_block_schema_block_type_id", "block_schema", ["block_type_id"])
    op.create_table(
        "block_document",
        *_head(),
        sa.Column("name", sa.Text, nullable=False),
        _parent("block_type_id", "block_type.id"),
        _parent("block_schema_id", "block_schema.id"),
        sa.Column("is_anonymous", tables.Flag, nullable=False),
        sa.Column("is_sealed", tables.Flag, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sa.UniqueConstraint("block_type_id", "name", name="uq_block_document_type_name"),
    )
    op.create_index("ix_block_document_block_schema_id", "block_document", ["block_schema_id"])
    op.create_table(
        "block_reference",
        _parent("parent_id", "block_document.id", primary_key=True),
        sa.Column("name", sa.Text, primary_key=True, nullable=False),
        _parent("document_id", "block_document.id"),
    )
    op.create_index("ix_block_reference_document_id", "block_reference", ["document_id"])


def _head() -> list[sa.Column[Any]]:
    return [
        sa.Column("id", tables.Uuid, primary_key=True, nullable=False),
        sa.Column("created", tables.Timestamp, nullable=False),
        sa.Column("updated", tables.Timestamp, nullable=False),
    ]


def _parent(name: str, target: str, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, tables.Uuid, sa.ForeignKey(target, ondelete="CASCADE"), nullable=False, **options)


def downgrade() -> None:
    """What the older schema has no place for goes."""
    for table in ("block_reference", "block_document", "block_schema", "block_type"):
        op.drop_table(table)
