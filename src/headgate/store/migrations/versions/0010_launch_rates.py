"""Launch rates of work pools."""

import sqlalchemy as sa
from alembic import op

from headgate.store import tables

revision = "0010"
down_revision = "0009"

_COLUMNS = ("launch_rate", "launches")


def upgrade() -> None:
    """Pools that are there have none."""
    for name in _COLUMNS:
        op.add_column("work_pool", sa.Column(name, tables.Json))


def downgrade() -> None:
    """The rates are lost."""
    for name in _COLUMNS:
        op.drop_column("work_pool", name)
