"""Paused flow runs: what a pause is remembered by, and what follows for the run when it enters and leaves one."""

from dataclasses import dataclass, replace
from datetime import datetime

from headgate.schema.states import StateCreate, StateType


@dataclass(frozen=True, slots=True)
class Pausing:
    """What a run remembers of its pauses.

    `keys`: pauses that it has been through in this attempt; when it begins from its top, they do not fire again.
    `resuming`: it goes on with the attempt that it paused in. Of the pause that it is in: until when it may be resumed,
    and whether its process has left (`suspended`). `is_child`: it runs within another run.
    """

    keys: frozenset[str] = frozenset()
    resuming: bool = False
    timeout: datetime | None = None
    suspended: bool = False
    is_child: bool = False


NEVER_PAUSED = Pausing()


def refusal(pausing: Pausing, proposed: StateCreate, *, has_deployment: bool) -> tuple[str, bool] | None:
    """Why a run does not enter a pause, and whether its process is to stop; None when it does."""
    details = proposed.state_details
    verb = "suspend" if proposed.name == "Suspended" else "pause"
    if details is None:
        return None
    if details.pause_key is not None and details.pause_key in pausing.keys:
        return f"This {verb} has already fired.", False
    if details.pause_reschedule and pausing.is_child:
        return f"Cannot {verb} subflows.", True
    if details.pause_reschedule and not has_deployment:
        return f"Cannot {verb} flows without a deployment.", True
    return None


def is_over(pausing: Pausing, *, now: datetime) -> bool:
    """Whether the time is up in which it could be resumed."""
    return pausing.timeout is not None and pausing.timeout < now


def remembered(pausing: Pausing, before: StateType | None, entered: StateCreate, *, was_over: bool) -> Pausing:
    """What the run remembers after it entered a state; `was_over`: it had ended."""
    details = entered.state_details
    keys, resuming = pausing.keys, pausing.resuming
    if entered.type is StateType.PAUSED:
        key = details.pause_key if details else None
        return replace(
            pausing,
            keys=keys | {key} if key else keys,
            timeout=details.pause_timeout if details else None,
            suspended=bool(details and details.pause_reschedule),
        )
    if before is StateType.PAUSED and entered.type is StateType.SCHEDULED:
        # A process that only waited is gone: the run begins a new attempt.
        keys, resuming = (keys, True) if pausing.suspended else (frozenset(), False)
    elif was_over:
        keys, resuming = frozenset(), False
    elif entered.type not in (StateType.SCHEDULED, StateType.PENDING):
        resuming = False
    return replace(pausing, keys=keys, resuming=resuming, timeout=None, suspended=False)
