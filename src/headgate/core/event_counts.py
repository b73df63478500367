"""Counts of events by time: spans of one length, the same for everybody who asks."""

import math
from datetime import UTC, datetime, timedelta

from headgate.errors import Unprocessable
from headgate.schema.events import TimeUnit

MOST_SPANS = 1000
_PIVOT = datetime(2024, 4, 1, tzinfo=UTC)
"""A Monday, at which a span of any length begins; the clients' charts go by it."""

_UNITS = {
    TimeUnit.WEEK: timedelta(weeks=1),
    TimeUnit.DAY: timedelta(days=1),
    TimeUnit.HOUR: timedelta(hours=1),
    TimeUnit.MINUTE: timedelta(minutes=1),
    TimeUnit.SECOND: timedelta(seconds=1),
}
_TICK = timedelta(microseconds=1)


def span_of(unit: TimeUnit, interval: float) -> timedelta:
    """How long a span is."""
    return max(_UNITS[unit] * interval, _TICK)


def check_spans(since: datetime, until: datetime, span: timedelta) -> None:
    """`Unprocessable` when the time between these has too many spans, or one that reaches beyond the calendar."""
    number = math.ceil((until - since) / span)
    if number > MOST_SPANS:
        raise Unprocessable(
            f"The given interval would create {number} buckets, which is too many. Please increase the interval or reduce "
            f"the time range to produce {MOST_SPANS} buckets or fewer."
        )
    try:
        first_start(since, span), first_start(until, span) + span
    except OverflowError:
        raise Unprocessable(f"An interval of {span.days} days reaches beyond the calendar; give a shorter one.") from None


def spans(since: datetime, until: datetime, span: timedelta) -> list[tuple[datetime, datetime]]:
    """The first and the last moment of each span that has a part between these."""
    start = first_start(since, span)
    found = []
    while start < until:
        found.append((start, start + span - _TICK))
        start += span
    return found


def first_start(since: datetime, span: timedelta) -> datetime:
    """When the span begins that a moment lies in."""
    return _PIVOT + (since - _PIVOT) // span * span


def end_of(unit: TimeUnit, now: datetime) -> datetime:
    """The end of the running unit of time: charts of the present reach as far."""
    return first_start(now, _UNITS[unit]) + _UNITS[unit] - _TICK
