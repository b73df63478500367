"""Every change of the clocks of a year, in zones of every kind: no run vanishes, none doubles, none is out of order."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from headgate.core.schedules import fire_times
from headgate.schema.schedules import Schedule

YEARS = (2011, 2026)
"""2011 had more changes than any year since: Samoa left out a day, Russia, Turkey and Egypt changed their rules."""

ZONES = (
    "Africa/Cairo",
    "Africa/Casablanca",
    "America/Asuncion",
    "America/Havana",
    "America/New_York",
    "America/Nuuk",
    "America/Santiago",
    "America/Sao_Paulo",
    "America/St_Johns",
    "Antarctica/Troll",
    "Asia/Amman",
    "Asia/Beirut",
    "Asia/Gaza",
    "Asia/Kathmandu",
    "Asia/Tehran",
    "Atlantic/Azores",
    "Australia/Lord_Howe",
    "Australia/Sydney",
    "Europe/Berlin",
    "Europe/Istanbul",
    "Europe/London",
    "Europe/Moscow",
    "Pacific/Apia",
    "Pacific/Auckland",
    "Pacific/Chatham",
    "Pacific/Easter",
    "UTC",
)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
AROUND = timedelta(hours=30)
"""How much is looked at before and after a change: more than a day, which is the longest gap there has been."""

every_zone = pytest.mark.parametrize("zone", [ZoneInfo(name) for name in ZONES], ids=ZONES)
every_year = pytest.mark.parametrize("year", YEARS)


@dataclass(frozen=True)
class Change:
    """The first instant of a new offset, and the minutes around it as clocks show them."""

    zone: ZoneInfo
    at: datetime

    @property
    def begin(self) -> datetime:
        return self.at - AROUND

    @property
    def end(self) -> datetime:
        return self.at + AROUND


def offset(zone: ZoneInfo, at: datetime) -> timedelta:
    return at.astimezone(zone).utcoffset() or timedelta(0)


def minutes(begin: datetime, end: datetime) -> Iterator[datetime]:
    """Every whole minute after `begin` up to `end`."""
    at = begin
    while (at := at + MINUTE) <= end:
        yield at


@cache
def changes(zone: ZoneInfo, year: int) -> tuple[Change, ...]:
    """By looking at every hour, then at every minute: slow, and as plain as can be."""
    hours = [datetime(year, 1, 1, tzinfo=UTC) + timedelta(hours=n) for n in range(366 * 24)]
    return tuple(
        Change(zone, next(at for at in minutes(before, after) if offset(zone, at) != offset(zone, before)))
        for before, after in pairwise(hours)
        if offset(zone, before) != offset(zone, after)
    )


ALL_CHANGES = [change for name in ZONES for year in YEARS for change in changes(ZoneInfo(name), year)]
CHANGES = st.sampled_from(ALL_CHANGES)


@cache
def walls(change: Change) -> tuple[tuple[datetime, datetime, bool], ...]:
    """(instant, wall, whether it shows for the second time) of every minute around the change."""
    local = ((at, at.astimezone(change.zone)) for at in minutes(change.begin, change.end))
    return tuple((at, wall.replace(tzinfo=None, fold=0), wall.fold == 1) for at, wall in local)


@cache
def skipped(change: Change) -> tuple[datetime, ...]:
    """The walls that the change leaves out."""
    before = change.at + offset(change.zone, change.at - MINUTE)
    after = change.at + offset(change.zone, change.at)
    return tuple(at.replace(tzinfo=None) for at in minutes(before - MINUTE, after - MINUTE))


def scan(change: Change, matches: Callable[[datetime], bool], *, fixed: bool) -> list[datetime]:
    """What a cron fires around a change, found by asking every minute whether it matches."""
    fires = {at for at, wall, again in walls(change) if matches(wall) and not (fixed and again)}
    if fixed and any(matches(wall) for wall in skipped(change)):
        fires.add(change.at)
    return sorted(fires)


def fires_around(change: Change, schedule: Schedule) -> list[datetime]:
    return list(fire_times(schedule, after=change.begin, before=change.end))


def test_the_years_hold_changes_of_every_kind() -> None:
    """Gaps and folds, of an hour, of half an hour and of a day, also at midnight."""
    steps = {offset(change.zone, change.at) - offset(change.zone, change.at - MINUTE) for change in ALL_CHANGES}
    assert steps >= {timedelta(hours=hours) for hours in (1, -1, 0.5, -0.5, 2, -2, 24)}
    assert any(change.at.astimezone(change.zone).strftime("%H:%M") in ("23:00", "01:00") for change in ALL_CHANGES)
    assert len(ALL_CHANGES) > 80


@pytest.mark.parametrize(
    ("text", "fixed", "matches"),
    [
        ("0 0 * * *", True, lambda wall: (wall.hour, wall.minute) == (0, 0)),
        ("30 2 * * *", True, lambda wall: (wall.hour, wall.minute) == (2, 30)),
        ("45 23 * * *", True, lambda wall: (wall.hour, wall.minute) == (23, 45)),
        ("0,20,40 0-3 * * *", True, lambda wall: wall.hour <= 3 and wall.minute % 20 == 0),
        ("0 1,2,3 * * SUN", True, lambda wall: wall.hour in (1, 2, 3) and wall.minute == 0 and wall.weekday() == 6),
        ("* * * * *", False, lambda wall: True),
        ("*/15 * * * *", False, lambda wall: wall.minute % 15 == 0),
        ("45 * * * *", False, lambda wall: wall.minute == 45),
        ("0 */2 * * *", False, lambda wall: wall.hour % 2 == 0 and wall.minute == 0),
        ("*/10 2-3 * * *", False, lambda wall: wall.hour in (2, 3) and wall.minute % 10 == 0),
        ("*/30 23,0 * * SAT,SUN", False, lambda wall: wall.hour in (23, 0) and wall.minute % 30 == 0 and wall.weekday() > 4),
    ],
)
def test_cron_fires_as_a_look_at_every_minute_finds(text: str, fixed: bool, matches: Callable[[datetime], bool]) -> None:
    """Around every change of every zone."""
    for change in ALL_CHANGES:
        fires = fires_around(change, Schedule(cron=text, timezone=change.zone.key))
        assert fires == scan(change, matches, fixed=fixed), change


@given(
    change=CHANGES,
    minute=st.sets(st.integers(0, 59), min_size=1, max_size=4),
    hour=st.sets(st.integers(0, 23), min_size=1, max_size=6),
    star=st.sampled_from(["", "minute", "hour"]),
)
def test_any_cron_fires_as_a_look_at_every_minute_finds(change: Change, minute: set[int], hour: set[int], star: str) -> None:
    """Whatever its minutes and hours; a star lets all of them pass."""
    fields = [
        "*" if star == name else ",".join(map(str, sorted(chosen))) for name, chosen in (("minute", minute), ("hour", hour))
    ]

    def matches(wall: datetime) -> bool:
        return (star == "minute" or wall.minute in minute) and (star == "hour" or wall.hour in hour)

    schedule = Schedule(cron=f"{' '.join(fields)} * * *", timezone=change.zone.key)
    assert fires_around(change, schedule) == scan(change, matches, fixed=not star)


def year_of(zone: ZoneInfo, year: int, schedule: Schedule) -> list[datetime]:
    begin, end = datetime(year, 1, 1, tzinfo=zone), datetime(year + 1, 1, 1, tzinfo=zone)
    return list(fire_times(schedule, after=begin - MINUTE / 60, before=end - MINUTE / 60))


@every_zone
@every_year
def test_daily_schedules_fire_once_for_each_local_day(zone: ZoneInfo, year: int) -> None:
    """Of every kind, at the time asked for, or where clocks skip that, at the end of the gap or moved on by it.

    Only of a whole day that a zone leaves out the run may fall together with the next day's.
    """
    gap_ends = {wall: change.at for change in changes(zone, year) for wall in skipped(change)}
    for hour, minute in [(0, 0), (0, 30), (2, 30), (3, 0), (12, 0), (23, 15)]:
        start = datetime(year, 1, 1, hour, minute)
        days = [start + DAY * n for n in range((start.replace(year=year + 1) - start).days)]
        instants = [wall.replace(tzinfo=zone).astimezone(UTC) for wall in days]

        snapped = sorted({gap_ends.get(wall, at) for wall, at in zip(days, instants, strict=True)})
        assert year_of(zone, year, Schedule(cron=f"{minute} {hour} * * *", timezone=zone.key)) == snapped

        moved = sorted(set(instants))
        assert len(moved) >= len(days) - (zone.key == "Pacific/Apia")
        anchor = datetime(2000, 5, 5, hour, minute, tzinfo=zone)
        assert year_of(zone, year, Schedule(interval=86400, anchor_date=anchor, timezone=zone.key)) == moved
        rule = f"DTSTART:20000505T{hour:02}{minute:02}00\nRRULE:FREQ=DAILY"
        assert year_of(zone, year, Schedule(rrule=rule, timezone=zone.key)) == moved


@every_zone
@every_year
def test_an_hourly_interval_has_gaps_of_an_hour_exactly(zone: ZoneInfo, year: int) -> None:
    schedule = Schedule(interval=3600, anchor_date=datetime(2000, 1, 1, 0, 7, tzinfo=zone), timezone=zone.key)
    fires = year_of(zone, year, schedule)
    assert {after - before for before, after in pairwise(fires)} == {timedelta(hours=1)}


RULES = (
    "FREQ=MINUTELY;INTERVAL=45",
    "FREQ=MINUTELY;INTERVAL=7;BYHOUR=0,1,2,3",
    "FREQ=HOURLY",
    "FREQ=HOURLY;INTERVAL=5;BYMINUTE=10,50",
    "FREQ=DAILY;BYHOUR=0,1,2,3,23;BYMINUTE=0,15,59",
    "FREQ=WEEKLY;BYDAY=SA,SU;BYHOUR=2;BYMINUTE=30",
)


@pytest.mark.parametrize("text", RULES)
def test_rules_fire_as_rfc_5545_reads_their_walls(text: str) -> None:
    """Around every change: dateutil's walls, with the offset that held before the gap or in their first showing."""
    for change in ALL_CHANGES:
        start = change.begin.astimezone(change.zone).replace(tzinfo=None) - 3 * DAY
        whole = f"DTSTART:{start:%Y%m%dT%H%M%S}\nRRULE:{text}"
        instants = {
            wall.replace(tzinfo=change.zone).astimezone(UTC)
            for wall in rrulestr(whole).between(start, start + 8 * DAY, inc=True)
        }
        wanted = sorted(at for at in instants if change.begin < at <= change.end)
        assert fires_around(change, Schedule(rrule=whole, timezone=change.zone.key)) == wanted, change


SCHEDULES = st.one_of(
    st.sampled_from(["30 2 * * *", "0,30 0-3 * * *", "*/20 * * * *", "5 * * * *", "*/7 1,2 * * *", "0 0 * * *"]).map(
        lambda text: {"cron": text}
    ),
    st.tuples(
        st.sampled_from([600.0, 3600.0, 5400.0, 86400.0, 90000.0, 172800.0]),
        st.datetimes(datetime(1960, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)),
    ).map(lambda drawn: {"interval": drawn[0], "anchor_date": drawn[1]}),
    st.sampled_from(RULES).map(lambda text: {"rrule": text}),
)


@settings(max_examples=300)
@given(change=CHANGES, kind=SCHEDULES, share=st.floats(0, 1))
def test_the_tail_is_the_same_wherever_one_begins(change: Change, kind: dict[str, Any], share: float) -> None:
    """Strictly ascending, and from any instant on what a run from further back gives."""
    schedule = Schedule(timezone=change.zone.key, **kind)
    fires = fires_around(change, schedule)
    assert all(before < after for before, after in pairwise(fires))
    middle = change.begin + (change.end - change.begin) * share
    assert list(fire_times(schedule, after=middle, before=change.end)) == [at for at in fires if at > middle]
    assume(fires)
    chosen = fires[int(share * (len(fires) - 1))]
    assert list(fire_times(schedule, after=chosen, before=change.end)) == [at for at in fires if at > chosen]


@given(CHANGES, st.sampled_from(["* * * * *", "*/15 * * * *", "45 * * * *", "*/10 2-3 * * *"]), st.integers(1, 59))
def test_a_cron_of_every_so_often_keeps_its_seconds_through_changes(change: Change, text: str, second: int) -> None:
    later = timedelta(seconds=second)
    plain = fire_times(Schedule(cron=text, timezone=change.zone.key), after=change.begin, before=change.end)
    exact = Schedule(cron=f"{text} {second}", timezone=change.zone.key)
    assert list(fire_times(exact, after=change.begin + later, before=change.end + later)) == [at + later for at in plain]


def test_a_cron_of_a_time_of_day_with_seconds_fires_once_in_a_gap_and_at_its_first_showing_in_a_fold() -> None:
    schedule = Schedule(cron="30 2 * * * 15,45", timezone="Europe/Berlin")
    found = [
        [f"{at:%d %H:%M:%S}" for at in fire_times(schedule, after=day, before=day + DAY)]
        for day in (datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 10, 24, 12, tzinfo=UTC))
    ]
    assert found == [["29 01:00:00"], ["25 00:30:15", "25 00:30:45"]]
