"""How long a run waited, and for what, from its history of states."""

from collections.abc import Sequence
from datetime import datetime

from headgate.core.states import AWAITING_SLOT
from headgate.schema.explanations import Wait
from headgate.schema.states import State, StateType


def waits(states: Sequence[State], *, now: datetime) -> list[Wait]:
    """The stretches that a run spent in Scheduled states beyond their time, oldest first; the last may go on now.

    What lies before a state's time is no waiting: nobody wanted the run yet. Who was refused a slot wanted it at once.
    """
    ends = [state.timestamp for state in states[1:]] + [now]
    found = []
    for state, end in zip(states, ends, strict=False):
        due = state.state_details.scheduled_time
        begin = state.timestamp if due is None or state.name == AWAITING_SLOT else max(state.timestamp, due)
        if state.type is StateType.SCHEDULED and end > begin:
            seconds = (end - begin).total_seconds()
            found.append(Wait(state_name=state.name, since=begin, seconds=seconds, message=state.message))
    return found
