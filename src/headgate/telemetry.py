"""Typed events of the running system. What listens (log, metrics, event stream) subscribes here."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from headgate.errors import Unavailable


@dataclass(frozen=True, slots=True)
class Event:
    """Ground of all events."""


@dataclass(frozen=True, slots=True)
class StateChanged(Event):
    """A run entered a state."""

    flow_run_id: UUID
    from_type: str | None
    to_type: str
    to_name: str


@dataclass(frozen=True, slots=True)
class RunsClaimed(Event):
    """A worker was granted runs."""

    work_pool: str
    worker: str
    flow_run_ids: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class LoopPassed(Event):
    """A background job finished a pass that took `seconds` and changed `count` records."""

    loop: str
    seconds: float
    count: int


@dataclass(frozen=True, slots=True)
class LoopFailed(Event):
    """A pass of a background job raised; the job goes on with its next pass."""

    loop: str
    error: BaseException


@dataclass(frozen=True, slots=True)
class LeadershipChanged(Event):
    """From now on this server runs a background job, or no longer does."""

    loop: str
    leads: bool


@dataclass(frozen=True, slots=True)
class ScheduleUnreadable(Event):
    """A stored schedule cannot be read; it makes no runs until its author mends it."""

    schedule_id: UUID
    deployment_id: UUID
    error: BaseException


@dataclass(frozen=True, slots=True)
class PartitionsPostponed(Event):
    """Partitions of a table could not be made or dropped now; rows go into the one for the rest meanwhile."""

    table: str
    error: BaseException


Listener = Callable[[Event], None]


class Telemetry:
    """Hands every event to every listener, in order; a listener that raises is logged and does not stop the others."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def subscribe(self, listener: Listener) -> None:
        """Have `listener` called with every event from now on."""
        self._listeners.append(listener)

    def emit(self, event: Event) -> None:
        """Tell all listeners."""
        for listener in self._listeners:
            try:
                listener(event)
            except Exception:
                logging.getLogger("headgate.telemetry").exception("a listener failed on %r", event)


def log_events(logger: logging.Logger) -> Listener:
    """A listener that writes events as log lines: failures as errors, the rest at debug level."""

    def listen(event: Event) -> None:
        match event:
            case LeadershipChanged(loop, leads):
                logger.info("%s: %s", loop, "this server leads from now on" if leads else "another server leads")
            case LoopFailed(loop, Unavailable() as error):
                logger.warning("%s had to wait for its next pass: %s", loop, error)
            case LoopFailed(loop, error):
                logger.error("%s failed; it goes on with its next pass", loop, exc_info=error)
            case ScheduleUnreadable(id, deployment, error):
                logger.error("schedule %s of deployment %s makes no runs: %s", id, deployment, error)
            case PartitionsPostponed(table, error):
                logger.warning("partitions of %s are made and dropped later: %s", table, error)
            case _:
                logger.debug("%s", event)

    return listen
