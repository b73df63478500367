"""Process groups that die with this process, however it dies: a small second process holds the list and kills them.

The kernel's own parent-death signal reaches one process only, so `bash job.sh` would die and what it started would live on.
"""

import os
import signal
import subprocess
import sys


class Guard:
    """Keeps the second process; it is started with the first group that is watched."""

    def __init__(self) -> None:
        self._watched: set[int] = set()
        self._process: subprocess.Popen[bytes] | None = None

    def watch(self, group: int) -> None:
        """From now on kill `group` when this process ends."""
        self._watched.add(group)
        if self._process is None:
            self._start()
        else:
            self._tell(f"+{group}\n")

    def release(self, group: int) -> None:
        """`group` is gone: its number may belong to something else soon."""
        self._watched.discard(group)
        self._tell(f"-{group}\n")

    def close(self) -> None:
        """End the second process; groups still watched are killed."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            self._process.wait()
            self._process = None

    def _start(self) -> None:
        argv = [sys.executable, "-I", "-S", __file__]
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, bufsize=0, start_new_session=True)
        self._tell("".join(f"+{group}\n" for group in self._watched))

    def _tell(self, text: str) -> None:
        if self._process is None or self._process.stdin is None:
            return
        try:
            self._process.stdin.write(text.encode())
        except BrokenPipeError:  # someone killed it
            self._process.stdin.close()
            self._process.wait()
            self._process = None
            if self._watched:
                self._start()


def _main() -> None:
    """Read `+group` and `-group` lines until the writer is gone, then kill what is left."""
    watched: set[int] = set()
    for line in sys.stdin:
        change = watched.add if line[0] == "+" else watched.discard
        change(int(line[1:]))
    for group in watched:
        try:
            os.killpg(group, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue


if __name__ == "__main__":
    _main()
