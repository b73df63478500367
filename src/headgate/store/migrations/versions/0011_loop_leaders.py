"""Which server runs which background job."""

import sqlalchemy as sa
from alembic import op

from headgate.store import tables

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """A row for each job."""
    op.create_table(
        "loop_leader",
        sa.Column("name", sa.Text, primary_key=True, nullable=False),
        sa.Column("holder_id", tables.Uuid, nullable=False),
        sa.Column("place", sa.Text, nullable=False),
        sa.Column("since", tables.Timestamp, nullable=False),
        sa.Column("expires_at", tables.Timestamp, nullable=False),
    )


def downgrade() -> None:
    """Every server runs every job again."""
    op.drop_table("loop_leader")
