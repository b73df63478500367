"""Rows of log lines."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from headgate.ids import made_at
from headgate.schema.filters import LogFilter, LogQuery, LogSort
from headgate.schema.logs import Log
from headgate.store.database import Row, Tx
from headgate.store.filters import Params, log_condition
from headgate.store.paging import page
from headgate.store.statements import load_statements

_SQL = load_statements("logs")
_SELECT = _SQL["select"].sqlite
NO_RUN = UUID(int=0)
"""Stands where a line belongs to no flow run."""
_ORDER = {LogSort.TIMESTAMP_ASC: "l.timestamp, l.id", LogSort.TIMESTAMP_DESC: "l.timestamp DESC, l.id DESC"}


def _log(row: Row) -> Log:
    values = dict(row)
    if values["flow_run_id"] == NO_RUN:
        values["flow_run_id"] = None
    made = made_at(values["id"])
    return Log(created=made, updated=made, **values)


Line = tuple[UUID | None, str, UUID | None, datetime, int, str, str]
"""A line to be inserted: its flow run, its id written out, its task run, its time, level, logger's name and message."""


async def insert(tx: Tx, lines: Sequence[Line]) -> None:
    """Insert."""
    await tx.insert_rows(_SQL["insert"], [line if line[0] is not None else (NO_RUN, *line[1:]) for line in lines])


async def list_since(tx: Tx, wanted: LogFilter, runs: Sequence[UUID], since: UUID) -> list[Log]:
    """Lines of these runs that match, from an id on, in the order of their ids."""
    p = Params(tx.dialect)
    where = f"{log_condition(wanted, p)} AND l.flow_run_id IN {p.many([*runs], 'uuid')} AND l.id >= {p.one(since, 'uuid')}"
    return [_log(row) for row in await tx.fetch(f"{_SELECT} WHERE {where} ORDER BY l.id", p.values)]


async def list_of_run(tx: Tx, flow_run_id: UUID, *, after: Log | None, limit: int) -> list[Log]:
    """The next lines of a run in the order of their times, behind one that was read before."""
    p = Params(tx.dialect)
    behind = (
        f"(l.timestamp, l.id) > ({p.one(after.timestamp, 'timestamptz')}, {p.one(after.id, 'uuid')})" if after else "TRUE"
    )
    where = f"l.flow_run_id = {p.one(flow_run_id, 'uuid')} AND {behind}"
    sql = f"{_SELECT} WHERE {where} ORDER BY {_ORDER[LogSort.TIMESTAMP_ASC]} LIMIT {limit}"
    return [_log(row) for row in await tx.fetch(sql, p.values)]


async def list_page(tx: Tx, query: LogQuery) -> list[Log]:
    """A page of those that match."""
    p = Params(tx.dialect)
    where = log_condition(query.logs, p)
    order = _ORDER[query.sort or LogSort.TIMESTAMP_ASC]
    # The keys of the page first: they are in an index in this order, and an offset passes over no whole lines.
    found = f"SELECT l.flow_run_id, l.id FROM log l WHERE {where} ORDER BY {order} {page(query, p)}"
    sql = f"{_SELECT} JOIN ({found}) k ON k.flow_run_id = l.flow_run_id AND k.id = l.id ORDER BY {order}"
    return [_log(row) for row in await tx.fetch(sql, p.values)]
