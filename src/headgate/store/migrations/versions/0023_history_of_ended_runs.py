"""On SQLite, an index that holds all that a history adds up of runs that are over."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"

_COLUMNS = ["state_type", "expected_start_time", "state_name", "start_time", "total_run_time"]
_WHERE = sa.text("state_type IN ('CANCELLED', 'COMPLETED', 'CRASHED', 'FAILED')")


def upgrade() -> None:
    """A history of many runs reads the index alone."""
    if op.get_context().dialect.name == "sqlite":
        op.create_index("ix_flow_run_over", "flow_run", _COLUMNS, sqlite_where=_WHERE)


def downgrade() -> None:
    """It reads the runs themselves again."""
    if op.get_context().dialect.name == "sqlite":
        op.drop_index("ix_flow_run_over", "flow_run")
