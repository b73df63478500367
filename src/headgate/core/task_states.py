"""How task runs change state when the server orchestrates them: one pure function that answers a proposal."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from msgspec import structs

from headgate.core.states import (
    AWAITING_RETRY,
    NAMES,
    TERMINAL,
    Abort,
    Accept,
    Current,
    Decision,
    Reject,
    Timing,
    Wait,
    advance,
)
from headgate.schema.states import State, StateCreate, StateDetails, StateType

S = StateType

RETRYING, RERUNNING, CACHED, NOT_READY = "Retrying", "Rerunning", "Cached", "NotReady"

MAX_CACHE_KEY = 2000
"""Longest cache key, in characters."""

MAX_DELAYS = 50
"""Most delays that a policy may list."""


@dataclass(frozen=True, slots=True)
class Enclosing:
    """The flow run that a task run belongs to."""

    id: UUID
    state_type: StateType | None
    run_count: int
    pause_timeout: datetime | None = None
    pause_reschedule: bool = False


@dataclass(frozen=True, slots=True)
class Task:
    """What the rules need to know of a task run. `retry_delays` are seconds; the last is used for all further retries.

    `alone` is one that belongs to no flow run.
    """

    state: State | None = None
    run_count: int = 0
    flow_run_run_count: int = 0
    retries: int = 0
    retry_delays: Sequence[float] = ()
    jitter: float = 0.0
    alone: bool = False


def decide(
    task: Task,
    proposed: StateCreate,
    *,
    now: datetime,
    flow_run: Enclosing | None = None,
    cached: State | None = None,
    draw: float = 0.5,
    force: bool = False,
) -> Decision:
    """Answer a proposal. `cached` is the latest state under the cache key of a Running state that may be answered from
    the cache; `draw` is a random number from 0 up to 1, for the jitter of a retry's delay.
    """
    proposed = proposed if proposed.name else structs.replace(proposed, name=NAMES[proposed.type])
    proposed = _with_times(task if not force else Task(), proposed, now)
    if force:
        return Accept(proposed)
    return (
        _refused(task, proposed)
        or _diverted(task, proposed, cached, flow_run, now, draw)
        or Accept(_renamed(task, proposed, flow_run))
    )


def _refused(task: Task, proposed: StateCreate) -> Decision | None:
    before = task.state.type if task.state else None
    to = proposed.type
    if _is_claim(task, proposed) and before in (S.PENDING, S.RUNNING, S.CANCELLING, S.CANCELLED):
        return Abort(f"This run is in a {before} state and cannot transition to a PENDING state.")
    if before in TERMINAL:
        if to in (S.CANCELLING, S.PAUSED, S.CRASHED):
            return Abort(f"Run is already {before}.")
        if before is S.COMPLETED and task.state and has_result(task.state.data):
            return Reject("This run is already completed.")
    details = proposed.state_details
    if to is S.COMPLETED and details and len(details.cache_key or "") > MAX_CACHE_KEY:
        uncached = structs.replace(proposed, state_details=structs.replace(details, cache_key=None))
        return Reject(f"Cache key exceeded maximum allowed length of {MAX_CACHE_KEY} characters.", uncached)
    return None


def _is_claim(task: Task, proposed: StateCreate) -> bool:
    """Whether a task worker takes it. Clients of 2.20 do not say so, but whatever they run outside flows is taken so."""
    deferred = bool(proposed.state_details and proposed.state_details.deferred)
    return proposed.type is S.PENDING and (deferred or task.alone)


def has_result(data: Any) -> bool:
    """Whether a state's data leads to a result that was kept."""
    return bool(data) and not (isinstance(data, dict) and data.get("type") == "unpersisted")


def _diverted(
    task: Task, proposed: StateCreate, cached: State | None, flow_run: Enclosing | None, now: datetime, draw: float
) -> Decision | None:
    before = task.state.type if task.state else None
    match proposed.type:
        case S.RUNNING if cached is not None and looks_up(proposed):
            return Reject("Retrieved state from cache", _from_cache(cached))
        case S.RUNNING if flow_run is not None and flow_run.state_type is not S.RUNNING:
            return _stopped(flow_run)
        case S.RUNNING if before in (S.SCHEDULED, S.PENDING):
            return _too_early(task, now)
        case S.FAILED if before is S.RUNNING and task.run_count <= task.retries and _retriable(proposed):
            return Reject("Retrying", _retry(task, proposed, now, draw))
    return None


def looks_up(proposed: StateCreate) -> bool:
    """Whether a proposal may be answered from the cache."""
    details = proposed.state_details
    return proposed.type is S.RUNNING and details is not None and bool(details.cache_key) and not details.refresh_cache


def _from_cache(cached: State) -> StateCreate:
    return StateCreate(
        type=cached.type, name=CACHED, message=cached.message, data=cached.data, state_details=cached.state_details
    )


def _stopped(flow_run: Enclosing) -> Decision:
    if flow_run.state_type is not S.PAUSED:
        return Abort("The enclosing flow must be running to begin task execution.")
    details = StateDetails(pause_timeout=flow_run.pause_timeout, pause_reschedule=flow_run.pause_reschedule)
    return Reject(
        f"The flow is paused, new tasks can execute after resuming flow run: {flow_run.id}.",
        StateCreate(type=S.PAUSED, name=NOT_READY, state_details=details),
    )


def _too_early(task: Task, now: datetime) -> Decision | None:
    time = task.state.state_details.scheduled_time if task.state else None
    if time is None or (seconds := round((time - now).total_seconds())) <= 0:
        return None
    return Wait(seconds, "Scheduled time is in the future")


def _retriable(failed: StateCreate) -> bool:
    return failed.state_details is None or failed.state_details.retriable is not False


def _retry(task: Task, failed: StateCreate, now: datetime, draw: float) -> StateCreate:
    delay = task.retry_delays[min(max(task.run_count, 1), len(task.retry_delays)) - 1] if task.retry_delays else 0.0
    lowest, highest = max(1 - task.jitter, 0.0), 1 + max(task.jitter, 0.0)
    delay *= lowest + (highest - lowest) * draw
    details = StateDetails(scheduled_time=now + timedelta(seconds=delay))
    return StateCreate(
        type=S.SCHEDULED, name=AWAITING_RETRY, message=failed.message, data=failed.data, state_details=details
    )


def _renamed(task: Task, proposed: StateCreate, flow_run: Enclosing | None) -> StateCreate:
    """Running states of runs that ran before say so."""
    if proposed.type is not S.RUNNING or task.state is None:
        return proposed
    over = task.state.type in TERMINAL
    if over and flow_run is not None and task.flow_run_run_count < flow_run.run_count:
        return structs.replace(proposed, name=RETRYING)
    if task.run_count == 0 or over:  # what is over begins to count anew
        return proposed
    return structs.replace(proposed, name=RETRYING if task.state.name == AWAITING_RETRY else RERUNNING)


def _with_times(task: Task, proposed: StateCreate, now: datetime) -> StateCreate:
    """Scheduled states always have a time; what a waiting state knew goes on to the next."""
    details = proposed.state_details or StateDetails()
    before = task.state
    if proposed.type is S.SCHEDULED:
        details = structs.replace(details, scheduled_time=details.scheduled_time or now)
    elif before is not None and before.type in (S.SCHEDULED, S.PENDING) and proposed.type in (S.PENDING, S.RUNNING):
        known = before.state_details
        parameters = details.task_parameters_id or known.task_parameters_id
        details = structs.replace(details, task_parameters_id=parameters)
        if before.type is S.SCHEDULED and proposed.type is S.PENDING:
            details = structs.replace(details, scheduled_time=details.scheduled_time or known.scheduled_time)
    return structs.replace(proposed, state_details=details)


def advance_task(timing: Timing, before: State | None, entered: StateCreate, *, at: datetime) -> Timing:
    """The figures after a task run entered a state at `at`: as for flow runs, but what is over counts its runs anew."""
    over = before is not None and before.type in TERMINAL
    if over and entered.type not in TERMINAL:
        timing = structs.replace(timing, run_count=0)
    current = Current(type=before.type if before else None, timestamp=before.timestamp if before else None)
    return advance(timing, current, entered, at=at)
