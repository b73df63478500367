"""CSRF tokens, and what is configured for all clients while the server runs."""

import sqlalchemy as sa
from alembic import op

from headgate.store import tables

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """New tables."""
    op.create_table(
        "csrf_token",
        sa.Column("id", tables.Uuid, primary_key=True, nullable=False),
        sa.Column("created", tables.Timestamp, nullable=False),
        sa.Column("updated", tables.Timestamp, nullable=False),
        sa.Column("client", sa.Text, nullable=False, unique=True),
        sa.Column("token", sa.Text, nullable=False),
        sa.Column("expiration", tables.Timestamp, nullable=False),
    )
    op.create_table(
        "configuration",
        sa.Column("key", sa.Text, primary_key=True, nullable=False),
        sa.Column("updated", tables.Timestamp, nullable=False),
        sa.Column("value", tables.Json, nullable=False),
    )


def downgrade() -> None:
    """What the older schema has no place for goes."""
    for table in ("configuration", "csrf_token"):
        op.drop_table(table)
