"""What callers ask for again and again, as far as it tells who may be kept waiting: in this process's memory, by address."""

from collections.abc import Hashable
from datetime import datetime, timedelta

OF_LATE = timedelta(minutes=2)
"""How long it counts that somebody asked: several rounds of those who poll."""

MOST = 10_000
"""Callers that are remembered; of more, those who have been silent for longest are forgotten."""


class Habits:
    """Who asked for what of late. What is forgotten costs a held poll, and never a run."""

    def __init__(self) -> None:
        self._asked: dict[str, dict[Hashable, datetime]] = {}

    def note(self, caller: str, wanted: Hashable, now: datetime) -> frozenset[Hashable]:
        """Remember that it asks for this now; answers all that it asked for of late, before."""
        before = {each: at for each, at in self._asked.pop(caller, {}).items() if now - at <= OF_LATE}
        self._asked[caller] = before | {wanted: now}
        if len(self._asked) > MOST:
            del self._asked[next(iter(self._asked))]
        return frozenset(before)
