"""A change of a deployment over existing schedules: which of them a list keeps, changes, adds and drops."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import UNSET

from headgate.core.schedules import same_timing
from headgate.errors import Unprocessable
from headgate.schema.deployments import DeploymentSchedule, DeploymentScheduleChange, DeploymentScheduleCreate
from headgate.schema.schedules import Schedule


@dataclass(frozen=True, slots=True)
class Redeploy:
    """`kept` pairs each schedule that stays with what the author now wants of it."""

    kept: list[tuple[DeploymentSchedule, DeploymentScheduleCreate]]
    added: list[DeploymentScheduleCreate]
    dropped: list[DeploymentSchedule]


def complete(
    present: Sequence[DeploymentSchedule], changes: Sequence[DeploymentScheduleChange], *, whole: bool
) -> list[DeploymentScheduleCreate]:
    """The whole list that a client's changes come to, for `match_schedules`.

    Where slugs say which schedules are meant, and `whole` does not say that these are all, the others stay. `Unprocessable`
    for what leaves it open which are meant, or when one fires.
    """
    if whole or not changes or not present or not all(schedule.slug for schedule in present):
        return [_made(change) for change in changes]
    if not all(change.slug for change in changes):
        raise Unprocessable(
            "Please provide a slug for each schedule in your request to ensure schedules are updated correctly.",
            field="schedules",
        )
    by_slug = {schedule.slug: schedule for schedule in present}
    replaced = [change.replaces for change in changes if change.replaces]
    for change in changes:
        if change.replaces and replaced.count(change.replaces) > 1:
            raise Unprocessable(f"Multiple schedules have 'replaces' targeting the same slug: {change.replaces}")
        if change.replaces and change.slug in by_slug and change.slug not in {change.replaces, *replaced}:
            raise Unprocessable(
                f"Cannot rename schedule from {change.replaces!r} to {change.slug!r}: a schedule with slug {change.slug!r} "
                "already exists."
            )
    meant = {change.replaces or change.slug: change for change in changes}
    kept = [_merged(schedule, meant.get(schedule.slug)) for schedule in present]
    return kept + [_made(change) for slug, change in meant.items() if slug not in by_slug]


def _made(change: DeploymentScheduleChange) -> DeploymentScheduleCreate:
    if not isinstance(change.schedule, Schedule):
        raise Unprocessable("Unable to create new deployment schedules without a schedule configuration.", field="schedules")
    return DeploymentScheduleCreate(**_given(change))


def _merged(schedule: DeploymentSchedule, change: DeploymentScheduleChange | None) -> DeploymentScheduleCreate:
    names = ("schedule", "max_scheduled_runs", "parameters", "job_variables", "slug", "misfire")
    known = {name: getattr(schedule, name) for name in names}
    given = _given(change) if change is not None else {}
    return DeploymentScheduleCreate(**{**known, **given, "replaces": schedule.slug})


def _given(change: DeploymentScheduleChange) -> dict[str, Any]:
    values = {name: getattr(change, name) for name in change.__struct_fields__}
    return {name: value for name, value in values.items() if value is not UNSET}


def match_schedules(present: Sequence[DeploymentSchedule], wanted: Sequence[DeploymentScheduleCreate]) -> Redeploy:
    """Find each wanted schedule among the present ones: by `replaces`, by slug, else by the same timing.

    Of several with the same timing the one that also has the same parameters is meant.
    """
    left = list(present)
    found: dict[int, DeploymentSchedule] = {}
    for test in (_is_replaced, _has_slug, _has_timing_and_parameters, _has_timing):
        for index, want in enumerate(wanted):
            if index in found:
                continue
            match = next((schedule for schedule in left if test(schedule, want)), None)
            if match is not None:
                left.remove(match)
                found[index] = match
    kept = [(found[index], want) for index, want in enumerate(wanted) if index in found]
    added = [want for index, want in enumerate(wanted) if index not in found]
    return Redeploy(kept, added, left)


def _is_replaced(schedule: DeploymentSchedule, want: DeploymentScheduleCreate) -> bool:
    return want.replaces is not None and want.replaces == schedule.slug


def _has_slug(schedule: DeploymentSchedule, want: DeploymentScheduleCreate) -> bool:
    return want.slug is not None and want.slug == schedule.slug


def _has_timing_and_parameters(schedule: DeploymentSchedule, want: DeploymentScheduleCreate) -> bool:
    return _has_timing(schedule, want) and schedule.parameters == want.parameters


def _has_timing(schedule: DeploymentSchedule, want: DeploymentScheduleCreate) -> bool:
    if want.slug is not None and schedule.slug is not None:
        return False
    return same_timing(schedule.schedule, want.schedule)
