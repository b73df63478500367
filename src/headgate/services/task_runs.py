"""Use cases of task runs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from msgspec import UNSET, structs

from headgate.core.names import run_name
from headgate.errors import NotFound
from headgate.schema.states import State
from headgate.schema.task_runs import TaskRun, TaskRunReport
from headgate.services.scope import Scope
from headgate.store import task_runs as rows
from headgate.store.database import Command, Tx

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


# --- read


async def get(scope: Scope, id: UUID) -> TaskRun:
    """One task run."""
    return _found(await scope.store.read(lambda tx: rows.get(tx, id, now=scope.now)))


async def states(scope: Scope, id: UUID) -> list[State]:
    """A task run's history, oldest first."""
    return await scope.store.read(lambda tx: rows.states(tx, id))


def _found(run: TaskRun | None) -> TaskRun:
    if run is None:
        raise NotFound("Task not found")
    return run
