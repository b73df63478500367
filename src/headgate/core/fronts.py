"""How far the runs that wait in a queue have been worked off: where a look for the first of them may begin.

PostgreSQL keeps the index entries of runs that ended while anybody's transaction is open. Runs are worked off in the order
of their due times, so these entries lie before the first run that waits: at the queue's front, which only moves on. What
begins to wait before it is marked as belated, and found by an index of its own.
"""

from datetime import datetime, timedelta

from headgate.schema.states import StateType

BELATED = timedelta(seconds=2)
"""A run that begins to wait so long after it fell due is belated."""

SETTLED = timedelta(seconds=8)
"""No front is nearer to the present than this. So a run that is not belated is behind every front, unless it takes the
difference of the two, or servers' clocks differ by as much, between the time that it was given and its commit."""


def is_belated(kind: StateType | None, due_at: datetime | None, now: datetime) -> bool:
    """Whether a run that enters a state now begins to wait, and may be before its queue's front."""
    return kind is StateType.SCHEDULED and due_at is not None and due_at < now - BELATED


def front(first_due: datetime | None, now: datetime) -> datetime:
    """Where the front is when at `now` nothing waits that was due before `first_due`, or nothing at all (None)."""
    return now - SETTLED if first_due is None else min(first_due, now - SETTLED)
