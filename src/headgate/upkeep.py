"""What `headgate server database` does to a database besides bringing its schema up to date: prune, compact."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from headgate import clock
from headgate.core.retention import Cutoffs
from headgate.errors import Conflict
from headgate.schema.retention import Amounts
from headgate.server import open_store
from headgate.services import retention
from headgate.services.scope import Scope
from headgate.services.wakeups import Wakeups
from headgate.settings import Settings, database_url
from headgate.store.opening import locate
from headgate.store.sqlite_file import compact
from headgate.telemetry import Telemetry

T = TypeVar("T")

Progress = Callable[[Amounts], None]
"""Told how much has been deleted so far."""


def count_old(settings: Settings, cutoffs: Cutoffs) -> Amounts:
    """How many records in the database are too old."""
    return _in_scope(settings, lambda scope: retention.count(scope, cutoffs))


def prune_database(settings: Settings, cutoffs: Cutoffs, progress: Progress) -> Amounts:
    """Delete what is too old, beside whatever servers use the database; answers how much that was."""

    async def work(scope: Scope) -> Amounts:
        total = Amounts()
        async for amounts in retention.steps(scope, cutoffs, exact=True):
            total += amounts
            progress(total)
        return total

    return _in_scope(settings, work)


def compact_database(settings: Settings) -> tuple[int, int]:
    """Give the free space of the database's file back to the disk; answers its bytes before and after."""
    location = locate(database_url(settings))
    if location.path is None:
        raise Conflict("PostgreSQL reuses and gives back space by itself (autovacuum); nothing was done.")
    return compact(location.path)


def _in_scope(settings: Settings, work: Callable[[Scope], Awaitable[T]]) -> T:
    async def run() -> T:
        store = await open_store(settings)
        try:
            return await work(Scope(store, clock.now, settings, Wakeups(), Telemetry()))
        finally:
            await store.close()

    return asyncio.run(run())
