"""How a run's infrastructure is found again by another worker than the one that started it."""

import sqlalchemy as sa
from alembic import op

from headgate.store import tables

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """New columns go to the end of their tables."""
    op.add_column("worker", sa.Column("site", sa.Text))
    op.add_column("flow_run_detail", sa.Column("infrastructure_trace", tables.Json))


def downgrade() -> None:
    """Runs whose holder dies are left to the lifeline alone."""
    op.drop_column("flow_run_detail", "infrastructure_trace")
    op.drop_column("worker", "site")
