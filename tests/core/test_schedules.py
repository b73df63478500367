"""Schedules fire when their authors mean, whatever the clocks do."""

import time
from datetime import UTC, datetime, timedelta, timezone
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest

from headgate.core.schedules import canonical, check, describe, fire_times, next_fire, same_timing
from headgate.errors import Invalid
from headgate.schema.schedules import Schedule

NOW = datetime(2026, 11, 22, 10, 30, 15, 250, tzinfo=UTC)


def local(schedule: Schedule, after: datetime, n: int) -> list[str]:
    """The next fire times as clocks of the schedule's zone show them, with their offset."""
    zone = ZoneInfo(schedule.timezone or "UTC")
    return [f"{at.astimezone(zone):%m-%d %H:%M %z}" for at in islice(fire_times(schedule, after=after), n)]


def day(year: int, month: int, day: int, hour: int = 0, minute: int = 0, zone: str = "UTC") -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=ZoneInfo(zone))


# Cron: Berlin goes from 02:00 to 03:00 on 2026-03-29, and from 03:00 back to 02:00 on 2026-10-25.

BERLIN_SPRING = day(2026, 3, 28, 12, zone="Europe/Berlin")
BERLIN_AUTUMN = day(2026, 10, 24, 12, zone="Europe/Berlin")


def test_a_fixed_time_in_a_gap_fires_once_when_the_gap_ends() -> None:
    schedule = Schedule(cron="15,30,45 2 * * *", timezone="Europe/Berlin")
    assert local(schedule, BERLIN_SPRING, 3) == ["03-29 03:00 +0200", "03-30 02:15 +0200", "03-30 02:30 +0200"]


def test_a_skipped_time_does_not_double_one_at_the_end_of_the_gap() -> None:
    schedule = Schedule(cron="0 2,3 * * *", timezone="Europe/Berlin")
    assert local(schedule, BERLIN_SPRING, 2) == ["03-29 03:00 +0200", "03-30 02:00 +0200"]


def test_a_fixed_time_in_a_fold_fires_at_its_first_showing_only() -> None:
    schedule = Schedule(cron="30 2 * * *", timezone="Europe/Berlin")
    assert local(schedule, BERLIN_AUTUMN, 2) == ["10-25 02:30 +0200", "10-26 02:30 +0100"]
    between = datetime(2026, 10, 25, 2, 0, fold=1, tzinfo=ZoneInfo("Europe/Berlin"))
    assert local(schedule, between, 1) == ["10-26 02:30 +0100"]


def test_a_repeated_cron_goes_by_real_time_through_a_fold() -> None:
    schedule = Schedule(cron="*/30 * * * *", timezone="Europe/Berlin")
    fires = list(islice(fire_times(schedule, after=BERLIN_AUTUMN), 60))
    assert {b - a for a, b in pairwise(fires)} == {timedelta(minutes=30)}


def test_a_cron_in_an_hour_that_does_not_exist_is_left_out_if_it_is_a_repeated_one() -> None:
    schedule = Schedule(cron="0 */2 * * *", timezone="Europe/Berlin")
    assert local(schedule, BERLIN_SPRING, 8)[-3:] == ["03-29 00:00 +0100", "03-29 04:00 +0200", "03-29 06:00 +0200"]


def test_a_start_on_the_day_of_a_change_makes_no_difference() -> None:
    """Between the day's run and the change of its clocks, other engines have gone wrong."""
    schedule = Schedule(cron="10 0 * * *", timezone="America/Montreal")
    after = datetime(2023, 3, 12, 5, 10, 2, tzinfo=UTC)
    assert local(schedule, after, 2) == ["03-13 00:10 -0400", "03-14 00:10 -0400"]


def test_a_day_that_a_zone_left_out_fires_when_the_next_begins() -> None:
    """Samoa had no 2011-12-30."""
    schedule = Schedule(cron="0 9 * * *", timezone="Pacific/Apia")
    after = day(2011, 12, 29, 0, zone="Pacific/Apia")
    assert local(schedule, after, 4) == ["12-29 09:00 -1000", "12-31 00:00 +1400", "12-31 09:00 +1400", "01-01 09:00 +1400"]


def test_aliases_and_names() -> None:
    assert local(Schedule(cron="@daily"), NOW, 1) == ["11-23 00:00 +0000"]
    assert local(Schedule(cron="0 9 * DEC MON", timezone="Asia/Kathmandu"), NOW, 1) == ["12-07 09:00 +0545"]


def test_day_or_false_joins_the_day_fields() -> None:
    assert local(Schedule(cron="0 0 13 * FRI"), NOW, 1) == ["11-27 00:00 +0000"]
    assert next_fire(Schedule(cron="0 0 13 * FRI", day_or=False), after=NOW) == day(2027, 8, 13)


def test_leap_days() -> None:
    schedule = Schedule(cron="0 0 29 2 *", timezone="America/New_York")
    assert [at.year for at in islice(fire_times(schedule, after=day(2090, 1, 1)), 3)] == [2092, 2096, 2104]


# Intervals.


def test_a_short_interval_is_real_time_from_its_anchor() -> None:
    schedule = Schedule(interval=6 * 3600, anchor_date=day(2026, 1, 1, 6, zone="Europe/Berlin"), timezone="Europe/Berlin")
    assert local(schedule, BERLIN_SPRING, 4) == [
        "03-28 18:00 +0100",
        "03-29 00:00 +0100",
        "03-29 07:00 +0200",
        "03-29 13:00 +0200",
    ]


def test_an_interval_of_days_keeps_the_anchors_time_of_day() -> None:
    schedule = Schedule(interval=2 * 86400, anchor_date=day(2026, 3, 27, 9, zone="Europe/Berlin"), timezone="Europe/Berlin")
    assert local(schedule, BERLIN_SPRING, 2) == ["03-29 09:00 +0200", "03-31 09:00 +0200"]


def test_an_interval_of_days_whose_time_is_skipped_moves_on_by_the_gap_once() -> None:
    schedule = Schedule(interval=86400, anchor_date=day(2026, 1, 1, 2, 30, zone="Europe/Berlin"), timezone="Europe/Berlin")
    assert local(schedule, BERLIN_SPRING, 2) == ["03-29 03:30 +0200", "03-30 02:30 +0200"]
    assert local(schedule, BERLIN_AUTUMN, 2) == ["10-25 02:30 +0200", "10-26 02:30 +0100"]


@pytest.mark.parametrize("anchor", [day(2, 1, 2, 7), day(1969, 12, 31, 7), day(2026, 11, 22, 7), day(2400, 2, 29, 7)])
@pytest.mark.parametrize("interval", [3600.0, 86400.0])
def test_an_anchor_is_a_phase_whenever_it_is(anchor: datetime, interval: float) -> None:
    fires = list(islice(fire_times(Schedule(interval=interval, anchor_date=anchor), after=NOW), 30))
    assert fires[0] - NOW <= timedelta(seconds=interval)
    assert all((at - anchor) % timedelta(seconds=interval) == timedelta(0) for at in fires)


def test_fractions_of_a_second_add_up_exactly() -> None:
    schedule = Schedule(interval=0.1, anchor_date=day(2026, 1, 1))
    fires = list(islice(fire_times(schedule, after=day(2026, 11, 1)), 10_000))
    assert fires[-1] == day(2026, 11, 1) + timedelta(seconds=1000)


def test_without_an_anchor_an_interval_counts_from_2020_in_its_zone() -> None:
    assert local(Schedule(interval=86400, timezone="Asia/Kathmandu"), NOW, 1) == ["11-23 00:00 +0545"]


# Recurrence rules.


def test_a_rule_without_dtstart_is_anchored_in_its_own_zone() -> None:
    """An anchor of now in UTC, read as local time, has silenced the hours before it on the day of a deploy (USERS 35)."""
    schedule = Schedule(rrule="FREQ=MINUTELY;INTERVAL=30;BYHOUR=7,8", timezone="America/Chicago")
    after = day(2026, 7, 8, 6, 54, zone="America/Chicago")
    assert local(schedule, after, 3) == ["07-08 07:00 -0500", "07-08 07:30 -0500", "07-08 08:00 -0500"]


@pytest.mark.parametrize("zone", ["America/Chicago", "Europe/Berlin", "Pacific/Auckland"])
def test_a_floating_dtstart_is_local_time_of_the_schedules_zone(zone: str) -> None:
    schedule = Schedule(rrule="DTSTART:20260101T090000\nRRULE:FREQ=DAILY;INTERVAL=2", timezone=zone)
    assert next_fire(schedule, after=day(2026, 7, 1, zone=zone)) == day(2026, 7, 2, 9, zone=zone)


def test_a_dtstart_in_utc_is_that_instant_then_local_time() -> None:
    schedule = Schedule(rrule="DTSTART:20260101T080000Z\nRRULE:FREQ=DAILY", timezone="Europe/Berlin")
    assert local(schedule, BERLIN_SPRING, 1) == ["03-29 09:00 +0200"]


def test_a_zone_in_dtstart_is_the_zone_of_the_rule() -> None:
    text = "DTSTART;TZID=America/New_York:20260101T090000\nRRULE:FREQ=DAILY"
    assert next_fire(Schedule(rrule=text, timezone="UTC"), after=NOW) == day(2026, 11, 22, 9, zone="America/New_York")


def test_a_rule_in_a_gap_moves_on_by_the_gap_in_order() -> None:
    """02:15 becomes 03:15, behind the 03:00 that follows it on the wall."""
    schedule = Schedule(rrule="DTSTART:20260329T000000\nFREQ=MINUTELY;INTERVAL=45", timezone="Europe/Berlin")
    assert [at[6:11] for at in local(schedule, day(2026, 3, 29, zone="Europe/Berlin"), 5)] == [
        "00:45",
        "01:30",
        "03:00",
        "03:15",
        "03:45",
    ]


def test_a_rule_in_a_fold_fires_at_first_showings() -> None:
    schedule = Schedule(rrule="FREQ=HOURLY", timezone="Europe/Berlin")
    after = day(2026, 10, 25, 1, zone="Europe/Berlin")
    assert local(schedule, after, 2) == ["10-25 02:00 +0200", "10-25 03:00 +0100"]


def test_count_until_and_exdate() -> None:
    text = "DTSTART:20261120T090000\nRRULE:FREQ=DAILY;COUNT=5\nEXDATE:20261123T090000"
    schedule = Schedule(rrule=text, timezone="Europe/Berlin")
    assert local(schedule, NOW, 9) == ["11-24 09:00 +0100"]
    assert next_fire(schedule, after=day(2026, 11, 24, 8)) is None
    until = Schedule(rrule="DTSTART:20261120T090000\nRRULE:FREQ=DAILY;UNTIL=20261123T080000Z", timezone="Europe/Berlin")
    assert local(until, NOW, 9) == ["11-23 09:00 +0100"]


# All kinds.

KINDS = {
    "fixed cron": Schedule(cron="0 9 * * *", timezone="Europe/Berlin"),
    "repeated cron": Schedule(cron="*/5 * * * *", timezone="Europe/Berlin"),
    "short interval": Schedule(interval=60, timezone="Europe/Berlin", anchor_date=day(1900, 1, 1)),
    "long interval": Schedule(interval=86400, timezone="Europe/Berlin", anchor_date=day(1900, 1, 1)),
    "rule": Schedule(rrule="DTSTART:19000101T000000\nFREQ=MINUTELY", timezone="Europe/Berlin"),
}
of_each_kind = pytest.mark.parametrize("schedule", KINDS.values(), ids=KINDS)


@of_each_kind
def test_after_is_excluded_and_before_included(schedule: Schedule) -> None:
    first, second, third = islice(fire_times(schedule, after=NOW), 3)
    assert list(fire_times(schedule, after=first, before=third)) == [second, third]
    assert list(fire_times(schedule, after=first, before=second - timedelta(microseconds=1))) == []
    assert next(fire_times(schedule, after=first - timedelta(microseconds=1))) == first


@of_each_kind
def test_answers_are_aware_and_in_utc_whatever_the_zone_of_the_question(schedule: Schedule) -> None:
    asked = NOW.astimezone(timezone(timedelta(hours=-7)))
    assert next_fire(schedule, after=asked) == next_fire(schedule, after=NOW)
    assert all(at.tzinfo is UTC for at in islice(fire_times(schedule, after=asked), 3))


@of_each_kind
def test_the_calendar_ends_quietly(schedule: Schedule) -> None:
    assert len(list(islice(fire_times(schedule, after=day(9999, 12, 31, 23, 58)), 10))) <= 2


@of_each_kind
def test_a_look_up_is_cheap(schedule: Schedule) -> None:
    """A thousand in a moment, more than a century after the anchor; a walk from there takes minutes."""
    begin = time.process_time()
    for minutes in range(1000):
        next_fire(schedule, after=NOW + timedelta(minutes=minutes))
    assert time.process_time() - begin < 5


@pytest.mark.parametrize("schedule", [Schedule(cron="0 0 30 2 *"), Schedule(cron="*/5 0 30 2 *", timezone="Asia/Tehran")])
def test_what_never_fires_gives_nothing(schedule: Schedule) -> None:
    assert next_fire(schedule, after=NOW) is None


@of_each_kind
def test_check_passes(schedule: Schedule) -> None:
    check(schedule)


@pytest.mark.parametrize(
    ("schedule", "field", "names"),
    [
        (Schedule(cron="0 9 * *"), "cron", "4 fields"),
        (Schedule(cron="0 0 30 2 *"), "cron", "never fires"),
        (Schedule(cron="0 0 30 2 MON", day_or=False), "cron", "never fires"),
        (Schedule(interval=0), "interval", "interval 0 "),
        (Schedule(interval=-60.5), "interval", "-60.5"),
        (Schedule(interval=1e-9), "interval", "1e-09"),
        (Schedule(interval=float("nan")), "interval", "nan"),
        (Schedule(interval=float("inf")), "interval", "inf"),
        (Schedule(rrule="FREQ=SOMETIMES"), "rrule", "SOMETIMES"),
        (Schedule(rrule="FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"), "rrule", "never occurs"),
        (Schedule(interval=60, timezone="Europe/Berln"), "timezone", "did you mean 'Europe/Berlin'"),
        (Schedule(cron="@daily", timezone="+02:00"), "timezone", "'+02:00'"),
        (Schedule(rrule="FREQ=DAILY", timezone="../UTC"), "timezone", "IANA"),
        (Schedule(rrule="FREQ=DAILY", timezone="Europe"), "timezone", "'Europe'"),
        (Schedule(rrule="FREQ=DAILY", timezone="\0"), "timezone", "IANA"),
    ],
)
def test_check_names_the_field_and_what_to_do(schedule: Schedule, field: str, names: str) -> None:
    with pytest.raises(Invalid) as refusal:
        check(schedule)
    assert refusal.value.field == field
    assert names in str(refusal.value)


@pytest.mark.parametrize(
    ("schedule", "text"),
    [
        (Schedule(cron="0 9 * * *", timezone="Europe/Berlin"), 'cron "0 9 * * *" in Europe/Berlin'),
        (Schedule(cron="0 9 13 * FRI", day_or=False), 'cron "0 9 13 * FRI" in UTC, when both day fields match'),
        (Schedule(interval=5400, timezone="Europe/Berlin"), "every 1h 30m"),
        (Schedule(interval=90061.5, timezone="Europe/Berlin"), "every 1d 1h 1m 1.5s in Europe/Berlin"),
        (Schedule(interval=0.25), "every 0.25s"),
        (Schedule(rrule="DTSTART:20200101T000000\nFREQ=DAILY"), 'rrule "DTSTART:20200101T000000 FREQ=DAILY" in UTC'),
        (
            Schedule(rrule="DTSTART;TZID=Asia/Tokyo:20200101T000000\nFREQ=DAILY", timezone="UTC"),
            'rrule "DTSTART;TZID=Asia/Tokyo:20200101T000000 FREQ=DAILY"',
        ),
    ],
)
def test_describe(schedule: Schedule, text: str) -> None:
    assert describe(schedule) == text


def test_canonical_writes_out_every_default_but_a_crons_zone() -> None:
    assert canonical(Schedule(cron="@daily"), now=NOW) == Schedule(cron="@daily", day_or=True, timezone=None)
    assert canonical(Schedule(cron="@daily", timezone=""), now=NOW).timezone is None
    assert canonical(Schedule(cron="@daily", day_or=False), now=NOW).day_or is False
    assert canonical(Schedule(rrule="FREQ=DAILY"), now=NOW) == Schedule(rrule="FREQ=DAILY", timezone="UTC")
    stored = canonical(Schedule(interval=60, timezone="Asia/Tokyo"), now=NOW)
    assert stored == Schedule(interval=60, timezone="Asia/Tokyo", anchor_date=datetime(2026, 11, 22, 10, 30, 15, tzinfo=UTC))
    assert canonical(stored, now=NOW + timedelta(days=1)) == stored


ANCHOR = day(2026, 1, 1, 9)


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        (Schedule(cron="0 9 * * *"), Schedule(cron="0  9 * * *", day_or=True, timezone="UTC"), True),
        (Schedule(cron="0 9 * * mon"), Schedule(cron="0 9 * * MON"), True),
        (Schedule(cron="0 9 * * *"), Schedule(cron="0 9 * * *", day_or=False), False),
        (Schedule(cron="0 9 * * *"), Schedule(cron="0 9 * * *", timezone="Europe/Berlin"), False),
        (Schedule(interval=3600), Schedule(interval=3600.0, anchor_date=ANCHOR, timezone="UTC"), True),
        (Schedule(interval=3600, anchor_date=None), Schedule(interval=3600, anchor_date=ANCHOR), True),
        (
            Schedule(interval=3600, anchor_date=ANCHOR),
            Schedule(interval=3600, anchor_date=ANCHOR.astimezone(ZoneInfo("Asia/Tokyo"))),
            True,
        ),
        (Schedule(interval=3600, anchor_date=ANCHOR), Schedule(interval=3600, anchor_date=day(2026, 1, 1, 8)), False),
        (Schedule(interval=3600), Schedule(interval=7200), False),
        (Schedule(rrule="FREQ=DAILY"), Schedule(rrule="RRULE:freq=daily", timezone="UTC"), True),
        (Schedule(rrule="FREQ=DAILY"), Schedule(rrule="FREQ=WEEKLY"), False),
        (Schedule(interval=3600), Schedule(cron="0 * * * *"), False),
    ],
)
def test_same_timing(a: Schedule, b: Schedule, same: bool) -> None:
    assert same_timing(a, b) is same
    assert same_timing(b, a) is same
    assert same_timing(a, a)
    assert same_timing(b, b)
