"""The text form of recurrences (RFC 5545, section 3.8): rules, dates, exceptions, and the zone that they are read in."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from heapq import merge
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from headgate.core.recurrence import Freq, Rule, occurrences
from headgate.core.wall_clock import find_zone, to_wall
from headgate.errors import Invalid

DEFAULT_START = datetime(2020, 1, 1)
"""The DTSTART of a text that names none, as local time of the zone; it is also what existing clients fill in."""

# Limits that keep any text's evaluation within a second or so: characters, rules, times of day of one rule, and
# occurrences of a counted rule, which is walked once from its start.
MAX_LENGTH = 6500
MAX_RULES = 20
MAX_TIMES = 1440
MAX_COUNT = 100_000
MAX_EXCEPTIONS = 100_000
"""Exceptions in a row after which a recurrence is over."""

WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")

# Of each part that lists numbers: the name in a rule, lowest and highest value, and whether it counts from the end too.
_NUMBERS = {
    "BYSETPOS": ("setpos", 1, 366, True),
    "BYMONTH": ("month", 1, 12, False),
    "BYMONTHDAY": ("monthday", 1, 31, True),
    "BYYEARDAY": ("yearday", 1, 366, True),
    "BYWEEKNO": ("weekno", 1, 53, True),
    "BYHOUR": ("hour", 0, 23, False),
    "BYMINUTE": ("minute", 0, 59, False),
    "BYSECOND": ("second", 0, 59, False),
}
_PARTS = ("FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYDAY", *_NUMBERS)


@dataclass(frozen=True, slots=True)
class Recurrence:
    """Rules and single walls of one zone, less exceptions; a date among these takes out its whole day."""

    zone: ZoneInfo
    rules: tuple[Rule, ...]
    walls: frozenset[datetime]
    except_rules: tuple[Rule, ...]
    except_walls: frozenset[date]

    def since(self, wall: datetime) -> Iterator[datetime]:
        """The walls that remain, from `wall` on, ascending; ends where nothing but exceptions follows for long."""
        excepted = 0
        singles = sorted(single for single in self.walls if single >= wall)
        for found, _ in groupby(merge(singles, *(occurrences(rule, wall) for rule in self.rules))):
            if not self._is_except(found):
                excepted = 0
                yield found
            elif (excepted := excepted + 1) > MAX_EXCEPTIONS:
                return

    def _is_except(self, wall: datetime) -> bool:
        return bool(self.except_walls & {wall, wall.date()}) or any(
            next(occurrences(rule, wall, until=wall), None) for rule in self.except_rules
        )


@dataclass(frozen=True, slots=True)
class _Line:
    """One property: `name;parameter=value:text`."""

    name: str
    tzid: str | None
    text: str


@lru_cache(maxsize=1024)
def parse(text: str, zone: ZoneInfo) -> Recurrence:
    """The recurrence in `text`, read as local time of `zone`; raises Invalid if it is malformed.

    Lines: DTSTART, RRULE (its name may be left out), RDATE, EXRULE, EXDATE. A zone in DTSTART (TZID) takes the place
    of `zone`; all other times with a zone or in UTC, UNTIL among them, are turned into local time first. A time without
    one is local already: nothing is ever stamped with a zone that it was not written in.
    """
    try:
        return _parse(text, zone)
    except (ValueError, OverflowError, Invalid) as error:
        raise _refusal(text, str(error)) from None


def check(text: str, zone: ZoneInfo) -> None:
    """Raise Invalid for what is no recurrence, or one that never occurs."""
    recurrence = parse(text, zone)
    if any(next(occurrences(rule, rule.start), None) is None for rule in recurrence.rules):
        raise _refusal(text, "a rule in it never occurs; no date from DTSTART to UNTIL meets all its parts")
    if next(recurrence.since(datetime.min), None) is None:
        raise _refusal(text, "it never occurs; its exceptions take out all that it gives")


def _refusal(text: str, flaw: str) -> Invalid:
    return Invalid(f"rrule {text[:200]!r}: {flaw}", field="rrule", value=text)


def _parse(text: str, zone: ZoneInfo) -> Recurrence:
    if len(text) > MAX_LENGTH:
        raise ValueError(f"{len(text)} characters are too many; the limit is {MAX_LENGTH}")
    lines = [_parse_line(line) for line in text.split()]
    if not any(line.name in ("RRULE", "RDATE") for line in lines):
        raise ValueError("it has no rule; write one such as 'FREQ=DAILY;BYHOUR=9'")
    if sum(line.name in ("RRULE", "EXRULE") for line in lines) > MAX_RULES:
        raise ValueError(f"it has more than {MAX_RULES} rules; split it into several schedules")
    zone = next((find_zone(line.tzid) for line in lines if line.name == "DTSTART" and line.tzid), zone)
    start = _parse_start(lines, zone)
    return Recurrence(
        zone=zone,
        rules=tuple(_parse_rule(line.text, start, zone) for line in lines if line.name == "RRULE"),
        walls=frozenset(_at_midnight(at) for at in _parse_dates(lines, "RDATE", zone)),
        except_rules=tuple(_parse_rule(line.text, start, zone) for line in lines if line.name == "EXRULE"),
        except_walls=frozenset(_parse_dates(lines, "EXDATE", zone)),
    )


def _parse_line(line: str) -> _Line:
    head, colon, text = line.partition(":")
    if not colon or "=" in head.partition(";")[0]:
        return _Line("RRULE", None, line)
    name, *parameters = head.split(";")
    if name.upper() not in {"DTSTART", "RRULE", "RDATE", "EXRULE", "EXDATE"}:
        raise ValueError(f"{name!r} is none of DTSTART, RRULE, RDATE, EXRULE, EXDATE")
    tzid = None
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.upper() == "TZID":
            tzid = value
        elif parameter.upper() not in {"VALUE=DATE-TIME", "VALUE=DATE"}:
            raise ValueError(f"{parameter!r} is not understood; use TZID=<zone>, or leave it out")
    return _Line(name.upper(), tzid, text)


def _parse_start(lines: list[_Line], zone: ZoneInfo) -> datetime:
    starts = set(map(_at_midnight, _parse_dates(lines, "DTSTART", zone))) or {DEFAULT_START}
    if len(starts) > 1:
        raise ValueError("it has several DTSTART; give one")
    return starts.pop()


def _parse_dates(lines: list[_Line], name: str, zone: ZoneInfo) -> list[date]:
    """The walls, or dates, of all lines of one name."""
    return [_parse_date(text, line.tzid, zone) for line in lines if line.name == name for text in line.text.split(",")]


def _parse_date(text: str, tzid: str | None, zone: ZoneInfo) -> date:
    try:
        at = datetime.fromisoformat(text.upper())
    except ValueError:
        raise ValueError(f"{text!r} is not a time such as 20260131T090000, or 20260131T080000Z for UTC") from None
    if at.microsecond:
        raise ValueError(f"{text!r} has a fraction of a second; give whole seconds")
    if "T" not in text.upper():
        return at.date()
    if tzid and at.tzinfo is None:
        at = at.replace(tzinfo=find_zone(tzid))
    return at if at.tzinfo is None else to_wall(at, zone)


def _at_midnight(at: date) -> datetime:
    return at if isinstance(at, datetime) else datetime(at.year, at.month, at.day)


def _parse_rule(text: str, start: datetime, zone: ZoneInfo) -> Rule:
    parts = _split(text)
    freq = _choose("FREQ", parts.get("FREQ", "missing"), tuple(Freq.__members__))
    return Rule(
        freq=Freq(freq),
        start=start,
        interval=_parse_number("INTERVAL", parts.get("INTERVAL", "1"), 1, 10**9),
        count=_parse_number("COUNT", parts["COUNT"], 1, MAX_COUNT) if "COUNT" in parts else None,
        until=_at_midnight(_parse_date(parts["UNTIL"], None, zone)) if "UNTIL" in parts else None,
        wkst=_choose("WKST", parts.get("WKST", "MO"), WEEKDAYS),
        **_fill_in(Freq(freq), start, _parse_lists(parts, Freq(freq))),
    )


def _split(text: str) -> dict[str, str]:
    parts: dict[str, str] = {}
    for part in filter(None, text.upper().split(";")):
        name, _, value = part.partition("=")
        if name not in _PARTS:
            raise ValueError(f"{name!r} is not a part of a rule; the parts are {', '.join(_PARTS)}")
        if name in parts:
            raise ValueError(f"{name} is given twice")
        parts[name] = value
    return parts


def _parse_lists(parts: Mapping[str, str], freq: Freq) -> dict[str, Any]:
    """The parts that list values, by their names in `Rule`."""
    lists: dict[str, Any] = {}
    for name, (key, low, high, from_end) in _NUMBERS.items():
        if name in parts:
            values = {_parse_number(name, value, -high if from_end else low, high) for value in parts[name].split(",")}
            if from_end and 0 in values:
                raise ValueError(f"{name} counts from 1, or from -1 for the last; 0 means nothing")
            lists[key] = frozenset(values)
    if "BYDAY" in parts:
        lists["weekday"] = frozenset(_parse_weekday(value, freq) for value in parts["BYDAY"].split(","))
    return lists


def _parse_weekday(text: str, freq: Freq) -> tuple[int, int]:
    """`MO`, or `2MO`, `-1MO`: an nth day has a meaning within months and years only, elsewhere the number is ignored."""
    if not (match := re.fullmatch(r"([+-]?[0-9]{1,2})?([A-Z]+)(?:\(([+-]?[0-9]{1,2})\))?", text)):
        raise ValueError(f"BYDAY={text} is not a day such as MO, 2MO (the second) or -1MO (the last)")
    weekday = _choose("BYDAY", match[2], WEEKDAYS)
    return weekday, int(match[1] or match[3] or 0) if freq <= Freq.MONTHLY else 0


def _parse_number(name: str, text: str, low: int, high: int) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,10}", text) or not low <= int(text) <= high:
        raise ValueError(f"{name}={text} is not a whole number from {low} to {high}")
    return int(text)


def _choose(name: str, text: str, words: Sequence[str]) -> int:
    if text not in words:
        raise ValueError(f"{name} is {text}; it must be one of {', '.join(words)}")
    return words.index(text)


def _fill_in(freq: Freq, start: datetime, lists: Mapping[str, Any]) -> dict[str, Any]:
    """The lists with what they leave open taken from the start, so that a rule can be entered anywhere."""
    filled = dict(lists)
    if not filled.keys() & {"weekno", "yearday", "monthday", "weekday"}:
        match freq:
            case Freq.YEARLY:
                filled.setdefault("month", frozenset({start.month}))
                filled["monthday"] = frozenset({start.day})
            case Freq.MONTHLY:
                filled["monthday"] = frozenset({start.day})
            case Freq.WEEKLY:
                filled["weekday"] = frozenset({(start.weekday(), 0)})
    for key, unit, value in (
        ("hour", Freq.HOURLY, start.hour),
        ("minute", Freq.MINUTELY, start.minute),
        ("second", Freq.SECONDLY, start.second),
    ):
        filled[key] = tuple(sorted(filled.get(key, {value} if freq < unit else ())))
    if freq <= Freq.DAILY and len(filled["hour"]) * len(filled["minute"]) * len(filled["second"]) > MAX_TIMES:
        raise ValueError(f"it gives more than {MAX_TIMES} times a day; write it with FREQ=MINUTELY or SECONDLY")
    return filled
