"""An index in the order in which the lines of a run are read."""

from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    """A page of lines is found without sorting all of a run's."""
    op.create_index("ix_log_timestamp", "log", ["flow_run_id", "timestamp", "id"])


def downgrade() -> None:
    """A page of lines sorts all of a run's."""
    op.drop_index("ix_log_timestamp", "log")
