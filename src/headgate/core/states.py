"""The state machine: one table of legal moves, one pure function that answers a proposal, and what follows for the run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Any
from uuid import UUID

from msgspec import UNSET, Struct, structs

from headgate.core import suspensions
from headgate.core.suspensions import NEVER_PAUSED, Pausing
from headgate.schema.deployments import InfraRetries
from headgate.schema.states import CrashReason, StateCreate, StateDetails, StateType

S = StateType

TERMINAL = frozenset({S.COMPLETED, S.FAILED, S.CRASHED, S.CANCELLED})
"""Final: they stay, unless forced or rescheduled on purpose."""

HOLDS_SLOT = frozenset({S.PENDING, S.RUNNING, S.CANCELLING})
"""States that count against every concurrency limit; Cancelling does until the infrastructure is gone."""

_ANY_END = TERMINAL | {S.CANCELLING}

NEXT: Mapping[StateType | None, frozenset[StateType]] = {
    None: frozenset(S),
    S.SCHEDULED: frozenset({S.SCHEDULED, S.PENDING, S.RUNNING}) | _ANY_END,
    # PENDING again only under another name (`Submitting`): a second claim is refused.
    S.PENDING: frozenset({S.SCHEDULED, S.PENDING, S.RUNNING}) | _ANY_END,
    S.RUNNING: frozenset({S.SCHEDULED, S.RUNNING, S.PAUSED}) | _ANY_END,
    S.PAUSED: frozenset({S.SCHEDULED, S.RUNNING}) | _ANY_END,
    S.CANCELLING: frozenset({S.CANCELLED}),
    S.COMPLETED: frozenset({S.SCHEDULED}),
    S.FAILED: frozenset({S.SCHEDULED}),
    S.CRASHED: frozenset({S.SCHEDULED}),
    S.CANCELLED: frozenset({S.SCHEDULED}),
}
"""From each state the types that may be proposed; `None` is a run that has no state yet."""

NAMES: Mapping[StateType, str] = {kind: kind.value.title() for kind in S}
"""The name of a state that is proposed without one."""

LATE = "Late"
SUSPECTED = "Lost?"
"""A Running run whose lease lapsed: it goes on if anybody renews the lease within a grace, and is lost otherwise."""
AWAITING_RETRY = "AwaitingRetry"
AWAITING_SLOT = "AwaitingConcurrencySlot"
SKIPPED = "Skipped"
AWAITING_INFRA = "AwaitingInfraRetry"
"""A run that lost its infrastructure waits to be given other. Nobody holds it, as the engine does in AwaitingRetry."""


class Current(Struct, frozen=True):
    """What the rules need to know of a run.

    `retry_delays` are seconds; the last is used for all further retries. `held`: somebody has a lease on it.
    """

    type: StateType | None = None
    name: str | None = None
    timestamp: datetime | None = None
    scheduled_time: datetime | None = None
    transition_id: UUID | None = None
    has_deployment: bool = False
    run_count: int = 0
    retries: int = 0
    retry_delays: Sequence[float] = ()
    fence: int = 0
    held: bool = False
    restarts: int = 0
    restarts_begun: int = 0
    infra_retries: InfraRetries | None = None
    pausing: Pausing = NEVER_PAUSED
    has_process: bool = False
    """Whether a client said in which process or job it runs."""
    has_result: bool = False
    """Whether its state leads to a result that was kept."""

    @property
    def attempts(self) -> int:
        """How often its code was started, but for the times that the infrastructure took away."""
        return self.run_count - self.restarts_begun


@dataclass(frozen=True, slots=True)
class Accept:
    """The proposed state becomes the run's, as `state` has it."""

    state: StateCreate


@dataclass(frozen=True, slots=True)
class Reject:
    """Another state becomes the run's, or (`state` None) it keeps the one that it has."""

    reason: str
    state: StateCreate | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """Propose again after `seconds`."""

    seconds: int
    reason: str


@dataclass(frozen=True, slots=True)
class Abort:
    """Stop: this caller has no more to say about the run."""

    reason: str


Decision = Accept | Reject | Wait | Abort


def decide(run: Current, proposed: StateCreate, *, now: datetime, force: bool = False, fence: int | None = None) -> Decision:
    """Answer a proposal. Same values, same answer."""
    proposed = _named(proposed)
    transition = proposed.state_details.transition_id if proposed.state_details else None
    if fence is not None and fence != run.fence:
        return Abort(f"This run was claimed again since: the caller's fence is {fence}, the run's is {run.fence}.")
    if transition is not None and transition == run.transition_id:
        return Reject("This run has already made this state transition.")
    if force:
        return (
            _kept_result(run, proposed)
            or _without_process(run, proposed)
            or Accept(_with_scheduled_time(run, proposed, now))
        )
    if run.held and fence is None and run.type is S.SCHEDULED and proposed.type is S.PENDING:
        return Abort("This run is held by the process that is to retry it.")
    return _refused(run, proposed) or _diverted(run, proposed, now) or Accept(_with_scheduled_time(run, proposed, now))


def _named(proposed: StateCreate) -> StateCreate:
    return proposed if proposed.name else structs.replace(proposed, name=NAMES[proposed.type])


def _refused(run: Current, proposed: StateCreate) -> Decision | None:
    """Moves that the table does not have."""
    to = proposed.type
    if run.type is S.CANCELLING and to is not S.CANCELLED:
        return Reject("Cannot transition flows that are cancelling to a state other than Cancelled.")
    if run.type is S.COMPLETED and run.has_result and to is not S.CANCELLING:
        return Reject("Run is already COMPLETED.")
    if _starts_over(run, to):
        return None
    if to not in NEXT[run.type]:
        if run.type in TERMINAL and to is not S.PENDING:
            return Abort(f"Run is already in terminal state {run.type}.")
        if to is S.PAUSED:
            return Reject(suspensions.not_running(proposed))
        if run.type is S.PAUSED:
            return Reject(f"This run cannot transition to the {to} state from the {run.type} state.")
        return Abort(f"This run is in a {run.type} state and cannot transition to a {to} state.")
    if run.type is S.PENDING and to is S.PENDING and proposed.name in (NAMES[S.PENDING], run.name):
        return Abort("This run is in a PENDING state and cannot transition to a PENDING state.")
    return _not_again(run, proposed) or _not_late(run, proposed)


def _starts_over(run: Current, to: StateType) -> bool:
    """Whether a parent that is tried again runs a child in its own process again, because the child's result was not kept.

    Clients of 3.x do so under the child's old run. Nobody else executes it, so that nobody is late.
    """
    return run.type is S.COMPLETED and to is S.RUNNING and run.pausing.is_child and not run.has_deployment


def _not_again(run: Current, proposed: StateCreate) -> Decision | None:
    """What speaks against a run's going on that is over, or whose process left it."""
    if run.has_deployment:
        return None
    if run.type in TERMINAL:
        return Abort("Cannot reschedule a run without an associated deployment.")
    if run.type is S.PAUSED and run.pausing.suspended and proposed.type in (S.SCHEDULED, S.RUNNING):
        return Reject(f"Cannot reschedule a {(proposed.name or proposed.type).lower()} flow run without a deployment.")
    return None


def _not_late(run: Current, proposed: StateCreate) -> Decision | None:
    """What speaks against calling a run late."""
    if proposed.type is not S.SCHEDULED or proposed.name != LATE:
        return None
    if run.type not in (None, S.SCHEDULED):
        return Reject("Only scheduled flows can be marked late.")
    return Reject("This flow run is already marked late.") if run.name == LATE else None


def _diverted(run: Current, proposed: StateCreate, now: datetime) -> Decision | None:
    """Legal moves that lead elsewhere than proposed, or not yet."""
    if run.type is S.PAUSED and proposed.type is not S.CANCELLING and suspensions.is_over(run.pausing, now=now):
        failed = StateCreate(type=S.FAILED, message="The flow was paused and never resumed.")
        failed = structs.replace(failed, state_details=_replayable(proposed))
        return Reject("The flow run pause has timed out and can no longer resume.", _named(failed))
    match proposed.type:
        case S.PAUSED if refused := suspensions.refusal(run.pausing, proposed, has_deployment=run.has_deployment):
            reason, stops = refused
            return Abort(reason) if stops else Reject(reason)
        case S.CANCELLING:
            return _without_process(run, proposed)
        case S.RUNNING if run.type in (S.SCHEDULED, S.PENDING) and run.scheduled_time and run.scheduled_time > now:
            return Wait(ceil((run.scheduled_time - now).total_seconds()), "Scheduled time is in the future")
        case S.FAILED if run.type is S.RUNNING and run.attempts <= run.retries:
            return Reject("Retrying", _retry(run, proposed, now))
        case S.CRASHED if run.type in (S.PENDING, S.RUNNING) and (policy := _restarts(run, proposed)) is not None:
            return Reject("Trying again on other infrastructure", _restart(run, policy, proposed, now))
    return None


def _without_process(run: Current, proposed: StateCreate) -> Decision | None:
    """A run that is to stop and has nothing that could be stopped has stopped."""
    if proposed.type is not S.CANCELLING:
        return None
    in_process = run.held or (run.has_process and run.name == AWAITING_RETRY)
    if run.type in (None, S.SCHEDULED) and not in_process:
        reason = "Scheduled flow run has no infrastructure to terminate."
    elif run.type is S.PAUSED and run.pausing.suspended:
        reason = "Suspended flow run has no infrastructure to terminate."
    else:
        return None
    state = StateCreate(type=S.CANCELLED, message=proposed.message, state_details=_replayable(proposed))
    return Reject(reason, _named(state))


def has_result(data: Any) -> bool:
    """Whether a state's data leads to a result that was kept."""
    return isinstance(data, dict) and bool(data) and data.get("type") != "unpersisted"


def _kept_result(run: Current, proposed: StateCreate) -> Decision | None:
    """A result is not lost to a second report of the same end."""
    if run.type is proposed.type is S.COMPLETED and run.has_result and not has_result(proposed.data):
        lost = "Cannot overwrite a COMPLETED state that carries persisted result data with one that does not."
        return Reject(lost)
    return None


def _retry(run: Current, failed: StateCreate, now: datetime) -> StateCreate:
    delays = run.retry_delays
    delay = delays[min(run.attempts - 1, len(delays) - 1)] if delays else 0.0
    details = structs.replace(_replayable(failed), scheduled_time=now + timedelta(seconds=delay))
    return structs.replace(failed, type=S.SCHEDULED, name=AWAITING_RETRY, state_details=details)


def _restarts(run: Current, crashed: StateCreate) -> InfraRetries | None:
    """The policy by which a run that lost its infrastructure is given other; None when it is not."""
    policy = run.infra_retries
    if policy is None or run.restarts >= policy.max:
        return None
    reason = crashed.state_details.crash_reason if crashed.state_details else UNSET
    return policy if (CrashReason.OTHER if reason is UNSET else reason) in policy.reasons else None


def _restart(run: Current, policy: InfraRetries, crashed: StateCreate, now: datetime) -> StateCreate:
    delay = min(policy.delay_seconds * policy.backoff**run.restarts, policy.max_delay_seconds)
    details = structs.replace(_replayable(crashed), scheduled_time=now + timedelta(seconds=delay))
    if crashed.state_details is not None:
        details = structs.replace(details, crash_reason=crashed.state_details.crash_reason)
    message = " ".join(filter(None, (crashed.message, f"It is tried again, {run.restarts + 1} of {policy.max}.")))
    return structs.replace(crashed, type=S.SCHEDULED, name=AWAITING_INFRA, message=message, state_details=details)


def _replayable(proposed: StateCreate) -> StateDetails:
    """Details of a state made in place of the proposed one; they keep its transition id, so that a replay is known."""
    return StateDetails(transition_id=proposed.state_details.transition_id if proposed.state_details else None)


def _with_scheduled_time(run: Current, proposed: StateCreate, now: datetime) -> StateCreate:
    """Scheduled states always have a time; Pending keeps that of the Scheduled state before it."""
    details = proposed.state_details
    if details is not None and details.scheduled_time is not None:
        return proposed
    match proposed.type:
        case S.SCHEDULED:
            time: datetime | None = now
        case S.PENDING if run.type in (S.SCHEDULED, S.PENDING):
            time = run.scheduled_time
        case _:
            return proposed
    details = StateDetails(scheduled_time=time) if details is None else structs.replace(details, scheduled_time=time)
    return structs.replace(proposed, state_details=details)


def next_moment(run: Current, now: datetime) -> datetime:
    """When a run that moves on `now` does so: after the state that it leaves, though another server's clock is ahead."""
    return next_moment_after(run.timestamp, now)


def next_moment_after(before: datetime | None, now: datetime) -> datetime:
    """The same of what entered its state at `before`."""
    return now if before is None or before <= now else before + timedelta(microseconds=1)


class Timing(Struct, frozen=True):
    """The figures of a run that states drive. `total_run_time` is in seconds, without the state that it is in now."""

    expected_start_time: datetime | None = None
    due_at: datetime | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    total_run_time: float = 0.0
    run_count: int = 0
    restarts: int = 0
    restarts_begun: int = 0


def advance(timing: Timing, before: Current, entered: StateCreate, *, at: datetime) -> Timing:
    """The figures after the run entered a state at `at`.

    The start is that of the first Running state, or the end where a run ends without one; the run time is the sum over
    all Running states; the end is that of the first of the final states in a row, and is taken back when a run leaves
    them. A run that is rescheduled on purpose may be restarted as often as a new one.
    """
    scheduled = entered.state_details.scheduled_time if entered.state_details else None
    running = entered.type is S.RUNNING and not goes_on(before, entered)
    ran = (at - before.timestamp).total_seconds() if before.type is S.RUNNING and before.timestamp else 0.0
    restarts = entered.type is S.SCHEDULED and entered.name == AWAITING_INFRA
    anew = entered.type is S.SCHEDULED and before.type in TERMINAL
    over = entered.type in TERMINAL
    return Timing(
        expected_start_time=timing.expected_start_time or (scheduled if entered.type is S.SCHEDULED else None) or at,
        due_at=scheduled if entered.type is S.SCHEDULED else None,
        start_time=timing.start_time or (at if running or over else None),
        end_time=(timing.end_time or at) if over else None,
        total_run_time=timing.total_run_time + max(ran, 0.0),
        run_count=timing.run_count + (running and not before.pausing.resuming),
        restarts=0 if anew else timing.restarts + restarts,
        restarts_begun=timing.restarts_begun + (restarts and before.type is S.RUNNING),
    )


def goes_on(before: Current, entered: StateCreate) -> bool:
    """Whether a Running run is only suspected to be lost, or no longer: nothing has begun."""
    return before.type is entered.type is S.RUNNING and SUSPECTED in (before.name, entered.name)


def keeps_lease(entered: StateCreate, *, by_holder: bool) -> bool:
    """Whether the holder of a run still holds it in the state that it entered.

    An engine that waits for its own retry keeps the run, and its slot: nobody else may start it meanwhile.
    """
    if entered.type is S.SCHEDULED:
        return by_holder and entered.name == AWAITING_RETRY
    return entered.type in HOLDS_SLOT


def estimated_run_time(timing: Timing, current: Current, *, now: datetime) -> float:
    """Seconds run so far, with the Running state that it is in now."""
    if current.type is S.RUNNING and current.timestamp is not None:
        return timing.total_run_time + max((now - current.timestamp).total_seconds(), 0.0)
    return timing.total_run_time


def estimated_start_delta(timing: Timing, current: Current, *, now: datetime) -> float:
    """Seconds by which the run started, or by now has failed to start, after its expected time; 0 when on time."""
    expected = timing.expected_start_time
    if expected is None:
        return 0.0
    if timing.start_time is not None:
        return max((timing.start_time - expected).total_seconds(), 0.0)
    if current.type in TERMINAL:
        return 0.0
    return max((now - expected).total_seconds(), 0.0)
