"""When a slot is likely to become free, from how long runs took lately."""

from collections.abc import Sequence
from heapq import heapify, heappop, heapreplace
from math import inf
from statistics import median


def remaining(durations: Sequence[float], elapsed: float) -> float | None:
    """How many seconds a run is likely to go on that has gone for `elapsed`, by the `durations` of runs like it.

    The median of those that took longer, less what has passed. None when none of them did: then they say nothing of it.
    """
    longer = [duration for duration in durations if duration > elapsed]
    return median(longer) - elapsed if longer else None


def passed_on(ends: Sequence[float | None], runs: int, duration: float) -> list[float | None]:
    """The `ends` of holders, in seconds, once so many `runs` that wait for exactly their slots have gone on in these, each
    for `duration`."""
    slots = [inf if end is None else end for end in ends]
    heapify(slots)
    for _ in range(runs if slots else 0):
        heapreplace(slots, slots[0] + duration)
    return [None if end == inf else end for end in slots]


def wait_for_slot(ends: Sequence[float | None], *, limit: int, ahead: int, duration: float | None) -> float | None:
    """In how many seconds a slot is likely to be there for a run that `ahead` others go before.

    `ends` are the seconds that are left of each run that has one of the `limit` slots, None where nobody can say; those
    ahead take `duration` each, the first of them in the free slots. None when it cannot be said.
    """
    if limit <= 0 or (ahead and duration is None):
        return None
    slots = [inf if end is None else end for end in ends] + [0.0] * (limit - len(ends))
    heapify(slots)
    for _ in range(len(ends) - limit):  # above a limit that was lowered: these slots do not come back
        heappop(slots)
    for _ in range(ahead):
        heapreplace(slots, slots[0] + (duration or 0.0))
    return slots[0] if slots[0] < inf else None
