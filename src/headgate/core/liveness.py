"""Who counts as alive: statuses of workers, queues and pools, derived from times when they are read."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from headgate.schema.work_pools import DEFAULT_AGENT_POOL, UNTYPED
from headgate.schema.work_queues import ReadyStatus
from headgate.schema.workers import WorkerStatus

HEARTBEAT_SECONDS = 30.0
"""A worker that does not say how often it beats is taken to beat this often."""

MISSED_BEATS = 3
"""A worker is offline once it missed so many heartbeats. Statements on pools reckon with the same figures."""

POLLED_WITHIN = timedelta(seconds=60)
"""A queue or a deployment is ready when something polled it within this time."""


def worker_status(last_heartbeat: datetime | None, interval: float | None, *, now: datetime) -> WorkerStatus:
    """ONLINE while the last heartbeat is younger than three intervals."""
    if last_heartbeat is None:
        return WorkerStatus.OFFLINE
    span = timedelta(seconds=MISSED_BEATS * (interval or HEARTBEAT_SECONDS))
    return WorkerStatus.ONLINE if now - last_heartbeat <= span else WorkerStatus.OFFLINE


def pool_status(type: str, *, is_paused: bool, online_until: datetime | None, now: datetime) -> ReadyStatus | None:
    """PAUSED, READY with a worker online, else NOT_READY; untyped pools have no workers and no status.

    `online_until`: until when one of its workers is online at least, by what was heard of it.
    """
    if is_paused:
        return ReadyStatus.PAUSED
    if type == UNTYPED:
        return None
    return ReadyStatus.READY if online_until is not None and now <= online_until else ReadyStatus.NOT_READY


def polled_status(last_polled: datetime | None, *, is_paused: bool, now: datetime) -> ReadyStatus:
    """PAUSED, READY when polled within `POLLED_WITHIN`, else NOT_READY."""
    if is_paused:
        return ReadyStatus.PAUSED
    recent = last_polled is not None and now - last_polled <= POLLED_WITHIN
    return ReadyStatus.READY if recent else ReadyStatus.NOT_READY


def is_served(last_polled: datetime | None, *, online: int, draining: int, now: datetime) -> bool:
    """Whether something takes runs from a queue: it was polled lately, and not only by workers that are to leave.

    `online` workers of the pool, `draining` of them. Agents poll as well, in pools of every type.
    """
    polled = polled_status(last_polled, is_paused=False, now=now) is ReadyStatus.READY
    return polled and (online == 0 or draining < online)


def polls(named: str | None, queues: Sequence[str], prefix: str | None, *, pool: str, type: str, queue: str) -> bool:
    """Whether an agent polls a queue of a pool: one that was started for the pool `named`, for queues by name, or by prefix.

    Without a pool it finds queues by name in the default pool, and by prefix in all pools without a type.
    """
    by_name, by_prefix = pool == (named or DEFAULT_AGENT_POOL), named is None and prefix is not None
    found = type == UNTYPED if by_prefix else by_name
    return found and (not queues or queue in queues) and queue.startswith(prefix or "")
