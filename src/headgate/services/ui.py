"""Use cases of the peer's own pages."""

from datetime import datetime, timedelta
from uuid import UUID

from msgspec import structs

from headgate.core import json_schema
from headgate.core.states import TERMINAL
from headgate.errors import Invalid, NotFound, Unprocessable
from headgate.schema.filters import MAX_PAGE, FlowRunQuery, FlowRunSort, Selection, StateFilter, StateTypeFilter
from headgate.schema.states import StateType
from headgate.schema.ui import (
    CountByState,
    NamedTaskRun,
    SchemaFault,
    SchemaValues,
    SchemaVerdict,
    SimpleFlowRun,
    SimpleNextFlowRun,
    TaskRunTally,
)
from headgate.services.scope import Scope
from headgate.store import flow_runs as run_rows
from headgate.store import run_history
from headgate.store import task_runs as task_rows
from headgate.store import ui as rows
from headgate.store.database import Tx

BUCKETS = 20
MOST_POINTS = 1000
_FAILED = (StateType.FAILED, StateType.CRASHED)


async def run_points(scope: Scope, query: FlowRunQuery) -> list[SimpleFlowRun]:
    """Runs that match as points in a plot, at most `MOST_POINTS`."""
    limit = MOST_POINTS if query.limit is None else query.limit
    if not 0 <= limit <= MOST_POINTS:
        raise Unprocessable(f"Invalid limit: must be from 0 to {MOST_POINTS}.", field="limit", value=limit)
    sort = query.sort or FlowRunSort.EXPECTED_START_TIME_DESC
    offset = query.offset or 0

    async def unit(tx: Tx) -> list[SimpleFlowRun]:
        points: list[SimpleFlowRun] = []
        while (room := limit - len(points)) > 0:
            page = structs.replace(query, sort=sort, limit=min(room, MAX_PAGE), offset=offset + len(points))
            found = await run_rows.list_page(tx, page, now=scope.now)
            points += [
                SimpleFlowRun(
                    id=run.id,
                    state_type=run.state_type,
                    timestamp=run.start_time or run.expected_start_time,
                    duration=run.estimated_run_time,
                    lateness=run.estimated_start_time_delta,
                )
                for run in found
            ]
            if len(found) < MAX_PAGE:
                break
        return points

    return await scope.store.read(unit)


async def deployments_by_flow(scope: Scope, ids: list[UUID]) -> dict[str, int]:
    """How many deployments each flow has."""
    counted = await scope.store.read(lambda tx: rows.deployments_by_flow(tx, ids))
    return {str(id): counted.get(id, 0) for id in ids}


async def next_runs(scope: Scope, ids: list[UUID]) -> dict[str, SimpleNextFlowRun | None]:
    """Each flow's next run; none where nothing waits."""
    found = await scope.store.read(lambda tx: rows.next_runs(tx, ids))
    return {str(id): found.get(id) for id in ids}


async def tasks_by_run(scope: Scope, ids: list[UUID]) -> dict[str, int]:
    """How many task runs each flow run has that stand for no flow run."""
    counted = await scope.store.read(lambda tx: task_rows.count_of_runs(tx, ids))
    return {str(id): counted.get(id, 0) for id in ids}


async def tasks_by_state(scope: Scope, query: Selection) -> CountByState:
    """How many task runs that match are in a state of each type."""
    counted = await scope.store.read(lambda tx: task_rows.count_by_state(tx, query))
    return CountByState(**{kind.value: found for kind, found in counted.items()})


async def task_run(scope: Scope, id: UUID) -> NamedTaskRun:
    """A task run with the name of its flow run."""

    async def unit(tx: Tx) -> NamedTaskRun:
        task = await task_rows.get(tx, id, now=scope.now)
        if task is None:
            raise NotFound("Task not found")
        run = await run_rows.get(tx, task.flow_run_id, now=scope.now) if task.flow_run_id else None
        return NamedTaskRun(**structs.asdict(task), flow_run_name=run.name if run else None)

    return await scope.store.read(unit)


async def tallies(scope: Scope, query: Selection) -> list[TaskRunTally]:
    """Ended task runs by the time that they began, in `BUCKETS` equal parts of the time that the filter names."""
    times = query.task_runs.start_time if query.task_runs else None
    if query.task_runs is None or times is None or times.after_ is None:
        raise Unprocessable("task_runs.start_time.after_ is required", field="task_runs.start_time.after_")
    start = times.after_.replace(second=0, microsecond=0)
    end = _end_of_minute(times.before_ or scope.now)
    interval = max((end - start) / BUCKETS, timedelta(microseconds=1))
    ended = StateFilter(type=StateTypeFilter(any_=sorted(TERMINAL)))
    chosen = structs.replace(query, task_runs=structs.replace(query.task_runs, state=ended))
    counted = await scope.store.read(
        lambda tx: run_history.tasks_begun(tx, chosen, start=start, interval=interval, intervals=BUCKETS)
    )
    parts = [TaskRunTally() for _ in range(BUCKETS)]
    for index, kind, found in counted:
        if kind in _FAILED:
            parts[index].failed += found
        else:
            parts[index].completed += found
    return parts


def _end_of_minute(time: datetime) -> datetime:
    return time.replace(second=59, microsecond=999_999)


async def judge_values(_scope: Scope, body: SchemaValues) -> SchemaVerdict:
    """Whether values fit a schema; `Unprocessable` for a schema that is none."""
    if flaws := json_schema.list_flaws(body.schema):
        raise Unprocessable(f"Invalid schema: {flaws[0].reason}", field="schema", value=body.schema)
    try:
        violations = json_schema.list_violations(body.schema, body.values, field="schema")
    except Invalid as error:
        raise Unprocessable(f"Invalid schema: {error}", field="schema", value=body.schema) from None
    errors: list[str | SchemaFault] = []
    for violation in violations:
        _place(errors, list(violation.path), violation.reason)
    return SchemaVerdict(valid=not errors, errors=errors)


def _place(errors: list[str | SchemaFault], path: list[str | int], reason: str) -> None:
    """Put a reason where it belongs: faults of properties and indexes lead to it."""
    if not path:
        errors.append(reason)
        return
    step, *rest = path
    wanted = SchemaFault(index=step) if isinstance(step, int) else SchemaFault(property=step)
    known = (each for each in errors if isinstance(each, SchemaFault))
    fault = next((each for each in known if (each.property, each.index) == (wanted.property, wanted.index)), None)
    if fault is None:
        errors.append(fault := wanted)
    _place(fault.errors, rest, reason)
