"""Where a page of runs is looked for first: among the latest, when so many match that it is likely to be there.

SQLite does not know how often a value occurs. Where an index tells the runs of a state or of a deployment, it takes that and
sorts them, be they a tenth of all that ever ran. An index in the page's own order is better then: it is left as soon as the
page is full. Of what is rare, though, that would go through the whole history. So it is counted how many runs match, as far
as one index tells and up to `MANY`, and the other index is gone through no further than the latest `DEPTH` runs. A page that
is not full by then is found in the first way. PostgreSQL keeps statistics and decides between the two by itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from headgate.schema.filters import (
    FlowRunFilter,
    FlowRunQuery,
    FlowRunSort,
    Operator,
    Selection,
    StateFilter,
    StateTypeFilter,
)
from headgate.store.database import Row, Tx
from headgate.store.filters import Params
from headgate.store.paging import page, paged, size_of
from headgate.store.selections import runs_for, selection_condition

MANY = 2_000
DEPTH = 20_000

_ORDERS = {
    FlowRunSort.START_TIME_DESC: ("COALESCE(r.start_time, r.expected_start_time)", "ix_flow_run_start"),
    FlowRunSort.EXPECTED_START_TIME_DESC: ("r.expected_start_time", "ix_flow_run_expected_start"),
}


@dataclass(frozen=True, slots=True)
class _Latest:
    """The latest runs in some order: the table, `flow_run r`, by the index of that order, and a condition on `r`."""

    table: str
    condition: str


async def rows_of_page(tx: Tx, query: FlowRunQuery, *, select: str, where: str, order: str, p: Params) -> list[Row]:
    """The rows that `select` gives for the runs of a page; its filter as `where`, on values in `p`, its sort as `order`."""
    tables, window = runs_for(where, order), page(query, p)

    async def find(tables: str, where: str) -> list[Row]:
        return await tx.fetch(paged(select, "flow_run r", tables=tables, where=where, order=order, window=window), p.values)

    if latest := await _among_latest(tx, query, p):
        rows = await find(tables.replace("flow_run r", latest.table, 1), f"{where} AND {latest.condition}")
        if len(rows) == size_of(query):
            return rows
    return await find(tables, where)


async def _among_latest(tx: Tx, query: FlowRunQuery, p: Params) -> _Latest | None:
    """Those among which a page is to be looked for first; None where it is found as well without, or there are no more."""
    if tx.dialect != "sqlite" or query.sort not in _ORDERS:
        return None
    told = [*_told_by_index(query)]
    if not told or (query.sort is FlowRunSort.EXPECTED_START_TIME_DESC and _comes_in_order(query)):
        return None
    for each in told:
        if not await _are_many(tx, each):
            return None
    order, index = _ORDERS[query.sort]
    table = f"flow_run r INDEXED BY {index}"
    bound = f"SELECT {order} FROM {table} WHERE {order} IS NOT NULL ORDER BY {order} DESC LIMIT 1 OFFSET {DEPTH}"
    last = await tx.fetch_value(bound)
    return None if last is None else _Latest(table, f"{order} >= {p.one(last)}")


def _told_by_index(query: FlowRunQuery) -> Iterator[Selection]:
    """Parts of a filter by each of which the planner may go, because an index tells what matches."""
    f = query.flow_runs or FlowRunFilter()
    if f.operator is Operator.OR:
        return
    expected = f.expected_start_time
    types = f.state.type.any_ if f.state and f.state.type and f.state.operator is Operator.AND else None
    if types is not None:
        state = StateFilter(type=StateTypeFilter(any_=types))
        yield Selection(flow_runs=FlowRunFilter(state=state, expected_start_time=expected))
    if f.deployment_id is not None:
        yield Selection(flow_runs=FlowRunFilter(deployment_id=f.deployment_id, expected_start_time=expected))
    if query.deployments is not None:
        yield Selection(deployments=query.deployments, flow_runs=FlowRunFilter(expected_start_time=expected))
    if query.flows is not None:
        yield Selection(flows=query.flows)
    if expected is not None:
        yield Selection(flow_runs=FlowRunFilter(expected_start_time=expected))


def _comes_in_order(query: FlowRunQuery) -> bool:
    """Whether an index that tells what matches holds it in the order of expected starts as well."""
    f = query.flow_runs
    if query.flows is not None:
        return False
    types = f.state.type.any_ if f and f.state and f.state.type else None
    owners = query.deployments.id.any_ if query.deployments and query.deployments.id else None
    return all(values is None or len(values) == 1 for values in (types, owners))


async def _are_many(tx: Tx, selection: Selection) -> bool:
    p = Params(tx.dialect)
    where = selection_condition("flow_runs", selection, p)
    found = f"SELECT 1 FROM {runs_for(where)} WHERE {where} LIMIT {MANY}"
    return bool(await tx.fetch_value(f"SELECT count(*) FROM ({found})", p.values) == MANY)
