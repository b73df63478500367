"""Process groups that die with this process, however it dies: a small second process holds the list and kills them.

The kernel's own parent-death signal reaches one process only, so `bash job.sh` would die and what it started would live on.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count


class Guard:
    """Keeps the second process; it is started with the first group that is watched or enlists."""

    def __init__(self) -> None:
        self._watched: set[int] = set()
        self._process: subprocess.Popen[bytes] | None = None
        self._tickets = count(1)

    @contextmanager
    def enlisting(self) -> Iterator[Callable[[], None]]:
        """What a new process calls between fork and exec, as leader of its group: so it is guarded before it does anything,
        also when this process dies before it can `watch`. An error inside means that the program was not started.
        """
        if self._process is None or self._process.poll() is not None:
            self._start()
        pipe = self._process.stdin.fileno() if self._process and self._process.stdin else -1
        ticket = next(self._tickets)

        def enlist() -> None:
            signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # the second process may have been killed
            with suppress(OSError):
                os.write(pipe, b"+%d %d\n" % (os.getpid(), ticket))
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)

        try:
            yield enlist
        except BaseException:
            self._tell(f"!{ticket}\n")  # a number that nobody has now may be somebody's tomorrow
            raise

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
    """Read lines until every writer is gone, then kill what is left: `+group`, with a ticket when it enlists itself,
    `-group`, and `!ticket` for what did not come to be.
    """
    watched: dict[int, str] = {}
    for line in sys.stdin:
        number, _, ticket = line[1:].strip().partition(" ")
        match line[0]:
            case "+":
                watched[int(number)] = ticket
            case "-":
                watched.pop(int(number), None)
            case "!":
                watched = {group: held for group, held in watched.items() if held != number}
    for group in watched:
        try:
            os.killpg(group, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue


if __name__ == "__main__":
    _main()
