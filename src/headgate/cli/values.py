"""Values as people type them: KEY=VALUE pairs, JSON, lengths of time, moments."""

import re
import sys
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Any

import msgspec
from dateutil import parser as dates

from headgate.cli.output import UsageError

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_PART = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(s|m|h|d|w)[a-z]*\s*,?\s*(?:and\s+)?", re.IGNORECASE)
_LISTED = 25
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


def seconds_of(text: str, *, option: str) -> float:
    """Seconds in `90`, `90s`, `1h30m` or `10 minutes`; `option` is named when it is none of these."""
    text = text.strip()
    if _NUMBER.fullmatch(text):
        return float(text)
    total, position = 0.0, 0
    while match := _PART.match(text, position):
        total += float(match[1]) * _UNITS[match[2].lower()]
        position = match.end()
    if position == 0 or position < len(text):
        raise UsageError(f"{option}: {text!r} is not a length of time; it looks like 90, 15m, 1h30m or '10 minutes'.")
    return total


def moment_of(text: str, now: datetime, *, option: str) -> datetime:
    """The moment that `text` names, in this machine's zone unless it names one; a bare time is the next such time."""
    try:
        when = dates.parse(text, default=now.astimezone().replace(hour=0, minute=0, second=0, microsecond=0))
        dated = dates.parse(text, default=datetime(1, 1, 1)).date() != datetime(1, 1, 1).date()
    except (ValueError, OverflowError):
        raise UsageError(
            f"{option}: {text!r} is not a moment; it looks like '2026-03-01 09:30', with or without a zone."
        ) from None
    return when if dated or when > now else when + timedelta(days=1)


def pairs(items: Iterable[str] | None, *, option: str) -> dict[str, str]:
    """`["a=1"]` as `{"a": "1"}`."""
    found = {}
    for item in items or ():
        key, equals, value = item.partition("=")
        if not key or not equals:
            raise UsageError(f"{option} {item!r} is not KEY=VALUE.")
        found[key] = value
    return found


def json_or_text(text: str) -> Any:
    """The value that `text` is in JSON, else the text itself."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def parameters_of(
    items: Iterable[str] | None, whole: str | None, *, schema: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Parameters from `--param` and `--params`, the former winning. A parameter that `schema` says is text stays text."""
    given = pairs(items, option="--param")
    properties = (schema or {}).get("properties", {})
    return _object(whole) | {
        key: text if _is_text(properties.get(key)) else json_or_text(text) for key, text in given.items()
    }


def unknown_parameters(names: Iterable[str], schema: Mapping[str, Any] | None) -> list[str]:
    """One sentence for each name that the flow does not take; none when nothing is known about what it takes."""
    if not schema or "properties" not in schema or schema.get("additionalProperties"):
        return []
    known = list(schema["properties"])
    return [f"The flow has no parameter {name!r}{hint(name, known)}" for name in names if name not in known]


def hint(word: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown word: what was perhaps meant, or what there is."""
    known = list(known)
    close = get_close_matches(word, known, n=1) or [name for name in known if word.lower() in name.lower()][:3]
    if close:
        return f"; did you mean {' or '.join(map(repr, close))}?"
    if len(known) > _LISTED:
        return "."
    return f"; there is {', '.join(known)}." if known else "; there are none."


def _object(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    try:
        return msgspec.json.decode(sys.stdin.read() if text == "-" else text, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise UsageError(f"--params is not a JSON object: {error}.") from None


def _is_text(schema: Any) -> bool:
    return isinstance(schema, dict) and schema.get("type") == "string"
