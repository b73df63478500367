"""Rows of flow runs' inputs."""

from collections.abc import Iterable
from uuid import UUID

from headgate.schema.flow_run_inputs import FlowRunInput, FlowRunInputQuery
from headgate.store.database import Tx
from headgate.store.statements import load_statements

_SQL = load_statements("flow_run_inputs")


async def insert(tx: Tx, given: FlowRunInput) -> bool:
    """Insert; False when the run has an input of that key."""
    values = {
        "flow_run_id": given.flow_run_id,
        "key": given.key,
        "id": given.id,
        "created": given.created,
        "value": given.value,
        "sender": given.sender,
    }
    return await tx.execute(_SQL["insert"], values) > 0


async def get(tx: Tx, flow_run_id: UUID, key: str) -> FlowRunInput | None:
    """By key."""
    row = await tx.fetch_one(_SQL["get"], {"flow_run_id": flow_run_id, "key": key})
    return FlowRunInput(**row) if row else None


async def list_some(tx: Tx, flow_run_id: UUID, query: FlowRunInputQuery) -> list[FlowRunInput]:
    """Those whose key begins with the prefix, the earliest first."""
    params = {
        "flow_run_id": flow_run_id,
        "prefix": query.prefix,
        "length": len(query.prefix),
        "excluded": query.exclude_keys,
        "limit": query.limit,
    }
    return [FlowRunInput(**row) for row in await tx.fetch(_SQL["list"], params)]


async def delete(tx: Tx, flow_run_id: UUID, key: str) -> bool:
    """Delete; False when there is none."""
    return await tx.execute(_SQL["delete"], {"flow_run_id": flow_run_id, "key": key}) > 0


async def delete_keys(tx: Tx, flow_run_id: UUID, keys: Iterable[str]) -> None:
    """Delete those of a run that have one of these keys."""
    await tx.execute(_SQL["delete_keys"], {"flow_run_id": flow_run_id, "keys": [*keys]})
