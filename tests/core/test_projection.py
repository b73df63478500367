"""The projection of schedules: all their fire times, in order, and none for a schedule that cannot be read."""

from datetime import UTC, datetime, timedelta
from itertools import islice
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from headgate.core.projection import Plan, fire_key, project
from headgate.core.schedules import fire_times
from headgate.schema.schedules import Schedule

NOW = datetime(2026, 3, 28, 22, 30, tzinfo=UTC)
"""The evening before clocks go forward in Europe."""

SCHEDULES = st.sampled_from(
    [
        Schedule(cron="*/20 * * * *", timezone="Europe/Berlin"),
        Schedule(cron="30 2 * * *", timezone="Europe/Berlin"),
        Schedule(cron="0 9 * * mon", timezone="Pacific/Auckland"),
        Schedule(interval=3600.0, anchor_date=NOW, timezone="UTC"),
        Schedule(interval=86400.0, anchor_date=NOW, timezone="America/New_York"),
        Schedule(rrule="DTSTART:20260328T230000\nRRULE:FREQ=HOURLY;COUNT=5", timezone="Europe/London"),
    ]
)


def plan(n: int, schedule: Schedule) -> Plan:
    return Plan(UUID(int=n), UUID(int=100 + n), UUID(int=1), UUID(int=2), schedule, {})


@given(st.lists(SCHEDULES, max_size=6), st.integers(0, 100))
def test_it_has_every_fire_time_of_every_schedule_in_order(schedules: list[Schedule], hours: int) -> None:
    until = NOW + timedelta(hours=hours)
    fires = [*project([plan(n, each) for n, each in enumerate(schedules)], after=NOW, until=until)]
    places = [(fire.time, fire.plan.schedule_id) for fire in fires]
    assert places == sorted(set(places))
    for n, schedule in enumerate(schedules):
        mine = [fire.time for fire in fires if fire.plan.schedule_id == UUID(int=n)]
        assert mine == [*fire_times(schedule, after=NOW, before=until)]


def test_it_is_lazy() -> None:
    """A schedule that fires each second costs what is taken of it."""
    fast = plan(1, Schedule(interval=1.0, anchor_date=NOW, timezone="UTC"))
    first = islice(project([fast], after=NOW, until=NOW + timedelta(days=3650)), 2)
    assert [(fire.time - NOW).total_seconds() for fire in first] == [1, 2]


def test_a_schedule_that_cannot_be_read_is_passed_over() -> None:
    plans = [plan(1, Schedule(cron="bad", timezone="UTC")), plan(2, Schedule(cron="0 * * * *", timezone="Mars/Base"))]
    hourly = plan(3, Schedule(cron="0 * * * *", timezone="UTC"))
    fires = project([*plans, hourly], after=NOW, until=NOW + timedelta(hours=1))
    assert [fire.plan for fire in fires] == [hourly]


def test_a_fire_has_the_key_that_runs_of_schedules_have_on_the_wire() -> None:
    (fire,) = project([plan(3, Schedule(cron="0 23 * * *", timezone="UTC"))], after=NOW, until=NOW + timedelta(hours=1))
    assert fire.key == fire_key(UUID(int=103), UUID(int=3), fire.time)
    assert fire.key == f"scheduled {UUID(int=103)} {UUID(int=3)} 2026-03-28 23:00:00+00:00"
