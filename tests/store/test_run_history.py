"""Histories are the sums of the runs themselves, in whichever way a database adds them up."""

import random
from collections import defaultdict
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from msgspec import structs
from store_records import NOW, a_flow, a_run, a_state, save_runs

from headgate.core.states import Current, Timing, estimated_run_time, estimated_start_delta
from headgate.schema.filters import Selection
from headgate.schema.flow_runs import FlowRun
from headgate.schema.run_history import HistoryState
from headgate.schema.states import StateType
from headgate.store import run_history
from headgate.store.database import Database

OWNER = UUID("00000000-0000-7000-8000-000000000001")
START, INTERVAL, INTERVALS = NOW - timedelta(hours=6), timedelta(minutes=47, microseconds=1), 9
KINDS = [
    ("COMPLETED", "Completed"),
    ("COMPLETED", "Cached"),
    ("FAILED", "Failed"),
    ("RUNNING", "Running"),
    ("SCHEDULED", "Late"),
]


def made_runs() -> list[FlowRun]:
    """Two hundred of ten hours, some without a state or a time, some at the very bounds of intervals."""
    made, flow, runs = random.Random(3), a_flow(), []
    bounds = [START + number * INTERVAL for number in range(INTERVALS + 1)]
    for number in range(200):
        due = made.choice(bounds) if number % 5 == 0 else NOW - timedelta(seconds=made.randrange(36_000))
        kind, name = made.choice(KINDS)
        state = a_state(StateType(kind), due + timedelta(minutes=3), name=name)
        begun = None if kind == "SCHEDULED" else due + timedelta(seconds=made.choice([-2, 0, 90]))
        fields: dict[str, Any] = {"expected_start_time": due if number % 19 else None, "start_time": begun}
        run = a_run(flow, state, deployment_id=OWNER if number % 3 else None, **fields)
        stateless = {"state": None, "state_id": None, "state_type": None, "state_name": None}
        runs.append(run if number % 17 else structs.replace(run, **stateless))
    return runs


def summed(runs: list[FlowRun]) -> dict[int, list[HistoryState]]:
    """The same in plain Python."""
    groups: dict[int, dict[Any, list[FlowRun]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        if run.expected_start_time and START <= run.expected_start_time < START + INTERVALS * INTERVAL:
            number = (run.expected_start_time - START) // INTERVAL
            groups[number][run.state_type, run.state_name].append(run)
    return {
        number: [HistoryState(state_type=kind, state_name=name, **sums(group)) for (kind, name), group in states.items()]
        for number, states in groups.items()
    }


def sums(runs: list[FlowRun]) -> dict[str, float]:
    """Of runs in one state."""
    ran = late = 0.0
    for run in runs:
        current = Current(type=run.state_type, timestamp=run.state.timestamp if run.state else None)
        timing = Timing(run.expected_start_time, None, run.start_time, None, 0.0, 0)
        ran += estimated_run_time(timing, current, now=NOW)
        late += max(estimated_start_delta(timing, current, now=NOW), 0.0)
    return {"count_runs": len(runs), "sum_estimated_run_time": ran, "sum_estimated_lateness": late}


@pytest.mark.parametrize(
    ("selection", "chosen"),
    [
        ({}, lambda run: True),
        ({"flow_runs": {"deployment_id": {"any_": [OWNER]}}}, lambda run: run.deployment_id == OWNER),
        ({"flow_runs": {"state": {"name": {"any_": ["Cached"]}}}}, lambda run: run.state_name == "Cached"),
        ({"flow_runs": {"name": {"like_": "nimble"}}}, lambda run: True),
    ],
    ids=["all", "of a deployment", "of a state", "by name"],
)
async def test_histories_are_sums_of_runs(database: Database, selection: dict[str, Any], chosen: Any) -> None:
    """By interval and state, with the first moment of an interval in it and the last one in the next."""
    runs = made_runs()
    await save_runs(database, *runs)
    found = await database.read(
        lambda tx: run_history.counted(
            tx,
            "flow_runs",
            msgspec.convert(selection, Selection),
            start=START,
            interval=INTERVAL,
            intervals=INTERVALS,
            now=NOW,
        )
    )
    expected = summed([run for run in runs if chosen(run)])
    assert len(expected) > 6
    assert found.keys() == expected.keys()
    for number, states in expected.items():
        assert _rounded(found[number]) == _rounded(states)


def _rounded(states: list[HistoryState]) -> dict[Any, Any]:
    return {
        (each.state_type, each.state_name): (
            each.count_runs,
            pytest.approx(each.sum_estimated_run_time),
            pytest.approx(each.sum_estimated_lateness),
        )
        for each in states
    }
