"""Use cases of log lines."""

import csv
import io
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from headgate.errors import Invalid, NotFound
from headgate.ids import uuid7_texts
from headgate.schema.filters import MAX_PAGE, LogQuery
from headgate.schema.logs import Log, LogCreate
from headgate.schema.times import aware
from headgate.services.scope import Scope
from headgate.store import flow_runs as run_rows
from headgate.store import logs as rows
from headgate.store.database import Command, Tx

MAX_MESSAGE = 1_000_000
"""Longest message, in characters."""


async def _insert(tx: Tx, batches: Sequence[list[rows.Line]]) -> list[None]:
    await rows.insert(tx, batches[0] if len(batches) == 1 else [line for batch in batches for line in batch])
    return [None] * len(batches)


INSERT: Command[list[rows.Line], None] = Command("insert logs", _insert)


async def create(scope: Scope, body: list[LogCreate]) -> None:
    """Write lines."""
    if body:
        await scope.store.submit(INSERT, _lines(body, scope.now))
        scope.log_streams.tell([line.flow_run_id for line in body])


def _lines(body: list[LogCreate], now: datetime) -> list[rows.Line]:
    """`body` as it is stored. There are many: nothing is looked at twice, and no record is made of a line."""
    lines: list[rows.Line] = []
    for index, (line, id) in enumerate(zip(body, uuid7_texts(now, len(body)), strict=True)):
        message, time = line.message, line.timestamp
        if len(message) > MAX_MESSAGE:
            raise Invalid(
                f"A log message has at most {MAX_MESSAGE} characters.", field=f"[{index}].message", value=len(message)
            )
        if "\0" in message:
            message = message.replace("\0", "\N{REPLACEMENT CHARACTER}")  # PostgreSQL's text has no place for it
        if time.tzinfo is not UTC or not 1 < time.year < 9999:
            time = aware(time)
        lines.append((line.flow_run_id, id, line.task_run_id, time, line.level, line.name, message))
    return lines


async def as_csv(scope: Scope, flow_run_id: UUID) -> tuple[str, AsyncIterator[str]]:
    """The name of a run, and all of its lines as CSV, a page at a time."""
    run = await scope.store.read(lambda tx: run_rows.get(tx, flow_run_id, now=scope.now))
    if run is None:
        raise NotFound("Flow run not found")
    return run.name, _csv(scope, flow_run_id)


async def _csv(scope: Scope, flow_run_id: UUID) -> AsyncIterator[str]:
    yield csv_of([("timestamp", "level", "flow_run_id", "task_run_id", "message")])
    last: Log | None = None
    while page := await _lines_after(scope, flow_run_id, last):
        yield csv_of([(log.timestamp, log.level, log.flow_run_id, log.task_run_id or "", log.message) for log in page])
        last = page[-1]


async def _lines_after(scope: Scope, flow_run_id: UUID, last: Log | None) -> list[Log]:
    return await scope.store.read(lambda tx: rows.list_of_run(tx, flow_run_id, after=last, limit=MAX_PAGE))


def csv_of(lines: Iterable[Sequence[Any]]) -> str:
    """Lines as CSV."""
    text = io.StringIO()
    csv.writer(text).writerows(lines)
    return text.getvalue()


async def list_page(scope: Scope, query: LogQuery) -> list[Log]:
    """A page of those that match."""
    return await scope.store.read(lambda tx: rows.list_page(tx, query))
