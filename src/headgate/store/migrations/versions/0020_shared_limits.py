"""Limits that deployments share: the named limit of which a deployment's runs take slots."""

import sqlalchemy as sa
from alembic import op

from headgate.store.tables import Uuid

revision = "0020"
down_revision = "0019"

_WHERE = sa.text("shared_limit_id IS NOT NULL")


def upgrade() -> None:
    """A column more, of which there is none before."""
    op.add_column("deployment", sa.Column("shared_limit_id", Uuid))
    op.create_index(
        "ix_deployment_shared_limit_id", "deployment", ["shared_limit_id"], sqlite_where=_WHERE, postgresql_where=_WHERE
    )


def downgrade() -> None:
    """Deployments that shared a limit have none."""
    op.drop_index("ix_deployment_shared_limit_id", "deployment")
    op.drop_column("deployment", "shared_limit_id")
