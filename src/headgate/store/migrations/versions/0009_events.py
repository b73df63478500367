"""Events that clients send, and an index of the states from which those of runs are derived."""

import sqlalchemy as sa
from alembic import op

from headgate.store import tables

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """A table, and an index that is built once over the states that there are."""
    op.create_table(
        "event",
        sa.Column("id", tables.Uuid, primary_key=True, nullable=False),
        sa.Column("event_id", tables.Uuid, nullable=False),
        sa.Column("occurred", tables.Timestamp, nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("resource_id", sa.Text, nullable=False),
        *(sa.Column(name, tables.Json, nullable=False) for name in ("resource", "related", "payload")),
        sa.Column("follows", tables.Uuid),
        sqlite_with_rowid=False,
        postgresql_partition_by="RANGE (id)",
    )
    op.create_index("ix_event_event_id", "event", ["event_id"])
    op.create_index("ix_event_occurred", "event", ["occurred"])
    op.create_index("ix_flow_run_state_id", "flow_run_state", ["id"])
    if op.get_context().dialect.name == "postgresql":
        op.execute("CREATE TABLE event_rest PARTITION OF event DEFAULT")


def downgrade() -> None:
    """The events that were sent are lost."""
    op.drop_index("ix_flow_run_state_id")
    op.drop_table("event")
