"""Cron expressions mean what crontab(5) says, in every spelling that existing schedules use."""

from contextlib import suppress
from datetime import datetime
from itertools import islice

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
        ("0 0 * * * *", "6 fields"),
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


@given(st.text(st.sampled_from("0123456789*/-,LW#?@ SUNMONJADEC\té٣"), max_size=30), st.booleans())
def test_any_text_is_parsed_or_refused(text: str, day_or: bool) -> None:
    """Nothing but Invalid is ever raised."""
    for whole in (text, f"0 0 * * {text}", f"{text} * * * *", f"0 0 {text} * MON"):
        with suppress(Invalid):
            cron.check(whole, day_or=day_or)
