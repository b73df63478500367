"""Ids: UUIDv7, so that rows made later sort later and land at the end of every index (RFC 9562, section 5.7)."""

import os
import threading
from datetime import UTC, datetime
from uuid import UUID

_lock = threading.Lock()
_last = 0


def uuid7(at: datetime) -> UUID:
    """A new id for something made at `at`; ids of one process ascend even within a millisecond.

    Layout: 48 bits of milliseconds, version, 12 bits of a sub-millisecond counter, variant, 62 random bits.
    """
    tail = int.from_bytes(os.urandom(8)) & 0x3FFF_FFFF_FFFF_FFFF
    stamp = _next_stamp(at)
    return UUID(int=(stamp >> 12) << 80 | 0x7 << 76 | (stamp & 0xFFF) << 64 | 0b10 << 62 | tail)


def uuid7_texts(at: datetime, count: int) -> list[str]:
    """That many at once, written out and ascending: one of `uuid7` whose last 48 bits are counted on."""
    first = uuid7(at)
    start = first.int & 0x7FFF_FFFF_FFFF  # half of them, so that there is room to count on
    head = str(first)[:24]
    return ["%s%012x" % (head, number) for number in range(start, start + count)]  # noqa: UP031 - the quickest


def _next_stamp(at: datetime) -> int:
    """Above all before it in this process."""
    global _last
    micros = int(at.timestamp() * 1_000_000)
    stamp = (micros // 1000) << 12 | (micros % 1000) * 4
    with _lock:
        _last = stamp = max(stamp, _last + 1)
    return stamp


def first_at(at: datetime) -> UUID:
    """The bound between ids: those made in an earlier millisecond are below, those of `at` and later are not."""
    return UUID(int=max(int(at.timestamp() * 1_000_000) // 1000, 0) << 80)


def made_at(id: UUID) -> datetime:
    """The millisecond that a UUIDv7 was made in."""
    return datetime.fromtimestamp((id.int >> 80) / 1000, UTC)
