"""Lengths of time and moments as people type them."""

import os
import time
from datetime import UTC, datetime, timedelta

import pytest

from headgate.cli.output import UsageError, ago, span
from headgate.cli.times import moment_of, seconds_of

NOW = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    os.environ["TZ"] = "UTC"
    time.tzset()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("0.5", 0.5),
        ("90s", 90),
        ("15m", 900),
        ("1h30m", 5400),
        ("10 minutes", 600),
        ("1 hour, 5 min and 3 seconds", 3903),
        ("2 days", 172_800),
        ("1w", 604_800),
        (" 3 HOURS ", 10_800),
    ],
)
def test_lengths_of_time(text: str, seconds: float) -> None:
    assert seconds_of(text, option="--in") == seconds


@pytest.mark.parametrize("text", ["", "soon", "5 months", "1x", "-5", "10 minutes ago", "1h foo"])
def test_what_is_no_length_of_time_is_refused_by_name(text: str) -> None:
    with pytest.raises(UsageError, match=r"--in: .* is not a length of time"):
        seconds_of(text, option="--in")


def test_a_moment_without_a_zone_is_this_machines(berlin: None) -> None:
    assert moment_of("2026-01-20 09:30", NOW, option="--at") == datetime(2026, 1, 20, 8, 30, tzinfo=UTC)


def test_a_moment_beyond_a_change_of_the_clock_has_the_offset_of_its_own_day(berlin: None) -> None:
    assert moment_of("2026-07-01 09:30", NOW, option="--at") == datetime(2026, 7, 1, 7, 30, tzinfo=UTC)


def test_a_moment_with_an_offset_keeps_it(berlin: None) -> None:
    assert moment_of("2026-01-20T09:30+05:00", NOW, option="--at") == datetime(2026, 1, 20, 4, 30, tzinfo=UTC)


@pytest.mark.parametrize(("text", "hours"), [("18:00", 6), ("09:00", 21)])
def test_a_bare_time_is_the_next_one(text: str, hours: int) -> None:
    assert moment_of(text, NOW, option="--at") == NOW + timedelta(hours=hours)


@pytest.mark.parametrize("text", ["whenever", "2026-02-31", "2026-01-20 09:30 XYZ"])
def test_what_is_no_moment_is_refused_by_name(text: str) -> None:
    with pytest.raises(UsageError, match=r"--at: .* is not a moment"):
        moment_of(text, NOW, option="--at")


@pytest.mark.parametrize(
    ("seconds", "long", "short"),
    [
        (0.2, "just now", "now"),
        (1, "1 second ago", "1s ago"),
        (150, "2 minutes ago", "2m ago"),
        (-7200, "in 2 hours", "in 2h"),
    ],
)
def test_how_long_ago(seconds: float, long: str, short: str) -> None:
    when = NOW - timedelta(seconds=seconds)
    assert (ago(when, NOW), ago(when, NOW, short=True)) == (long, short)


def test_no_time_is_no_text() -> None:
    assert ago(None, NOW) == ""


@pytest.mark.parametrize(
    ("seconds", "text"), [(59, "59 seconds"), (60, "1 minute"), (86_400 * 8, "1 week"), (86_400 * 400, "1 year")]
)
def test_spans_are_in_their_largest_unit(seconds: float, text: str) -> None:
    assert span(seconds) == text
