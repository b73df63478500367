"""Standard output and error that outlive their reader."""

import io
import os
import sys
from typing import Any, TextIO


def protect() -> None:
    """Make stdout and stderr safe to write to when the reader has gone away, and whatever text they get.

    From the first failed write on, the file descriptor itself leads to nowhere, so that child processes are safe too.
    Lines are written as they end, so that a reader sees them when they happen.
    """
    sys.stdout = _protected(sys.stdout, 1)
    sys.stderr = _protected(sys.stderr, 2)


def _protected(stream: TextIO | None, descriptor: int) -> TextIO:
    if stream is None:  # the process was started without this descriptor
        return open(os.devnull, "w")
    stream.flush()
    raw = _Unbreakable(descriptor, "w", closefd=False)
    errors = "backslashreplace"
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding=stream.encoding, errors=errors, line_buffering=True)


class _Unbreakable(io.FileIO):
    def write(self, data: Any, /) -> int:
        """Write; to nowhere once nobody reads."""
        try:
            return super().write(data)
        except BlockingIOError:
            raise
        except OSError:
            self._divert()
            return super().write(data)

    def _divert(self) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)
