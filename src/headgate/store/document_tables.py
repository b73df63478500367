"""The tables of what is kept beside runs: blocks, and what clients are told and given."""

from sqlalchemy import Column, ForeignKey, Table, Text, UniqueConstraint

from headgate.store.columns import Flag, Json, Tags, Timestamp, Uuid, id_column, metadata, parent_column, time_columns

csrf_token = Table(
    "csrf_token",
    metadata,
    id_column(),
    *time_columns(),
    Column("client", Text, nullable=False, unique=True),
    Column("token", Text, nullable=False),
    Column("expiration", Timestamp, nullable=False),
)

configuration = Table(
    "configuration",
    metadata,
    # What is configured for all clients while the server runs, by name.
    Column("key", Text, primary_key=True, nullable=False),
    Column("updated", Timestamp, nullable=False),
    Column("value", Json, nullable=False),
)

block_type = Table(
    "block_type",
    metadata,
    id_column(),
    *time_columns(),
    Column("name", Text, nullable=False),
    Column("slug", Text, nullable=False, unique=True),
    Column("logo_url", Text),
    Column("documentation_url", Text),
    Column("description", Text),
    Column("code_example", Text),
    Column("is_protected", Flag, nullable=False),
)

block_schema = Table(
    "block_schema",
    metadata,
    id_column(),
    *time_columns(),
    Column("checksum", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("fields", Json, nullable=False),
    Column("capabilities", Tags, nullable=False),
    parent_column("block_type_id", "block_type.id", index=True),
    UniqueConstraint("checksum", "version", name="uq_block_schema_checksum_version"),
)

block_document = Table(
    "block_document",
    metadata,
    id_column(),
    *time_columns(),
    Column("name", Text, nullable=False),
    parent_column("block_type_id", "block_type.id"),
    parent_column("block_schema_id", "block_schema.id", index=True),
    Column("is_anonymous", Flag, nullable=False),
    # JSON, encrypted or not.
    Column("is_sealed", Flag, nullable=False),
    Column("data", Text, nullable=False),
    UniqueConstraint("block_type_id", "name", name="uq_block_document_type_name"),
)

block_reference = Table(
    "block_reference",
    metadata,
    # Which document holds which other one, and in which field.
    Column("parent_id", Uuid, ForeignKey("block_document.id", ondelete="CASCADE"), primary_key=True, nullable=False),
    Column("name", Text, primary_key=True, nullable=False),
    parent_column("document_id", "block_document.id", index=True),
)
