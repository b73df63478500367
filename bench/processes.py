"""Programs that the benchmarks start, what they take of the machine, and their certain end."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import psutil

MARK = "HEADGATE_BENCH"
"""Set in the environment of everything that is started here, to the folder of the benchmarks: so strays are found."""

SECONDS_TO_STOP = 10.0
SECONDS_TO_START = 90.0
TAIL = 2000


class Trouble(Exception):
    """A measurement cannot be made; the message says why."""


class Program:
    """A started program, in a session of its own so that Ctrl-C reaches only us; what it prints goes into `log`."""

    def __init__(self, argv: Sequence[str], *, environment: Mapping[str, str], folder: Path, log: Path) -> None:
        self.log = log
        self.started_at = time.perf_counter()
        with log.open("ab") as out:
            self._process = psutil.Popen(
                list(argv),
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its process."""
        pid: int = self._process.pid
        return pid

    @property
    def has_ended(self) -> bool:
        """Whether it is gone."""
        return self._process.poll() is not None

    @property
    def cpu_seconds(self) -> float:
        """What it and its children have taken of the processors."""
        return sum(map(_cpu_seconds, self._tree()))

    @property
    def resident_megabytes(self) -> float:
        """Its memory and its children's."""
        return sum(map(_resident, self._tree())) / 1e6

    def wait_until(self, holds: Callable[[], bool], *, what: str, seconds: float = SECONDS_TO_START) -> None:
        """Poll until `holds()`; `Trouble` when the program ends or the time is up."""
        deadline = time.monotonic() + seconds
        while not holds():
            if self.has_ended or time.monotonic() > deadline:
                why = "it ended" if self.has_ended else f"{seconds:g} s passed"
                raise Trouble(f"waited for {what}, but {why}.\n{self.last_words()}")
            time.sleep(0.005)

    def last_words(self) -> str:
        """The end of what it printed."""
        return f"--- end of {self.log}\n{self.log.read_text('utf-8', 'replace')[-TAIL:]}"

    def stop(self) -> None:
        """SIGTERM to it, SIGKILL to what is left of its process group when it does not go in time."""
        if not self.has_ended:
            self._process.terminate()
            with suppress(psutil.TimeoutExpired):
                self._process.wait(SECONDS_TO_STOP)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    def _tree(self) -> list[psutil.Process]:
        with suppress(psutil.Error):
            return [self._process, *self._process.children(recursive=True)]
        return []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()


def _cpu_seconds(process: psutil.Process) -> float:
    with suppress(psutil.Error):
        times = process.cpu_times()
        return float(times.user + times.system + times.children_user + times.children_system)
    return 0.0


def _resident(process: psutil.Process) -> float:
    with suppress(psutil.Error):
        return float(process.memory_info().rss)
    return 0.0


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Only one benchmark at a time has `folder`; whatever an earlier one left running, or this one, is ended.

    `Trouble` when another one is at work.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a") as lock:
        if not _take(lock.fileno()):
            raise Trouble(f"another benchmark is at work in {folder}; two at once would measure each other.")
        os.environ[MARK] = str(folder)
        try:
            end_strays(folder)
            yield
        finally:
            end_strays(folder)


def _take(file: int) -> bool:
    if sys.platform == "win32":
        return True
    import fcntl  # not everywhere

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    os.set_inheritable(file, False)
    return True


def wait_for_lock(file: int) -> None:
    """Return once the lock of an open file is ours; closing the file gives it back."""
    if sys.platform == "win32":
        return
    import fcntl  # not everywhere

    fcntl.flock(file, fcntl.LOCK_EX)


def end_strays(folder: Path) -> None:
    """SIGKILL for every process that a benchmark of `folder` started and that still runs."""
    strays = [process for process in psutil.process_iter() if _is_marked(process, folder)]
    for process in strays:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(strays, SECONDS_TO_STOP)


def _is_marked(process: psutil.Process, folder: Path) -> bool:
    with suppress(psutil.Error, OSError):
        return bool(process.pid != os.getpid() and process.environ().get(MARK) == str(folder))
    return False
