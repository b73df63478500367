"""Times on the wire: what comes without a zone means UTC, and every one has a place in the calendar of UTC."""

from datetime import UTC, datetime
from typing import Any

from msgspec import Struct


def aware(time: datetime) -> datetime:
    """`time` with a zone; `ValueError` for one that lies before the year 1 or after 9999 in UTC."""
    if time.tzinfo is None:
        return time.replace(tzinfo=UTC)
    try:
        time.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{time.isoformat()} lies outside of the years 1 to 9999") from None
    return time


def make_aware(record: Struct, *names: str) -> None:
    """Give the times of a record that was just decoded their zone."""
    for name in names:
        value: Any = getattr(record, name)
        if isinstance(value, datetime):
            setattr(record, name, aware(value))
