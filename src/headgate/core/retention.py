"""How long records are kept: what is too old by now, and the spans of time that partitions are made for."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_MONDAY = datetime(1970, 1, 5, tzinfo=UTC)
_DAY = timedelta(days=1)

STATE_SPAN = timedelta(weeks=4)
"""Every change of a run's state reads this table: few partitions keep that cheap."""

AHEAD = timedelta(weeks=1)
"""So far ahead partitions exist, or by their own length if that is more; for so long none may be made."""

_FEW_DAYS = 14


@dataclass(frozen=True, slots=True)
class Cutoffs:
    """The moments before which a run's end, a log line, a worker's last sign, an event is too old; None: kept for ever."""

    runs: datetime | None = None
    logs: datetime | None = None
    workers: datetime | None = None
    events: datetime | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """From `start` until before `end`."""

    start: datetime
    end: datetime


def cutoffs(now: datetime, *, runs_days: float, logs_days: float, workers_days: float, events_days: float = 0.0) -> Cutoffs:
    """What is too old when things are kept for so many days; 0 days mean for ever."""
    ages = (runs_days, logs_days, workers_days, events_days)
    return Cutoffs(*(now - timedelta(days=days) if days else None for days in ages))


def log_span(days: float) -> timedelta:
    """How much time a partition of log lines covers when they are kept for `days`: it is dropped as a whole."""
    return _DAY if 0 < days < _FEW_DAYS else 7 * _DAY


def spans_ahead(covered_until: datetime | None, length: timedelta, *, now: datetime) -> list[Span]:
    """What is still to be made so that everything from `now` on is covered far enough ahead.

    Spans begin where the last ends, or where one of this length would begin; days and weeks begin in UTC, on Mondays.
    """
    spans: list[Span] = []
    start = _floor(now, length) if covered_until is None else max(covered_until, _floor(now, length))
    while start <= now + max(AHEAD, length):
        spans.append(Span(start, _floor(start, length) + length))
        start = spans[-1].end
    return spans


def _floor(time: datetime, length: timedelta) -> datetime:
    return _MONDAY + (time - _MONDAY) // length * length
