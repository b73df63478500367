"""Recurrence rules (RFC 5545, section 3.3.10): what a rule's parts mean, and its occurrences on the wall clock.

Evaluated here and not by a library because a schedule needs two things: the next occurrence without walking there from
a DTSTART years ago, and an end to every search, also of a rule that never matches.
As in other Python programs, and unlike in the RFC, DTSTART is an occurrence only if it matches the rule.
"""

from bisect import bisect_left
from calendar import isleap, monthrange
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import MAXYEAR, date, datetime, time, timedelta
from enum import IntEnum
from functools import lru_cache
from itertools import islice, product

PATIENCE = 60_000
"""Steps (days, or slots of a shorter period) without an occurrence after which a rule is over: 164 years of days."""

LAST_DAY = date(MAXYEAR - 1, 12, 31).toordinal()


class Freq(IntEnum):
    """How long a period of a rule is."""

    YEARLY = 0
    MONTHLY = 1
    WEEKLY = 2
    DAILY = 3
    HOURLY = 4
    MINUTELY = 5
    SECONDLY = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One RRULE, with what it leaves to its start filled in. An empty part lets every value pass; times are naive.

    `weekday` holds (Monday = 0, n): n = 0 means each, else the nth of the month or year, counted from its end if
    negative. `hour`, `minute` and `second` ascend and are never empty where they are finer than `freq`.
    """

    freq: Freq
    start: datetime
    interval: int = 1
    count: int | None = None
    until: datetime | None = None
    wkst: int = 0
    setpos: frozenset[int] = frozenset()
    month: frozenset[int] = frozenset()
    monthday: frozenset[int] = frozenset()
    yearday: frozenset[int] = frozenset()
    weekno: frozenset[int] = frozenset()
    weekday: frozenset[tuple[int, int]] = frozenset()
    hour: tuple[int, ...] = ()
    minute: tuple[int, ...] = ()
    second: tuple[int, ...] = ()


def occurrences(rule: Rule, since: datetime, *, until: datetime = datetime.max) -> Iterator[datetime]:
    """The rule's walls from `since` to `until`, both included, ascending; ends when `PATIENCE` is used up."""
    since = max(since, rule.start)
    until = min(until, rule.until or datetime.max, _find_last(rule) if rule.count else datetime.max)
    periods = _list_periods(rule, since) if rule.freq <= Freq.DAILY else _list_slots(rule, since)
    patience = PATIENCE
    for begin, steps, walls in periods:
        if begin > until or patience <= 0:
            return
        patience -= steps
        for wall in _pick(walls, rule.setpos) if rule.setpos else walls:
            if wall > until:
                return
            if wall >= since:
                patience = PATIENCE
                yield wall


@lru_cache(maxsize=1024)
def _find_last(rule: Rule) -> datetime:
    """The last wall that COUNT admits: once it is known, a counted rule can be entered anywhere like any other."""
    counted = deque(islice(occurrences(replace(rule, count=None), rule.start), rule.count), maxlen=1)
    return counted[0] if counted else datetime.min


def _pick(walls: Iterable[datetime], positions: frozenset[int]) -> list[datetime]:
    """BYSETPOS: those of one period's walls that stand at the given positions, from 1, or from its end if negative."""
    found = list(walls)
    return sorted({found[n - (n > 0)] for n in positions if -len(found) <= n <= len(found)})


def _list_periods(rule: Rule, since: datetime) -> Iterator[tuple[datetime, int, Iterable[datetime]]]:
    """Periods of a day and more from that of `since` on: begin, steps taken, walls."""
    clock = _list_times(rule.hour, rule.minute, rule.second)
    remaining = clock if rule.setpos else clock[bisect_left(clock, since.time()) :]
    index = _period_of(rule, since)
    index -= (index - _period_of(rule, rule.start)) % rule.interval
    while days := _days_of(rule, index):
        fitting = [day for day in map(date.fromordinal, days) if _fits(rule, day)]
        walls = (datetime.combine(day, at) for day in fitting for at in (remaining if day == since.date() else clock))
        steps = len(days) + len(fitting) * len(clock) * bool(rule.setpos)
        yield datetime.fromordinal(days[0]), steps, walls
        index += rule.interval


@lru_cache(maxsize=1024)
def _list_times(hours: tuple[int, ...], minutes: tuple[int, ...], seconds: tuple[int, ...]) -> list[time]:
    return [time(*at) for at in product(hours, minutes, seconds)]


def _period_of(rule: Rule, wall: datetime) -> int:
    """The number of the year, month, week or day that holds `wall`."""
    match rule.freq:
        case Freq.YEARLY:
            return wall.year
        case Freq.MONTHLY:
            return wall.year * 12 + wall.month - 1
        case Freq.WEEKLY:
            return (wall.toordinal() - 1 - rule.wkst) // 7
        case _:
            return wall.toordinal()


def _days_of(rule: Rule, index: int) -> range:
    """The ordinals of a period's days; none after the last year."""
    match rule.freq:
        case Freq.YEARLY if index < MAXYEAR:
            first = date(index, 1, 1).toordinal()
            return range(first, first + 365 + isleap(index))
        case Freq.MONTHLY if index // 12 < MAXYEAR:
            year, month = index // 12, index % 12 + 1
            first = date(year, month, 1).toordinal()
            return range(first, first + monthrange(year, month)[1])
        case Freq.WEEKLY:
            first = index * 7 + 1 + rule.wkst
            return range(max(first, 1), min(first + 7, LAST_DAY + 1))
        case Freq.DAILY:
            return range(index, min(index, LAST_DAY) + 1)
        case _:
            return range(0)


def _list_slots(rule: Rule, since: datetime) -> Iterator[tuple[datetime, int, Iterable[datetime]]]:
    """Hours, minutes or seconds from that of `since` on that fit, or else the first slot of a stretch left out."""
    unit = {Freq.HOURLY: 3600, Freq.MINUTELY: 60, Freq.SECONDLY: 1}[rule.freq]
    step, origin = rule.interval * unit, _seconds(rule.start) // unit * unit
    at = _seconds(since) // unit * unit
    day, is_day = None, False
    while True:
        at += (origin - at) % step
        if at >= (LAST_DAY + 1) * 86400:
            return
        begin = datetime.fromordinal(at // 86400) + timedelta(seconds=at % 86400)
        if begin.date() != day:
            day = begin.date()
            is_day = _fits(rule, day)
        unfit = _unfit_stretch(rule, begin) if is_day else 86400
        yield begin, 1, () if unfit else _walls_of_slot(rule, begin)
        at += unfit - at % unfit if unfit else unit


def _seconds(wall: datetime) -> int:
    return wall.toordinal() * 86400 + wall.hour * 3600 + wall.minute * 60 + wall.second


def _unfit_stretch(rule: Rule, begin: datetime) -> int:
    """The seconds of the hour, minute or second around `begin` if the rule leaves that out, else 0."""
    if rule.hour and begin.hour not in rule.hour:
        return 3600
    if rule.freq >= Freq.MINUTELY and rule.minute and begin.minute not in rule.minute:
        return 60
    return int(rule.freq == Freq.SECONDLY and bool(rule.second) and begin.second not in rule.second)


def _walls_of_slot(rule: Rule, begin: datetime) -> Iterator[datetime]:
    minutes = rule.minute if rule.freq == Freq.HOURLY else (begin.minute,)
    seconds = rule.second if rule.freq <= Freq.MINUTELY else (begin.second,)
    return (begin.replace(minute=minute, second=second) for minute, second in product(minutes, seconds))


def _fits(rule: Rule, day: date) -> bool:
    """Whether every part of the rule that speaks of days lets this one pass."""
    return (
        (not rule.month or day.month in rule.month)
        and (not rule.monthday or _is_nth(rule.monthday, *_day_of_month(day)))
        and (not rule.yearday or _is_nth(rule.yearday, *_day_of_year(day)))
        and (not rule.weekno or _is_nth(rule.weekno, *_week_of_year(day, rule.wkst)))
        and (not rule.weekday or _fits_weekday(rule, day))
    )


def _fits_weekday(rule: Rule, day: date) -> bool:
    weekday = day.weekday()
    if (weekday, 0) in rule.weekday:
        return True
    number, total = _day_of_year(day) if rule.freq == Freq.YEARLY and not rule.month else _day_of_month(day)
    return (weekday, (number + 6) // 7) in rule.weekday or (weekday, -((total - number) // 7 + 1)) in rule.weekday


def _is_nth(wanted: frozenset[int], number: int, total: int) -> bool:
    """Whether `number` of 1..total is wanted, counted from either end."""
    return number in wanted or number - total - 1 in wanted


def _day_of_month(day: date) -> tuple[int, int]:
    """The number of the day, and of all days of its month."""
    return day.day, monthrange(day.year, day.month)[1]


def _day_of_year(day: date) -> tuple[int, int]:
    """The number of the day, and of all days of its year."""
    return day.toordinal() - date(day.year, 1, 1).toordinal() + 1, 365 + isleap(day.year)


def _week_of_year(day: date, wkst: int) -> tuple[int, int]:
    """The number of the day's week, and of all weeks of its year. A week belongs to the year that holds its fourth day."""
    middle = day.toordinal() - (day.weekday() - wkst) % 7 + 3
    year = date.fromordinal(middle).year
    last = date(year, 12, 31)
    last_middle = last.toordinal() - (last.weekday() - wkst - 3) % 7
    before = date(year, 1, 1).toordinal()
    return (middle - before) // 7 + 1, (last_middle - before) // 7 + 1
