"""Lengths of time and moments as people type them."""

import re
import warnings
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from dateutil import parser as dates

from headgate.cli.output import UsageError
from headgate.core.wall_clock import to_instant

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_WORDS = r"s(?:ec(?:ond)?s?)?|m(?:in(?:ute)?s?)?|h(?:(?:ou)?rs?)?|d(?:ays?)?|w(?:eeks?)?"
_PART = re.compile(rf"\s*(\d+(?:\.\d+)?)\s*({_WORDS})(?![a-z])\s*,?\s*(?:and\s+)?", re.IGNORECASE)
_DAY = timedelta(days=1)
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


def seconds_of(text: str, *, option: str) -> float:
    """Seconds in `90`, `90s`, `1h30m` or `10 minutes`; `option` is named when it is none of these."""
    text = text.strip()
    if _NUMBER.fullmatch(text):
        return float(text)
    total, position = 0.0, 0
    while match := _PART.match(text, position):
        total += float(match[1]) * _UNITS[match[2][0].lower()]
        position = match.end()
    if position == 0 or position < len(text):
        raise UsageError(f"{option}: {text!r} is not a length of time; it looks like 90, 15m, 1h30m or '10 minutes'.")
    return total


def moment_of(text: str, now: datetime, *, option: str) -> datetime:
    """The moment that `text` names, in this machine's zone unless it names one; a bare time is the next such time."""
    midnight = now.astimezone().replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    try:
        when = _parse(text, midnight)
        bare = all(_parse(text, day).date() == day.date() for day in (midnight, midnight + _DAY))
    except (ValueError, OverflowError, dates.UnknownTimezoneWarning):
        raise UsageError(
            f"{option}: {text!r} is not a moment; it looks like '2026-03-01 09:30', with or without an offset."
        ) from None
    # Without a zone it is the wall clock of this machine, with the offset that holds on that day.
    return (when + _DAY if bare and when.astimezone() <= now else when).astimezone()


def instant_of(text: str, zone: ZoneInfo, *, option: str) -> datetime:
    """The instant in UTC that an ISO date and time names, on the clocks of `zone` unless it has an offset."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{option}: {text!r} is not a moment; it looks like '2026-03-01 09:30', with or without an offset."
        ) from None
    return when.astimezone(UTC) if when.tzinfo else to_instant(when, zone)


def _parse(text: str, default: datetime) -> datetime:
    with warnings.catch_warnings():
        warnings.simplefilter("error", dates.UnknownTimezoneWarning)
        return dates.parse(text, default=default)
