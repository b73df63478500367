"""`headgate worker start`: from its options to a worker that runs until it is told to stop."""

import asyncio
import logging
from collections.abc import Sequence

import msgspec

from headgate.client.client import AsyncClient
from headgate.client.connect import connect_async
from headgate.errors import ConfigError
from headgate.schema.flows import Name
from headgate.settings import Settings
from headgate.worker.channel import Channel
from headgate.worker.joining import create, look_up
from headgate.worker.running import Say, Signals, check, logging_to_stderr
from headgate.worker.waiting import first_of
from headgate.worker.worker import Worker


def run_worker(
    settings: Settings,
    *,
    pool: str,
    name: str | None = None,
    type: str | None = None,
    queues: Sequence[str] = (),
    limit: int | None = None,
    prefetch_seconds: float | None = None,
    run_once: bool = False,
) -> int:
    """Run a worker in this process; the exit code.

    The first SIGINT or SIGTERM lets its runs end within `worker_shutdown_grace_seconds`, the second ends them at once.
    Raises `HeadgateError` when there is no such pool, or the worker does not fit it.
    """
    _check(settings, name, limit)
    with logging_to_stderr(settings.logging_level):
        return asyncio.run(
            start_worker(
                settings,
                pool=pool,
                name=name,
                type=type,
                queues=queues,
                limit=limit,
                prefetch_seconds=prefetch_seconds,
                run_once=run_once,
            )
        )


async def start_worker(
    settings: Settings,
    *,
    pool: str,
    name: str | None = None,
    type: str | None = None,
    queues: Sequence[str] = (),
    limit: int | None = None,
    prefetch_seconds: float | None = None,
    run_once: bool = False,
    client: AsyncClient | None = None,
    say: Say = lambda line: print(line, flush=True),
) -> int:
    """`run_worker` inside an event loop, with `client` in place of the one that the settings ask for."""
    client = client or connect_async(settings, patience=0.0)
    channel = Channel(
        client,
        logger=logging.getLogger("headgate.worker"),
        tolerance=settings.api_outage_tolerance,
        start_tolerance=settings.worker_wait_for_api_seconds,
    )
    async with client:
        with Signals() as signals:
            membership = await first_of(look_up(channel, pool, type), signals.first)
            if membership is None or signals.first.is_set():  # it may come while the answer does
                return 0
            if type is None:
                say(f"Discovered worker type {membership.infrastructure.type!r} for work pool {pool!r}.")
            worker = signals.holder = Worker(
                pool=pool,
                infrastructure=membership.infrastructure,
                client=client,
                settings=settings,
                name=name,
                queues=queues,
                limit=limit,
                prefetch_seconds=prefetch_seconds,
            )
            say(f"Worker {worker.name!r} started!")
            if not membership.exists and await first_of(create(channel, membership), signals.first):
                worker.logger.info("Worker pool %r created.", pool)
            await worker.run(once=run_once)
            say(f"Worker {worker.name!r} stopped.")
    return worker.exit_code


def _check(settings: Settings, name: str | None, limit: int | None) -> None:
    check(settings, limit, who="A worker")
    try:
        msgspec.convert(name, Name | None)
    except msgspec.ValidationError:
        raise ConfigError(f"{name!r} cannot be a worker's name: it needs a letter, and none of / % & > <.") from None
