"""Lanes of a queue: what waits there by deployment and concurrency key, so that blocked runs are passed by at once."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

_WHERE = sa.text("state_type = 'SCHEDULED'")


def upgrade() -> None:
    """An index more on runs that wait; on PostgreSQL, too, what has no deployment or key comes first."""
    first = " NULLS FIRST" if op.get_context().dialect.name == "postgresql" else ""
    lane = [f"{name}{first}" for name in ("deployment_id", "key_id", "due_at")]
    columns = [sa.text(name) for name in ("work_queue_id", "priority", *lane, "id")]
    op.create_index("ix_flow_run_lanes", "flow_run", columns, sqlite_where=_WHERE, postgresql_where=_WHERE)


def downgrade() -> None:
    """The cost of a claim grows with the backlog of what is blocked again."""
    op.drop_index("ix_flow_run_lanes", "flow_run")
