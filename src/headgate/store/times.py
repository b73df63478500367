"""How SQLite keeps times: microseconds since 1970 in UTC. PostgreSQL has a type of its own."""

from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import convert

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_micros(time: datetime) -> int:
    """The stored form."""
    return (time - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """The time that is stored as `micros`."""
    return _EPOCH + timedelta(0, *divmod(micros, 1_000_000))


def as_time(value: Any) -> datetime | None:
    """A time that an expression such as `max(…)` gave; SQLite hands those over as they are stored. From within a row's JSON
    it comes as text, in the session's time zone."""
    if isinstance(value, str):
        return convert(value, datetime).astimezone(UTC)
    return from_micros(value) if isinstance(value, int) else value
