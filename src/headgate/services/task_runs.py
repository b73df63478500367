"""Use cases of task runs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from msgspec import UNSET, structs

from headgate.core.names import run_name
from headgate.core.task_states import MAX_CACHE_KEY, MAX_DELAYS
from headgate.errors import Conflict, Invalid, NotFound
from headgate.ids import uuid7
from headgate.schema.filters import Selection, TaskRunPageQuery, TaskRunQuery
from headgate.schema.states import State, StateCreate, StateDetails, StateType
from headgate.schema.task_runs import TaskRun, TaskRunCreate, TaskRunPage, TaskRunPolicy, TaskRunReport, TaskRunUpdate
from headgate.services import pages, task_states, task_workers
from headgate.services.scope import Scope
from headgate.store import flow_runs as flow_run_rows
from headgate.store import task_runs as rows
from headgate.store.database import Command, Tx
from headgate.store.task_runs import key_of

# --- reported by clients that orchestrate task runs themselves


@dataclass(frozen=True, slots=True)
class Report:
    """A task run entered a state, as its client tells; `state.id` is the same when it tells it again."""

    id: UUID
    flow_run_id: UUID | None
    state: State
    run: TaskRunReport


@dataclass(frozen=True, slots=True)
class _Reports:
    reports: Sequence[Report]
    now: datetime


async def record(scope: Scope, reports: Sequence[Report]) -> None:
    """Take over what clients tell of task runs that they orchestrate themselves, in any order and any number of times.

    A task run is in the state of the latest time that was told of; an earlier one that comes late only joins its
    history. Of one flow run, task key and dynamic key there is one task run, whose id is the one that was told first.
    """
    if reports:
        await scope.store.submit(RECORD, _Reports(reports, scope.now))


async def _record(tx: Tx, batches: Sequence[_Reports]) -> list[None]:
    now = batches[0].now
    reports = [report for batch in batches for report in batch.reports]
    reports.sort(key=lambda each: (each.state.timestamp, each.state.id))
    aliases = await _known_ids(tx, reports)
    runs = await rows.lock(tx, aliases.values(), now=now)
    changed: set[UUID] = set()
    states: list[tuple[UUID, State]] = []
    for report in reports:
        id = aliases[report.id]
        details = structs.replace(report.state.state_details, task_run_id=id, flow_run_id=report.flow_run_id)
        state = structs.replace(report.state, state_details=details)
        states.append((id, state))
        if _is_later(state, runs.get(id)):
            runs[id] = _merged(runs.get(id), id, report, state, now)
            changed.add(id)
    await rows.upsert(tx, [runs[id] for id in changed])
    await rows.insert_states(tx, states)
    return [None] * len(batches)


RECORD: Command[_Reports, None] = Command("record task runs", _record)


async def _known_ids(tx: Tx, reports: Iterable[Report]) -> dict[UUID, UUID]:
    """Under which id each reported task run is kept: that of its keys, where there is one."""
    keys = {report.id: (report.flow_run_id, report.run.task_key, report.run.dynamic_key) for report in reports}
    ids = await rows.ids_by_key(tx, [*keys.values()])
    return {id: ids.setdefault(key, id) for id, key in keys.items()}


def _is_later(state: State, run: TaskRun | None) -> bool:
    if run is None or run.state is None:
        return True
    return (state.timestamp, state.id) > (run.state.timestamp, run.state.id)


def _merged(run: TaskRun | None, id: UUID, report: Report, state: State, now: datetime) -> TaskRun:
    """The task run after it entered a state: with what was told now, and else with what was known."""
    told = {name: value for name in TaskRunReport.__struct_fields__ if (value := getattr(report.run, name)) is not UNSET}
    told["labels"] = told.get("labels") or (run.labels if run else {})
    run = run or TaskRun(
        id=id,
        created=now,
        updated=now,
        name=run_name(id.int),
        task_key=report.run.task_key,
        dynamic_key=report.run.dynamic_key,
    )
    return structs.replace(
        run,
        updated=now,
        flow_run_id=report.flow_run_id,
        state=state,
        state_id=state.id,
        state_type=state.type,
        state_name=state.name,
        **told,
    )


# --- orchestrated by the server


async def create(scope: Scope, body: TaskRunCreate) -> tuple[TaskRun, bool]:
    """Create a task run, Pending unless it says otherwise; answers the one of its keys, and whether it is new."""
    _check(body)

    async def unit(tx: Tx) -> tuple[TaskRun, bool]:
        labels = await _labels(tx, body.flow_run_id, scope.now)
        run = _new(body, labels | (body.labels or {}), scope.now)
        key = key_of(run)
        task_states.enter(run, _first_state(body, scope.now), now=scope.now)
        if await rows.insert(tx, run):
            await rows.insert_states(tx, [(run.id, run.state)] if run.state else [])
            await task_workers.enqueue(tx, [run], now=scope.now)
            return run, True
        known = (await rows.ids_by_key(tx, [key])).get(key)
        found = await rows.get(tx, known, now=scope.now) if known else None
        if found is None:
            raise Conflict(f"There is a task run with id {run.id} already, of other keys.")
        return found, False

    run, is_new = await scope.store.write(unit)
    if is_new and task_workers.waits(run):
        task_workers.announce(scope, [run.task_key])
    return run, is_new


def _first_state(body: TaskRunCreate, now: datetime) -> StateCreate:
    """The state to begin in; one that waits has a time."""
    state = body.state or StateCreate(type=StateType.PENDING)
    details = state.state_details or StateDetails()
    if state.type is not StateType.SCHEDULED or details.scheduled_time is not None:
        return state
    return structs.replace(state, state_details=structs.replace(details, scheduled_time=now))


def _check(body: TaskRunCreate) -> None:
    """`Invalid`, in words that existing clients may compare, for what no policy or key may be."""
    policy = body.empirical_policy or TaskRunPolicy()
    if isinstance(policy.retry_delay, list) and len(policy.retry_delay) > MAX_DELAYS:
        message = f"Value error, Can not configure more than {MAX_DELAYS} retry delays per task."
        raise Invalid(message, field="empirical_policy.retry_delay", value=policy.retry_delay)
    if policy.retry_jitter_factor is not None and policy.retry_jitter_factor < 0:
        message = "Value error, `retry_jitter_factor` must be >= 0."
        raise Invalid(message, field="empirical_policy.retry_jitter_factor", value=policy.retry_jitter_factor)
    if body.cache_key and len(body.cache_key) > MAX_CACHE_KEY:
        message = f"Value error, Cache key exceeded maximum allowed length of {MAX_CACHE_KEY} characters."
        raise Invalid(message, field="cache_key", value=body.cache_key)


async def _labels(tx: Tx, flow_run_id: UUID | None, now: datetime) -> dict[str, Any]:
    """What a task run has from its flow run; `Conflict` when there is no such flow run."""
    if flow_run_id is None:
        return {}
    flow_run = await flow_run_rows.get(tx, flow_run_id, now=now)
    if flow_run is None:
        raise Conflict(f"There is no flow run with id {flow_run_id}.")
    return flow_run.labels | {"prefect.flow-run.id": str(flow_run_id)}


def _new(body: TaskRunCreate, labels: dict[str, Any], now: datetime) -> TaskRun:
    id = body.id or uuid7(now)
    return TaskRun(
        id=id,
        created=now,
        updated=now,
        name=body.name or run_name(id.int),
        flow_run_id=body.flow_run_id,
        task_key=body.task_key,
        dynamic_key=body.dynamic_key,
        cache_key=body.cache_key,
        cache_expiration=body.cache_expiration,
        task_version=body.task_version,
        empirical_policy=body.empirical_policy or TaskRunPolicy(),
        tags=body.tags or [],
        labels=labels,
        task_inputs=body.task_inputs or {},
    )


async def update(scope: Scope, id: UUID, body: TaskRunUpdate) -> None:
    """Change a task run's name."""

    async def unit(tx: Tx) -> None:
        run = await rows.get(tx, id, now=scope.now)
        if run is None:
            raise NotFound("Task run not found")
        if body.name is not UNSET:
            await rows.update(tx, id, name=body.name, now=scope.now)

    await scope.store.write(unit)


async def delete(scope: Scope, id: UUID) -> None:
    """Delete a task run with its states and logs."""

    async def unit(tx: Tx) -> None:
        await rows.delete(tx, _found(await rows.get(tx, id, now=scope.now)))

    await scope.store.write(unit)


# --- read


async def list_page(scope: Scope, query: TaskRunQuery) -> list[TaskRun]:
    """A page of those that match."""
    return await scope.store.read(lambda tx: rows.list_page(tx, query, now=scope.now))


async def paginate(scope: Scope, query: TaskRunPageQuery) -> TaskRunPage:
    """A numbered page of those that match."""
    listed = partial(rows.list_page, now=scope.now)
    return await pages.numbered(scope, query, kind=TaskRunQuery, rows=listed, count=rows.count, page=TaskRunPage)


async def count(scope: Scope, query: Selection) -> int:
    """How many match."""
    return await scope.store.read(lambda tx: rows.count(tx, query))


async def get(scope: Scope, id: UUID) -> TaskRun:
    """One task run."""
    return _found(await scope.store.read(lambda tx: rows.get(tx, id, now=scope.now)))


async def states(scope: Scope, id: UUID) -> list[State]:
    """A task run's history, oldest first."""
    return await scope.store.read(lambda tx: rows.states(tx, id))


async def state(scope: Scope, id: UUID) -> State:
    """One state of a task run."""
    found = await scope.store.read(lambda tx: rows.state(tx, id))
    if found is None:
        raise NotFound("Flow run state not found")  # as existing servers word it
    return found


def _found(run: TaskRun | None) -> TaskRun:
    if run is None:
        raise NotFound("Task not found")
    return run
