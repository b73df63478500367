"""The demo's server and worker: started, watched, and stopped for certain."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from demo_watch import say, short

HEADGATE = str(Path(sys.executable).with_name("headgate"))
SECONDS_TO_STOP = 15.0
TAIL = 20


class Trouble(Exception):
    """The demo cannot go on; the message says why."""


class Children:
    """Long-running `headgate` commands, each in a session of its own so that Ctrl-C reaches only us, with a log file each.

    They inherit the demo's lock, which therefore is free only once they are gone, even when we are killed.
    """

    def __init__(self, home: Path, *, inherited: IO[str]) -> None:
        self._home = home
        self._inherited = inherited
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start `headgate ARGUMENTS`; what it prints goes into its log."""
        say(f"$ headgate {' '.join(arguments)} > {short(self._log(name))} 2>&1 &")
        with self._log(name).open("wb") as log:
            self._running[name] = subprocess.Popen(
                [HEADGATE, *arguments],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(self._inherited.fileno(),) if os.name == "posix" else (),
            )
        note_holders(self._inherited, [child.pid for child in self._running.values()])

    def wait_until(self, holds: Callable[[], bool], *, seconds: float, what: str) -> None:
        """Poll until `holds()`; `Trouble` when a child dies or the time is up."""
        if not wait_until(lambda: self.check() or holds(), seconds):
            raise Trouble(f"waited {seconds:.0f} s for {what}, in vain.\n{self.last_words()}")

    def check(self) -> bool:
        """`Trouble` when a child has ended; false otherwise."""
        for name, child in self._running.items():
            if (code := child.poll()) is not None:
                raise Trouble(f"the {name} ended with exit code {code}.\n{self.last_words()}")
        return False

    def last_words(self) -> str:
        """The end of every log."""
        return "\n".join(f"--- end of {self._log(name)}\n{tail(self._log(name))}" for name in self._running)

    def stop(self) -> None:
        """Stop them, the last first; by force when they do not go in time, or when we are interrupted once more."""
        for name, child in reversed(self._running.items()):
            if child.poll() is None:
                say(f"Stopping the {name} ...")
            try:
                child.terminate()
                child.wait(SECONDS_TO_STOP)
            except (subprocess.TimeoutExpired, KeyboardInterrupt):
                child.kill()
                child.wait()
        self._running.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def _log(self, name: str) -> Path:
        return self._home / f"{name}.log"


def tail(log: Path) -> str:
    """The last lines of a log."""
    return "\n".join(log.read_text("utf-8", "replace").splitlines()[-TAIL:])


@contextmanager
def alone(home: Path) -> Iterator[IO[str]]:
    """The demo's lock on `home`; what a demo that was killed left running is stopped first.

    `Trouble` when another demo is alive there.
    """
    home.mkdir(parents=True, exist_ok=True)
    with (home / "demo.lock").open("a+") as lock:
        if not take(lock):
            demo, children = read_holders(lock)
            if is_alive(demo):
                raise Trouble(f"another one, process {demo}, is running in {home}. End that one first.")
            say("Stopping what an earlier demo left running ...")
            evict(lock, children)
        note_holders(lock, [])
        yield lock


def take(lock: IO[str]) -> bool:
    """Whether the lock is ours now. It is held as long as any process has the file open that inherited it."""
    if os.name != "posix":
        return True
    import fcntl  # not everywhere

    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def evict(lock: IO[str], children: Sequence[int]) -> None:
    """Stop these processes, the newest first as `Children.stop` does; then the lock is ours."""
    for child in reversed(children):
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.kill(child, number)
            if wait_until(lambda child=child: not is_alive(child), SECONDS_TO_STOP):
                break
    if not wait_until(lambda: take(lock), SECONDS_TO_STOP):
        raise Trouble(f"processes {list(children)} of an earlier demo do not stop.")


def wait_until(holds: Callable[[], bool], seconds: float) -> bool:
    """Poll until `holds()`; whether it did in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def note_holders(lock: IO[str], children: Sequence[int]) -> None:
    """Write down who holds the lock: us and our children."""
    lock.seek(0)
    lock.truncate()
    json.dump({"demo": os.getpid(), "children": children}, lock)
    lock.flush()


def read_holders(lock: IO[str]) -> tuple[int, list[int]]:
    """The processes that hold the lock."""
    lock.seek(0)
    try:
        holders = json.load(lock)
    except ValueError:
        return 0, []
    return holders["demo"], holders["children"]


def is_alive(process: int) -> bool:
    """Whether there is such a process; one that has ended, and that nobody collects, does not count."""
    if not process:
        return False
    try:
        os.kill(process, 0)
        return Path(f"/proc/{process}/stat").read_bytes().rpartition(b")")[2].split()[0] != b"Z"
    except FileNotFoundError:
        return True  # there is no /proc here
    except OSError:
        return False
