"""Launch rates: never more launches in any stretch of the time than may be, and the next as soon as may be."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from headgate.core.launch_rates import Pace
from headgate.schema.work_pools import LaunchRate

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
RATES = st.builds(LaunchRate, limit=st.integers(1, 5), seconds=st.sampled_from([0.5, 1.0, 3.0]))
LOOKS = st.lists(st.tuples(st.integers(0, 1500), st.integers(0, 4)), max_size=30)
"""Milliseconds since the last look, and how many runs it could launch."""


def launched(rate: LaunchRate, looks: list[tuple[int, int]]) -> tuple[list[datetime], Pace]:
    """When runs were launched by those who look now and then; and the pace at the end."""
    now, past, pace = NOW, [], Pace(rate, [], NOW)
    for wait, room in looks:
        now += timedelta(milliseconds=wait)
        pace = Pace(rate, pace.launches, now)
        count = min(room, pace.left)
        pace = Pace(rate, pace.after(count) if count else pace.launches, now)
        past += [now] * count
    return past, pace


@given(RATES, LOOKS)
def test_no_stretch_of_the_time_has_more_than_may_be(rate: LaunchRate, looks: list[tuple[int, int]]) -> None:
    past, _ = launched(rate, looks)
    span = timedelta(seconds=rate.seconds)
    for begin in past:
        assert sum(begin <= at < begin + span for at in past) <= rate.limit


@given(RATES, LOOKS, st.integers(1, 12))
def test_a_place_opens_as_soon_as_it_may_and_no_sooner(rate: LaunchRate, looks: list[tuple[int, int]], place: int) -> None:
    """It is the moment at which the run would be launched if everyone before it were launched at their moment."""
    _, pace = launched(rate, looks)
    now, launches, done = pace.now, pace.launches, 0
    for _ in range(place):
        at = Pace(rate, launches, now).opens_at(1)
        assert at >= now
        if at > now:
            assert Pace(rate, launches, at - timedelta(microseconds=1)).left == 0
        now = at
        assert Pace(rate, launches, now).left >= 1
        launches, done = Pace(rate, launches, now).after(1), done + 1
    assert pace.opens_at(place) == now


@given(RATES, LOOKS)
def test_what_no_longer_counts_is_forgotten(rate: LaunchRate, looks: list[tuple[int, int]]) -> None:
    """There are never more entries than launches that count."""
    _, pace = launched(rate, looks)
    assert len(pace.launches) <= rate.limit
    later = Pace(rate, pace.launches, pace.now + timedelta(seconds=rate.seconds))
    assert (later.left, later.opens_at(1)) == (rate.limit, later.now)
    assert later.after(1) == [(round((later.now - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 10**6), 1)]


def test_launches_ahead_of_the_clock_count() -> None:
    """Another server's clock may go before this one's."""
    rate = LaunchRate(limit=2, seconds=1)
    ahead = Pace(rate, [], NOW + timedelta(seconds=0.5)).after(2)
    assert Pace(rate, ahead, NOW).left == 0
    assert Pace(rate, ahead, NOW).opens_at(1) == NOW + timedelta(seconds=1.5)


def test_a_lowered_rate_counts_what_was_launched_under_the_higher() -> None:
    many = Pace(LaunchRate(limit=5, seconds=10), [], NOW).after(5)
    lowered = Pace(LaunchRate(limit=1, seconds=10), many, NOW + timedelta(seconds=3))
    assert (lowered.left, lowered.opens_at(1)) == (0, NOW + timedelta(seconds=10))
