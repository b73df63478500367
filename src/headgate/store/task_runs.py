"""Rows of task runs and of their states."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import convert

from headgate.core.task_states import Enclosing
from headgate.schema.filters import Selection, TaskRunQuery, TaskRunSort
from headgate.schema.states import State, StateDetails, StateType
from headgate.schema.task_runs import TaskRun, TaskRunPolicy
from headgate.store.database import Row, Tx
from headgate.store.filters import Params
from headgate.store.paging import page, paged
from headgate.store.run_history import run_seconds
from headgate.store.run_rows import run_of
from headgate.store.selections import selection_condition
from headgate.store.statements import load_statements

_SQL = load_statements("task_runs")
_SELECT = _SQL["select"].sqlite
_NO_RUN = UUID(int=0)
_ORDER = {
    TaskRunSort.ID_DESC: "t.id DESC",
    TaskRunSort.EXPECTED_START_TIME_ASC: "t.expected_start_time NULLS LAST, t.id",
    TaskRunSort.EXPECTED_START_TIME_DESC: "t.expected_start_time DESC NULLS LAST, t.id DESC",
    TaskRunSort.NAME_ASC: "t.name, t.id",
    TaskRunSort.NAME_DESC: "t.name DESC, t.id DESC",
    TaskRunSort.NEXT_SCHEDULED_START_TIME_ASC: "t.due_at NULLS LAST, t.id",
    TaskRunSort.END_TIME_DESC: "t.end_time DESC NULLS LAST, t.id DESC",
}
_BY_DURATION = {TaskRunSort.DURATION_DESC: "DESC", TaskRunSort.DURATION_ASC: "ASC"}

Key = tuple[UUID | None, str, str]
"""Flow run, task key and dynamic key: there is one task run of each."""


def key_of(run: TaskRun) -> Key:
    """The key of a task run."""
    return run.flow_run_id, run.task_key, run.dynamic_key


def _task_run(row: Row, now: datetime) -> TaskRun:
    return run_of(TaskRun, row, now=now, empirical_policy=convert(row["empirical_policy"], TaskRunPolicy))


async def list_page(tx: Tx, query: TaskRunQuery, *, now: datetime) -> list[TaskRun]:
    """A page of those that match."""
    p = Params(tx.dialect)
    where = selection_condition("task_runs", query, p)
    sort = query.sort or TaskRunSort.ID_DESC
    if (way := _BY_DURATION.get(sort)) is not None:
        order = f"{run_seconds('t', p, now)} {way}, t.expected_start_time DESC NULLS LAST, t.id DESC"
    else:
        order = _ORDER[sort]
    sql = paged(_SELECT, "task_run t", tables="task_run t", where=where, order=order, window=page(query, p))
    rows = await tx.fetch(sql, p.values)
    return [_task_run(row, now) for row in rows]


async def count(tx: Tx, selection: Selection) -> int:
    """How many match."""
    p = Params(tx.dialect)
    where = selection_condition("task_runs", selection, p)
    found: int = await tx.fetch_value(f"SELECT count(*) FROM task_run t WHERE {where}", p.values)
    return found


async def of_flow_run(tx: Tx, flow_run_id: UUID, *, limit: int, now: datetime) -> list[TaskRun]:
    """The first task runs of a flow run, by id."""
    sql = f"{_SELECT} WHERE t.flow_run_id = :flow_run_id ORDER BY t.id LIMIT :limit"
    return [_task_run(row, now) for row in await tx.fetch(sql, {"flow_run_id": flow_run_id, "limit": limit})]


async def children(tx: Tx, ids: Sequence[UUID]) -> dict[UUID, UUID]:
    """The flow runs that task runs stand for, by task run."""
    rows = await tx.fetch(_SQL["children"], {"ids": [*ids]})
    return {row["parent_task_run_id"]: row["flow_run_id"] for row in rows}


async def count_of_runs(tx: Tx, flow_run_ids: Sequence[UUID]) -> dict[UUID, int]:
    """How many task runs flow runs have that stand for no flow run; flow runs without any are left out."""
    rows = await tx.fetch(_SQL["count_of_runs"], {"ids": [*flow_run_ids]})
    return {row["flow_run_id"]: row["found"] for row in rows}


async def count_by_state(tx: Tx, selection: Selection) -> dict[StateType, int]:
    """How many of those that match are in a state of each type; types without any are left out."""
    p = Params(tx.dialect)
    where = selection_condition("task_runs", selection, p)
    sql = f"SELECT t.state_type, count(*) AS found FROM task_run t WHERE {where} AND t.state_type IS NOT NULL"
    return {StateType(row["state_type"]): row["found"] for row in await tx.fetch(f"{sql} GROUP BY t.state_type", p.values)}


async def insert(tx: Tx, run: TaskRun) -> bool:
    """Insert; False when there is one of that id, or of that key."""
    return await tx.execute(_SQL["insert"], _values(run)) > 0


async def update(tx: Tx, id: UUID, *, name: str, now: datetime) -> bool:
    """Change its name; False when there is none."""
    return await tx.execute(_SQL["update"], {"id": id, "name": name, "updated": now}) > 0


async def upsert(tx: Tx, runs: Iterable[TaskRun]) -> None:
    """Write task runs as they are, each in its state; one that is in a later state meanwhile stays as it is."""
    rows = [_values(run) for run in sorted(runs, key=lambda run: run.id)]
    if rows:
        await tx.execute_many(_SQL["upsert"], rows)


def _values(run: TaskRun) -> dict[str, Any]:
    same = (
        "id created updated flow_run_id task_key dynamic_key name cache_key cache_expiration task_version empirical_policy "
        "tags labels task_inputs state_id state_type state_name expected_start_time start_time end_time total_run_time "
        "run_count flow_run_run_count"
    )
    values = {name: getattr(run, name) for name in same.split()}
    return values | {
        "state_timestamp": run.state.timestamp if run.state else None,
        "due_at": run.next_scheduled_start_time,
    }


async def insert_states(tx: Tx, states: Iterable[tuple[UUID, State]]) -> None:
    """Add states to the histories of task runs; those that are there already stay as they are."""
    rows = [
        {
            "task_run_id": run_id,
            "id": state.id,
            "type": state.type,
            "name": state.name,
            "timestamp": state.timestamp,
            "message": state.message,
            "state_details": state.state_details,
            "data": state.data,
            "cache_key": state.state_details.cache_key if state.type is StateType.COMPLETED else None,
            "cache_expiration": state.state_details.cache_expiration,
        }
        for run_id, state in states
    ]
    if rows:
        await tx.execute_many(_SQL["insert_state"], rows)


async def get(tx: Tx, id: UUID, *, now: datetime) -> TaskRun | None:
    """By id."""
    return (await get_many(tx, [id], now=now)).get(id)


async def get_many(tx: Tx, ids: Sequence[UUID], *, now: datetime) -> dict[UUID, TaskRun]:
    """By ids."""
    rows = await tx.fetch(f"{_SELECT} WHERE t.id IN :ids::uuid[]", {"ids": [*ids]})
    return {row["id"]: _task_run(row, now) for row in rows}


async def lock(tx: Tx, ids: Iterable[UUID], *, now: datetime) -> dict[UUID, TaskRun]:
    """By ids, holding their rows until the transaction ends."""
    wanted = sorted(set(ids))
    if tx.dialect == "postgresql":  # SQLite's one writer holds everything
        await tx.fetch(_SQL["lock"], {"ids": wanted})
    return await get_many(tx, wanted, now=now)


async def ids_by_key(tx: Tx, keys: Sequence[Key]) -> dict[Key, UUID]:
    """Ids of the task runs that there are, by their keys."""
    rows: list[Row] = []
    if ids := {key[0] for key in keys if key[0] is not None}:
        rows += await tx.fetch(_SQL["by_keys"], {"flow_run_ids": [*ids]} | _key_lists(keys))
    if any(key[0] is None for key in keys):
        rows += await tx.fetch(_SQL["by_keys_alone"], _key_lists(keys))
    return {(row["flow_run_id"], row["task_key"], row["dynamic_key"]): row["id"] for row in rows}


def _key_lists(keys: Sequence[Key]) -> dict[str, Any]:
    return {"task_keys": [*{key[1] for key in keys}], "dynamic_keys": [*{key[2] for key in keys}]}


async def cached(tx: Tx, cache_key: str, *, now: datetime) -> State | None:
    """The latest state that stands under a cache key and has not expired."""
    row = await tx.fetch_one(_SQL["cached"], {"cache_key": cache_key, "now": now})
    return state_of(row) if row else None


async def enclosing(tx: Tx, flow_run_ids: Iterable[UUID]) -> dict[UUID, Enclosing]:
    """What task runs need to know of their flow runs."""
    rows = await tx.fetch(_SQL["enclosing"], {"ids": [*flow_run_ids]})
    found = {}
    for row in rows:
        details = convert(row["state_details"] or {}, StateDetails)
        kind = StateType(row["state_type"]) if row["state_type"] else None
        found[row["id"]] = Enclosing(row["id"], kind, row["run_count"], details.pause_timeout, details.pause_reschedule)
    return found


async def states(tx: Tx, id: UUID) -> list[State]:
    """A task run's history, oldest first."""
    return [state_of(row) for row in await tx.fetch(_SQL["states"], {"task_run_id": id})]


async def state(tx: Tx, id: UUID) -> State | None:
    """One state, by its own id; for a person who looks at it, since it may look at all task runs."""
    row = await tx.fetch_one(_SQL["state"], {"id": id}) or await tx.fetch_one(_SQL["state_elsewhere"], {"id": id})
    return state_of(row) if row else None


def state_of(row: Row) -> State:
    """A row of either history as the wire shows it."""
    return State(
        id=row["id"],
        type=StateType(row["type"]),
        name=row["name"],
        timestamp=row["timestamp"],
        message=row["message"],
        data=row["data"],
        state_details=convert(row["state_details"], StateDetails),
    )


async def delete(tx: Tx, run: TaskRun) -> None:
    """Delete a task run with its states and logs."""
    params = {"ids": [run.id]}
    await tx.execute(_SQL["delete_logs"], {"flow_run_id": run.flow_run_id or _NO_RUN, "task_run_id": run.id})
    await tx.execute(_SQL["delete_states"], params)
    await tx.execute(_SQL["delete"], params)


async def delete_alone(tx: Tx, ids: Sequence[UUID]) -> int:
    """Delete task runs with their states, but not their logs; answers how many there were."""
    await tx.execute(_SQL["delete_states"], {"ids": [*ids]})
    return await tx.execute(_SQL["delete"], {"ids": [*ids]})


async def delete_of_runs(tx: Tx, flow_run_ids: Sequence[UUID]) -> int:
    """Delete the task runs of flow runs with their states; answers how many there were."""
    params = {"ids": [*flow_run_ids]}
    await tx.execute(_SQL["delete_states_of_runs"], params)
    return await tx.execute(_SQL["delete_of_runs"], params)
