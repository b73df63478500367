"""Rows of task runs that wait for task workers, and of the task workers that are connected."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from headgate.schema.task_runs import TaskRun
from headgate.schema.task_workers import TaskWorker
from headgate.store.database import Tx
from headgate.store.statements import load_statements

_SQL = load_statements("task_workers")


async def enqueue(tx: Tx, runs: Iterable[TaskRun], *, now: datetime) -> None:
    """Have these wait for a task worker."""
    rows = [
        {"task_run_id": run.id, "task_key": run.task_key, "created": now, "offered_until": now}
        for run in sorted(runs, key=lambda run: run.id)
    ]
    if rows:
        await tx.execute_many(_SQL["enqueue"], rows)


async def any_waiting(tx: Tx, keys: Sequence[str], *, now: datetime) -> bool:
    """Whether some task run of these tasks is offered to nobody."""
    return await tx.fetch_one(_SQL["any_waiting"], {"keys": [*keys], "now": now}) is not None


async def offer(tx: Tx, key: str, *, until: datetime, now: datetime) -> UUID | None:
    """Offer the longest waiting task run of a task; None when there is none. No two callers get the same one."""
    row = await tx.fetch_one(_SQL["offer"], {"key": key, "until": until, "now": now})
    return row["task_run_id"] if row else None


async def withdraw(tx: Tx, id: UUID, *, until: datetime, now: datetime) -> None:
    """End an offer that was not taken."""
    await tx.execute(_SQL["withdraw"], {"task_run_id": id, "until": until, "now": now})


async def delete(tx: Tx, id: UUID, *, until: datetime) -> None:
    """End an offer for good."""
    await tx.execute(_SQL["delete"], {"task_run_id": id, "until": until})


async def attend(tx: Tx, id: UUID, identifier: str, keys: Sequence[str], *, now: datetime) -> None:
    """Note that a connection of a task worker is there."""
    await tx.execute(_SQL["attend"], {"id": id, "identifier": identifier, "task_keys": [*keys], "last_seen": now})


async def leave(tx: Tx, id: UUID, *, stale: datetime) -> None:
    """Forget a connection, and those that were last seen before `stale`."""
    await tx.execute(_SQL["leave"], {"id": id, "stale": stale})


async def attending(tx: Tx, *, stale: datetime) -> list[TaskWorker]:
    """Connections that were seen since `stale`, by the names of their task workers."""
    rows = await tx.fetch(_SQL["attending"], {"stale": stale})
    return [TaskWorker(identifier=row["identifier"], task_keys=row["task_keys"], timestamp=row["last_seen"]) for row in rows]
