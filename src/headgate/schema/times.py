"""Times on the wire: all in UTC; what comes without a zone means UTC."""

from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

EARLIEST = datetime(2, 1, 1, tzinfo=UTC)
LATEST = datetime(9998, 12, 31, tzinfo=UTC)
"""Stand for all times before and after: the calendar's own ends have no room for a zone, and mean infinity to PostgreSQL."""


def aware(time: datetime) -> datetime:
    """`time` in UTC, from `EARLIEST` to `LATEST`."""
    if not 1 < time.year < 9999:
        return EARLIEST if time.year == 1 else LATEST
    if time.tzinfo is None:
        return time.replace(tzinfo=UTC)
    return time if time.tzinfo is UTC else time.astimezone(UTC)


def make_aware(record: Struct, *names: str) -> None:
    """Bring the times of a record that was just decoded to UTC."""
    for name in names:
        value: Any = getattr(record, name)
        if isinstance(value, datetime):
            setattr(record, name, aware(value))
