"""A deploy keeps the schedules that it means, whatever else it changes of them."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.core.redeploy import Redeploy, complete, match_schedules
from headgate.errors import Unprocessable
from headgate.schema.deployments import DeploymentSchedule, DeploymentScheduleChange, DeploymentScheduleCreate
from headgate.schema.schedules import Schedule

NOW = datetime(2026, 3, 1, tzinfo=UTC)
HOURLY = Schedule(cron="0 * * * *", timezone="UTC")
DAILY = Schedule(cron="0 9 * * *", timezone="Europe/Berlin")
MINUTE = Schedule(interval=60.0, anchor_date=NOW, timezone="UTC")


def present(n: int, schedule: Schedule, *, slug: str | None = None, **parameters: Any) -> DeploymentSchedule:
    return DeploymentSchedule(
        id=UUID(int=n),
        created=NOW,
        updated=NOW,
        deployment_id=UUID(int=0),
        schedule=schedule,
        slug=slug,
        parameters=parameters,
    )


def wanted(
    schedule: Schedule, *, slug: str | None = None, replaces: str | None = None, **parameters: Any
) -> DeploymentScheduleCreate:
    return DeploymentScheduleCreate(schedule=schedule, slug=slug, replaces=replaces, parameters=parameters)


def found(redeploy: Redeploy) -> list[int]:
    return [schedule.id.int for schedule, _ in redeploy.kept]


def test_the_same_list_again_keeps_everything() -> None:
    redeploy = match_schedules([present(1, HOURLY), present(2, DAILY)], [wanted(DAILY), wanted(HOURLY)])
    assert [(schedule.id.int, want.schedule) for schedule, want in redeploy.kept] == [(2, DAILY), (1, HOURLY)]
    assert (redeploy.added, redeploy.dropped) == ([], [])


def test_a_slug_finds_its_schedule_under_another_timing() -> None:
    redeploy = match_schedules([present(1, HOURLY, slug="a"), present(2, DAILY, slug="b")], [wanted(DAILY, slug="a")])
    assert found(redeploy) == [1]
    assert [schedule.id.int for schedule in redeploy.dropped] == [2]


def test_a_schedule_that_replaces_another_takes_its_place_under_a_new_slug() -> None:
    redeploy = match_schedules([present(1, HOURLY, slug="old")], [wanted(DAILY, slug="new", replaces="old")])
    assert found(redeploy) == [1]


def test_replacing_goes_before_the_slug() -> None:
    both = [present(1, HOURLY, slug="old"), present(2, HOURLY, slug="new")]
    redeploy = match_schedules(both, [wanted(HOURLY, slug="new", replaces="old")])
    assert found(redeploy) == [1]


def test_a_schedule_that_is_given_a_slug_keeps_its_place() -> None:
    assert found(match_schedules([present(1, HOURLY)], [wanted(HOURLY, slug="a")])) == [1]


def test_a_schedule_that_no_longer_names_its_slug_keeps_its_place() -> None:
    assert found(match_schedules([present(1, HOURLY, slug="a")], [wanted(HOURLY)])) == [1]


def test_two_slugs_that_differ_are_two_schedules_whatever_their_timing() -> None:
    redeploy = match_schedules([present(1, HOURLY, slug="a")], [wanted(HOURLY, slug="b")])
    assert (redeploy.kept, len(redeploy.added), len(redeploy.dropped)) == ([], 1, 1)


def test_an_interval_without_an_anchor_means_the_one_that_was_anchored_before() -> None:
    assert found(match_schedules([present(1, MINUTE)], [wanted(Schedule(interval=60.0))])) == [1]


def test_of_two_with_the_same_timing_the_one_with_the_same_parameters_is_meant() -> None:
    both = [present(1, HOURLY, region="eu"), present(2, HOURLY, region="us")]
    redeploy = match_schedules(both, [wanted(HOURLY, region="us"), wanted(HOURLY, region="eu")])
    assert found(redeploy) == [2, 1]


def test_a_schedule_whose_parameters_change_is_still_the_same_schedule() -> None:
    both = [present(1, HOURLY, region="eu"), present(2, HOURLY, region="us")]
    redeploy = match_schedules(both, [wanted(HOURLY, region="mars"), wanted(HOURLY, region="eu")])
    assert found(redeploy) == [2, 1]
    assert (redeploy.added, redeploy.dropped) == ([], [])


def test_an_empty_list_drops_everything_and_a_first_list_adds_everything() -> None:
    redeploy = match_schedules([present(1, HOURLY)], [])
    assert (redeploy.kept, redeploy.added, len(redeploy.dropped)) == ([], [], 1)
    first = match_schedules([], [wanted(HOURLY), wanted(HOURLY)])
    assert (first.kept, len(first.added), first.dropped) == ([], 2, [])


SCHEDULES = st.sampled_from([HOURLY, DAILY, MINUTE])
SLUGS = st.none() | st.sampled_from("abc")
PARAMETERS = st.sampled_from([{}, {"region": "eu"}])
WANTED = st.builds(
    DeploymentScheduleCreate,
    schedule=SCHEDULES,
    slug=SLUGS,
    replaces=st.none() | st.sampled_from("ab"),
    parameters=PARAMETERS,
)


@given(st.lists(st.tuples(SCHEDULES, SLUGS, PARAMETERS), max_size=5), st.lists(WANTED, max_size=5))
def test_every_schedule_has_exactly_one_fate(
    drawn: list[tuple[Schedule, str | None, dict[str, Any]]], wants: list[DeploymentScheduleCreate]
) -> None:
    schedules = [present(n, schedule, slug=slug, **parameters) for n, (schedule, slug, parameters) in enumerate(drawn)]
    redeploy = match_schedules(schedules, wants)
    old = [*found(redeploy), *(schedule.id.int for schedule in redeploy.dropped)]
    assert sorted(old) == list(range(len(schedules)))
    new = [*(id(want) for _, want in redeploy.kept), *(id(want) for want in redeploy.added)]
    assert sorted(new) == sorted(id(want) for want in wants)
    for schedule, want in redeploy.kept:
        assert want.slug is None or schedule.slug in (None, want.slug, want.replaces)


def change(slug: str | None, schedule: Schedule | None = None, *, replaces: str | None = None) -> DeploymentScheduleChange:
    given = {"schedule": schedule} if schedule else {}
    return DeploymentScheduleChange(slug=slug, replaces=replaces, **given)


SLUGGED = [present(1, HOURLY, slug="a", p=1), present(2, DAILY, slug="b")]


def test_changes_by_slug_leave_what_they_do_not_name() -> None:
    a, b, c = complete(SLUGGED, [change("a", MINUTE), change("c", HOURLY)], whole=False)
    assert [(it.slug, it.schedule, it.parameters) for it in (a, b, c)] == [
        ("a", MINUTE, {"p": 1}),
        ("b", DAILY, {}),
        ("c", HOURLY, {}),
    ]
    assert found(match_schedules(SLUGGED, [a, b, c])) == [1, 2]


def test_slugs_are_renamed_in_a_chain() -> None:
    whole = complete(SLUGGED, [change("b", replaces="a"), change("c", replaces="b")], whole=False)
    assert {schedule.id.int: want.slug for schedule, want in match_schedules(SLUGGED, whole).kept} == {1: "b", 2: "c"}


@pytest.mark.parametrize(("changes", "whole"), [([], False), ([change("z", MINUTE)], True)])
def test_a_list_is_whole_when_it_is_empty_or_says_so(changes: list[DeploymentScheduleChange], whole: bool) -> None:
    assert [it.slug for it in complete(SLUGGED, changes, whole=whole)] == [it.slug for it in changes]


def test_without_slugs_a_list_is_whole() -> None:
    assert [it.schedule for it in complete([present(1, HOURLY)], [change("x", MINUTE)], whole=False)] == [MINUTE]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ([change(None, MINUTE)], "provide a slug for each schedule"),
        ([change("c")], "without a schedule configuration"),
        ([change("c", replaces="none")], "without a schedule configuration"),
        ([change("c", replaces="a"), change("d", replaces="a")], "targeting the same slug: a"),
        ([change("b", MINUTE, replaces="a"), change("b")], "Cannot rename schedule from 'a' to 'b'"),
    ],
)
def test_changes_that_leave_it_open_what_is_meant(changes: list[DeploymentScheduleChange], said: str) -> None:
    with pytest.raises(Unprocessable, match=said):
        complete(SLUGGED, changes, whole=False)
