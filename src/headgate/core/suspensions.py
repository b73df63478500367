"""Paused flow runs: what a pause is remembered by, and what follows for the run when it enters and leaves one."""

from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from headgate.schema.flow_runs import RetryType
from headgate.schema.states import StateCreate, StateType


class Pausing(Struct, frozen=True):
    """What a run remembers of its pauses.

    `keys`: pauses that it has been through in this attempt; when it begins from its top, they do not fire again.
    `resuming`: it goes on with the attempt that it paused in. Of the pause that it is in: until when it may be resumed,
    and whether its process has left (`suspended`). `is_child`: it runs within another run. `retry_type`: what it was last
    run again by.
    """

    keys: frozenset[str] = frozenset()
    resuming: bool = False
    timeout: datetime | None = None
    suspended: bool = False
    is_child: bool = False
    retry_type: RetryType | None = None


NEVER_PAUSED = Pausing()


def not_running(proposed: StateCreate) -> str:
    """Why a run that is not running does not enter a pause."""
    return f"Cannot {_verb(proposed)} flows that are not currently running."


def _verb(proposed: StateCreate) -> str:
    return "suspend" if proposed.name == "Suspended" else "pause"


def refusal(pausing: Pausing, proposed: StateCreate, *, has_deployment: bool) -> tuple[str, bool] | None:
    """Why a run does not enter a pause, and whether its process is to stop; None when it does."""
    details = proposed.state_details
    verb = _verb(proposed)
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


def remembered(
    pausing: Pausing, before: StateType | None, entered: StateCreate, *, was_over: bool, retries: bool, key: str, force: bool
) -> Pausing:
    """What the run remembers after it entered a state; `was_over`: it had ended; `retries`: the state is a retry of a
    failure by the process that it is in; `key`: what a pause is remembered by that has no key of its own. A forced state
    is no pause or retry of the run's own.
    """
    details = entered.state_details
    if entered.type is StateType.PAUSED:
        return replace(
            pausing,
            keys=pausing.keys if force else pausing.keys | {(details.pause_key if details else None) or key},
            timeout=details.pause_timeout if details else None,
            suspended=bool(details and details.pause_reschedule),
        )
    kept = replace(pausing, timeout=None, suspended=False)
    if force:
        goes_on = entered.type in (StateType.SCHEDULED, StateType.PENDING, StateType.CANCELLING)
        return kept if goes_on else replace(kept, resuming=False)
    anew = replace(kept, keys=frozenset(), resuming=False)
    if before is StateType.PAUSED and entered.type is StateType.SCHEDULED:
        # A process that only waited is gone: the run begins a new attempt.
        return replace(kept, resuming=True) if pausing.suspended else replace(anew, retry_type=RetryType.RESCHEDULE)
    if was_over:
        return replace(anew, retry_type=RetryType.RESCHEDULE if entered.type is StateType.SCHEDULED else None)
    if retries:
        return replace(anew, retry_type=RetryType.IN_PROCESS)
    if entered.type in (StateType.SCHEDULED, StateType.PENDING):
        return kept
    failed = before is StateType.RUNNING and entered.type is StateType.FAILED
    return replace(kept, resuming=False, retry_type=None if failed else pausing.retry_type)
