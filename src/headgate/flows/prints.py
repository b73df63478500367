"""`log_prints`: what a flow prints becomes lines of its log."""

import builtins
import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from headgate.flows.context import current
from headgate.flows.run_logger import LOGGER, facts_of

_LONGEST_PARTIAL = 10_000

_captured: ContextVar[bool] = ContextVar("headgate_prints", default=False)
_pending = threading.local()
_lock = threading.Lock()
_scopes = 0
_print = builtins.print


@contextmanager
def logged(enabled: bool) -> Iterator[None]:
    """Inside, `print` to stdout logs at INFO, also in threads started there; with `enabled` false nothing changes."""
    if not enabled:
        yield
        return
    token = _captured.set(True)
    _count(1)
    try:
        yield
    finally:
        _emit_rest()
        _count(-1)
        _captured.reset(token)


def _count(change: int) -> None:
    """Replace `print` while at least one scope needs it."""
    global _scopes, _print
    with _lock:
        if not _scopes:
            _print, builtins.print = builtins.print, _logging_print
        _scopes += change
        if not _scopes:
            builtins.print = _print


def _logging_print(
    *values: Any, sep: str | None = None, end: str | None = None, file: Any = None, flush: bool = False
) -> None:
    # Threads start with an empty context; those that print now are taken for the flow's.
    captured = _captured.get() or threading.current_thread() is not threading.main_thread()
    if not captured or (file is not None and file is not sys.stdout):
        _print(*values, sep=sep, end=end, file=file, flush=flush)
        return
    text = (" " if sep is None else sep).join(map(str, values))
    _collect(text, "\n" if end is None else end)


def _collect(text: str, end: str) -> None:
    """Log a finished line; keep the beginning of one, per thread, until its end is printed."""
    text = getattr(_pending, "text", "") + text
    if end.endswith(("\n", "\r")):
        _pending.text = ""
        _emit(text + end[:-1])
    elif len(text) > _LONGEST_PARTIAL:
        _pending.text = ""
        _emit(text + end)
    else:
        _pending.text = text + end


def _emit_rest() -> None:
    if rest := getattr(_pending, "text", ""):
        _pending.text = ""
        _emit(rest)


def _emit(text: str) -> None:
    """One INFO line of the present run, past the search for its caller, which costs more than all the rest."""
    if not LOGGER.isEnabledFor(logging.INFO):
        return
    record = logging.LogRecord(LOGGER.name, logging.INFO, "", 0, text, None, None, "print")
    context = current()
    if context is not None:
        record.__dict__.update(facts_of(context))
    LOGGER.handle(record)
