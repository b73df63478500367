"""The first schema."""

from pathlib import Path

from alembic import op

from headgate.store.opening import statements_of

revision = "0001"
down_revision = None

_TABLES = (
    "log",
    "flow_run_state",
    "flow_run_detail",
    "flow_run",
    "deployment_schedule",
    "deployment",
    "worker",
    "work_queue",
    "work_pool",
    "flow",
)


def upgrade() -> None:
    """The script of that day, kept beside this file."""
    script = Path(__file__).with_suffix(f".{op.get_context().dialect.name}.sql").read_text()
    for statement in statements_of(script):
        op.execute(statement)


def downgrade() -> None:
    """Everything goes."""
    for table in _TABLES:
        op.execute(f"DROP TABLE {table}")
