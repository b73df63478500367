"""Histories of runs on the wire: how many there were of each state, interval by interval."""

from datetime import datetime

from msgspec import Struct

from headgate.schema.states import StateType


class HistoryState(Struct, kw_only=True):
    """The runs of an interval that are in one state now; sums are in seconds."""

    state_type: StateType | None
    state_name: str | None
    count_runs: int
    sum_estimated_run_time: float
    sum_estimated_lateness: float


class HistoryInterval(Struct, kw_only=True):
    """From `interval_start` until before `interval_end`, by the time that runs were expected to start at."""

    interval_start: datetime
    interval_end: datetime
    states: list[HistoryState]
