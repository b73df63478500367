"""Output of runs on the worker's own stdout."""

import asyncio
import sys
from typing import TextIO


class Echo:
    """Writes lines and flushes them once per turn of the event loop; a closed stdout silences it."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._closed = False
        self._flushing = False

    def write(self, line: str) -> None:
        """Write a line; never raises."""
        if self._closed:
            return
        try:
            self._out().write(line + "\n")
        except (OSError, ValueError):
            self._closed = True
        if not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        try:
            self._out().flush()
        except (OSError, ValueError):
            self._closed = True

    def _out(self) -> TextIO:
        return sys.stdout if self._stream is None else self._stream
