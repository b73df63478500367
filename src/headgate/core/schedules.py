"""When a schedule fires: cron expressions, intervals and recurrence rules, each in an IANA zone, as instants in UTC.

What a change of the clock means, by kind, so that a job that is meant to run once runs once:

- A cron that names times of day (neither its minute nor its hour starts with a star) keeps them: a time that clocks
  skip fires once, at the moment they have gone forward; a time that they show twice fires at its first showing.
- A cron that means *every so often* (`*/15 * * * *`, `30 * * * *`) goes by real time: it fires in both showings of a
  repeated hour, and not in an hour that does not exist. These two rules are those of Debian's cron.
- An interval of less than a day is exact elapsed time from its anchor; one of a day or more keeps the anchor's
  time of day in the zone, so that "every day from 09:00" stays at 09:00.
- A recurrence rule is evaluated on the wall clock of its zone. As RFC 5545 has it, a skipped time moves forward by the
  length of the gap, and a repeated one fires at its first showing.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from headgate.core import cron, rrule
from headgate.core.wall_clock import DAY, SECOND, find_zone, first_wall, shifted, snapped, spans, to_instant, to_wall
from headgate.errors import Invalid
from headgate.schema.schedules import Schedule

DEFAULT_ANCHOR = rrule.DEFAULT_START
"""The anchor of an interval that was stored without one, as local time of its zone."""


def check(schedule: Schedule) -> None:
    """Raise Invalid, with the field at fault, for a schedule that is malformed or that can never fire."""
    zone = find_zone(schedule.timezone)
    match schedule:
        case Schedule(cron=str(text)):
            cron.check(text, day_or=schedule.day_or is not False)
        case Schedule(rrule=str(text)):
            rrule.check(text, zone)
        case Schedule(interval=(float() | int()) as seconds):
            _step(seconds)


def fire_times(schedule: Schedule, *, after: datetime, before: datetime | None = None) -> Iterator[datetime]:
    """The instants in UTC at which it fires, strictly after `after`, up to and including `before`; strictly ascending.

    Lazy, and no dearer for an anchor or DTSTART of long ago. What follows an instant does not depend on where one began
    to ask. An anchor is a phase and no start: an interval fires before it as well; a rule does not fire before its
    DTSTART. Ends when nothing follows; raises Invalid, at the first item, for what is malformed.
    """
    last = after.astimezone(UTC)
    try:
        for instant in _instants(schedule, last):
            if before is not None and instant > before:
                return
            if instant > last:
                yield instant
                last = instant
    except OverflowError:
        return  # the calendar of datetime ends with the year 9999


def next_fire(schedule: Schedule, *, after: datetime) -> datetime | None:
    """The first instant strictly after `after`, in UTC; none if it does not fire any more."""
    return next(fire_times(schedule, after=after), None)


def describe(schedule: Schedule) -> str:
    """One line for people: `cron "0 9 * * *" in Europe/Berlin`, `every 1h 30m`, `rrule "FREQ=DAILY" in UTC`."""
    zone = f" in {schedule.timezone or 'UTC'}"
    match schedule:
        case Schedule(cron=str(text)):
            return f'cron "{text}"{zone}' + ", when both day fields match" * (schedule.day_or is False)
        case Schedule(rrule=str(text)):
            return f'rrule "{" ".join(text.split())}"' + zone * ("TZID=" not in text.upper())
        case Schedule(interval=(float() | int()) as seconds):
            return f"every {_describe_seconds(seconds)}" + zone * (seconds >= DAY.total_seconds())
    raise AssertionError("a schedule is of one of three kinds")


def canonical(schedule: Schedule, *, now: datetime) -> Schedule:
    """The schedule as it is stored, with its defaults written out, so that it fires alike whenever it is read.

    An unset zone becomes UTC, an unset `day_or` true, an unset anchor the whole second of `now`. A cron's zone stays
    unset, which means UTC as well: clients leave it out of a cron alone, and compare the answer with what they sent.
    """
    zone = schedule.timezone or "UTC"
    match schedule:
        case Schedule(cron=str()):
            return replace(schedule, timezone=schedule.timezone or None, day_or=schedule.day_or is not False)
        case Schedule(interval=float() | int()):
            anchor = schedule.anchor_date or now.replace(microsecond=0)
            return replace(schedule, timezone=zone, anchor_date=anchor.astimezone(UTC))
        case _:
            return replace(schedule, timezone=zone)


def same_timing(a: Schedule, b: Schedule) -> bool:
    """Whether both fire alike, as far as their authors said: so a deploy finds the schedule again that it made before.

    An anchor that is unset in one of them matches any in the other; unset `day_or` and zone count as true and UTC.
    """
    return _timing(a) == _timing(b) and (not a.anchor_date or not b.anchor_date or a.anchor_date == b.anchor_date)


def _timing(schedule: Schedule) -> tuple[object, ...]:
    """All of a schedule but its anchor, in one spelling."""
    zone = schedule.timezone or "UTC"
    match schedule:
        case Schedule(cron=str(text)):
            return "cron", zone, text.upper().split(), schedule.day_or is not False
        case Schedule(rrule=str(text)):
            return "rrule", zone, [line.removeprefix("RRULE:") for line in text.upper().split()]
        case _:
            return "interval", zone, schedule.interval


def _instants(schedule: Schedule, after: datetime) -> Iterator[datetime]:
    """Instants not descending, from `after` or a little earlier on."""
    zone = find_zone(schedule.timezone)
    match schedule:
        case Schedule(cron=str(text)):
            parsed = cron.parse(text, day_or=schedule.day_or is not False)
            return _fixed_instants(parsed, zone, after) if parsed.is_fixed else _repeated_instants(parsed, zone, after)
        case Schedule(rrule=str(text)):
            recurrence = rrule.parse(text, zone)
            return shifted(recurrence.since(first_wall(after, recurrence.zone)), recurrence.zone)
        case Schedule(interval=(float() | int()) as seconds):
            return _interval_instants(_step(seconds), _anchor(schedule, zone), zone, after)
    raise AssertionError("a schedule is of one of three kinds")


def _fixed_instants(parsed: cron.Cron, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    return snapped(parsed.walls(to_wall(after, zone)), zone)


def _repeated_instants(parsed: cron.Cron, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    for begin, end, offset in spans(after, zone):
        for wall in parsed.walls(to_wall(begin, zone) - SECOND):
            instant = wall.replace(tzinfo=UTC) - offset
            if instant >= end:
                break
            yield instant
        else:
            return


def _interval_instants(step: timedelta, anchor: datetime, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    if step < DAY:
        first = anchor + (after - anchor) // step * step
        return (first + n * step for n in count())
    wall = to_wall(anchor, zone)
    wall += (first_wall(after, zone) - wall) // step * step
    return shifted((wall + n * step for n in count()), zone)


def _step(seconds: float) -> timedelta:
    try:
        step = timedelta(seconds=seconds)
    except (OverflowError, ValueError):
        step = timedelta(0)
    if step <= timedelta(0):
        raise Invalid(f"interval {seconds} is not a span of time; give seconds above 0", field="interval", value=seconds)
    return step


def _anchor(schedule: Schedule, zone: ZoneInfo) -> datetime:
    """The anchor as an instant in UTC."""
    return schedule.anchor_date.astimezone(UTC) if schedule.anchor_date else to_instant(DEFAULT_ANCHOR, zone)


def _describe_seconds(seconds: float) -> str:
    words = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        whole, seconds = divmod(seconds, size)
        words += [f"{whole:.0f}{unit}"] * bool(whole)
    return " ".join(words + [f"{seconds:g}s"] * bool(seconds))
