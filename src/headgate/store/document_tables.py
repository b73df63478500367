"""The tables of what is kept beside runs: blocks, and what clients are told and given."""

from sqlalchemy import Column, ForeignKey, Index, Table, Text, UniqueConstraint

from headgate.store.columns import (
    Flag,
    Json,
    Tags,
    Timestamp,
    Uuid,
    id_column,
    metadata,
    only_where,
    parent_column,
    time_columns,
)

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

artifact = Table(
    "artifact",
    metadata,
    id_column(),
    *time_columns(),
    Column("key", Text),
    Column("type", Text),
    Column("description", Text),
    Column("data", Json),
    Column("metadata_", Json),
    Column("flow_run_id", Uuid),
    Column("task_run_id", Uuid),
    Index("ix_artifact_key", "key", "id", **only_where("key IS NOT NULL")),
    Index("ix_artifact_flow_run", "flow_run_id", **only_where("flow_run_id IS NOT NULL")),
    Index("ix_artifact_task_run", "task_run_id", **only_where("task_run_id IS NOT NULL")),
)

saved_search = Table(
    "saved_search",
    metadata,
    id_column(),
    *time_columns(),
    Column("name", Text, nullable=False, unique=True),
    Column("filters", Json, nullable=False),
)

flow_run_notification_policy = Table(
    "flow_run_notification_policy",
    metadata,
    id_column(),
    *time_columns(),
    Column("is_active", Flag, nullable=False),
    Column("state_names", Json, nullable=False),
    Column("tags", Tags, nullable=False),
    parent_column("block_document_id", "block_document.id", index=True),
    Column("message_template", Text),
)

automation = Table(
    "automation",
    metadata,
    id_column(),
    *time_columns(),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("enabled", Flag, nullable=False),
    Column("tags", Tags, nullable=False),
    Column("trigger_data", Json, nullable=False),
    Column("actions", Json, nullable=False),
    Column("actions_on_trigger", Json, nullable=False),
    Column("actions_on_resolve", Json, nullable=False),
    # Such as prefect.deployment.ID: it goes with that.
    Column("owner_resource", Text, index=True),
)
