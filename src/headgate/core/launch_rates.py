"""Launch rates: how many runs of a pool may be launched now, and when further ones may."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from headgate.schema.work_pools import LaunchRate

Launches = Sequence[tuple[int, int]]
"""Past launches, oldest first: when, in microseconds since 1970, and how many at once."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Pace:
    """A rate and what was launched under it, as it stands at `now`.

    In no stretch of `rate.seconds` are there more than `rate.limit` launches, wherever it begins: a window that slides
    over the launches, rather than a bucket, which lets twice as many through when it was full.
    """

    rate: LaunchRate
    launches: Launches
    now: datetime

    @property
    def left(self) -> int:
        """How many may be launched now."""
        return max(self.rate.limit - sum(count for _, count in self._recent()), 0)

    def opens_at(self, place: int) -> datetime:
        """When the run at a place, counted from 1, may be launched, if those before it are as soon as they may be."""
        waves, first = divmod(place - 1, self.rate.limit)
        recent = self._recent()
        over = first + 1 + sum(count for _, count in recent) - self.rate.limit
        begin = _micros(self.now)
        for at, count in recent if over > 0 else ():
            over -= count
            if over <= 0:
                begin = at + self._span
                break
        return _EPOCH + (begin + waves * self._span) * _MICROSECOND

    def after(self, count: int) -> list[tuple[int, int]]:
        """The launches with so many more now, without those that no longer matter."""
        return [*self._recent(), (_micros(self.now), count)]

    @property
    def _span(self) -> int:
        return round(self.rate.seconds * 1_000_000)

    def _recent(self) -> list[tuple[int, int]]:
        """Those that still count; some of another server's may lie ahead of this one's clock."""
        since = _micros(self.now) - self._span
        return sorted((at, count) for at, count in self.launches if at > since)


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND
