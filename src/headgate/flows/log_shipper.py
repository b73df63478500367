"""The way of a run's log lines to the API: a bounded buffer that one thread empties in batches."""

import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from logging import WARNING, Formatter, Handler, LogRecord, NullHandler
from typing import NamedTuple
from uuid import UUID
from weakref import WeakSet

from headgate.errors import BadRequest, Forbidden, Invalid, NotFound, TooLarge, Unauthorized
from headgate.flows.run_logger import LOGGER, set_level, show_on_console
from headgate.schema.logs import LogCreate
from headgate.settings import Settings

LONGEST_LINE = 100_000
"""Characters that are kept of one line; the middle of a longer one is left out."""

_MOST_BYTES = 64_000_000
_MOST_LINES_PER_CALL = 5_000
_OVERHEAD = 150
_PAUSE_AFTER_FAILURE = 1.0
_FLUSH_OF_CHILD = 5.0
_HOPELESS = (BadRequest, Unauthorized, Forbidden, NotFound, TooLarge, Invalid)

Send = Callable[[list[LogCreate]], None]


class Line(NamedTuple):
    """A line that waits; `created` is its time in seconds since the epoch."""

    name: str
    level: int
    message: str
    created: float


class LogShipper:
    """Takes lines from any thread at once and sends them in order, never blocking nor failing the one who logs.

    Up to `max_lines` wait. When more come, the oldest are dropped and one line in their place says how many.
    A batch goes off once it holds `batch_bytes`, or `interval` seconds after its first line. While the API is away
    the batch is kept and tried again; a batch that the API refuses is dropped, and stderr says so.
    """

    def __init__(self, send: Send, flow_run_id: UUID, *, max_lines: int, batch_bytes: int, interval: float) -> None:
        self._send = send
        self._flow_run_id = flow_run_id
        self._max_lines = max_lines
        self._batch_bytes = batch_bytes
        self._interval = interval
        self._closed = False
        self._complained = False
        self._reset()
        _live.add(self)

    def _reset(self) -> None:
        self._lines: deque[Line] = deque()
        self._bytes = 0
        self._dropped = 0
        self._sending = False
        self._hurry = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def put(self, line: Line) -> None:
        """Queue a line."""
        if len(line.message) > LONGEST_LINE:
            line = line._replace(message=_cut(line.message))
        with self._changed:
            if self._closed:
                return
            if self._thread is None:
                self._start()
            self._lines.append(line)
            self._bytes += _size(line)
            while len(self._lines) > self._max_lines or self._bytes > _MOST_BYTES:
                self._bytes -= _size(self._lines.popleft())
                self._dropped += 1
            if len(self._lines) == 1 or self._is_full():
                self._changed.notify_all()

    def flush(self, timeout: float) -> bool:
        """Send all that waits now; whether that succeeded within `timeout` seconds."""
        with self._changed:
            self._hurry = True
            self._changed.notify_all()
            return self._changed.wait_for(lambda: not self._lines and not self._sending, timeout)

    def close(self, timeout: float) -> bool:
        """Flush, then take no more lines; whether all were sent within `timeout` seconds."""
        sent = self.flush(timeout)
        with self._changed:
            self._closed = True
            self._lines.clear()
            self._changed.notify_all()
        if self._thread is not None and sent:
            self._thread.join(timeout)
        return sent

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="headgate-logs", daemon=True)
        self._thread.start()
        if pools := sys.modules.get("multiprocessing.util"):  # its processes end without `atexit`
            pools.Finalize(None, self.close, args=(_FLUSH_OF_CHILD,), exitpriority=0)

    def _run(self) -> None:
        while batch := self._next_batch():
            while not self._sent(batch):
                if self._closed:
                    return

    def _next_batch(self) -> list[LogCreate]:
        """Wait for a batch that is due; empty when the shipper is closed."""
        with self._changed:
            self._sending = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._lines or self._closed)
            self._changed.wait_for(lambda: self._hurry or self._closed or self._is_full(), self._interval)
            batch = self._take()
            self._sending = bool(batch)
            self._hurry = self._hurry and bool(self._lines)
            return batch

    def _take(self) -> list[LogCreate]:
        """The oldest lines, up to a batch, preceded by a word about those that were dropped."""
        batch: list[LogCreate] = []
        if self._dropped and self._lines:
            text = f"{self._dropped:,} log lines were dropped here: they came faster than the API takes them."
            batch.append(self._entry(Line("headgate.flow_runs", WARNING, text, self._lines[0].created)))
            self._dropped = 0
        size = 0
        while self._lines and size < self._batch_bytes and len(batch) < _MOST_LINES_PER_CALL:
            line = self._lines.popleft()
            size += _size(line)
            batch.append(self._entry(line))
        self._bytes -= size
        return batch

    def _is_full(self) -> bool:
        return self._bytes >= self._batch_bytes or len(self._lines) >= _MOST_LINES_PER_CALL

    def _entry(self, line: Line) -> LogCreate:
        return LogCreate(
            name=line.name,
            level=line.level,
            message=_clean(line.message),
            timestamp=datetime.fromtimestamp(line.created, UTC),
            flow_run_id=self._flow_run_id,
        )

    def _sent(self, batch: list[LogCreate]) -> bool:
        """Whether the batch is dealt with: sent, or refused for good."""
        try:
            self._send(batch)
        except _HOPELESS as error:
            self._complain(f"The API refused {len(batch)} log lines, they are dropped: {error}")
        except Exception as error:
            self._complain(f"Log lines wait for the API: {error}")
            with self._changed:
                self._changed.wait_for(lambda: self._closed, _PAUSE_AFTER_FAILURE)
            return False
        else:
            self._complained = False
        return True

    def _complain(self, text: str) -> None:
        """Tell stderr once per trouble; the run's own log is what is in trouble."""
        if not self._complained:
            self._complained = True
            with suppress(OSError, ValueError):
                sys.stderr.write(f"{text}\n")


@contextmanager
def shipped(send: Send, flow_run_id: UUID, settings: Settings) -> Iterator[LogShipper]:
    """Inside, the lines of the run go to the console and to the shipper that is given; close it to send the last.

    Where the settings want no lines sent, the shipper gets none.
    """
    shipper = LogShipper(
        send,
        flow_run_id,
        max_lines=settings.logging_to_api_max_buffered,
        batch_bytes=settings.logging_to_api_batch_size,
        interval=settings.logging_to_api_batch_interval,
    )
    handler = _Shipping(shipper) if settings.logging_to_api_enabled else NullHandler()
    set_level(settings)
    show_on_console()
    LOGGER.addHandler(handler)
    try:
        yield shipper
    finally:
        LOGGER.removeHandler(handler)


class _Shipping(Handler):
    """Hands records to a shipper."""

    def __init__(self, shipper: LogShipper) -> None:
        super().__init__()
        self._shipper = shipper
        self._formatter = Formatter()

    def emit(self, record: LogRecord) -> None:
        """Queue the record's message, with its traceback if it has one."""
        try:
            plain = not (record.exc_info or record.stack_info)
            message = record.getMessage() if plain else self._formatter.format(record)
            self._shipper.put(Line(record.name, record.levelno, message, record.created))
        except Exception:
            self.handleError(record)


_live: WeakSet[LogShipper] = WeakSet()


def _begin_anew() -> None:
    """In a forked child: what waits is the parent's to send, and the parent's thread and lock are not there."""
    for shipper in _live:
        shipper._reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


def _size(line: Line) -> int:
    return len(line.message) + _OVERHEAD


def _cut(text: str) -> str:
    half = LONGEST_LINE // 2
    return f"{text[:half]}\n… [{len(text) - 2 * half:,} characters left out] …\n{text[-half:]}"


def _clean(text: str) -> str:
    """Without what JSON or a database cannot hold: lone surrogates and NUL."""
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="replace").decode()
    return text
