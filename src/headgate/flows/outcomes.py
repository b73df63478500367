"""How a call of user code ended, as the state that is proposed for it."""

import traceback
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import TracebackType

from headgate.flows.deadlines import TimedOut
from headgate.ids import uuid7
from headgate.schema.states import CrashReason, State, StateCreate, StateDetails, StateType

_OURS = str(Path(__file__).parent)


def completed() -> StateCreate:
    """User code returned."""
    return StateCreate(type=StateType.COMPLETED)


def failed(error: BaseException) -> StateCreate:
    """User code raised, or took too long."""
    match error:
        case TimedOut():
            return StateCreate(type=StateType.FAILED, name="TimedOut", message=f"Flow run {error}.")
        case _:
            return StateCreate(type=StateType.FAILED, message=f"Flow run encountered an exception: {describe(error)}")


def crashed(cause: str, *, reason: CrashReason = CrashReason.OTHER) -> StateCreate:
    """What user code stood on broke, or user code never ran."""
    return StateCreate(type=StateType.CRASHED, message=cause, state_details=StateDetails(crash_reason=reason))


def recorded(proposal: StateCreate, *, now: datetime) -> State:
    """A proposal as the record that hooks get."""
    return State(
        id=uuid7(now),
        type=proposal.type,
        name=proposal.name or proposal.type.value.capitalize(),
        timestamp=now,
        message=proposal.message,
        state_details=proposal.state_details or StateDetails(),
    )


def describe(error: BaseException) -> str:
    """`ValueError: text`, or the type alone when there is no text."""
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{kind.__qualname__}"
    text = str(error)
    return f"{name}: {text}" if text else name


def trace(error: BaseException) -> str:
    """The whole traceback, from the first frame that is not the SDK's own."""
    frames = error.__traceback__
    for frame in _frames(frames):
        if not frame.tb_frame.f_code.co_filename.startswith((_OURS, "<frozen importlib")):
            frames = frame
            break
    return "".join(traceback.format_exception(type(error), error, frames)).rstrip()


def _frames(frame: TracebackType | None) -> Iterator[TracebackType]:
    while frame is not None:
        yield frame
        frame = frame.tb_next
