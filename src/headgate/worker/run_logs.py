"""Lines of runs on their way to the API: bounded in memory, sent in batches, flushed before a run's last state."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime
from uuid import UUID

from headgate.client.calls import logs
from headgate.clock import now
from headgate.errors import TooLarge
from headgate.schema.logs import LogCreate
from headgate.settings import Settings
from headgate.worker.channel import Channel

USER = "headgate.flow_runs"
"""Name of a run's own lines."""

WORKER = "headgate.flow_runs.worker"
"""Name of the worker's lines about a run."""

_ENVELOPE = 200
"""Bytes of a line on the wire besides its text."""

logger = logging.getLogger("headgate.worker")


class RunLogs:
    """Buffer of all runs of one worker. `run` sends it; `write` never waits."""

    def __init__(self, channel: Channel, settings: Settings, *, clock: Callable[[], datetime] = now) -> None:
        self._channel = channel
        self._settings = settings
        self._clock = clock
        self._waiting: dict[UUID, deque[LogCreate]] = {}
        self._dropped: dict[UUID, int] = {}
        self._bytes = 0
        self._full = asyncio.Event()
        self._sending = asyncio.Lock()

    def write(self, flow_run_id: UUID, message: str, *, level: int = logging.INFO, name: str = USER) -> None:
        """Take a line. When a run has too many unsent ones, its oldest is dropped and counted."""
        if not self._settings.logging_to_api_enabled:
            return
        lines = self._waiting.setdefault(flow_run_id, deque())
        if len(lines) >= self._settings.logging_to_api_max_buffered:
            self._bytes -= _size(lines.popleft())
            self._dropped[flow_run_id] = self._dropped.get(flow_run_id, 0) + 1
        line = LogCreate(name=name, level=level, message=message, timestamp=self._clock(), flow_run_id=flow_run_id)
        lines.append(line)
        self._bytes += _size(line)
        if self._bytes >= self._settings.logging_to_api_batch_size:
            self._full.set()

    async def flush(self, flow_run_id: UUID) -> None:
        """Wait until the run's lines up to now are sent, or the API is given up."""
        while await self._send_next([flow_run_id]):
            pass

    async def run(self) -> None:
        """Send batches until cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._settings.logging_to_api_batch_interval):
                    await self._full.wait()
            self._full.clear()
            await self.flush_all()

    async def flush_all(self) -> None:
        """`flush` for every run."""
        while await self._send_next(list(self._waiting)):
            pass

    async def _send_next(self, flow_run_ids: Iterable[UUID]) -> bool:
        """Send one batch, after the one under way: a flush also waits for what another task has taken."""
        async with self._sending:
            batch = self._take(flow_run_ids)
            if batch:
                await self._send(batch)
            return bool(batch)

    def _take(self, flow_run_ids: Iterable[UUID]) -> list[LogCreate]:
        batch: list[LogCreate] = []
        room = self._settings.logging_to_api_batch_size
        for id in flow_run_ids:
            lines = self._waiting.get(id, deque())
            if lines and (dropped := self._dropped.pop(id, 0)):
                batch.append(self._gap(lines[0], dropped))
            while lines and (not batch or room >= _size(lines[0])):
                batch.append(lines.popleft())
                room -= _size(batch[-1])
                self._bytes -= _size(batch[-1])
            if not lines:
                self._waiting.pop(id, None)
        return batch

    def _gap(self, after: LogCreate, dropped: int) -> LogCreate:
        message = f"{dropped} earlier lines were dropped: they came faster than the API took them."
        return LogCreate(
            name=WORKER,
            level=logging.WARNING,
            message=message,
            timestamp=after.timestamp,
            flow_run_id=after.flow_run_id,
        )

    async def _send(self, batch: list[LogCreate]) -> None:
        try:
            await self._channel.insist(logs.create(batch))
        except Exception as error:
            if isinstance(error, TooLarge) and len(batch) > 1:
                await self._send(batch[: len(batch) // 2])
                await self._send(batch[len(batch) // 2 :])
            else:
                logger.warning("%d log lines of runs are lost: %s", len(batch), error)


def _size(line: LogCreate) -> int:
    return len(line.message) + _ENVELOPE
