"""Statuses follow from the ages of heartbeats and polls."""

from datetime import UTC, datetime, timedelta

import pytest

from headgate.core.liveness import is_served, polled_status, polls, pool_status, worker_status
from headgate.schema.work_pools import UNTYPED
from headgate.schema.work_queues import ReadyStatus
from headgate.schema.workers import WorkerStatus

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def ago(seconds: float | None) -> datetime | None:
    return None if seconds is None else NOW - timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("age", "interval", "status"),
    [
        (None, 30, WorkerStatus.OFFLINE),
        (0, 30, WorkerStatus.ONLINE),
        (90, 30, WorkerStatus.ONLINE),
        (90.001, 30, WorkerStatus.OFFLINE),
        (15, 5, WorkerStatus.ONLINE),
        (16, 5, WorkerStatus.OFFLINE),
        (3600, 7200, WorkerStatus.ONLINE),
        (90, None, WorkerStatus.ONLINE),
        (91, None, WorkerStatus.OFFLINE),
        (91, 0, WorkerStatus.OFFLINE),
        (-5, 30, WorkerStatus.ONLINE),
    ],
)
def test_a_worker_is_online_until_it_missed_three_beats(
    age: float | None, interval: float | None, status: WorkerStatus
) -> None:
    assert worker_status(ago(age), interval, now=NOW) is status


@pytest.mark.parametrize(
    ("kind", "paused", "offline_since", "status"),
    [
        ("process", True, -1, ReadyStatus.PAUSED),
        ("process", False, -1, ReadyStatus.READY),
        ("process", False, 0, ReadyStatus.READY),
        ("process", False, 0.001, ReadyStatus.NOT_READY),
        ("process", False, None, ReadyStatus.NOT_READY),
        (UNTYPED, False, -1, None),
        (UNTYPED, True, -1, ReadyStatus.PAUSED),
    ],
)
def test_a_pool_is_ready_while_a_worker_is_online(
    kind: str, paused: bool, offline_since: float | None, status: ReadyStatus | None
) -> None:
    assert pool_status(kind, is_paused=paused, online_until=ago(offline_since), now=NOW) is status


@pytest.mark.parametrize(
    ("paused", "age", "status"),
    [
        (True, 0, ReadyStatus.PAUSED),
        (False, 0, ReadyStatus.READY),
        (False, 60, ReadyStatus.READY),
        (False, 60.001, ReadyStatus.NOT_READY),
        (False, None, ReadyStatus.NOT_READY),
    ],
)
def test_what_was_polled_within_a_minute_is_ready(paused: bool, age: float | None, status: ReadyStatus) -> None:
    assert polled_status(ago(age), is_paused=paused, now=NOW) is status


@pytest.mark.parametrize(
    ("age", "online", "draining", "served"),
    [
        (0, 1, 0, True),
        (60, 1, 0, True),
        (61, 1, 0, False),
        (None, 1, 0, False),
        (0, 0, 0, True),
        (0, 2, 1, True),
        (0, 2, 2, False),
    ],
)
def test_a_queue_is_served_while_it_is_polled_by_those_who_stay(
    age: float | None, online: int, draining: int, served: bool
) -> None:
    assert is_served(ago(age), online=online, draining=draining, now=NOW) is served


@pytest.mark.parametrize(
    ("named", "queues", "prefix", "pool", "type", "expected"),
    [
        ("local", [], None, "local", "process", True),
        ("local", [], None, "other", "process", False),
        ("local", ["high"], None, "local", "process", True),
        ("local", ["low"], None, "local", "process", False),
        ("local", [], "hi", "local", "process", True),
        ("local", [], "lo", "local", "process", False),
        (None, ["high"], None, "default-agent-pool", UNTYPED, True),
        (None, ["high"], None, "local", UNTYPED, False),
        (None, [], "hi", "local", UNTYPED, True),
        (None, [], "hi", "local", "process", False),
    ],
)
def test_which_agents_poll_a_queue(
    named: str | None, queues: list[str], prefix: str | None, pool: str, type: str, expected: bool
) -> None:
    """The queue `high` of a pool."""
    assert polls(named, queues, prefix, pool=pool, type=type, queue="high") is expected
