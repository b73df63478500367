"""Runs counted by intervals of their expected start and by state."""

from datetime import datetime, timedelta

from headgate.core.states import TERMINAL
from headgate.schema.filters import Selection
from headgate.schema.run_history import HistoryState
from headgate.schema.states import StateType
from headgate.store.database import Tx
from headgate.store.filters import Params
from headgate.store.selections import runs_for, selection_condition

_ALIASES = {"flow_runs": "r", "task_runs": "t"}


def run_seconds(alias: str, p: Params, now: datetime) -> str:
    """Seconds that a run has run by `now`, the Running state that it may be in included."""
    running = p.seconds(f"{p.one(now, 'timestamptz')} - {alias}.state_timestamp")
    return f"({alias}.total_run_time + CASE WHEN {alias}.state_type = 'RUNNING' AND {running} > 0 THEN {running} ELSE 0 END)"


def late_seconds(alias: str, p: Params, now: datetime) -> str:
    """Seconds by which a run started, or by `now` has failed to start, after its expected time; 0 when on time."""
    over = ", ".join(f"'{kind}'" for kind in sorted(TERMINAL))
    started = p.seconds(f"{alias}.start_time - {alias}.expected_start_time")
    waits = p.seconds(f"{p.one(now, 'timestamptz')} - {alias}.expected_start_time")
    begun_late = f"{alias}.start_time > {alias}.expected_start_time"
    waits_late = f"{alias}.start_time IS NULL AND {alias}.expected_start_time < {p.one(now, 'timestamptz')}"
    goes_on = f"({alias}.state_type IN ({over})) IS NOT TRUE"
    return f"(CASE WHEN {begun_late} THEN {started} WHEN {waits_late} AND {goes_on} THEN {waits} ELSE 0 END)"


async def counted(
    tx: Tx, root: str, selection: Selection, *, start: datetime, interval: timedelta, intervals: int, now: datetime
) -> dict[int, list[HistoryState]]:
    """By the number of the interval, from 0 on: its runs by state; intervals without runs are left out."""
    alias = _ALIASES[root]
    p = Params(tx.dialect)
    time = f"{alias}.expected_start_time"
    bucket = p.intervals(time, start, interval)
    where = selection_condition(root, selection, p)
    tables = runs_for(where) if root == "flow_runs" else "task_run t"
    span = f"{time} >= {p.one(start, 'timestamptz')} AND {time} < {p.one(start + intervals * interval, 'timestamptz')}"
    sql = (
        f"SELECT x.bucket, x.state_type, x.state_name, count(*) AS runs, sum(x.ran) AS ran, sum(x.late) AS late FROM ("
        f"SELECT {bucket} AS bucket, {alias}.state_type, {alias}.state_name, {run_seconds(alias, p, now)} AS ran, "
        f"{late_seconds(alias, p, now)} AS late FROM {tables} WHERE {span} AND {where}) AS x "
        "GROUP BY x.bucket, x.state_type, x.state_name ORDER BY x.bucket, x.state_type, x.state_name"
    )
    found: dict[int, list[HistoryState]] = {}
    for row in await tx.fetch(sql, p.values):
        state = HistoryState(
            state_type=StateType(row["state_type"]) if row["state_type"] else None,
            state_name=row["state_name"],
            count_runs=row["runs"],
            sum_estimated_run_time=float(row["ran"]),
            sum_estimated_lateness=float(row["late"]),
        )
        found.setdefault(int(row["bucket"]), []).append(state)
    return found


async def mean_lateness(tx: Tx, selection: Selection, *, now: datetime) -> float | None:
    """Seconds that matching flow runs are late on average; None when there are none."""
    p = Params(tx.dialect)
    where = selection_condition("flow_runs", selection, p)
    late = late_seconds("r", p, now)
    found = await tx.fetch_value(f"SELECT avg({late}) FROM {runs_for(where)} WHERE {where}", p.values)
    return None if found is None else float(found)


async def tasks_begun(
    tx: Tx, selection: Selection, *, start: datetime, interval: timedelta, intervals: int
) -> list[tuple[int, StateType, int]]:
    """Matching task runs by the interval in which they began, from 0 on, and by type of state: how many."""
    p = Params(tx.dialect)
    bucket = p.intervals("t.start_time", start, interval)
    where = selection_condition("task_runs", selection, p)
    until = p.one(start + intervals * interval, "timestamptz")
    span = f"t.start_time >= {p.one(start, 'timestamptz')} AND t.start_time < {until}"
    sql = (
        f"SELECT x.bucket, x.state_type, count(*) AS found FROM (SELECT {bucket} AS bucket, t.state_type FROM task_run t "
        f"WHERE {span} AND {where}) AS x GROUP BY x.bucket, x.state_type"
    )
    rows = await tx.fetch(sql, p.values)
    return [(int(row["bucket"]), StateType(row["state_type"]), row["found"]) for row in rows]
