"""Runs that have ended, by their end: what retention looks for."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """An index of the ended alone: the rows of live runs do not pay for it."""
    where = sa.text("end_time IS NOT NULL")
    op.create_index("ix_flow_run_ended", "flow_run", ["end_time", "id"], sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    """No data is lost."""
    op.drop_index("ix_flow_run_ended")
