"""Emptying a database: all rows go, the schema stays."""

from headgate.store.database import Tx

_TABLES = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
    "postgresql": (
        "SELECT relname AS name FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition "
        "AND relnamespace = current_schema()::regnamespace"
    ),
}
_VERSION = "alembic_version"


async def empty(tx: Tx) -> None:
    """Delete every row of every table, but for the revision of the schema."""
    rows = await tx.fetch(_TABLES[tx.dialect])
    tables = [row["name"] for row in rows if row["name"] != _VERSION]
    if tx.dialect == "postgresql":
        await tx.execute(f"TRUNCATE {', '.join(sorted(tables))}")
        return
    for table in tables:  # in any order: what hangs on a row goes or lets go with it
        await tx.execute(f"DELETE FROM {table}")
