"""Misfire policies of schedules as people type them."""

from typing import Annotated

from cyclopts import Parameter

from headgate.cli.output import UsageError
from headgate.cli.times import seconds_of
from headgate.schema.deployments import Misfire, MisfirePolicy

Policy = Annotated[
    MisfirePolicy | None,
    Parameter(
        name="--misfire",
        help="What becomes of runs that could not start in time.",
    ),
]
Deadline = Annotated[
    str | None,
    Parameter(name="--start-deadline", metavar="TIME", help="Skip runs that have not started so long after their time."),
]

LONGEST = 31_622_400
"""A year, in seconds."""


def misfire_of(policy: MisfirePolicy | None, deadline: str | None, *, option: str = "--start-deadline") -> Misfire | None:
    """The policy that these make; None when neither is given."""
    if policy is None and deadline is None:
        return None
    seconds = None if deadline is None else seconds_of(deadline, option=option)
    if seconds is not None and seconds > LONGEST:
        raise UsageError(f"{option} {deadline}: give a year at most.")
    return Misfire(policy=policy or MisfirePolicy.RUN_ALL, start_deadline_seconds=seconds)


def misfire_text(misfire: Misfire | None) -> str:
    """`latest, within 600 s`, in a table's cell."""
    if misfire is None:
        return ""
    within = f", within {misfire.start_deadline_seconds:g} s" if misfire.start_deadline_seconds is not None else ""
    return f"{misfire.policy}{within}"
