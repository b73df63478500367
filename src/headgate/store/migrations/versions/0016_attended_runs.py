"""Runs that their workers have to stop, or to look for, found without going through all that these have held."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

_WHERE = sa.text("state_type = 'CANCELLING' OR state_name = 'Lost?'")


def upgrade() -> None:
    """An index more, which most runs never enter."""
    op.create_index("ix_flow_run_attended", "flow_run", ["worker_id"], sqlite_where=_WHERE, postgresql_where=_WHERE)


def downgrade() -> None:
    """The question is answered by all that a worker holds again."""
    op.drop_index("ix_flow_run_attended", "flow_run")
