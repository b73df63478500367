"""Times on the wire: what comes without a zone means UTC."""

from datetime import UTC, datetime
from typing import Any

from msgspec import Struct


def aware(time: datetime) -> datetime:
    """`time` with a zone."""
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


def make_aware(record: Struct, *names: str) -> None:
    """Give the times of a record that was just decoded their zone."""
    for name in names:
        value: Any = getattr(record, name)
        if isinstance(value, datetime) and value.tzinfo is None:
            setattr(record, name, aware(value))
