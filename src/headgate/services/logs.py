"""Use cases of log lines."""

from collections.abc import Sequence

from headgate.errors import Invalid
from headgate.ids import uuid7
from headgate.schema.filters import LogQuery
from headgate.schema.logs import Log, LogCreate
from headgate.services.scope import Scope
from headgate.store import logs as rows
from headgate.store.database import Command, Tx

MAX_MESSAGE = 1_000_000
"""Longest message, in characters."""


async def _insert(tx: Tx, batches: Sequence[list[Log]]) -> list[None]:
    await rows.insert(tx, [log for batch in batches for log in batch])
    return [None] * len(batches)


INSERT: Command[list[Log], None] = Command("insert logs", _insert)


async def create(scope: Scope, body: list[LogCreate]) -> None:
    """Write lines."""
    if body:
        await scope.store.submit(INSERT, [_log(scope, line, index) for index, line in enumerate(body)])
        scope.log_streams.tell([line.flow_run_id for line in body])


def _log(scope: Scope, line: LogCreate, index: int) -> Log:
    if len(line.message) > MAX_MESSAGE:
        raise Invalid(
            f"A log message has at most {MAX_MESSAGE} characters.", field=f"[{index}].message", value=len(line.message)
        )
    now = scope.now
    return Log(
        id=uuid7(now),
        created=now,
        updated=now,
        name=line.name,
        level=line.level,
        message=line.message.replace("\0", "\N{REPLACEMENT CHARACTER}"),  # PostgreSQL's text has no place for it
        timestamp=line.timestamp,
        flow_run_id=line.flow_run_id,
        task_run_id=line.task_run_id,
    )


async def list_page(scope: Scope, query: LogQuery) -> list[Log]:
    """A page of those that match."""
    return await scope.store.read(lambda tx: rows.list_page(tx, query))
