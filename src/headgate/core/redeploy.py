"""A deploy over existing schedules: which of them a new list keeps, changes, adds and drops."""

from collections.abc import Sequence
from dataclasses import dataclass

from headgate.core.schedules import same_timing
from headgate.schema.deployments import DeploymentSchedule, DeploymentScheduleCreate


@dataclass(frozen=True, slots=True)
class Redeploy:
    """`kept` pairs each schedule that stays with what the author now wants of it."""

    kept: list[tuple[DeploymentSchedule, DeploymentScheduleCreate]]
    added: list[DeploymentScheduleCreate]
    dropped: list[DeploymentSchedule]


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
