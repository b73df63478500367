"""Workers and agents that talk to an API in memory."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from headgate.client.client import AsyncClient
from headgate.settings import Settings
from headgate.worker.agent import Agent, Poll
from headgate.worker.echo import Echo
from headgate.worker.holder import Holder
from headgate.worker.infra.process import ProcessInfrastructure
from headgate.worker.worker import Worker

sys.path.insert(0, str(Path(__file__).parent))

from worker_api import FakeApi


@pytest.fixture
async def api() -> FakeApi:
    api = FakeApi()
    api.add_pool()
    return api


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        home=str(tmp_path),
        worker_heartbeat_seconds=0.1,
        worker_query_seconds=5.0,
        worker_cancel_grace_seconds=5.0,
        worker_shutdown_grace_seconds=10.0,
        logging_to_api_batch_interval=0.1,
    )


class Working:
    """A worker or an agent at work on the fake API, with what it wrote to its stdout."""

    def __init__(self, worker: Holder, output: list[str], once: bool) -> None:
        self.worker = worker
        self.output = output
        self.task = asyncio.create_task(worker.run(once=once))

    async def ended(self, seconds: float = 20.0) -> None:
        """Wait until the worker has left by itself, or because it was told to."""
        async with asyncio.timeout(seconds):
            await self.task


class _Lines(list[str]):
    def write(self, text: str) -> int:
        self.append(text.removesuffix("\n"))
        return len(text)

    def flush(self) -> None:
        pass


@pytest.fixture
async def work(api: FakeApi, settings: Settings) -> AsyncIterator[Callable[..., Working]]:
    """`work(once=True, limit=…)` starts a worker; what still works at the end of the test is halted."""
    started: list[Working] = []

    def start(*, once: bool = False, settings: Settings = settings, **options: Any) -> Working:
        lines = _Lines()
        worker = Worker(
            pool="pool",
            client=AsyncClient(api, patience=0.0),
            settings=settings,
            **{"name": "w", "echo": Echo(lines), "infrastructure": ProcessInfrastructure(), **options},  # type: ignore[arg-type]
        )
        started.append(Working(worker, lines, once))
        return started[-1]

    yield start
    api.away = False
    for working in started:
        working.worker.halt()
        await working.ended()


@pytest.fixture
async def agent(api: FakeApi, settings: Settings) -> AsyncIterator[Callable[..., Working]]:
    """`agent(once=True, limit=…)` starts an agent that polls the pool `agents`; it is halted at the end of the test."""
    started: list[Working] = []
    api.add_pool("agents", type="prefect-agent")

    def start(*, once: bool = False, settings: Settings = settings, **options: Any) -> Working:
        lines = _Lines()
        agent = Agent(
            client=AsyncClient(api, patience=0.0),
            settings=settings,
            **{
                "poll": Poll("agents"),
                "types": {"process": ProcessInfrastructure()},
                "name": "a",
                "echo": Echo(lines),  # type: ignore[arg-type]
                **options,
            },
        )
        started.append(Working(agent, lines, once))
        return started[-1]

    yield start
    api.away = False
    for working in started:
        working.worker.halt()
        await working.ended()
