"""Rows of the states that flow runs were in: their history."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from msgspec import convert

from headgate.schema.states import State, StateDetails, StateType
from headgate.store import task_runs
from headgate.store.database import Tx
from headgate.store.statements import load_statements

_SQL = load_statements("flow_run_states")
_DETAILS = [(name, getattr(StateDetails(), name)) for name in StateDetails.__struct_fields__]


async def insert(tx: Tx, states: Sequence[tuple[UUID, State]]) -> None:
    """Insert states, each with the id of its run."""
    rows = [
        {
            "flow_run_id": run_id,
            "id": state.id,
            "type": state.type,
            "name": state.name,
            "timestamp": state.timestamp,
            **content(state),
        }
        for run_id, state in states
    ]
    await tx.execute_many(_SQL["insert"], rows)


def content(state: State) -> dict[str, Any]:
    """What is kept of a state in its run's history alone."""
    return {"message": state.message, "state_details": _kept_details(state.state_details), "data": state.data}


async def of_run(tx: Tx, id: UUID) -> list[State]:
    """A run's history, oldest first."""
    rows = await tx.fetch(_SQL["of_run"], {"flow_run_id": id})
    return [
        State(
            id=row["id"],
            type=StateType(row["type"]),
            name=row["name"],
            timestamp=row["timestamp"],
            message=row["message"],
            data=row["data"],
            state_details=convert(row["state_details"], StateDetails),
        )
        for row in rows
    ]


async def get(tx: Tx, id: UUID) -> State | None:
    """One state, by its own id; for a person who looks at it, since it may look at many runs."""
    row = await tx.fetch_one(_SQL["get"], {"id": id})
    return task_runs.state_of(row) if row else None


def _kept_details(details: StateDetails) -> dict[str, Any]:
    """What is not as it is by default: mostly two of the eighteen."""
    return {name: value for name, usual in _DETAILS if (value := getattr(details, name)) is not usual}
