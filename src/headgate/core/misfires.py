"""Misfires: what becomes of a schedule's runs that could not start at their time, and which missed ones are made up for."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from headgate.core.schedules import fire_times
from headgate.schema.deployments import Misfire, MisfirePolicy
from headgate.schema.schedules import Schedule

FIRST_LOOK = timedelta(minutes=1)
"""How far back one looks first for the last times that a schedule fired; each further look goes back twice as far."""


def skipped(misfire: Misfire, due: Sequence[tuple[UUID, datetime]], *, now: datetime, late_after: float) -> dict[UUID, str]:
    """Which of a schedule's due runs, given with their times, do not start any more, and why. `late_after` in seconds."""
    reasons = {}
    latest = max((time for _, time in due), default=now)
    for id, time in due:
        waited = (now - time).total_seconds()
        if misfire.start_deadline_seconds is not None and waited > misfire.start_deadline_seconds:
            reasons[id] = f"Skipped: it had not started {misfire.start_deadline_seconds:g} s after its time."
        elif misfire.policy is MisfirePolicy.SKIP and waited > late_after:
            reasons[id] = "Skipped: it could not start at its time."
        elif misfire.policy is MisfirePolicy.LATEST and time < latest:
            reasons[id] = "Skipped: a later run of its schedule is due."
    return reasons


def made_up(schedule: Schedule, misfire: Misfire, *, since: datetime, now: datetime, most: int) -> list[datetime]:
    """Fire times after `since`, up to `now`, for which runs are still to be made: the last `most` of them at most."""
    if misfire.start_deadline_seconds is not None:
        # A run at the very end of its deadline may still start.
        since = max(since, now - timedelta(seconds=misfire.start_deadline_seconds, microseconds=1))
    match misfire.policy:
        case MisfirePolicy.SKIP:
            return []
        case MisfirePolicy.LATEST:
            return last_fires(schedule, since=since, until=now, most=1)
        case MisfirePolicy.RUN_ALL:
            return last_fires(schedule, since=since, until=now, most=most)


def last_fires(schedule: Schedule, *, since: datetime, until: datetime, most: int) -> list[datetime]:
    """The last `most` times, ascending, at which a schedule fired after `since`, up to `until`.

    At a cost that goes with `most`, not with how often it fired since.
    """
    span = FIRST_LOOK
    while True:
        start = max(since, until - span)
        times = list(fire_times(schedule, after=start, before=until)) if start < until else []
        if len(times) >= most or start == since or start >= until:
            return times[-most:]
        span *= 2
