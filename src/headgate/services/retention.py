"""Use cases of retention: what is too old is counted, and deleted in steps that hold up nobody."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from headgate.core import retention as rules
from headgate.core.retention import Cutoffs
from headgate.errors import Unavailable
from headgate.ids import first_at
from headgate.schema.retention import Amounts
from headgate.services.scope import Scope
from headgate.store import partitions
from headgate.store import retention as rows
from headgate.store.database import Tx, Unit
from headgate.store.retention import Ended, Step
from headgate.telemetry import PartitionsPostponed

RUNS = 50
"""How many runs one transaction looks at, at most."""

_NONE = UUID(int=0)
_LAST = UUID(int=2**128 - 1)
_FIRST = Ended(_NONE, datetime(1, 1, 1, tzinfo=UTC))


@dataclass(slots=True)
class Rounds:
    """How far the slow rounds have come that visit all runs, a page at a time, and then begin again."""

    states: UUID = _NONE
    lines: UUID = _NONE
    tasks: UUID = _NONE


_OF_THEIR_OWN = ("log", "event")
"""Tables whose partitions go by their age alone, whatever becomes of runs."""

_Delete = Callable[[Tx, Sequence[UUID]], Awaitable[Step]]


def cutoffs_of(scope: Scope) -> Cutoffs:
    """What is too old by now, as the settings say."""
    settings = scope.settings
    return rules.cutoffs(
        scope.now,
        runs_days=settings.server_retention_runs_days,
        logs_days=settings.server_retention_logs_days,
        workers_days=settings.server_retention_workers_days,
        events_days=settings.server_retention_events_days,
    )


async def count(scope: Scope, cutoffs: Cutoffs) -> Amounts:
    """How many records are too old; for a person who asks, since it looks at all of them."""
    return await scope.store.read(lambda tx: rows.count(tx, cutoffs))


async def steps(
    scope: Scope, cutoffs: Cutoffs, rounds: Rounds | None = None, *, exact: bool = False
) -> AsyncGenerator[Amounts, None]:
    """Delete all that is too old, a short transaction at a time; yields what each one deleted.

    Whoever iterates says when the next one comes, and may stop at any time: what is left is found again. Records are
    looked for on readers, so that nothing is written, and nobody waits, while there is nothing to delete. With `rounds`
    the next page of each is looked through at the end. Log lines in a partition of PostgreSQL's wait for all of it to be
    too old, unless `exact`.
    """
    parts: list[AsyncIterator[Amounts]] = []
    if cutoffs.workers:
        parts.append(_forget_offline(scope, cutoffs.workers))
    if cutoffs.logs and exact:
        parts.append(_drop_lines(scope, cutoffs.logs))
    if cutoffs.runs:
        parts += [_delete_ended(scope, cutoffs.runs), _delete_ended_alone(scope, cutoffs.runs)]
    if cutoffs.logs:
        parts.append(_delete_old_lines(scope, cutoffs.logs, rounds, exact=exact))
    if cutoffs.events:
        parts.append(_delete_old_events(scope, cutoffs.events, exact=exact))
    if rounds is not None:
        parts += [_delete_stray_states(scope, rounds), _delete_stray_tasks(scope, rounds)]
    for part in parts:
        async for amounts in part:
            yield amounts


async def _forget_offline(scope: Scope, before: datetime) -> AsyncIterator[Amounts]:
    workers, agents = await scope.store.read(lambda tx: rows.offline(tx, before=before))
    if workers or agents:
        yield await scope.store.write(lambda tx: rows.delete_offline(tx, workers, agents, before=before))


async def _delete_ended(scope: Scope, before: datetime) -> AsyncIterator[Amounts]:
    after = _FIRST
    while page := await scope.store.read(lambda tx, after=after: rows.ended(tx, before=before, after=after, limit=RUNS)):  # type: ignore[misc]
        ids = [run.id for run in page]
        async for amounts in _until_gone(scope, ids, lambda tx, ids: rows.delete_ended(tx, ids, before=before)):
            yield amounts
        after = page[-1]


async def _delete_ended_alone(scope: Scope, before: datetime) -> AsyncIterator[Amounts]:
    """Task runs that belong to no flow run."""
    while await scope.store.read(lambda tx: rows.ended_alone(tx, before=before)):
        yield await scope.store.write(lambda tx: rows.delete_alone(tx, before=before, limit=RUNS))


async def _delete_old_lines(scope: Scope, before: datetime, rounds: Rounds | None, *, exact: bool) -> AsyncIterator[Amounts]:
    """Lines of runs that were created before they were written, as all are whose ids this program made; the next page of
    the round finds those under other ids."""
    if not exact:
        before = await _before_partitions(scope, before)
    start, until = _NONE, first_at(before)
    while page := await scope.store.read(lambda tx, start=start: rows.logged(tx, start=start, until=until, limit=RUNS)):  # type: ignore[misc]
        async for amounts in _until_gone(scope, page, lambda tx, ids: rows.delete_old_lines(tx, ids, before=before)):
            yield amounts
        start = _next(page[-1])
    if rounds is not None:
        start = max(rounds.lines, until)
        page = await scope.store.read(lambda tx: rows.logged(tx, start=start, until=_LAST, limit=RUNS))
        rounds.lines = _next(page[-1]) if page else _NONE
        async for amounts in _until_gone(scope, page, lambda tx, ids: rows.delete_old_lines(tx, ids, before=before)):
            yield amounts


async def _delete_old_events(scope: Scope, before: datetime, *, exact: bool) -> AsyncIterator[Amounts]:
    if not exact:
        before = await _before_partitions(scope, before, table="event")
    while await scope.store.read(lambda tx: rows.has_old_events(tx, before=before)):
        yield await scope.store.write(lambda tx: rows.delete_old_events(tx, before=before))


async def _until_gone(scope: Scope, ids: Sequence[UUID], delete: _Delete) -> AsyncIterator[Amounts]:
    """Steps until none of these runs is left."""
    while ids:
        step = await scope.store.write(lambda tx, ids=ids: delete(tx, ids))  # type: ignore[misc]
        yield step.amounts
        ids = step.left


def _next(id: UUID) -> UUID:
    return UUID(int=min(id.int + 1, _LAST.int))


async def _delete_stray_states(scope: Scope, rounds: Rounds) -> AsyncIterator[Amounts]:
    """States that a run entered while it was being deleted."""
    start = rounds.states
    page = await scope.store.read(lambda tx: rows.recorded(tx, start=start, limit=RUNS))
    rounds.states = _next(page[-1][0]) if page else _NONE
    async for amounts in _until_gone(scope, [id for id, stays in page if not stays], rows.delete_some):
        yield amounts


async def _delete_stray_tasks(scope: Scope, rounds: Rounds) -> AsyncIterator[Amounts]:
    """Task runs that were told of when their flow run had been deleted."""
    start = rounds.tasks
    page = await scope.store.read(lambda tx: rows.tasked(tx, start=start, limit=RUNS))
    rounds.tasks = _next(page[-1][0]) if page else _NONE
    async for amounts in _until_gone(scope, [id for id, stays in page if not stays], rows.delete_some):
        yield amounts


# --- partitions


async def keep_partitions(scope: Scope, cutoffs: Cutoffs) -> int:
    """Make PostgreSQL's partitions for the time to come and drop those that are past; how many. SQLite has none.

    What cannot be done now because the database is busy is told, and done another time.
    """
    changed = 0
    lines = rules.log_span(scope.settings.server_retention_logs_days)
    events = rules.log_span(scope.settings.server_retention_events_days)
    for table, length, before in (
        ("log", lines, cutoffs.logs),
        ("event", events, cutoffs.events),
        ("flow_run_state", rules.STATE_SPAN, cutoffs.runs),
        ("task_run_state", rules.STATE_SPAN, cutoffs.runs),
    ):
        try:
            changed += await _keep_partitions(scope, table, length, before)
        except Unavailable as error:
            scope.telemetry.emit(PartitionsPostponed(table, error))
    return changed


async def _keep_partitions(scope: Scope, table: str, length: timedelta, before: datetime | None) -> int:
    if scope.store.dialect == "sqlite":
        return 0
    present = await scope.store.read(lambda tx: partitions.list_all(tx, table))
    covered = max((each.span.end for each in present), default=None)
    missing = rules.spans_ahead(covered, length, now=scope.now)
    past = [each for each in present if before is not None and each.span.end <= before]
    units: list[Unit[bool]] = [lambda tx, span=span: partitions.add(tx, table, span) for span in missing]  # type: ignore[misc]
    units += [lambda tx, each=each: partitions.drop(tx, each, even_of_runs=table in _OF_THEIR_OWN) for each in past]  # type: ignore[misc]
    return sum([await scope.store.write(unit) for unit in units])


async def _before_partitions(scope: Scope, before: datetime, *, table: str = "log") -> datetime:
    """Before which moment rows have to be deleted one by one, because they will not go with their partition."""
    present = await scope.store.read(lambda tx: partitions.list_all(tx, table))
    return min([before, *(each.span.start for each in present)])


async def _drop_lines(scope: Scope, before: datetime) -> AsyncIterator[Amounts]:
    """Drop the partitions whose lines are all too old; what cannot be dropped now is deleted line by line."""
    for each in await scope.store.read(lambda tx: partitions.list_all(tx, "log")):
        if each.span.end > before:
            return
        try:
            lines = await scope.store.read(lambda tx, each=each: partitions.count(tx, each))  # type: ignore[misc]
            if await scope.store.write(lambda tx, each=each: partitions.drop(tx, each, even_of_runs=True)):  # type: ignore[misc]
                yield Amounts(log_lines=lines)
        except Unavailable as error:
            scope.telemetry.emit(PartitionsPostponed("log", error))
