"""How long a run waited: beyond its time, in each Scheduled state, and under which words."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from headgate.core.states import NAMES
from headgate.core.waits import waits
from headgate.schema.states import State, StateDetails, StateType

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def state(at: float, kind: str, name: str | None = None, *, due: float | None = None, message: str | None = None) -> State:
    time = None if due is None else NOW + timedelta(seconds=due)
    return State(
        id=UUID(int=1),
        type=StateType(kind),
        name=name or NAMES[StateType(kind)],
        timestamp=NOW + timedelta(seconds=at),
        message=message,
        state_details=StateDetails(scheduled_time=time),
    )


def told(states: list[State], *, now: float) -> list[tuple[str, float, float, str | None]]:
    found = waits(states, now=NOW + timedelta(seconds=now))
    return [(each.state_name, (each.since - NOW).total_seconds(), each.seconds, each.message) for each in found]


def test_what_lies_before_its_time_is_no_waiting() -> None:
    history = [state(0, "SCHEDULED", due=100), state(130, "PENDING"), state(131, "RUNNING")]
    assert told(history, now=500) == [("Scheduled", 100, 30, None)]
    assert told([state(0, "SCHEDULED", due=100), state(90, "PENDING")], now=500) == []


def test_it_goes_on_until_now() -> None:
    history = [state(0, "SCHEDULED", due=0), state(15, "SCHEDULED", "Late", due=0, message="Full.")]
    assert told(history, now=60) == [("Scheduled", 0, 15, None), ("Late", 15, 45, "Full.")]


def test_a_retry_waits_from_its_time_on_and_a_refused_slot_at_once() -> None:
    history = [
        state(0, "SCHEDULED", "AwaitingConcurrencySlot", due=30, message="Full."),
        state(30, "PENDING"),
        state(31, "RUNNING"),
        state(40, "SCHEDULED", "AwaitingRetry", due=100),
        state(105, "RUNNING"),
    ]
    assert told(history, now=500) == [("AwaitingConcurrencySlot", 0, 30, "Full."), ("AwaitingRetry", 100, 5, None)]


def test_a_run_that_never_waited_has_nothing_to_tell() -> None:
    assert told([], now=5) == []
    assert told([state(0, "PENDING"), state(9, "RUNNING")], now=99) == []
