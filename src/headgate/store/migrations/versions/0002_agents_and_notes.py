"""Agents, variables, secrets; notes on pauses; drains; what becomes of runs that collide, or lose their infrastructure."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from headgate.store import tables

revision = "0002"
down_revision = "0001"

_PAUSABLE = ("work_pool", "work_queue", "deployment", "deployment_schedule")
_NEW = ("agent", "variable", "secret")
_INDEXES = (
    ("ix_deployment_cancels_new", "deployment", "cancels_new"),
    ("ix_deployment_schedule_misfire", "deployment_schedule", "misfire IS NOT NULL"),
)


def upgrade() -> None:
    """New columns go to the end of their tables."""
    for table in _PAUSABLE:
        op.add_column(table, sa.Column("pause", tables.Json))
    op.add_column("worker", sa.Column("drain_requested", tables.Timestamp))
    op.add_column("deployment", sa.Column("cancels_new", tables.Flag))
    op.add_column("deployment", sa.Column("infra_retries", tables.Json))
    for column in ("restarts", "restarts_begun"):
        op.add_column("flow_run", sa.Column(column, sa.Integer))
    op.add_column("deployment_schedule", sa.Column("misfire", tables.Json))
    op.add_column("deployment_schedule", sa.Column("made_until", tables.Timestamp))
    op.execute("UPDATE deployment SET cancels_new = TRUE WHERE CAST(concurrency_options AS TEXT) LIKE '%CANCEL_NEW%'")
    for name, table, condition in _INDEXES:
        where = sa.text(condition)
        op.create_index(name, table, ["id"], sqlite_where=where, postgresql_where=where)
    op.create_table(
        "agent",
        *_head(),
        sa.Column("name", sa.Text),
        sa.Column("work_pool_name", sa.Text),
        sa.Column("work_queue_names", tables.Json, nullable=False),
        sa.Column("work_queue_prefix", sa.Text),
        sa.Column("last_heartbeat_time", tables.Timestamp),
        sa.Column("heartbeat_interval_seconds", sa.Double),
        sa.Column("drain_requested", tables.Timestamp),
    )
    op.create_table(
        "variable",
        *_head(),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("value", tables.Json, nullable=False),
        sa.Column("tags", tables.Tags, nullable=False),
    )
    op.create_table(
        "secret",
        *_head(),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("ciphertext", sa.Text, nullable=False),
    )


def _head() -> list[sa.Column[Any]]:
    return [
        sa.Column("id", tables.Uuid, primary_key=True, nullable=False),
        sa.Column("created", tables.Timestamp, nullable=False),
        sa.Column("updated", tables.Timestamp, nullable=False),
    ]


def downgrade() -> None:
    """What the older schema has no place for goes."""
    for table in _NEW:
        op.drop_table(table)
    for name, table, _ in _INDEXES:
        op.drop_index(name, table)
    for column in ("misfire", "made_until"):
        op.drop_column("deployment_schedule", column)
    for column in ("restarts", "restarts_begun"):
        op.drop_column("flow_run", column)
    for column in ("cancels_new", "infra_retries"):
        op.drop_column("deployment", column)
    op.drop_column("worker", "drain_requested")
    for table in _PAUSABLE:
        op.drop_column(table, "pause")
