"""Task runs that wait for task workers, and the task workers that are connected."""

import sqlalchemy as sa
from alembic import op

from headgate.store import tables

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Two tables."""
    op.create_table(
        "waiting_task",
        sa.Column(
            "task_run_id", tables.Uuid, sa.ForeignKey("task_run.id", ondelete="CASCADE"), primary_key=True, nullable=False
        ),
        sa.Column("task_key", sa.Text, nullable=False),
        sa.Column("created", tables.Timestamp, nullable=False),
        sa.Column("offered_until", tables.Timestamp, nullable=False),
    )
    op.create_index("ix_waiting_task_key", "waiting_task", ["task_key", "created", "task_run_id"])
    op.create_table(
        "task_worker",
        sa.Column("id", tables.Uuid, primary_key=True, nullable=False),
        sa.Column("identifier", sa.Text, nullable=False),
        sa.Column("task_keys", tables.Json, nullable=False),
        sa.Column("last_seen", tables.Timestamp, nullable=False),
    )


def downgrade() -> None:
    """Task runs that wait stay Scheduled."""
    op.drop_table("task_worker")
    op.drop_table("waiting_task")
