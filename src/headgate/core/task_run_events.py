"""Task runs of 3.x clients, which tell of them by events alone."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec

from headgate.schema.events import RESOURCE, ROLE, Event
from headgate.schema.states import State, StateDetails, StateType
from headgate.schema.task_runs import TaskRunReport

PREFIX = "prefect.task-run."
_FLOW_RUN = "prefect.flow-run."


@dataclass(frozen=True, slots=True)
class ToldState:
    """A task run and the state that it entered, as an event tells of it."""

    id: UUID
    flow_run_id: UUID | None
    state: State
    run: TaskRunReport


class _State(msgspec.Struct):
    type: StateType
    name: str | None = None
    message: str | None = None
    state_details: StateDetails = msgspec.field(default_factory=StateDetails)
    data: Any = None


class _Payload(msgspec.Struct):
    validated_state: _State
    task_run: TaskRunReport


def read(event: Event) -> ToldState | None:
    """What an event tells of a task run that its client orchestrates; None when it is about something else.

    `msgspec.ValidationError` or `ValueError` when it cannot be understood.
    """
    resource = event.resource
    if not event.event.startswith(PREFIX) or resource.get("prefect.orchestration") != "client":
        return None
    payload = msgspec.convert(event.payload, _Payload)
    told = payload.validated_state
    state = State(
        id=event.id,
        type=told.type,
        name=told.name or event.event.removeprefix(PREFIX),
        timestamp=event.occurred,
        message=told.message,
        data=told.data,
        state_details=told.state_details,
    )
    return ToldState(UUID(resource[RESOURCE].removeprefix(PREFIX)), _flow_run(event), state, payload.task_run)


def _flow_run(event: Event) -> UUID | None:
    for labels in event.related:
        if labels[ROLE] == "flow-run" and labels[RESOURCE].startswith(_FLOW_RUN):
            return UUID(labels[RESOURCE].removeprefix(_FLOW_RUN))
    return None
