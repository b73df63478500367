"""Cron expressions mean what crontab(5) says, in every spelling that existing schedules use."""

from calendar import monthrange
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import islice, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.core import cron
from headgate.errors import Invalid

START = datetime(2026, 1, 1)  # a Thursday


def walls(text: str, n: int, *, day_or: bool = True) -> list[str]:
    found = islice(cron.parse(text, day_or=day_or).walls(START), n)
    return [f"{wall:%a %m-%d %H:%M}" for wall in found]


@pytest.mark.parametrize(
    ("spelling", "plain"),
    [
        ("0 9 * jan mon-fri", "0 9 * 1 1-5"),
        ("0 9 * * Sun", "0 9 * * 0"),
        ("0 9 * * 7", "0 9 * * 0"),
        ("0 9 * * FRI-SUN", "0 9 * * 0,5,6"),
        ("0 9 * * FRI-MON", "0 9 * * 0,1,5,6"),
        ("0 22-2 * * *", "0 0,1,2,22,23 * * *"),
        ("0 22-3/2 * * *", "0 0,2,22 * * *"),
        ("0 9 1 NOV-FEB *", "0 9 1 1,2,11,12 *"),
        ("0 9 ? * MON", "0 9 * * 1"),
        ("0 9 * * L5", "0 9 * * 5L"),
        ("  0   9 * *  * ", "0 9 * * *"),
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
        ("@monthly", "0 0 1 * *"),
        ("@weekly", "0 0 * * 0"),
        ("@Daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@hourly", "0 * * * *"),
    ],
)
def test_spellings(spelling: str, plain: str) -> None:
    assert walls(spelling, 40) == walls(plain, 40)


def test_last_and_nth_days() -> None:
    assert walls("0 0 L * *", 2) == ["Sat 01-31 00:00", "Sat 02-28 00:00"]
    assert walls("0 0 LW * *", 2) == ["Fri 01-30 00:00", "Fri 02-27 00:00"]
    assert walls("0 0 * * 5L", 2) == ["Fri 01-30 00:00", "Fri 02-27 00:00"]
    assert walls("0 0 * * MON#2", 2) == ["Mon 01-12 00:00", "Mon 02-09 00:00"]


def test_two_restricted_day_fields_mean_either() -> None:
    assert walls("0 0 13 * FRI", 3) == ["Fri 01-02 00:00", "Fri 01-09 00:00", "Tue 01-13 00:00"]
    assert walls("0 0 */10 * FRI", 4) == ["Fri 01-02 00:00", "Fri 01-09 00:00", "Sun 01-11 00:00", "Fri 01-16 00:00"]


def test_without_day_or_they_mean_both() -> None:
    """The second Friday of a month is written so."""
    assert walls("0 0 13 * FRI", 2, day_or=False) == ["Fri 02-13 00:00", "Fri 03-13 00:00"]
    assert walls("0 0 8-14 * FRI", 2, day_or=False) == ["Fri 01-09 00:00", "Fri 02-13 00:00"]


@pytest.mark.parametrize("day_or", [True, False])
def test_a_starred_day_field_leaves_it_to_the_other(day_or: bool) -> None:
    assert walls("0 0 * * FRI", 2, day_or=day_or) == ["Fri 01-02 00:00", "Fri 01-09 00:00"]
    assert walls("0 0 13 * *", 2, day_or=day_or) == ["Tue 01-13 00:00", "Fri 02-13 00:00"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", "0 fields"),
        ("@reboot", "1 field;"),
        ("* * * *", "4 fields"),
        ("0 0 * * * * * *", "8 fields"),
        ("0 0 * * * 60", "second"),
        ("0 0 * * * ?-1", "second"),
        ("0 0 * * * 0 1969", "year"),
        ("0 0 * * * 0 2100", "year"),
        ("0 0 * * * 0 2030-2027", "year"),
        ("0 0 * * * 0 2026/0", "year"),
        ("0 0 * * * 0 2026,", "year"),
        ("0 0 * * * 0 ٢٠٢٦", "year"),
        ("60 * * * *", "minute"),
        ("* 24 * * *", "hour"),
        ("* * 32 * *", "day-of-month"),
        ("* * * 13 *", "month"),
        ("* * * * FRY", "day-of-week"),
        ("*/0 * * * *", "minute"),
        ("5-70 * * * *", "minute"),
        ("a b c d e", "minute"),
        ("1,,2 * * * *", "minute"),
        ("R R * * *", "minute"),
    ],
)
def test_refusals_name_the_value_and_what_is_wrong(text: str, names: str) -> None:
    with pytest.raises(Invalid) as refusal:
        cron.parse(text)
    assert (refusal.value.field, refusal.value.value) == ("cron", text)
    assert repr(text) in str(refusal.value)
    assert names in str(refusal.value)


@pytest.mark.parametrize(("text", "day_or"), [("0 0 30 2 *", True), ("0 0 31 4,6,9,11 *", True), ("0 0 30 2 MON", False)])
def test_what_no_date_meets_is_refused_and_ends(text: str, day_or: bool) -> None:
    with pytest.raises(Invalid, match="never fires"):
        cron.check(text, day_or=day_or)
    assert walls(text, 1, day_or=day_or) == []


def test_a_whole_day_field_restricts_nothing_beside_a_star() -> None:
    assert walls("0 0 */1 * */2", 9) == walls("0 0 * * */2", 9)
    assert walls("0 0 */10 * */1", 9) == walls("0 0 */10 * *", 9)
    assert walls("0 0 1-31 * FRI", 9) == walls("0 0 * * *", 9)


def test_a_sixth_field_is_the_second_and_a_seventh_the_year() -> None:
    def exact(text: str, n: int) -> list[str]:
        return [f"{wall:%y-%m-%d %H:%M:%S}" for wall in islice(cron.parse(text).walls(START), n)]

    assert exact("30 9 * * * 15,45", 3) == ["26-01-01 09:30:15", "26-01-01 09:30:45", "26-01-02 09:30:15"]
    assert exact("* * * * * */30", 3) == ["26-01-01 00:00:30", "26-01-01 00:01:00", "26-01-01 00:01:30"]
    assert exact("0 0 * * * 58-1", 3) == ["26-01-01 00:00:01", "26-01-01 00:00:58", "26-01-01 00:00:59"]
    assert exact("0 12 24 12 * 30 2027", 9) == ["27-12-24 12:00:30"]
    assert exact("0 0 1 1 * 0 2024-2030/3,2040", 9) == ["27-01-01 00:00:00", "30-01-01 00:00:00", "40-01-01 00:00:00"]
    assert exact("0 0 1 1 * 0 2090/5", 9) == ["90-01-01 00:00:00", "95-01-01 00:00:00"]
    assert exact("0 0 29 2 * 0 */2", 2) == ["28-02-29 00:00:00", "32-02-29 00:00:00"]
    assert exact("0 0 29 2 * 0 2027", 1) == []


@dataclass(frozen=True)
class Spelled:
    """A field as it is written, and the values that it means."""

    text: str
    values: frozenset[int]


def fields(low: int, high: int) -> st.SearchStrategy[Spelled]:
    def spelled(ends: tuple[int, int], step: int) -> Spelled:
        first, last = sorted(ends)
        return Spelled(f"{first}-{last}/{step}", frozenset(range(first, last + 1, step)))

    value = st.integers(low, high)
    star = st.just(Spelled("*", frozenset(range(low, high + 1))))
    steps = st.integers(2, 9).map(lambda n: Spelled(f"*/{n}", frozenset(range(low, high + 1, n))))
    lists = st.lists(value, min_size=1, max_size=3).map(lambda ns: Spelled(",".join(map(str, ns)), frozenset(ns)))
    spans = st.builds(spelled, st.tuples(value, value).filter(lambda ends: ends[0] != ends[1]), st.integers(1, 5))
    return st.one_of(star, steps, lists, spans)


def counted(parts: list[Spelled], years: range, *, day_or: bool) -> Iterator[datetime]:
    """Every second of `years` that fits, by trying all days and every time of the day that the fields name."""
    minute, hour, day, month, weekday, second, year = parts
    is_open = "*" in (day.text, weekday.text)
    times = list(product(sorted(hour.values), sorted(minute.values), sorted(second.values)))
    for y, m in product(sorted(year.values & set(years)), sorted(month.values)):
        for d in range(1, monthrange(y, m)[1] + 1):
            fits = (d in day.values, datetime(y, m, d).isoweekday() % 7 in weekday.values)
            if any(fits) if day_or and not is_open else all(fits):
                yield from (datetime(y, m, d, *time) for time in times)


@given(
    st.tuples(
        fields(0, 59), fields(0, 23), fields(1, 31), fields(1, 12), fields(0, 6), fields(0, 59), fields(1970, 2099)
    ).map(list),
    st.datetimes(datetime(2020, 1, 1), datetime(2029, 12, 31)),
    st.booleans(),
)
def test_seven_fields_are_what_counting_finds(parts: list[Spelled], after: datetime, day_or: bool) -> None:
    after = after.replace(microsecond=0)
    text = " ".join(part.text for part in parts)
    expected = islice((wall for wall in counted(parts, range(after.year, 2036), day_or=day_or) if wall > after), 5)
    found = islice(cron.parse(text, day_or=day_or).walls(after), 5)
    assert [wall for wall in found if wall.year < 2036] == list(expected)


@given(st.text(st.sampled_from("0123456789*/-,LW#?@ SUNMONJADEC\té٣"), max_size=30), st.booleans())
def test_any_text_is_parsed_or_refused(text: str, day_or: bool) -> None:
    """Nothing but Invalid is ever raised."""
    for whole in (text, f"0 0 * * {text}", f"{text} * * * *", f"0 0 {text} * MON", f"0 0 1 1 * 0 {text}"):
        with suppress(Invalid):
            cron.check(whole, day_or=day_or)
