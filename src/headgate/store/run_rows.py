"""What rows of flow runs and of task runs have in common: a state in columns of its own, and times that are reckoned."""

from datetime import datetime
from typing import Any, TypeVar

from msgspec import convert

from headgate.core.states import Current, Timing, estimated_run_time, estimated_start_delta
from headgate.schema.flow_runs import FlowRun
from headgate.schema.states import State, StateDetails, StateType
from headgate.schema.task_runs import TaskRun
from headgate.store.database import Row

R = TypeVar("R", FlowRun, TaskRun)


def run_of(kind: type[R], row: Row, *, now: datetime, **converted: Any) -> R:
    """A run with its state and what is estimated at `now`; `converted` are columns that hold records of their own."""
    values: dict[str, Any] = {**row, **converted}
    due_at, at = values.pop("due_at"), values.pop("state_timestamp")
    message, details, data = values.pop("state_message"), values.pop("state_details"), values.pop("state_data")
    run = kind(**values)
    run.next_scheduled_start_time = due_at
    run.state_type = StateType(run.state_type) if run.state_type else None
    timing = Timing(run.expected_start_time, due_at, run.start_time, run.end_time, run.total_run_time, run.run_count)
    current = Current(type=run.state_type, timestamp=at)
    for name, value in estimates(timing, current, now=now).items():
        setattr(run, name, value)
    if details is not None and run.state_id and run.state_type:
        run.state = State(
            id=run.state_id,
            type=run.state_type,
            name=run.state_name or "",
            timestamp=at,
            message=message,
            data=data,
            state_details=convert(details, StateDetails),
        )
    return run


def estimates(timing: Timing, current: Current, *, now: datetime) -> dict[str, float]:
    """The fields of a run that depend on when they are read."""
    return {
        "estimated_run_time": estimated_run_time(timing, current, now=now),
        "estimated_start_time_delta": estimated_start_delta(timing, current, now=now),
    }
