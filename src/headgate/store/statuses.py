"""Which pools, queues and deployments are ready, all at once, and what was told of them lately."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from headgate.core.liveness import POLLED_WITHIN
from headgate.core.resource_events import DEPLOYMENT, POOL, QUEUE
from headgate.schema.work_pools import UNTYPED
from headgate.store.database import Tx
from headgate.store.statements import load_statements

_SQL = load_statements("statuses")
_READY = {POOL: _SQL["pools"], QUEUE: _SQL["queues"], DEPLOYMENT: _SQL["deployments"]}


async def ready(tx: Tx, kind: str, *, now: datetime) -> set[UUID]:
    """The ids of the pools, queues or deployments whose status is READY."""
    values: dict[str, Any] = {"polled": now - POLLED_WITHIN}
    if kind == POOL:
        values = {"untyped": UNTYPED, "now": now}
    return {row["id"] for row in await tx.fetch(_READY[kind], values)}


async def told(tx: Tx, resources: Sequence[str], events: Sequence[str], *, since: datetime) -> dict[str, str]:
    """By resource the last of these events that was told of it since then."""
    values = {"since": since, "resources": [*resources], "events": [*events]}
    return {row["resource_id"]: row["event"] for row in await tx.fetch(_SQL["told"], values)}
