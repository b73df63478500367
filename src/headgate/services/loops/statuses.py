"""Statuses: tells of the pools, queues and deployments that became ready, or are not ready any more.

Nobody moves them: a status is derived from when something polled last. Whoever pauses a record, or brings a pool its first
worker, has told that already.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from headgate.core.resource_events import DEPLOYMENT, POOL, QUEUE, STATUSES, Subject, of_pool
from headgate.schema.events import RESOURCE
from headgate.schema.work_queues import ReadyStatus
from headgate.services import resource_events
from headgate.services.scope import Scope
from headgate.store import deployments as deployment_rows
from headgate.store import statuses as rows
from headgate.store import work_pools as pool_rows
from headgate.store import work_queues as queue_rows
from headgate.store.database import Database, Tx

KINDS = (POOL, QUEUE, DEPLOYMENT)

_PAGE = 100
_SLACK = timedelta(seconds=30)
"""So much earlier than the last pass something may have been told: servers' clocks differ, and commits take time."""

Ready = Mapping[str, set[UUID]]
"""The ids of what is ready, by kind."""


@dataclass(frozen=True, slots=True)
class Pass:
    """What was ready when somebody looked."""

    at: datetime
    ready: Ready


class Statuses:
    """Remembers what was ready at the last pass; the first one tells nothing."""

    def __init__(self) -> None:
        self._last: Pass | None = None

    async def tick(self, scope: Scope) -> int:
        """Tell of all whose status is another one by now."""
        now = scope.now
        this = Pass(now, await _ready(scope.store, now))
        count = await _tell_changes(scope, self._last, this) if self._last else 0
        self._last = this  # only now: what could not be told is told by the next pass
        return count


async def _ready(store: Database, now: datetime) -> Ready:
    async def unit(tx: Tx) -> Ready:
        return {kind: await rows.ready(tx, kind, now=now) for kind in KINDS}

    return await store.read(unit)


async def _tell_changes(scope: Scope, last: Pass, this: Pass) -> int:
    count = 0
    for kind in KINDS:
        changed = sorted(last.ready[kind] ^ this.ready[kind])
        for start in range(0, len(changed), _PAGE):
            count += await _tell(scope, kind, changed[start : start + _PAGE], since=last.at - _SLACK)
    return count


async def _tell(scope: Scope, kind: str, ids: Sequence[UUID], *, since: datetime) -> int:
    """What is gone has no status; what was paused, or told by who changed it, is passed over."""

    async def unit(tx: Tx) -> int:
        found = await _subjects(scope, tx, kind, ids)
        told = await rows.told(tx, [subject.id for subject, _ in found], _NAMES[kind], since=since)
        news = [subject.was(STATUSES[status]) for subject, status in found if status is not ReadyStatus.PAUSED]
        fresh = [happening for happening in news if told.get(happening.resource[RESOURCE]) != happening.event]
        await resource_events.keep(scope, tx, *fresh)
        return len(fresh)

    return await scope.store.write(unit)


_NAMES = {kind: [f"prefect.{kind}.{word}" for word in STATUSES.values()] for kind in KINDS}


async def _subjects(scope: Scope, tx: Tx, kind: str, ids: Sequence[UUID]) -> list[tuple[Subject, ReadyStatus]]:
    """Those that are still there and have a status, with that."""
    now, found = scope.now, []
    match kind:
        case "work-pool":
            found = [(of_pool(pool), pool.status) for pool in await pool_rows.get_many(tx, ids, now=now)]
        case "work-queue":
            queues = await queue_rows.get_many(tx, ids, now=now)
            found = [(await resource_events.of_queue(tx, queue), queue.status) for queue in queues]
        case _:
            deployments = await deployment_rows.get_many(tx, [*ids], now=now)
            found = [(await resource_events.of_deployment(tx, each), each.status) for each in deployments.values()]
    return [(subject, status) for subject, status in found if status is not None]
