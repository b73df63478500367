"""When a schedule fires next, with a word where the clocks of its zone change in between."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from msgspec import Struct

from headgate.cli.output import Column, ago, print_table
from headgate.core import rrule, schedules
from headgate.core.wall_clock import find_zone
from headgate.schema.schedules import Schedule


class FireTime(Struct, kw_only=True):
    """An instant in UTC, the same in the schedule's zone, and what the clocks did since the one before."""

    time: datetime
    local: datetime
    note: str | None = None


def next_fire_times(schedule: Schedule, *, after: datetime, count: int) -> list[FireTime]:
    """The next `count` fire times, or fewer when the schedule ends."""
    zone = _zone(schedule)
    return list(_noted(islice(schedules.fire_times(schedule, after=after), count), after, zone))


def fire_table(title: str, times: Sequence[FireTime], *, now: datetime) -> None:
    """The fire times, each on the clocks of its zone."""
    columns = [Column("Fires at", keep=True), Column("From now"), Column("Note")]
    rows = [(f"{each.local:%a %Y-%m-%d %H:%M:%S %Z}", ago(each.time, now), each.note or "") for each in times]
    print_table(title, columns, rows)


def _zone(schedule: Schedule) -> ZoneInfo:
    zone = find_zone(schedule.timezone)
    return rrule.parse(schedule.rrule, zone).zone if isinstance(schedule.rrule, str) else zone


def _noted(times: Iterator[datetime], after: datetime, zone: ZoneInfo) -> Iterator[FireTime]:
    before = after.astimezone(zone).utcoffset() or timedelta(0)
    for time in times:
        local = time.astimezone(zone)
        offset = local.utcoffset() or timedelta(0)
        yield FireTime(time=time, local=local, note=_note(offset - before))
        before = offset


def _note(change: timedelta) -> str | None:
    if not change:
        return None
    return f"clocks went {'forward' if change > timedelta(0) else 'back'} {_length(abs(change))}"


def _length(change: timedelta) -> str:
    hours, minutes = divmod(int(change.total_seconds()) // 60, 60)
    return " ".join([f"{hours} h"] * bool(hours) + [f"{minutes} min"] * bool(minutes))
