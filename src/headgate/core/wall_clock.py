"""Local wall-clock times and the instants they stand for, exact over every change of a zone's offset.

A *wall* is a naive datetime as a clock on the wall of a zone shows it; an *instant* is an aware datetime in UTC. When
clocks go forward some walls never show (the gap), when they go back some show twice (the fold). A wall of a fold
always means its first showing here; what a wall of a gap means is the caller's choice: `snapped` or `shifted`.
"""

from collections.abc import Iterable, Iterator
from datetime import MAXYEAR, UTC, datetime, timedelta
from difflib import get_close_matches
from functools import lru_cache
from heapq import heappop, heappush
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

from headgate.errors import Invalid

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


def find_zone(name: str | None) -> ZoneInfo:
    """The IANA zone called `name` (none means UTC); raises Invalid for any other text."""
    try:
        return ZoneInfo(name or "UTC")
    except (KeyError, ValueError, OSError):
        near = get_close_matches(str(name), available_timezones(), n=1, cutoff=0.8)
        advice = f"did you mean {near[0]!r}?" if near else "use an IANA name such as 'Europe/Berlin', or 'UTC'"
        raise Invalid(f"unknown time zone {name!r}; {advice}", field="timezone", value=name) from None


def to_wall(instant: datetime, zone: ZoneInfo) -> datetime:
    """What the clocks of `zone` show at `instant`."""
    return instant.astimezone(zone).replace(tzinfo=None, fold=0)


def to_instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """When clocks of `zone` first show `wall`; in a gap, as long after the change as `wall` is past the gap's start.

    That is how RFC 5545 (section 3.3.5) reads such times: with the offset that held before the gap.
    """
    return wall.replace(tzinfo=zone, fold=0).astimezone(UTC)


def snapped(walls: Iterable[datetime], zone: ZoneInfo) -> Iterator[datetime]:
    """Instants of ascending whole-second walls, not descending; all walls of one gap become the moment it ends."""
    for wall in walls:
        instant = to_instant(wall, zone)
        if to_wall(instant, zone) != wall:
            instant = _find_change(zone, wall.replace(tzinfo=zone, fold=1).astimezone(UTC), instant)
        yield instant


def shifted(walls: Iterable[datetime], zone: ZoneInfo) -> Iterator[datetime]:
    """Instants of ascending walls, not descending; walls of a gap move on by its length.

    So moved they can overtake walls after the gap, hence they wait in a heap until a wall outside of it comes by.
    """
    moved: list[datetime] = []
    for wall in walls:
        instant = to_instant(wall, zone)
        if to_wall(instant, zone) != wall:
            heappush(moved, instant)
            continue
        while moved and moved[0] <= instant:
            yield heappop(moved)
        yield instant
    while moved:
        yield heappop(moved)


def first_wall(instant: datetime, zone: ZoneInfo) -> datetime:
    """The earliest wall that `shifted` may turn into a time after `instant`: earlier than now's only just after a gap."""
    gap = _offset(instant, zone) - _offset(instant - DAY, zone)
    return to_wall(instant, zone) - max(gap, timedelta(0))


def spans(begin: datetime, zone: ZoneInfo) -> Iterator[tuple[datetime, datetime, timedelta]]:
    """Stretches (begin, end, offset) of an unchanging offset from `begin` on, none longer than a year."""
    for year in range(begin.year, MAXYEAR):
        for end in (*_list_changes(zone, year), datetime(year + 1, 1, 1, tzinfo=UTC)):
            if end > begin:
                yield begin, end, _offset(begin, zone)
                begin = end


@lru_cache(maxsize=4096)
def _list_changes(zone: ZoneInfo, year: int) -> tuple[datetime, ...]:
    """The instants of one UTC year at which the zone's offset changes; no zone has changed twice in a day."""
    start = datetime(year, 1, 1, tzinfo=UTC)
    days = [start + DAY * n for n in range((start.replace(year=year + 1) - start).days + 1)]
    offsets = [_offset(day, zone) for day in days]
    return tuple(
        _find_change(zone, day, next_day)
        for (day, next_day), (before, after) in zip(pairwise(days), pairwise(offsets), strict=True)
        if before != after
    )


def _find_change(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The first whole second of the new offset, by bisection between two instants whose offsets differ."""
    old = _offset(before, zone)
    while after - before > SECOND:
        middle = before + SECOND * ((after - before) // SECOND // 2)
        if _offset(middle, zone) == old:
            before = middle
        else:
            after = middle
    return after


def _offset(instant: datetime, zone: ZoneInfo) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta(0)
