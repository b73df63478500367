"""Counts that the peer's own pages ask for."""

from collections.abc import Sequence
from uuid import UUID

from headgate.schema.states import StateType
from headgate.schema.ui import SimpleNextFlowRun
from headgate.store.database import Tx
from headgate.store.statements import load_statements

_SQL = load_statements("ui")


async def deployments_by_flow(tx: Tx, ids: Sequence[UUID]) -> dict[UUID, int]:
    """How many deployments flows have; flows without any are left out."""
    rows = await tx.fetch(_SQL["deployments_by_flow"], {"ids": [*ids]})
    return {row["flow_id"]: row["found"] for row in rows}


async def next_runs(tx: Tx, ids: Sequence[UUID]) -> dict[UUID, SimpleNextFlowRun]:
    """The run of each flow that waits for the earliest time."""
    return {
        row["flow_id"]: SimpleNextFlowRun(
            id=row["id"],
            flow_id=row["flow_id"],
            name=row["name"],
            state_name=row["state_name"],
            state_type=StateType(row["state_type"]),
            next_scheduled_start_time=row["due_at"],
        )
        for row in await tx.fetch(_SQL["next_runs"], {"ids": [*ids]})
    }
