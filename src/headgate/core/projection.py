"""What the scheduler will make: the fire times of schedules beyond the runs that exist, in the order of time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from heapq import merge
from typing import Any
from uuid import UUID

from headgate.core.schedules import fire_times
from headgate.errors import Invalid
from headgate.schema.schedules import Schedule


@dataclass(frozen=True, slots=True)
class Plan:
    """An active schedule of a deployment that is not paused; `parameters` are those of its runs."""

    schedule_id: UUID
    deployment_id: UUID
    flow_id: UUID
    work_queue_id: UUID
    schedule: Schedule
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Fire:
    """One fire time of a plan; `key` is the idempotency key of its run, which exists once."""

    time: datetime
    plan: Plan

    @property
    def key(self) -> str:
        return fire_key(self.plan.deployment_id, self.plan.schedule_id, self.time)


def fire_key(deployment_id: UUID, schedule_id: UUID, time: datetime) -> str:
    """The idempotency key of a schedule's run: whoever makes the run of a fire time makes the same one."""
    return f"scheduled {deployment_id} {schedule_id} {time}"


def project(plans: Sequence[Plan], *, after: datetime, until: datetime) -> Iterator[Fire]:
    """All fire times strictly after `after`, up to and including `until`, by time; lazy.

    How many runs a schedule makes ahead is no limit to them: the later ones are made later. A schedule that cannot be
    read makes no runs and has no fire times.
    """
    ordered = sorted(plans, key=lambda plan: plan.schedule_id)
    return merge(*(_fires(plan, after, until) for plan in ordered), key=lambda fire: (fire.time, fire.plan.schedule_id))


def _fires(plan: Plan, after: datetime, until: datetime) -> Iterator[Fire]:
    try:
        for time in fire_times(plan.schedule, after=after, before=until):
            yield Fire(time, plan)
    except Invalid:
        return  # written by an older program, or by hand; the scheduler says so in its log
