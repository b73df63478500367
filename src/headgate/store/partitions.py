"""PostgreSQL's partitions of `log` and of the states of runs: one for each span of time, and one for the rest.

A partition is made beside its table and then attached, which lets everybody else go on. No statement here waits long for a
lock, because all others would queue behind it, or holds one for long: the unit fails with `Unavailable`, and is tried again
another time. SQLite has no partitions: there nothing is ever found or done.
"""

import re
from dataclasses import dataclass
from uuid import UUID

from headgate.core.retention import Span
from headgate.ids import first_at, made_at
from headgate.store.database import Row, Tx

_BOUNDS = re.compile(r"FOR VALUES FROM \('([0-9a-f-]{36})'\) TO \('([0-9a-f-]{36})'\)")

_LIST = """
SELECT c.relname AS name, pg_get_expr(c.relpartbound, c.oid) AS bounds
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = CAST(CAST(:name AS text) AS regclass) ORDER BY c.relname
"""

_BE_ALONE = "SELECT pg_try_advisory_xact_lock(7521962857114)"
_TAKE_NO_TIME = ("SET LOCAL lock_timeout = '500ms'", "SET LOCAL statement_timeout = '2s'")


@dataclass(frozen=True, slots=True)
class Partition:
    """A part of a table that holds the rows whose ids were made in a span of time."""

    name: str
    span: Span


async def list_all(tx: Tx, table: str) -> list[Partition]:
    """The partitions of a table that have a span, the earliest first."""
    if tx.dialect != "postgresql":
        return []
    found = [_partition(row) for row in await tx.fetch(_LIST, {"name": table})]
    return sorted((each for each in found if each), key=lambda each: each.span.start)


def _partition(row: Row) -> Partition | None:
    if (bounds := _BOUNDS.fullmatch(row["bounds"])) is None:
        return None
    start, end = (made_at(UUID(text)) for text in bounds.groups())
    return Partition(row["name"], Span(start, end))


async def count(tx: Tx, partition: Partition) -> int:
    """How many rows it holds; it looks at all of them."""
    rows: int = await tx.fetch_value(f"SELECT count(*) FROM {partition.name}")
    return rows


async def add(tx: Tx, table: str, span: Span) -> bool:
    """Have rows of a span go into a partition of their own; False when there is one, or somebody else is at it.

    Neither is one made while rows of that span lie among the rest: they would have to be moved. That holds for the span
    of the present when partitions are first made, and for no later one.
    """
    if tx.dialect != "postgresql" or not await _alone(tx):
        return False
    if any(each.span.end > span.start for each in await list_all(tx, table)):
        return False
    name, low, high = f"{table}_{span.start:%Y%m%d}", first_at(span.start), first_at(span.end)
    # No row may come into the span between the look and the end of the transaction.
    await tx.execute(f"LOCK TABLE {table}_rest IN SHARE ROW EXCLUSIVE MODE")
    if await tx.fetch_value(f"SELECT EXISTS (SELECT 1 FROM {table}_rest WHERE id >= '{low}' AND id < '{high}')"):
        return False
    await tx.execute(f"CREATE TABLE {name} (LIKE {table} INCLUDING ALL)")
    await tx.execute(f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ('{low}') TO ('{high}')")
    return True


async def drop(tx: Tx, partition: Partition, *, even_of_runs: bool) -> bool:
    """Drop a partition with its rows; False when it is gone, or somebody else is at it.

    Without `even_of_runs` only when all runs that its rows belong to are gone.
    """
    if not await _alone(tx):
        return False
    if await tx.fetch_value("SELECT to_regclass(:name::text) IS NULL", {"name": partition.name}):
        return False
    if not even_of_runs and await tx.fetch_value(
        f"SELECT EXISTS (SELECT 1 FROM {partition.name} s JOIN {_owner(partition)} r ON r.id = s.{_owner(partition)}_id)"
    ):
        return False
    await tx.execute(f"DROP TABLE {partition.name}")
    return True


def _owner(partition: Partition) -> str:
    return "task_run" if partition.name.startswith("task_run_state") else "flow_run"


async def _alone(tx: Tx) -> bool:
    """Whether no other server is busy with partitions; if so none will be until the transaction ends."""
    for setting in _TAKE_NO_TIME:
        await tx.execute(setting)
    return bool(await tx.fetch_value(_BE_ALONE))
