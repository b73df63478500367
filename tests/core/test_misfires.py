"""Misfires: which waiting runs are skipped, and which missed fire times are made up for."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.core.misfires import last_fires, made_up, skipped
from headgate.core.schedules import fire_times
from headgate.schema.deployments import Misfire, MisfirePolicy
from headgate.schema.schedules import Schedule

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
EVERY_10_S = Schedule(interval=10, anchor_date=datetime(2020, 1, 1, tzinfo=UTC), timezone="UTC")
SCHEDULES = [
    EVERY_10_S,
    Schedule(cron="*/7 * * * *", timezone="Europe/Berlin"),
    Schedule(cron="0 2 * * *", timezone="America/New_York"),
    Schedule(rrule="FREQ=HOURLY;BYMINUTE=10,40", timezone="Asia/Kolkata"),
    Schedule(rrule="DTSTART:20200101T000000\nRRULE:FREQ=YEARLY;COUNT=1", timezone="UTC"),
]


def waiting(*seconds: float) -> list[tuple[UUID, datetime]]:
    """Runs that have waited so long."""
    return [(uuid4(), NOW - timedelta(seconds=each)) for each in seconds]


def left(misfire: Misfire, runs: list[tuple[UUID, datetime]]) -> list[float]:
    """How long those have waited that still start."""
    gone = skipped(misfire, runs, now=NOW, late_after=15)
    return [(NOW - time).total_seconds() for id, time in runs if id not in gone]


@pytest.mark.parametrize(
    ("policy", "deadline", "kept"),
    [
        (MisfirePolicy.RUN_ALL, None, [3600, 60, 15, 0]),
        (MisfirePolicy.RUN_ALL, 60, [60, 15, 0]),
        (MisfirePolicy.RUN_ALL, 0, [0]),
        (MisfirePolicy.LATEST, None, [0]),
        (MisfirePolicy.SKIP, None, [15, 0]),
        (MisfirePolicy.SKIP, 5, [0]),
    ],
)
def test_what_still_starts(policy: MisfirePolicy, deadline: float | None, kept: list[float]) -> None:
    misfire = Misfire(policy=policy, start_deadline_seconds=deadline)
    assert left(misfire, waiting(3600, 60, 15, 0)) == kept


def test_the_latest_starts_however_late_it_is_unless_a_deadline_says_otherwise() -> None:
    runs = waiting(86_400, 7200)
    assert left(Misfire(policy=MisfirePolicy.LATEST), runs) == [7200]
    assert left(Misfire(policy=MisfirePolicy.LATEST, start_deadline_seconds=3600), runs) == []


def test_nothing_waits_and_nothing_is_skipped() -> None:
    for policy in MisfirePolicy:
        assert skipped(Misfire(policy=policy), [], now=NOW, late_after=15) == {}


@given(st.sampled_from(SCHEDULES), st.integers(0, 400_000), st.integers(1, 50))
def test_the_last_times_are_those_that_one_finds_by_going_through_all(schedule: Schedule, back: int, most: int) -> None:
    since = NOW - timedelta(seconds=back)
    every = list(fire_times(schedule, after=since, before=NOW))
    assert last_fires(schedule, since=since, until=NOW, most=most) == every[-most:]


def test_years_of_seconds_are_not_gone_through() -> None:
    """The last of a hundred and eighty million times is found at once."""
    every_second = Schedule(interval=1, anchor_date=datetime(2020, 1, 1, tzinfo=UTC), timezone="UTC")
    assert last_fires(every_second, since=datetime(2020, 1, 1, tzinfo=UTC), until=NOW, most=1) == [NOW]


@pytest.mark.parametrize("policy", MisfirePolicy)
@pytest.mark.parametrize("deadline", [None, 0.0, 25.0, 86_400.0])
def test_what_is_made_up_for_would_not_be_skipped_at_once(policy: MisfirePolicy, deadline: float | None) -> None:
    misfire = Misfire(policy=policy, start_deadline_seconds=deadline)
    times = made_up(EVERY_10_S, misfire, since=NOW - timedelta(hours=1), now=NOW, most=100)
    assert skipped(misfire, [(uuid4(), time) for time in times], now=NOW, late_after=15) == {}
    count = {MisfirePolicy.SKIP: 0, MisfirePolicy.LATEST: 1}.get(policy)
    expected = {None: 100, 0.0: 1, 25.0: 3, 86_400.0: 100}[deadline]
    assert len(times) == (expected if count is None else count)
