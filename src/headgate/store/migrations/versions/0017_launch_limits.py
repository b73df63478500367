"""Limits of how many runs of a work pool are launched at the same time."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Pools that are there have none."""
    op.add_column("work_pool", sa.Column("launch_limit", sa.Integer))


def downgrade() -> None:
    """The limits are lost."""
    op.drop_column("work_pool", "launch_limit")
