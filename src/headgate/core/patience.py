"""Patience: which polls of existing clients may be held open while there is nothing to give out.

Their workers and agents ask again and again, each time for what is due a little ahead of now, and sleep in between. A call
of theirs that waits for work brings it at once. A person who lists what is scheduled wants the list, even if it is empty.
"""

from datetime import datetime, timedelta

CLIENTS = "prefect/"
"""How the user agents of existing clients begin."""

NEAR = timedelta(seconds=60)
"""How far ahead workers and agents look; their commands for people look an hour ahead, or do not say."""


def prefetch_of(
    *, user_agent: str, worker: str | None, scheduled_before: datetime | None, now: datetime
) -> timedelta | None:
    """How far ahead a caller looks that polls in a loop; None for any other, who is to be answered at once.

    `worker` is the name that workers of 3.x give in a header; those of 2.x and agents are known by how far they look ahead.
    """
    if scheduled_before is None or not user_agent.startswith(CLIENTS):
        return None
    ahead = scheduled_before - now
    if worker is None and not timedelta() < ahead <= NEAR:
        return None
    return max(ahead, timedelta())
