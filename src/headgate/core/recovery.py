"""What becomes of a run whose lease lapsed: it is given to another worker, suspected to be lost, requeued or ended."""

from dataclasses import dataclass
from datetime import timedelta

from headgate.core.states import AWAITING_RETRY, SUSPECTED
from headgate.schema.states import CrashReason, StateCreate, StateDetails, StateType

PATIENCE = 6
"""Leases for which a run that is being cancelled is given from one worker to another; then it is taken to be over."""


@dataclass(frozen=True, slots=True)
class Silent:
    """A run that nobody renewed. `keeper` is a worker other than its holder that reaches its infrastructure.

    `since`: how long it has been in its state; `lease` and `grace` are how long a holder may be silent, and how much longer
    before the run is lost.
    """

    type: StateType
    name: str
    since: timedelta
    keeper: str | None
    lease: timedelta
    grace: timedelta


@dataclass(frozen=True, slots=True)
class HandOver:
    """The keeper is to stop it."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """It enters a state that says so, and its lease is given once more, for the grace."""

    state: StateCreate


@dataclass(frozen=True, slots=True)
class Propose:
    """It is to enter a state in which nobody holds it."""

    state: StateCreate


def recover(run: Silent) -> HandOver | Suspect | Propose:
    """What to do with a run whose lease lapsed."""
    match run.type:
        case StateType.PENDING:
            message = "Its worker stopped renewing the claim before it started the run; it waits to be claimed again."
            return Propose(StateCreate(type=StateType.SCHEDULED, message=message))
        case StateType.SCHEDULED:
            message = "The process that waited to retry it is gone; it waits to be claimed again."
            return Propose(StateCreate(type=StateType.SCHEDULED, name=AWAITING_RETRY, message=message))
        case StateType.CANCELLING if run.keeper is not None and run.since < PATIENCE * run.lease:
            return HandOver()
        case StateType.CANCELLING:
            message = "Cancelled; the worker that was to stop it is gone, so whether its process ended is not known."
            return Propose(StateCreate(type=StateType.CANCELLED, message=message))
        case StateType.RUNNING if run.name != SUSPECTED and run.grace:
            return Suspect(StateCreate(type=StateType.RUNNING, name=SUSPECTED, message=_suspicion(run)))
    message = "The process that ran it, and the worker that watched it, stopped reporting: they are taken to be dead."
    details = StateDetails(crash_reason=CrashReason.LOST)
    return Propose(StateCreate(type=StateType.CRASHED, message=message, state_details=details))


def _suspicion(run: Silent) -> str:
    asked = f" Worker {run.keeper!r} is asked whether its process still runs." if run.keeper else ""
    return (
        f"The process that runs it, and the worker that watches it, have not reported for {_seconds(run.lease)}. "
        f"It is taken to be lost unless one of them does within {_seconds(run.grace)}.{asked}"
    )


def _seconds(span: timedelta) -> str:
    return f"{span.total_seconds():g} s"
