"""Runs counted by intervals of their expected start and by state."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from headgate.core.states import TERMINAL
from headgate.schema.filters import Selection
from headgate.schema.run_history import HistoryState
from headgate.schema.states import StateType
from headgate.store.database import Tx
from headgate.store.filters import Params
from headgate.store.selections import runs_for, selection_condition

_ALIASES = {"flow_runs": "r", "task_runs": "t"}


@dataclass(frozen=True, slots=True)
class _Span:
    """So many intervals of equal length, from a start on."""

    start: datetime
    interval: timedelta
    intervals: int

    @property
    def end(self) -> datetime:
        return self.start + self.intervals * self.interval


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
    p = Params(tx.dialect)
    where = selection_condition(root, selection, p)
    span = _Span(start, interval, intervals)
    if root != "flow_runs" or runs_for(where) != "flow_run r":
        sql = _grouped(p, root, where, span, now)
    else:
        sql = (_by_states if tx.dialect == "sqlite" else _by_intervals)(p, where, span, now)
    found: dict[int, list[HistoryState]] = {}
    for row in await tx.fetch(sql, p.values):
        runs, ran, late = msgspec.json.decode(row["sums"]) if "sums" in row else (row["runs"], row["ran"], row["late"])
        if not runs:
            continue
        state = HistoryState(
            state_type=StateType(row["state_type"]) if row["state_type"] else None,
            state_name=row["state_name"],
            count_runs=runs,
            sum_estimated_run_time=float(ran),
            sum_estimated_lateness=float(late),
        )
        found.setdefault(int(row["bucket"]), []).append(state)
    return found


def _grouped(p: Params, root: str, where: str, span: _Span, now: datetime) -> str:
    """All runs of the span, in one pass; the databases sort them, as they do not foresee how few groups there are."""
    alias = _ALIASES[root]
    time = f"{alias}.expected_start_time"
    tables = runs_for(where) if root == "flow_runs" else "task_run t"
    within = f"{time} >= {p.one(span.start, 'timestamptz')} AND {time} < {p.one(span.end, 'timestamptz')}"
    return (
        f"SELECT x.bucket, x.state_type, x.state_name, count(*) AS runs, sum(x.ran) AS ran, sum(x.late) AS late FROM ("
        f"SELECT {p.intervals(time, span.start, span.interval)} AS bucket, {alias}.state_type, {alias}.state_name, "
        f"{run_seconds(alias, p, now)} AS ran, {late_seconds(alias, p, now)} AS late "
        f"FROM {tables} WHERE {within} AND {where}) AS x "
        "GROUP BY x.bucket, x.state_type, x.state_name ORDER BY x.bucket, x.state_type, x.state_name"
    )


def _by_intervals(p: Params, where: str, span: _Span, now: datetime) -> str:
    """On PostgreSQL, interval by interval: it knows how few states there are, and sorts nothing."""
    start, length = p.one(span.start, "timestamptz"), p.one(span.interval // timedelta(microseconds=1), "bigint")
    step, time = f"({length} * INTERVAL '1 microsecond')", "r.expected_start_time"
    return (
        f"SELECT n.number AS bucket, x.* FROM generate_series(0, {p.one(span.intervals, 'bigint')} - 1) AS n(number) "
        "CROSS JOIN LATERAL (SELECT r.state_type, r.state_name, count(*) AS runs, "
        f"sum({run_seconds('r', p, now)}) AS ran, sum({late_seconds('r', p, now)}) AS late FROM flow_run r "
        f"WHERE {time} >= {start} + n.number * {step} AND {time} < {start} + (n.number + 1) * {step} AND {where} "
        "GROUP BY r.state_type, r.state_name) AS x ORDER BY n.number, x.state_type, x.state_name"
    )


def _by_states(p: Params, where: str, span: _Span, now: datetime) -> str:
    """On SQLite, which can group by sorting alone, state by state and interval by interval.

    First the states are found that occur. All that is read of runs that are over stands in an index of these.
    """
    start, length = p.one(span.start, "timestamptz"), p.one(span.interval // timedelta(microseconds=1), "bigint")
    time, count = "r.expected_start_time", p.one(span.intervals, "bigint")
    late, over = late_seconds("r", p, now), [f"'{kind}'" for kind in sorted(TERMINAL)]
    living = [*(f"'{kind}'" for kind in StateType if kind not in TERMINAL), "NULL"]

    def occurring(kinds: list[str], are: str) -> str:
        return (
            f"SELECT DISTINCT k.column1 AS state_type, r.state_name FROM (VALUES ({'), ('.join(kinds)})) AS k "
            f"CROSS JOIN flow_run r ON r.state_type IS k.column1 AND {are} "
            f"AND {time} >= {start} AND {time} < {start} + {count} * {length} WHERE {where}"
        )

    def summed(states: str, are: str, ran: str) -> str:
        return (
            f"SELECT n.number AS bucket, s.state_type, s.state_name, ("
            f"SELECT json_array(count(*), sum({ran}), sum({late})) FROM flow_run r "
            f"WHERE r.state_type IS s.state_type AND {are} AND r.state_name IS s.state_name "
            f"AND {time} >= {start} + n.number * {length} AND {time} < {start} + (n.number + 1) * {length} "
            f"AND {where}) AS sums FROM steps n CROSS JOIN {states} s"
        )

    are_over = f"r.state_type IN ({', '.join(over)})"  # as the index has it
    return (
        "WITH RECURSIVE steps(number) AS ("
        f"SELECT 0 UNION ALL SELECT number + 1 FROM steps WHERE number + 1 < {count}), "
        f"past AS MATERIALIZED ({occurring(over, are_over)}), "
        f"present AS MATERIALIZED ({occurring(living, 'TRUE')}) "
        f"{summed('past', are_over, 'r.total_run_time')} UNION ALL {summed('present', 'TRUE', run_seconds('r', p, now))} "
        "ORDER BY 1, 2, 3"
    )


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
