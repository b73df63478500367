"""Artifacts, saved searches, notification policies and automations."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from headgate.store import tables

revision = "0013"
down_revision = "0012"

_INDEXES = (
    ("ix_artifact_key", ["key", "id"]),
    ("ix_artifact_flow_run", ["flow_run_id"]),
    ("ix_artifact_task_run", ["task_run_id"]),
)


def upgrade() -> None:
    """New tables."""
    op.create_table(
        "artifact",
        *_head(),
        *(sa.Column(name, sa.Text) for name in ("key", "type", "description")),
        *(sa.Column(name, tables.Json) for name in ("data", "metadata_")),
        *(sa.Column(name, tables.Uuid) for name in ("flow_run_id", "task_run_id")),
    )
    for name, columns in _INDEXES:
        where = sa.text(f"{columns[0]} IS NOT NULL")
        op.create_index(name, "artifact", columns, sqlite_where=where, postgresql_where=where)
    op.create_table(
        "saved_search",
        *_head(),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("filters", tables.Json, nullable=False),
    )
    op.create_table(
        "flow_run_notification_policy",
        *_head(),
        sa.Column("is_active", tables.Flag, nullable=False),
        sa.Column("state_names", tables.Json, nullable=False),
        sa.Column("tags", tables.Tags, nullable=False),
        sa.Column("block_document_id", tables.Uuid, sa.ForeignKey("block_document.id", ondelete="CASCADE"), nullable=False),
        sa.Column("message_template", sa.Text),
    )
    index = "ix_flow_run_notification_policy_block_document_id"
    op.create_index(index, "flow_run_notification_policy", ["block_document_id"])
    op.create_table(
        "automation",
        *_head(),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("enabled", tables.Flag, nullable=False),
        sa.Column("tags", tables.Tags, nullable=False),
        *(
            sa.Column(name, tables.Json, nullable=False)
            for name in ("trigger_data", "actions", "actions_on_trigger", "actions_on_resolve")
        ),
        sa.Column("owner_resource", sa.Text),
    )
    op.create_index("ix_automation_owner_resource", "automation", ["owner_resource"])


def _head() -> list[sa.Column[Any]]:
    return [
        sa.Column("id", tables.Uuid, primary_key=True, nullable=False),
        sa.Column("created", tables.Timestamp, nullable=False),
        sa.Column("updated", tables.Timestamp, nullable=False),
    ]


def downgrade() -> None:
    """What the older schema has no place for goes."""
    for table in ("automation", "flow_run_notification_policy", "saved_search", "artifact"):
        op.drop_table(table)
