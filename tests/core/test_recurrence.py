"""A rule's occurrences are those of python-dateutil, reached without walking from DTSTART, and every search ends."""

import datetime as datetime_module
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.core import rrule
from headgate.core.recurrence import Rule, occurrences

UTC_ZONE = ZoneInfo("UTC")
END = datetime(2027, 1, 1)

# Of each frequency: how long before END a rule starts. dateutil walks there step by step.
LEADS = {
    "YEARLY": timedelta(days=365 * 12),
    "MONTHLY": timedelta(days=365 * 5),
    "WEEKLY": timedelta(days=365 * 3),
    "DAILY": timedelta(days=365 * 2),
    "HOURLY": timedelta(days=90),
    "MINUTELY": timedelta(days=5),
    "SECONDLY": timedelta(hours=5),
}


def rule_of(text: str) -> Rule:
    (rule,) = rrule.parse(text, UTC_ZONE).rules
    return rule


def first(text: str, n: int, since: datetime = datetime.min) -> list[datetime]:
    return list(islice(occurrences(rule_of(text), since), n))


def numbers(low: int, high: int, *, from_end: bool = False) -> st.SearchStrategy[str]:
    one = st.integers(low, high)
    either = st.one_of(one, one.map(lambda n: -n)) if from_end else one
    return st.lists(either, min_size=1, max_size=4, unique=True).map(lambda chosen: ",".join(map(str, chosen)))


def weekdays(ordinals: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    day = st.tuples(ordinals, st.sampled_from(rrule.WEEKDAYS)).map("".join)
    return st.lists(day, min_size=1, max_size=3, unique=True).map(",".join)


DAY_PARTS = {
    "BYMONTH": numbers(1, 12),
    "BYMONTHDAY": numbers(1, 31, from_end=True),
    "BYYEARDAY": numbers(1, 366, from_end=True),
    "BYDAY": weekdays(st.just("")),
}
TIME_PARTS = {"BYHOUR": numbers(0, 23), "BYMINUTE": numbers(0, 59), "BYSECOND": numbers(0, 59)}

# dateutil overlooks days of this year that week -52 or -53 of the next one holds.
WEEK_NUMBERS = st.one_of(numbers(1, 53), numbers(1, 51, from_end=True))


@st.composite
def rules(draw: st.DrawFn) -> str:
    """A rule of any frequency with up to three parts that narrow or widen it."""
    freq = draw(st.sampled_from(list(LEADS)))
    start = draw(st.datetimes(END - LEADS[freq], END - LEADS[freq] / 2))
    parts: dict[str, st.SearchStrategy[str]] = {**DAY_PARTS, **TIME_PARTS}
    if freq in ("YEARLY", "MONTHLY") and draw(st.booleans()):
        parts["BYDAY"] = weekdays(st.sampled_from(["1", "2", "-1", "+3", "5", "-5"]))
    if freq == "YEARLY" and draw(st.booleans()):
        parts = {"BYWEEKNO": WEEK_NUMBERS, "BYDAY": DAY_PARTS["BYDAY"]}
    chosen = draw(st.lists(st.sampled_from(sorted(parts)), max_size=3, unique=True))
    text = ";".join([f"FREQ={freq}", *(f"{name}={draw(parts[name])}" for name in chosen)])
    text += draw(st.sampled_from(["", ";INTERVAL=2", ";INTERVAL=5", ";INTERVAL=90"]))
    text += draw(st.sampled_from(["", ";WKST=SU", ";WKST=WE"]))
    if chosen and freq in ("YEARLY", "MONTHLY", "DAILY"):  # dateutil counts positions of a first week from DTSTART
        text += draw(st.sampled_from(["", ";BYSETPOS=1", ";BYSETPOS=-1", ";BYSETPOS=2,-2"]))
    return f"DTSTART:{start:%Y%m%dT%H%M%S}\nRRULE:{text}"


def expected(text: str, since: datetime) -> Iterator[datetime]:
    """What dateutil finds; what it refuses as an empty rule is empty."""
    with suppress(ValueError):
        yield from rrulestr(text).xafter(since, inc=True)


@pytest.fixture
def short_calendar(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets dateutil give up at a year near instead of 9999, so that rules which never match cost it no minutes."""
    monkeypatch.setattr(datetime_module, "MAXYEAR", END.year - 1)


@pytest.mark.usefixtures("short_calendar")
def test_occurrences_are_those_of_dateutil() -> None:
    """From any point on, for rules of every frequency."""

    @settings(max_examples=400)
    @given(text=rules(), share=st.floats(0, 1))
    def compare(text: str, share: float) -> None:
        rule = rule_of(text)
        since = (rule.start + (END - rule.start) * share).replace(microsecond=0)
        found = takewhile(lambda at: at < END, occurrences(rule, since))
        wanted = takewhile(lambda at: at < END, expected(text, since))
        assert list(islice(found, 25)) == list(islice(wanted, 25))

    compare()


def test_week_numbers_from_the_end_reach_into_the_year_before() -> None:
    """Monday 2018-12-31 is in week 1 of 2019, which is week -52 of that year."""
    found = first("DTSTART:20180101T000000\nRRULE:FREQ=YEARLY;BYDAY=MO;BYWEEKNO=-52", 2)
    assert found == [datetime(2018, 1, 1), datetime(2018, 12, 31)]


def test_set_positions_of_a_first_week_count_from_its_first_day() -> None:
    found = first("DTSTART:20240102T000000\nRRULE:FREQ=WEEKLY;BYDAY=MO,TU;BYSETPOS=1", 2)
    assert found == [datetime(2024, 1, 8), datetime(2024, 1, 15)]


def test_plain_and_counted_weekdays_add_up() -> None:
    found = first("DTSTART:20240101T000000\nRRULE:FREQ=MONTHLY;BYDAY=1MO,-1FR", 4)
    assert found == [datetime(2024, 1, 1), datetime(2024, 1, 26), datetime(2024, 2, 5), datetime(2024, 2, 23)]
    assert len(first("DTSTART:20240101T000000\nRRULE:FREQ=MONTHLY;BYDAY=SU,1MO;COUNT=5", 9)) == 5


def test_leap_days_occur_in_leap_years_only() -> None:
    found = first("DTSTART:18920229T120000\nRRULE:FREQ=YEARLY", 3)
    assert found == [datetime(1892, 2, 29, 12), datetime(1896, 2, 29, 12), datetime(1904, 2, 29, 12)]


@pytest.mark.parametrize("text", ["FREQ=DAILY;COUNT=3", "FREQ=DAILY;UNTIL=20200103T000000", "FREQ=DAILY;UNTIL=20200103"])
def test_counted_and_limited_rules_end(text: str) -> None:
    assert first(text, 9) == [datetime(2020, 1, 1), datetime(2020, 1, 2), datetime(2020, 1, 3)]
    assert first(text, 9, datetime(2020, 1, 3)) == [datetime(2020, 1, 3)]
    assert first(text, 9, datetime(2020, 1, 4)) == []


@pytest.mark.parametrize(
    "text",
    [
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=DAILY;INTERVAL=7;BYDAY=MO",
        "FREQ=HOURLY;INTERVAL=24;BYHOUR=5",
        "FREQ=MINUTELY;BYSETPOS=5",
        "FREQ=SECONDLY;INTERVAL=3600;BYMINUTE=30",
        "FREQ=YEARLY;INTERVAL=1000;BYMONTH=2;BYMONTHDAY=30",
    ],
)
def test_a_search_for_nothing_ends(text: str) -> None:
    """dateutil looks for these for seconds, or for ever."""
    assert first(text, 1, datetime(2020, 1, 2)) == []


@pytest.mark.parametrize("freq", ["SECONDLY", "MINUTELY;INTERVAL=7", "HOURLY", "DAILY;INTERVAL=3", "WEEKLY", "MONTHLY"])
def test_a_start_long_ago_costs_nothing(freq: str) -> None:
    """A hundred look-ups two centuries after DTSTART take a moment; a walk there takes minutes."""
    begin = time.process_time()
    for _ in range(100):
        assert first(f"DTSTART:18260101T000000\nRRULE:FREQ={freq}", 1, datetime(2026, 11, 22, 10, 30))
    assert time.process_time() - begin < 2


@pytest.mark.parametrize("freq", ["SECONDLY", "HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY"])
def test_rules_end_with_the_calendar(freq: str) -> None:
    last_minute = datetime(9998, 12, 31, 23, 59)
    found = first(f"DTSTART:99981231T235959\nRRULE:FREQ={freq}", 9, last_minute)
    assert found == [last_minute.replace(second=59)]
