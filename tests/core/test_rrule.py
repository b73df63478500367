"""The text of a recurrence means what RFC 5545 says, and what is wrong with one is named."""

from contextlib import suppress
from datetime import datetime
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.core import rrule
from headgate.errors import Invalid

BERLIN = ZoneInfo("Europe/Berlin")


def walls(text: str, n: int = 3, since: datetime = datetime(2026, 1, 1), zone: ZoneInfo = BERLIN) -> list[str]:
    return [f"{wall:%m-%d %H:%M}" for wall in islice(rrule.parse(text, zone).since(since), n)]


def test_without_dtstart_a_rule_starts_with_2020_in_its_zone() -> None:
    assert walls("FREQ=DAILY", 1, datetime(2019, 1, 1)) == ["01-01 00:00"]
    assert walls("FREQ=MINUTELY;INTERVAL=45;BYHOUR=9,10") == ["01-01 09:00", "01-01 09:45", "01-01 10:30"]


@pytest.mark.parametrize(
    "text",
    [
        "DTSTART:20250101T090000\nFREQ=DAILY",
        "DTSTART:20250101T090000\nRRULE:FREQ=DAILY",
        "DTSTART:20250101T090000 rrule:freq=daily;",
        "RRULE:FREQ=DAILY\r\nDTSTART;VALUE=DATE-TIME:2025-01-01T09:00:00",
        "DTSTART:20250101T080000Z\nRRULE:FREQ=DAILY",
        "DTSTART:20250101T130000+0500\nRRULE:FREQ=DAILY",
    ],
)
def test_dtstart_wins_however_it_is_written(text: str) -> None:
    assert walls(text) == ["01-01 09:00", "01-02 09:00", "01-03 09:00"]


def test_a_zone_in_dtstart_takes_the_place_of_the_schedules() -> None:
    parsed = rrule.parse("DTSTART;TZID=America/New_York:20250101T090000\nRRULE:FREQ=DAILY", BERLIN)
    assert parsed.zone.key == "America/New_York"
    assert next(parsed.since(datetime(2026, 1, 1))) == datetime(2026, 1, 1, 9)


def test_times_in_another_zone_are_turned_into_local_time() -> None:
    """UNTIL in UTC with a local DTSTART, EXDATE and RDATE in UTC or a zone of their own."""
    text = """DTSTART:20260101T090000
              RRULE:FREQ=DAILY;UNTIL=20260105T080000Z
              EXDATE:20260102T080000Z
              EXDATE;TZID=America/New_York:20260103T030000
              RDATE:20260104T100000Z"""
    assert walls(text, 9) == ["01-01 09:00", "01-04 09:00", "01-04 11:00", "01-05 09:00"]


def test_until_is_inclusive_to_the_second() -> None:
    assert walls("DTSTART:20260101T090000\nRRULE:FREQ=DAILY;UNTIL=20260102T075959Z", 9) == ["01-01 09:00"]


def test_an_exdate_without_a_time_takes_out_its_day() -> None:
    text = "DTSTART:20260101T000000\nRRULE:FREQ=HOURLY;INTERVAL=12\nEXDATE;VALUE=DATE:20260102,20260103"
    assert walls(text) == ["01-01 00:00", "01-01 12:00", "01-04 00:00"]


def test_several_rules_add_up_and_exrules_take_out() -> None:
    text = """DTSTART:20260101T090000
              RRULE:FREQ=DAILY
              RRULE:FREQ=WEEKLY;BYDAY=FR;BYHOUR=9,17
              EXRULE:FREQ=WEEKLY;BYDAY=SA,SU"""
    assert walls(text, 5) == ["01-01 09:00", "01-02 09:00", "01-02 17:00", "01-05 09:00", "01-06 09:00"]


def test_exceptions_count_as_occurrences_of_count() -> None:
    assert walls("DTSTART:20260101T090000\nRRULE:FREQ=DAILY;COUNT=3\nEXDATE:20260102T090000", 9) == [
        "01-01 09:00",
        "01-03 09:00",
    ]


def test_single_dates_need_no_rule() -> None:
    assert walls("RDATE:20260301T120000,20260201T120000") == ["02-01 12:00", "03-01 12:00"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", "no rule"),
        ("EXDATE:20260101T000000", "no rule"),
        ("FREQ=SOMETIMES", "SOMETIMES"),
        ("BYHOUR=9", "FREQ is missing"),
        ("FREQ=DAILY;BYNOON=1", "BYNOON"),
        ("FREQ=DAILY;FREQ=DAILY", "twice"),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL=0"),
        ("FREQ=DAILY;INTERVAL=1.5", "INTERVAL=1.5"),
        ("FREQ=DAILY;COUNT=-1", "COUNT=-1"),
        ("FREQ=DAILY;COUNT=1000000", "100000"),
        ("FREQ=DAILY;BYHOUR=24", "BYHOUR=24"),
        ("FREQ=DAILY;BYSECOND=60", "BYSECOND=60"),
        ("FREQ=DAILY;BYHOUR=", "BYHOUR="),
        ("FREQ=MONTHLY;BYMONTHDAY=0", "BYMONTHDAY"),
        ("FREQ=WEEKLY;BYDAY=XX", "XX"),
        ("FREQ=WEEKLY;BYDAY=", "BYDAY="),
        ("FREQ=DAILY;UNTIL=soon", "'SOON'"),
        ("DTSTART:10\nFREQ=DAILY", "'10'"),
        ("DTSTART:20260101T090000.5\nFREQ=DAILY", "fraction"),
        ("DTSTART:20260101T090000\nDTSTART:20260101T100000\nFREQ=DAILY", "several DTSTART"),
        ("DTSTART;TZID=Mars/Base:20260101T090000\nFREQ=DAILY", "Mars/Base"),
        ("DTSTART;X=1:20260101T090000\nFREQ=DAILY", "'X=1'"),
        ("DTSTART:00010101T000000+0200\nFREQ=DAILY", ""),
        ("VEVENT:1\nFREQ=DAILY", "VEVENT"),
        ("\n".join(["FREQ=DAILY"] * 21), "20 rules"),
        ("FREQ=DAILY;BYMINUTE=" + ",".join(map(str, range(60))) + ";BYSECOND=" + ",".join(map(str, range(60))), "1440"),
        ("FREQ=DAILY;BYHOUR=" + "1," * 5000 + "1", "6500"),
    ],
)
def test_refusals_name_what_is_wrong(text: str, names: str) -> None:
    with pytest.raises(Invalid) as refusal:
        rrule.parse(text, BERLIN)
    assert refusal.value.field == "rrule"
    assert refusal.value.value == text
    assert names in str(refusal.value)


@pytest.mark.parametrize(
    "text",
    [
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=DAILY\nFREQ=DAILY;BYMONTH=4;BYMONTHDAY=31",
        "DTSTART:20260101T000000\nFREQ=DAILY;UNTIL=20250101",
        "FREQ=WEEKLY\nEXRULE:FREQ=DAILY",
        "RDATE:20260101T000000\nEXDATE:20260101T000000",
    ],
)
def test_what_never_occurs_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="never occurs"):
        rrule.check(text, BERLIN)


@given(st.text(st.sampled_from("FREQ=DAILYWKBHOU;:,.+-0129TZ\n \x00éé"), max_size=40))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    """Nothing but Invalid is ever raised."""
    for whole in (text, f"FREQ=DAILY;{text}", f"DTSTART:{text}\nFREQ=DAILY", f"DTSTART;TZID={text}:20260101\nFREQ=DAILY"):
        with suppress(Invalid):
            rrule.check(whole, BERLIN)
