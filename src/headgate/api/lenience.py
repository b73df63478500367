"""Bodies that are not quite of their route's type, read as existing servers read them."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from headgate.api.errors import place_of

MOST_TIMES = 10
"""How many times of one body are read anew."""


def read(raw: bytes, kind: Any) -> Any:
    """`raw` as `kind`, or the error of the first value that cannot be meant.

    Numbers and switches may be texts, a time the seconds since 1970, or a date, with hours and minutes or without. Costs
    what a body costs that is refused: callers try the strict way first.
    """
    return convert(msgspec.json.decode(raw), kind)


def convert(value: Any, kind: Any) -> Any:
    """The same of untyped JSON, in which such times are written out in full."""
    for _ in range(MOST_TIMES):
        try:
            return msgspec.convert(value, kind, strict=False)
        except msgspec.ValidationError as error:
            if not _complete_time(value, str(error)):
                raise
    return msgspec.convert(value, kind, strict=False)


def _complete_time(value: Any, message: str) -> bool:
    """Write out in full the time that `message` says is none, where it is one."""
    if "datetime" not in message or not (path := place_of(message)):
        return False
    try:
        for step in path[:-1]:
            value = value[step]
        text = value[path[-1]]
        time = datetime.fromisoformat(text)
    except (KeyError, IndexError, TypeError, ValueError):
        return False
    value[path[-1]] = (time if time.tzinfo else time.replace(tzinfo=UTC)).isoformat()
    return bool(value[path[-1]] != text)
