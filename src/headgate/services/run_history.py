"""Use cases of histories: runs by intervals of their expected start."""

from datetime import timedelta

from headgate.errors import Unprocessable
from headgate.schema.filters import HistoryQuery, Selection
from headgate.schema.run_history import HistoryInterval
from headgate.services.scope import Scope
from headgate.store import run_history as rows

MAX_INTERVALS = 500
_LONGEST = timedelta(days=366 * 1000)


async def of_runs(scope: Scope, root: str, query: HistoryQuery) -> list[HistoryInterval]:
    """The history of matching `flow_runs` or `task_runs`, every interval of it; at most `MAX_INTERVALS`."""
    if query.history_interval_seconds < 1:
        raise Unprocessable(
            "History interval must not be less than 1 second.",
            field="history_interval_seconds",
            value=query.history_interval_seconds,
        )
    start, now = query.history_start, scope.now
    span = query.history_end - start
    interval = timedelta(seconds=min(query.history_interval_seconds, _LONGEST.total_seconds()))
    intervals = min(max(-(-span // interval), 0), MAX_INTERVALS)
    if not intervals:
        return []
    counted = await scope.store.read(
        lambda tx: rows.counted(tx, root, query, start=start, interval=interval, intervals=intervals, now=now)
    )
    return [
        HistoryInterval(
            interval_start=start + index * interval,
            interval_end=start + (index + 1) * interval,
            states=counted.get(index, []),
        )
        for index in range(intervals)
    ]


async def mean_lateness(scope: Scope, query: Selection) -> float | None:
    """Seconds that matching flow runs are late on average; None when there are none."""
    return await scope.store.read(lambda tx: rows.mean_lateness(tx, query, now=scope.now))
