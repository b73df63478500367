"""A rule's occurrences are those of python-dateutil, reached without walking from DTSTART, and every search ends."""

import datetime as datetime_module
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.core import rrule
from headgate.core.recurrence import Rule, occurrences
from headgate.errors import Invalid

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
    if chosen and freq in ("YEARLY", "MONTHLY", "WEEKLY", "DAILY"):
        text += draw(st.sampled_from(["", ";BYSETPOS=1", ";BYSETPOS=-1", ";BYSETPOS=2,-2"]))
    return f"DTSTART:{start:%Y%m%dT%H%M%S}\nRRULE:{text}"


def expected(text: str, since: datetime) -> Iterator[datetime]:
    """What dateutil finds; what it refuses as an empty rule is empty."""
    try:
        yield from rrulestr(text).xafter(since, inc=True)
    except ValueError as error:
        assert "empty rule" in str(error) or "rrule byxxx generates an empty set" in str(error)


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
        try:
            rule = rule_of(text)
        except Invalid as error:
            assert "times a day" in str(error)
            return
        since = (rule.start + (END - rule.start) * share).replace(microsecond=0)
        found = takewhile(lambda at: at < END, occurrences(rule, since))
        wanted = takewhile(lambda at: at < END, expected(text, since))
        assert list(islice(found, 25)) == list(islice(wanted, 25))

    compare()
