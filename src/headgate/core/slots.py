"""Slots of concurrency limits: how many are taken at a time, whether more may be, and how long to wait for them."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

SHORTEST_OCCUPANCY = 0.1
LONGEST_WAIT = 30.0
"""Seconds after which who was refused looks again at the latest, whatever slots are occupied for on average."""

_SAMPLES_PER_SLOT = 2
"""The average of occupancies is over so many times the limit."""

_TINY = 1e-6
"""Slots that rounding may make of nothing."""


@dataclass(frozen=True, slots=True)
class Meter:
    """A limit's figures as they were `at` a time. `decay` is in slots a second, `occupancy` in seconds a slot.

    With a decay the slots are the level of a bucket that leaks evenly: a part of a slot that has come back by one look
    is not forgotten by the next.
    """

    limit: int
    active: float
    denied: float
    decay: float
    occupancy: float
    at: datetime


def settled(meter: Meter, now: datetime) -> Meter:
    """The figures as they are `now`."""
    seconds = max(0.0, (now - meter.at).total_seconds())
    rate = meter.decay or 1 / _clamped(meter.occupancy)
    return replace(
        meter,
        active=max(0.0, meter.active - meter.decay * seconds),
        denied=max(0.0, meter.denied - rate * seconds),
        at=max(meter.at, now),
    )


def fits(meter: Meter, slots: int) -> bool:
    """Whether so many more slots are free."""
    return meter.active + slots <= meter.limit + _TINY


def with_taken(meter: Meter, slots: int) -> Meter:
    """The figures once so many more are taken."""
    return replace(meter, active=meter.active + slots)


def with_denied(meter: Meter, slots: int) -> Meter:
    """The figures once so many were refused: they are waited for, so that the next one waits longer."""
    return replace(meter, denied=meter.denied + slots)


def with_given_back(meter: Meter, slots: int, seconds: float | None = None) -> Meter:
    """The figures once so many were given back, after having been held for `seconds` if that is known."""
    active = max(0.0, meter.active - slots)
    if not seconds or not meter.limit or not slots:
        return replace(meter, active=active)
    sample = max(seconds / slots, SHORTEST_OCCUPANCY)
    share = 1 / (meter.limit * _SAMPLES_PER_SLOT)
    return replace(meter, active=active, occupancy=meter.occupancy + share * (sample - meter.occupancy))


def occupied(meter: Meter) -> int:
    """How many slots are taken, as people count: a part of one is one."""
    return max(0, math.ceil(meter.active - _TINY))


def refused(meter: Meter) -> int:
    """How many slots are waited for."""
    return max(0, math.ceil(meter.denied - _TINY))


def wait_seconds(meters: Iterable[Meter], slots: int) -> float:
    """How long who was refused `slots` of these limits is to wait before it asks again."""
    return max((_wait(meter, slots) for meter in meters), default=0.0)


def _wait(meter: Meter, slots: int) -> float:
    before = refused(meter)
    if meter.decay:
        return (max(0.0, meter.active + slots - meter.limit) + before) / meter.decay
    turns = (before + slots) / max(meter.limit, 1)
    return min(min(meter.occupancy, LONGEST_WAIT) * turns, LONGEST_WAIT)


def _clamped(occupancy: float) -> float:
    return min(max(occupancy, SHORTEST_OCCUPANCY), LONGEST_WAIT)
