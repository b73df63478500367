"""Runs that began to wait after they had been due: apart, so that a queue need not be gone through from its beginning."""

import sqlalchemy as sa
from alembic import op

from headgate.store import tables

revision = "0018"
down_revision = "0017"

_WHERE = sa.text("belated")


def upgrade() -> None:
    """Runs that are there are not belated: each server finds them before it begins to seek anywhere but at the beginning."""
    op.add_column("flow_run", sa.Column("belated", tables.Flag))
    columns = ["work_queue_id", "priority", "due_at", "id"]
    op.create_index("ix_flow_run_belated", "flow_run", columns, sqlite_where=_WHERE, postgresql_where=_WHERE)


def downgrade() -> None:
    """Queues are gone through from their beginning again."""
    op.drop_index("ix_flow_run_belated", "flow_run")
    op.drop_column("flow_run", "belated")
