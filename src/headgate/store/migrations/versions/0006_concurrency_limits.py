"""Concurrency limits, and the leases by which their slots are held."""

import sqlalchemy as sa
from alembic import op

from headgate.store import tables

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Two tables of their own."""
    op.create_table(
        "concurrency_limit",
        sa.Column("id", tables.Uuid, primary_key=True, nullable=False),
        sa.Column("created", tables.Timestamp, nullable=False),
        sa.Column("updated", tables.Timestamp, nullable=False),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("active", tables.Flag, nullable=False),
        sa.Column("slot_limit", sa.Integer, nullable=False),
        sa.Column("active_slots", sa.Double, nullable=False),
        sa.Column("denied_slots", sa.Double, nullable=False),
        sa.Column("slot_decay_per_second", sa.Double, nullable=False),
        sa.Column("avg_slot_occupancy_seconds", sa.Double, nullable=False),
        sa.Column("counted_at", tables.Timestamp, nullable=False),
    )
    op.create_table(
        "concurrency_lease",
        sa.Column("id", tables.Uuid, primary_key=True, nullable=False),
        sa.Column("limit_id", tables.Uuid, primary_key=True, nullable=False),
        sa.Column("created", tables.Timestamp, nullable=False),
        sa.Column("expires_at", tables.Timestamp, nullable=False),
        sa.Column("slots", sa.Integer, nullable=False),
        sa.Column("holder_type", sa.Text),
        sa.Column("holder_id", tables.Uuid),
    )
    op.create_index("ix_concurrency_lease_limit", "concurrency_lease", ["limit_id", "expires_at"])
    op.create_index("ix_concurrency_lease_expires", "concurrency_lease", ["expires_at"])


def downgrade() -> None:
    """The older schema has no place for limits."""
    op.drop_table("concurrency_lease")
    op.drop_table("concurrency_limit")
