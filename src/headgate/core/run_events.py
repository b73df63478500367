"""What the world is told of a run's change of state: the event of each, derived from the state that was entered."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from headgate.schema.events import Labels, ReceivedEvent
from headgate.schema.states import StateType

PREFIX = "prefect.flow-run."
"""Of these events' names, before the name of the state, and of runs' ids as resources; the name is the wire's."""

LONGEST_MESSAGE = 100_000
TIGHT = timedelta(minutes=5)
"""An event follows the one before it by name only when both are so close that they might be told in the wrong order."""


@dataclass(frozen=True, slots=True)
class Entered:
    """A state as far as an event tells of it."""

    id: UUID
    type: StateType
    name: str
    timestamp: datetime
    message: str | None = None
    pause_reschedule: bool = False


def state_event(entered: Entered, before: Entered | None, *, resource: Labels, related: list[Labels]) -> ReceivedEvent:
    """The event of a run's entering a state; the state's id is the event's."""
    follows = before is not None and abs(entered.timestamp - before.timestamp) < TIGHT
    return ReceivedEvent(
        occurred=entered.timestamp,
        event=PREFIX + entered.name,
        resource=resource | {"prefect.state-timestamp": entered.timestamp.isoformat()},
        related=related,
        payload={
            "intended": {"from": before.type if before else None, "to": entered.type},
            "initial_state": _told(before) if before else None,
            "validated_state": _told(entered),
        },
        id=entered.id,
        follows=before.id if before and follows else None,
        received=entered.timestamp,
    )


def _told(state: Entered) -> dict[str, Any]:
    told: dict[str, Any] = {"type": state.type, "name": state.name}
    if state.message:
        told["message"] = state.message[:LONGEST_MESSAGE]
    if state.type is StateType.PAUSED:
        told["pause_reschedule"] = str(state.pause_reschedule).lower()
    return told
