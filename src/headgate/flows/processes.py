"""Child processes: started without a shell in a group of their own, read line by line, stopped with all they started."""

import asyncio
import atexit
import codecs
import errno
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from headgate.clock import monotonic
from headgate.errors import HeadgateError
from headgate.flows.guard import Guard
from headgate.schema.states import CrashReason

ENGINE_ARGV: tuple[str, ...] = (sys.executable, "-P", "-m", "headgate.flows.engine")
"""Runs the flow run that its environment names. -P: a user's `queue.py` in its directory must not become the engine's."""

LONGEST_LINE = 16_384
"""Characters after which a line is cut and goes on as the next one."""

OnLine = Callable[[str], None]

_READ_AFTER_EXIT = 0.5
_KILL_PATIENCE = 10.0


class LaunchError(HeadgateError):
    """The program cannot be started: it, or its working directory, is not there or not allowed."""


class StillAlive(HeadgateError):
    """Processes outlived SIGKILL."""


async def launch(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: str | Path | None = None,
    on_line: OnLine | None = None,
    die_with_parent: bool = False,
) -> "Process":
    """Start `argv` in a new session with exactly `env`, in `cwd`, with nothing to read on stdin.

    `on_line` gets each line of stdout and stderr together, without its end, as it comes; it is called in the event loop
    and must not block. Lines longer than `LONGEST_LINE` come in pieces, bytes that are not UTF-8 as U+FFFD. Without
    `on_line` the child writes where this process writes. With `die_with_parent` the child and all that it started
    are killed when this process dies. Raises `LaunchError`.
    """

    async def start(sink: int | None) -> Child:
        if not die_with_parent:
            return await spawn(argv, env=env, cwd=cwd, sink=sink)
        with _guard.enlisting() as enlist:
            return await spawn(argv, env=env, cwd=cwd, sink=sink, before=enlist)

    return await attend(start, on_line, die_with_parent=die_with_parent)


async def attend(
    start: Callable[[int | None], Awaitable["Child"]], on_line: OnLine | None, *, die_with_parent: bool = False
) -> "Process":
    """`launch` with another way to start: `start` is given the descriptor for the child's stdout and stderr, which stays
    open until it returns; None when the child is to write where this process writes.
    """
    if on_line is None:
        return Process(await start(None), None, die_with_parent)
    loop = asyncio.get_running_loop()
    read_end, write_end = os.pipe()
    lines = _Lines(on_line)
    # A pipe of our own: asyncio's would keep `wait` from returning while a grandchild holds it open.
    reader, _ = await loop.connect_read_pipe(lambda: lines, os.fdopen(read_end, "rb", buffering=0))
    try:
        return Process(await start(write_end), (reader, lines), die_with_parent)
    except BaseException:
        reader.close()
        raise
    finally:
        os.close(write_end)


async def spawn(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: str | Path | None,
    sink: int | None,
    before: Callable[[], None] | None = None,
) -> "Child":
    """A program in a new session, without anybody who attends to it; the new process calls `before` and then becomes the
    program. Raises `LaunchError`.
    """
    try:
        return await asyncio.create_subprocess_exec(
            *argv,
            env=dict(env),
            cwd=cwd,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            start_new_session=True,
            preexec_fn=before,
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise LaunchError(_launch_problem(argv, cwd, error)) from error


async def end_group(
    group: int,
    grace: float,
    *,
    signal_all: Callable[[signal.Signals], None],
    gone_within: Callable[[float], Awaitable[bool]],
) -> None:
    """SIGTERM, after `grace` seconds SIGKILL; returns when nothing of the group is left, else raises `StillAlive`."""
    if grace > 0:
        signal_all(signal.SIGTERM)
        signal_all(signal.SIGCONT)  # a stopped process would not notice
    if grace <= 0 or not await gone_within(grace):
        signal_all(signal.SIGKILL)
        if not await gone_within(_KILL_PATIENCE):
            raise StillAlive(f"Processes of group {group} outlive SIGKILL; see `ps -o pid,stat,cmd -g {group}`.")


def explain_exit(code: int) -> str:
    """The human cause of an exit code; signal n is the same as `-n` and as 128+n."""
    shown = 128 - code if code < 0 else code
    cause = _CAUSES.get(shown) or _signal_cause(shown - 128)
    return f"exit code {shown}: {cause}" if cause else f"exit code {shown}"


def crash_reason(code: int) -> CrashReason:
    """What an exit code says of why the infrastructure went; `other` also for what a program did by itself."""
    match 128 - code if code < 0 else code:
        case 137:
            return CrashReason.OUT_OF_MEMORY
        case 143:
            return CrashReason.PREEMPTED
    return CrashReason.OTHER


_CAUSES = {
    0: "ended normally",
    1: "the program reported an error",
    2: "the program was called the wrong way",
    125: "the container could not be started",
    126: "the command was found but may not be executed",
    127: "the command was not found",
    128 + signal.SIGHUP: "its terminal went away (SIGHUP)",
    128 + signal.SIGINT: "interrupted (SIGINT)",
    128 + signal.SIGABRT: "aborted itself (SIGABRT), often a failed assertion in native code",
    128 + signal.SIGBUS: "bus error (SIGBUS), often a full disk or a truncated file under a memory map",
    128 + signal.SIGFPE: "arithmetic error in native code (SIGFPE)",
    128 + signal.SIGILL: "illegal instruction (SIGILL), often a binary built for another processor",
    128 + signal.SIGKILL: "killed (SIGKILL), often out of memory",
    128 + signal.SIGPIPE: "wrote to a closed pipe (SIGPIPE)",
    128 + signal.SIGSEGV: "segmentation fault (SIGSEGV), a bug in native code",
    128 + signal.SIGTERM: "terminated (SIGTERM), something told it to stop",
    128 + signal.SIGXCPU: "over its limit of processor time (SIGXCPU)",
}


def _signal_cause(number: int) -> str | None:
    try:
        return f"ended by {signal.Signals(number).name}"
    except ValueError:
        return None


class Child(Protocol):
    """A child process, however it was started. It leads a session of its own."""

    @property
    def pid(self) -> int:
        """Process id."""

    @property
    def returncode(self) -> int | None:
        """Exit code, `-n` for signal n, None while it runs."""

    async def wait(self) -> int:
        """The exit code, once there is one. May be awaited by several, and given up."""


class Process:
    """A started program and its process group. Made by `launch`."""

    def __init__(self, process: Child, output: "_Output | None", die_with_parent: bool) -> None:
        if die_with_parent:
            _guard.watch(process.pid)
        self._process = process
        self._output = output
        self._guarded = die_with_parent
        self._ended = asyncio.create_task(self._end())

    @property
    def pid(self) -> int:
        """Process id, which is also the id of its group and session."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Exit code, `-n` for signal n, None while it runs."""
        return self._process.returncode

    async def wait(self) -> int:
        """The exit code, `-n` for signal n, once the program has ended and its last line was handed on.

        What it left in its group is not waited for.
        """
        return await asyncio.shield(self._ended)

    async def stop(self, grace: float) -> int:
        """SIGTERM to the whole group, after `grace` seconds SIGKILL; the exit code, once nothing of the group is left.

        May be called when the program has ended (then only for its leftovers), and again with a shorter grace.
        Raises `StillAlive` when processes outlive SIGKILL for long.
        """
        await end_group(self.pid, grace, signal_all=self._signal, gone_within=self._gone_within)
        self._release()
        return await self.wait()

    async def _end(self) -> int:
        try:
            code = await self._process.wait()
            if code == 0 or not _group_lives(self.pid):
                self._release()
            if self._output is not None:
                with suppress(
                    TimeoutError
                ):  # what it wrote is in the pipe already, which a grandchild may hold open for ever
                    async with asyncio.timeout(_READ_AFTER_EXIT):
                        await self._output[1].ended.wait()
        finally:
            self._close_output()
        return code

    def _release(self) -> None:
        if self._guarded:
            _guard.release(self.pid)
            self._guarded = False

    def _close_output(self) -> None:
        if self._output is not None:
            reader, lines = self._output
            reader.close()
            lines.flush()

    def _signal(self, number: signal.Signals) -> None:
        if self._process.returncode is not None and not _group_lives(self.pid):
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    async def _gone_within(self, seconds: float) -> bool:
        deadline = monotonic() + seconds
        try:
            async with asyncio.timeout(seconds):
                await self._process.wait()
        except TimeoutError:
            return False
        pause = 0.005
        while _group_lives(self.pid):
            if monotonic() >= deadline:
                return False
            await asyncio.sleep(pause)
            pause = min(pause * 2, 0.1)
        return True


class _Lines(asyncio.Protocol):
    """Cuts what a pipe brings into lines; never holds more than one."""

    def __init__(self, on_line: OnLine) -> None:
        self.ended = asyncio.Event()
        self._on_line = on_line
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._rest = ""

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + self._decoder.decode(data)).split("\n")
        for line in lines:
            self._emit(line)
        while len(self._rest) > LONGEST_LINE:
            self._emit(self._rest[:LONGEST_LINE])
            self._rest = self._rest[LONGEST_LINE:]

    def connection_lost(self, error: Exception | None) -> None:
        self.flush()
        self.ended.set()

    def flush(self) -> None:
        """Hand on a last line that has no end."""
        rest, self._rest = self._rest + self._decoder.decode(b"", final=True), ""
        if rest:
            self._emit(rest)

    def _emit(self, line: str) -> None:
        line = line.removesuffix("\r").replace("\0", "\ufffd")  # PostgreSQL refuses NUL in text
        for start in range(0, max(len(line), 1), LONGEST_LINE):
            self._on_line(line[start : start + LONGEST_LINE])


_Output = tuple[asyncio.ReadTransport, _Lines]

_guard = Guard()
atexit.register(_guard.close)


def _launch_problem(argv: Sequence[str], cwd: str | Path | None, error: Exception) -> str:
    program = argv[0] if argv else ""
    match error:
        case _ if cwd is not None and not os.path.isdir(cwd):
            return f"The working directory {str(cwd)!r} does not exist on this machine."
        case FileNotFoundError():
            return f"The command {program!r} was not found; give its full path, or put its directory on the PATH."
        case PermissionError():
            return f"The command {program!r} may not be executed; is it a program, with its x bit set?"
        case OSError(errno=errno.ENOEXEC):
            return f"{program!r} is not a program for this system; does a script lack its first line, such as #!/bin/sh?"
        case OSError(errno=errno.E2BIG):
            return f"The arguments and environment of {program!r} are longer than the system allows: {error}."
        case _:
            return f"The command {program!r} cannot be started: {error}."


def _group_lives(group: int) -> bool:
    """Whether any process of the group still runs; zombies that nobody collects do not count."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not sys.platform.startswith("linux") or any(map(_in_group(group), os.listdir("/proc")))


def _in_group(group: int) -> Callable[[str], bool]:
    def runs(entry: str) -> bool:
        if not entry.isdigit():
            return False
        try:
            with open(f"/proc/{entry}/stat", "rb") as file:
                state, _, of, *_ = file.read().rpartition(b")")[2].split()
        except (OSError, ValueError):
            return False
        return int(of) == group and state not in (b"Z", b"X")

    return runs
