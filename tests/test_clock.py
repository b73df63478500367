"""The clock tells aware times in UTC, and tests can hold it still."""

from datetime import UTC, datetime, timedelta

from headgate.clock import Clock, FrozenClock, monotonic, now

NOW = datetime(2026, 3, 29, 0, 59, 59, tzinfo=UTC)


def test_the_present_is_aware_and_in_utc() -> None:
    before = datetime.now(UTC)
    assert before <= now() <= datetime.now(UTC)
    assert now().tzinfo is UTC


def test_spans_are_measured_on_a_clock_that_never_goes_back() -> None:
    times = [monotonic() for _ in range(1000)]
    assert times == sorted(times)


def test_a_frozen_clock_stands_still_until_it_is_moved() -> None:
    clock = FrozenClock(NOW)
    as_clock: Clock = clock
    assert as_clock() == as_clock() == NOW
    assert clock.advance(seconds=1, hours=1) == NOW + timedelta(hours=1, seconds=1)
    assert as_clock() == NOW + timedelta(hours=1, seconds=1)
    assert clock.advance(days=-1) == NOW + timedelta(hours=-23, seconds=1)
