"""Indexes in the orders in which runs are listed and counted: by state, by start, and with what a page is found by."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Two indexes more on runs; those by expected start have the id as well."""
    postgresql = op.get_context().dialect.name == "postgresql"
    op.drop_index("ix_flow_run_expected_start", "flow_run")
    op.create_index("ix_flow_run_expected_start", "flow_run", ["expected_start_time", "id"])
    op.create_index("ix_flow_run_state", "flow_run", ["state_type", "expected_start_time"])
    op.create_index("ix_flow_run_start", "flow_run", [sa.text("COALESCE(start_time, expected_start_time)")])
    op.drop_index("ix_task_run_expected_start", "task_run")
    latest = [sa.text("expected_start_time DESC NULLS LAST"), sa.text("id DESC")]
    op.create_index("ix_task_run_expected_start", "task_run", latest if postgresql else ["expected_start_time", "id"])


def downgrade() -> None:
    """Lists and counts look at every run again."""
    op.drop_index("ix_task_run_expected_start", "task_run")
    op.create_index("ix_task_run_expected_start", "task_run", ["expected_start_time"])
    op.drop_index("ix_flow_run_start", "flow_run")
    op.drop_index("ix_flow_run_state", "flow_run")
    op.drop_index("ix_flow_run_expected_start", "flow_run")
    op.create_index("ix_flow_run_expected_start", "flow_run", ["expected_start_time"])
