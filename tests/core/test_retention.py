"""What is too old, to the microsecond; and spans of time without gap or overlap."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.core.retention import AHEAD, STATE_SPAN, Cutoffs, Span, cutoffs, log_span, spans_ahead

NOW = datetime(2026, 3, 4, 9, 30, tzinfo=UTC)
DAY = timedelta(days=1)
WEEK = timedelta(weeks=1)


def test_each_kind_has_its_own_days() -> None:
    assert cutoffs(NOW, runs_days=90, logs_days=0.5, workers_days=1) == Cutoffs(
        NOW - 90 * DAY, NOW - timedelta(hours=12), NOW - DAY
    )


def test_no_days_mean_for_ever() -> None:
    assert cutoffs(NOW, runs_days=0, logs_days=0, workers_days=0) == Cutoffs(None, None, None)


@pytest.mark.parametrize(("days", "length"), [(0, WEEK), (1, DAY), (13.9, DAY), (14, WEEK), (30, WEEK), (365, WEEK)])
def test_partitions_of_lines_are_short_where_lines_are_kept_for_days_only(days: float, length: timedelta) -> None:
    assert log_span(days) == length


def test_the_first_span_holds_the_present() -> None:
    """Weeks begin on Mondays."""
    monday = datetime(2026, 3, 2, tzinfo=UTC)
    assert spans_ahead(None, WEEK, now=NOW) == [
        Span(monday + number * WEEK, monday + (number + 1) * WEEK) for number in range(2)
    ]


def test_what_is_covered_is_not_made_again() -> None:
    made = spans_ahead(None, WEEK, now=NOW)
    assert spans_ahead(made[-1].end, WEEK, now=NOW) == []
    assert spans_ahead(made[-1].end, WEEK, now=made[-1].end - AHEAD - timedelta(microseconds=1)) == []
    [following] = spans_ahead(made[-1].end, WEEK, now=made[-1].end - AHEAD)
    assert following == Span(made[-1].end, made[-1].end + WEEK)


def test_another_length_goes_on_where_the_last_one_ended() -> None:
    """The first of the new ones is shorter, so that the next begins on a Monday again."""
    thursday = datetime(2026, 3, 5, tzinfo=UTC)
    first, second, *_ = spans_ahead(thursday, WEEK, now=NOW)
    assert first == Span(thursday, datetime(2026, 3, 9, tzinfo=UTC))
    assert second.end - second.start == WEEK


@settings(derandomize=True)
@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),
    st.sampled_from([DAY, WEEK, STATE_SPAN]),
    st.none() | st.integers(-400, 400),
)
def test_spans_follow_each_other_until_far_enough_ahead(now: datetime, length: timedelta, covered_days: int | None) -> None:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    covered = None if covered_days is None else midnight + covered_days * DAY
    spans = spans_ahead(covered, length, now=now)
    for before, after in pairwise(spans):
        assert before.end == after.start
    if spans:
        assert spans[0].start <= max(now, covered or now)
        assert covered is None or spans[0].start >= covered
        assert all(timedelta() < each.end - each.start <= length for each in spans)
    end = spans[-1].end if spans else covered
    assert end is not None
    assert end > now + max(AHEAD, length)
