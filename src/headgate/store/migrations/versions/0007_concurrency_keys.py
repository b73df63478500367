"""Concurrency keys: on deployments what they are, on runs what they came to."""

import sqlalchemy as sa
from alembic import op

from headgate.store import tables

revision = "0007"
down_revision = "0006"

_INDEXES = (
    ("ix_deployment_key_strategy", "deployment", ["id"], "key_strategy IS NOT NULL"),
    ("ix_flow_run_key_slots", "flow_run", ["key_id"], "holds_slot AND key_id IS NOT NULL"),
    ("ix_flow_run_key_waiting", "flow_run", ["key_id", "due_at"], "state_type = 'SCHEDULED' AND key_id IS NOT NULL"),
)


def upgrade() -> None:
    """Runs that are there have no key; the rows without one are in none of the indexes."""
    op.add_column("deployment", sa.Column("concurrency_key", tables.Json))
    op.add_column("deployment", sa.Column("key_limit", sa.Integer))
    op.add_column("deployment", sa.Column("key_strategy", sa.Text))
    op.add_column("flow_run", sa.Column("key_id", tables.Uuid))
    op.add_column("flow_run_detail", sa.Column("concurrency_key", sa.Text))
    for name, table, columns, condition in _INDEXES:
        where = sa.text(condition)
        op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    """Runs forget their keys."""
    for name, table, _, _ in _INDEXES:
        op.drop_index(name, table)
    op.drop_column("flow_run_detail", "concurrency_key")
    op.drop_column("flow_run", "key_id")
    for column in ("key_strategy", "key_limit", "concurrency_key"):
        op.drop_column("deployment", column)
