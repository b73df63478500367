"""Work pools that are shared fairly, and who was served in them lately."""

import sqlalchemy as sa
from alembic import op

from headgate.store.columns import Flag, Json

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Pools that are there keep the default order."""
    op.add_column("work_pool", sa.Column("fair_share", Flag, nullable=False, server_default=sa.text("FALSE")))
    op.add_column("work_pool", sa.Column("turns", Json))


def downgrade() -> None:
    """All pools have the default order."""
    op.drop_column("work_pool", "turns")
    op.drop_column("work_pool", "fair_share")
