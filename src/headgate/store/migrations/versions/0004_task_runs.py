"""Task runs with their states, and what runs are given while they run."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from headgate.store import tables

revision = "0004"
down_revision = "0003"

_INDEXES = (
    ("uq_task_run_key", "task_run", ("flow_run_id", "task_key", "dynamic_key"), "flow_run_id IS NOT NULL"),
    ("uq_task_run_alone", "task_run", ("task_key", "dynamic_key"), "flow_run_id IS NULL"),
    ("ix_task_run_expected_start", "task_run", ("expected_start_time",), None),
    ("ix_task_run_alone_ended", "task_run", ("end_time", "id"), "flow_run_id IS NULL AND end_time IS NOT NULL"),
    ("ix_task_run_state_cache_key", "task_run_state", ("cache_key",), "cache_key IS NOT NULL"),
)


def upgrade() -> None:
    """Three tables; those that there were are not touched."""
    op.create_table(
        "flow_run_input",
        _key("flow_run_id", tables.Uuid),
        _key("key", sa.Text),
        sa.Column("id", tables.Uuid, nullable=False),
        *_times(),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("sender", sa.Text),
    )
    _create_task_run()
    op.create_table(
        "task_run_state",
        _key("task_run_id", tables.Uuid),
        _key("id", tables.Uuid),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("timestamp", tables.Timestamp, nullable=False),
        sa.Column("message", sa.Text),
        sa.Column("state_details", tables.Json, nullable=False),
        sa.Column("data", tables.Json),
        sa.Column("cache_key", sa.Text),
        sa.Column("cache_expiration", tables.Timestamp),
        sqlite_with_rowid=False,
        postgresql_partition_by="RANGE (id)",
    )
    for name, table, columns, condition in _INDEXES:
        where = sa.text(condition) if condition else None
        op.create_index(name, table, [*columns], unique=name.startswith("uq"), sqlite_where=where, postgresql_where=where)
    if op.get_context().dialect.name == "postgresql":
        op.execute("CREATE TABLE task_run_state_rest PARTITION OF task_run_state DEFAULT")


def _create_task_run() -> None:
    op.create_table(
        "task_run",
        _key("id", tables.Uuid),
        *_times(),
        sa.Column("flow_run_id", tables.Uuid),
        sa.Column("task_key", sa.Text, nullable=False),
        sa.Column("dynamic_key", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("cache_key", sa.Text),
        sa.Column("cache_expiration", tables.Timestamp),
        sa.Column("task_version", sa.Text),
        sa.Column("empirical_policy", tables.Json, nullable=False),
        sa.Column("tags", tables.Tags, nullable=False),
        sa.Column("labels", tables.Json, nullable=False),
        sa.Column("task_inputs", tables.Json, nullable=False),
        sa.Column("state_id", tables.Uuid),
        sa.Column("state_type", sa.Text),
        sa.Column("state_name", sa.Text),
        *(sa.Column(name, tables.Timestamp) for name in ("state_timestamp", "due_at", "expected_start_time")),
        *(sa.Column(name, tables.Timestamp) for name in ("start_time", "end_time")),
        sa.Column("total_run_time", sa.Double, nullable=False),
        *(sa.Column(name, sa.Integer, nullable=False) for name in ("run_count", "flow_run_run_count")),
        info={tables.FILL_FACTOR: 70},
    )


def _key(name: str, kind: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, primary_key=True, nullable=False)


def _times() -> list[sa.Column[Any]]:
    return [sa.Column(name, tables.Timestamp, nullable=False) for name in ("created", "updated")]


def downgrade() -> None:
    """Task runs and inputs are lost."""
    for table in ("task_run_state", "task_run", "flow_run_input"):
        op.drop_table(table)
