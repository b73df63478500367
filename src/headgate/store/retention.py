"""Rows that are too old: found page by page, and deleted in steps that each change a bounded number of rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from headgate.core.liveness import worker_status
from headgate.core.retention import Cutoffs
from headgate.ids import first_at
from headgate.schema.retention import Amounts
from headgate.schema.workers import WorkerStatus
from headgate.store import flow_runs
from headgate.store import task_runs as task_run_rows
from headgate.store.database import Tx
from headgate.store.statements import Statement, load_statements

_SQL = load_statements("retention")

ROWS = 500
"""How many rows of a kind one step deletes, at most; so many that a step takes some milliseconds."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A run, and when it ended."""

    id: UUID
    end_time: datetime


@dataclass(frozen=True, slots=True)
class Step:
    """What a step deleted, and which of its runs are left for the next one."""

    amounts: Amounts
    left: list[UUID]


async def ended(tx: Tx, *, before: datetime, after: Ended, limit: int) -> list[Ended]:
    """Runs that ended before a moment and are needed by nobody, the earliest first; those that come after one of them."""
    params = {"before": before, "since": after.end_time, "since_id": after.id, "limit": limit}
    return [Ended(row["id"], row["end_time"]) for row in await tx.fetch(_SQL["ended"], params)]


async def delete_ended(tx: Tx, ids: Sequence[UUID], *, before: datetime) -> Step:
    """A step of the deletion of runs with all that is theirs.

    Leaves alone what has not ended, or ended later, by now; and what somebody else is busy with.
    """
    rows = await tx.fetch(_SQL["hold_ended"], {"ids": sorted(ids), "before": before})
    return await delete_some(tx, [row["id"] for row in rows])


async def delete_some(tx: Tx, ids: Sequence[UUID]) -> Step:
    """A step of the deletion of runs, which the caller holds, with their lines and states."""
    ids = sorted(ids)
    chosen, lines = await _fitting(tx, _SQL["lines_of"], ids)
    if ids and not chosen:
        cut = await tx.execute(_SQL["cut_lines"], {"flow_run_id": ids[0], "limit": ROWS})
        return Step(Amounts(log_lines=cut), ids)
    chosen, states = await _fitting(tx, _SQL["states_of"], chosen)
    if ids and not chosen:
        cut = await tx.execute(_SQL["cut_states"], {"flow_run_id": ids[0], "limit": ROWS})
        return Step(Amounts(states=cut), ids)
    chosen, tasks = await _fitting(tx, _SQL["tasks_of"], chosen)
    if ids and not chosen:
        return Step(await _cut_tasks(tx, ids[0]), ids)
    task_runs = await tx.fetch_value(_SQL["count_some_tasks"], {"ids": chosen}) if tasks else 0
    task_states = await tx.fetch_value(_SQL["count_some_task_states"], {"ids": chosen}) if tasks else 0
    runs = await flow_runs.delete(tx, chosen)
    deleted = Amounts(
        flow_runs=runs,
        task_runs=task_runs,
        states=sum(states.get(id, 0) for id in chosen) + task_states,
        log_lines=sum(lines.get(id, 0) for id in chosen),
    )
    return Step(deleted, ids[len(chosen) :])


async def _cut_tasks(tx: Tx, flow_run_id: UUID) -> Amounts:
    params = {"flow_run_id": flow_run_id, "limit": ROWS}
    if states := await tx.execute(_SQL["cut_task_states"], params):
        return Amounts(states=states)
    return Amounts(task_runs=await tx.execute(_SQL["cut_tasks"], params))


async def delete_alone(tx: Tx, *, before: datetime, limit: int) -> Amounts:
    """A step of the deletion of task runs that belong to no flow run and ended before a moment."""
    ids = [row["id"] for row in await tx.fetch(_SQL["ended_alone"], {"before": before, "limit": limit})]
    states = await tx.execute(_SQL["delete_states_alone"], {"ids": ids}) if ids else 0
    return Amounts(task_runs=await task_run_rows.delete_alone(tx, ids) if ids else 0, states=states)


async def ended_alone(tx: Tx, *, before: datetime) -> bool:
    """Whether there are any such."""
    return bool(await tx.fetch(_SQL["ended_alone"], {"before": before, "limit": 1}))


async def tasked(tx: Tx, *, start: UUID, limit: int) -> list[tuple[UUID, bool]]:
    """Flow runs from an id on that have task runs, and whether the flow run itself is there."""
    rows = await tx.fetch(_SQL["tasked"], {"from_id": start, "limit": limit})
    return [(_uuid(row["id"]), bool(row["stays"])) for row in rows]


async def _fitting(tx: Tx, counts: Statement, ids: Sequence[UUID], **params: Any) -> tuple[list[UUID], dict[UUID, int]]:
    """The first of these runs, as many as one step can take; and how many rows each has. None: the first has too many."""
    rows = await tx.fetch(counts, {"ids": [*ids], "limit": ROWS + 1} | params)
    found = {row["flow_run_id"]: row["rows"] for row in rows}
    if sum(found.values()) <= ROWS:
        return [*ids], found
    last = max(found)  # it may have more than were counted
    return [id for id in ids if id < last], found


async def logged(tx: Tx, *, start: UUID, until: UUID, limit: int) -> list[UUID]:
    """Runs from one id until before another that have lines; lines that are newer than both may be passed over."""
    rows = await tx.fetch(_SQL["logged"], {"from_id": start, "until_id": until, "limit": limit})
    return [_uuid(row["id"]) for row in rows]


async def delete_old_lines(tx: Tx, ids: Sequence[UUID], *, before: datetime) -> Step:
    """A step of the deletion of runs' lines that were written before a moment."""
    ids, bound = sorted(ids), first_at(before)
    chosen, lines = await _fitting(tx, _SQL["old_lines_of"], ids, before_id=bound)
    if ids and not chosen:
        cut = await tx.execute(_SQL["cut_lines"], {"flow_run_id": ids[0], "limit": ROWS})
        return Step(Amounts(log_lines=cut), ids)
    deleted = await tx.execute(_SQL["delete_old_lines"], {"ids": chosen, "before_id": bound}) if lines else 0
    return Step(Amounts(log_lines=deleted), ids[len(chosen) :])


async def has_old_events(tx: Tx, *, before: datetime) -> bool:
    """Whether there are events that were received before a moment."""
    return bool(await tx.fetch_value(_SQL["has_old_events"], {"before_id": first_at(before)}))


async def delete_old_events(tx: Tx, *, before: datetime) -> Amounts:
    """A step of the deletion of events that were received before a moment."""
    return Amounts(events=await tx.execute(_SQL["delete_old_events"], {"before_id": first_at(before), "limit": ROWS}))


async def recorded(tx: Tx, *, start: UUID, limit: int) -> list[tuple[UUID, bool]]:
    """Runs from an id on that have states, and whether the run itself is there."""
    rows = await tx.fetch(_SQL["recorded"], {"from_id": start, "limit": limit})
    return [(_uuid(row["id"]), bool(row["stays"])) for row in rows]


async def offline(tx: Tx, *, before: datetime) -> tuple[list[UUID], list[UUID]]:
    """Workers and agents that were OFFLINE already at a moment and have not been heard of since; they hold no run."""
    return await _silent(tx, _SQL["silent_workers"], before), await _silent(tx, _SQL["silent_agents"], before)


async def _silent(tx: Tx, statement: Statement, before: datetime) -> list[UUID]:
    return [
        row["id"]
        for row in await tx.fetch(statement, {"before": before})
        if worker_status(row["last_heartbeat_time"] or row["created"], row["heartbeat_interval_seconds"], now=before)
        is WorkerStatus.OFFLINE
    ]


async def delete_offline(tx: Tx, workers: Sequence[UUID], agents: Sequence[UUID], *, before: datetime) -> Amounts:
    """Forget workers and agents, unless they have been heard of since."""
    gone = [
        await tx.execute(_SQL[name], {"ids": [*ids], "before": before})
        for name, ids in (("delete_workers", workers), ("delete_agents", agents))
    ]
    return Amounts(workers=gone[0], agents=gone[1])


async def count(tx: Tx, cutoffs: Cutoffs) -> Amounts:
    """How many records are too old. It looks at all of them."""
    runs = tasks = states = lines = 0
    if cutoffs.runs:
        before = {"before": cutoffs.runs}
        runs = await tx.fetch_value(_SQL["count_ended"], before)
        tasks = await tx.fetch_value(_SQL["count_task_runs"], before) + await tx.fetch_value(_SQL["count_alone"], before)
        states = await tx.fetch_value(_SQL["count_states"], before)
        states += await tx.fetch_value(_SQL["count_task_states"], before)
        states += await tx.fetch_value(_SQL["count_states_alone"], before)
        since = first_at(cutoffs.logs) if cutoffs.logs else UUID(int=0)
        lines = await tx.fetch_value(_SQL["count_lines_of_ended"], {"before": cutoffs.runs, "before_id": since})
    if cutoffs.logs:
        lines += await tx.fetch_value(_SQL["count_old_lines"], {"before_id": first_at(cutoffs.logs)})
    events = await tx.fetch_value(_SQL["count_old_events"], {"before_id": first_at(cutoffs.events)}) if cutoffs.events else 0
    workers, agents = await offline(tx, before=cutoffs.workers) if cutoffs.workers else ([], [])
    return Amounts(
        flow_runs=runs,
        task_runs=tasks,
        states=states,
        log_lines=lines,
        events=events,
        workers=len(workers),
        agents=len(agents),
    )


def _uuid(value: Any) -> UUID:
    """An id that an expression gave; SQLite hands those over as they are stored."""
    return value if isinstance(value, UUID) else UUID(value)
