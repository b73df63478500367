"""Child processes are read line by line, never leave anything behind when stopped, and their exits are explained."""

import asyncio
import io
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from headgate.flows.guard import Guard, _main
from headgate.flows.processes import LONGEST_LINE, LaunchError, Process, explain_exit, launch, spawn

ENV = {"PATH": os.environ["PATH"]}


async def start(code: str, lines: list[str] | None = None, *, die_with_parent: bool = False) -> Process:
    argv = [sys.executable, "-c", textwrap.dedent(code)]
    on_line = None if lines is None else lines.append
    return await launch(argv, env=ENV, cwd=None, on_line=on_line, die_with_parent=die_with_parent)


async def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is awaited happens in other processes
            await asyncio.sleep(0.01)


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_lines_of_stdout_and_stderr_come_in_order_and_the_last_needs_no_end() -> None:
    lines: list[str] = []
    process = await start(
        """
        import sys
        print("one", flush=True)
        print("two", file=sys.stderr, flush=True)
        print("three", end="", flush=True)
        """,
        lines,
    )
    assert await process.wait() == 0
    assert lines == ["one", "two", "three"]


async def test_long_lines_are_cut_and_odd_bytes_replaced() -> None:
    lines: list[str] = []
    code = f"import os; os.write(1, b'x' * {LONGEST_LINE * 2 + 5} + b'\\n' + b'a\\xffb\\0c\\n' + 'ä€'.encode() + b'\\r\\n')"
    process = await start(code, lines)
    assert await process.wait() == 0
    assert [len(line) for line in lines[:3]] == [LONGEST_LINE, LONGEST_LINE, 5]
    assert lines[3:] == ["a\ufffdb\ufffdc", "ä€"]


async def test_a_flood_of_lines_arrives_whole() -> None:
    lines: list[str] = []
    process = await start("for i in range(100_000): print(i)", lines)
    assert await process.wait() == 0
    assert lines == [str(i) for i in range(100_000)]


async def test_the_environment_is_exactly_the_given_one(tmp_path: Path) -> None:
    lines: list[str] = []
    argv = [sys.executable, "-c", "import os; print(sorted(os.environ), os.getcwd())"]
    process = await launch(argv, env={"ONLY": "1", "LC_CTYPE": "C.UTF-8"}, cwd=tmp_path, on_line=lines.append)
    assert await process.wait() == 0
    assert lines == [f"['LC_CTYPE', 'ONLY'] {tmp_path}"]


@pytest.mark.parametrize(
    ("argv", "cwd", "said"),
    [
        (["no-such-program"], None, "'no-such-program' was not found"),
        (["./text"], None, "'./text' may not be executed"),
        (["./no-script"], None, "'./no-script' is not a program"),
        (["true"], "/no/such/place", "directory '/no/such/place' does not exist"),
        (["true", "x" * 10_000_000], None, "longer than the system allows"),
        (["true", "a\0b"], None, "cannot be started"),
    ],
)
async def test_what_cannot_start_says_why(argv: list[str], cwd: str | None, said: str, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("text")
    (tmp_path / "no-script").write_text("text")
    (tmp_path / "no-script").chmod(0o755)
    with pytest.raises(LaunchError, match=said):
        await launch(argv, env=ENV, cwd=cwd or tmp_path, on_line=print)


async def test_stop_lets_the_program_clean_up() -> None:
    lines: list[str] = []
    process = await start(
        """
        import os, signal, sys, time
        def leave(*_):  # no print: the signal may come while the one below is not over
            os.write(1, b"cleaned up\\n")
            sys.exit(3)
        signal.signal(signal.SIGTERM, leave)
        os.write(1, b"ready\\n")
        time.sleep(60)
        """,
        lines,
    )
    await until(lambda: "ready" in lines)
    assert await process.stop(30) == 3
    assert lines == ["ready", "cleaned up"]


DEAF_FAMILY = """
    import signal, subprocess, sys, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"])
    print(child.pid, flush=True)
    time.sleep(60)
"""


async def test_stop_kills_a_deaf_program_and_its_children_after_the_grace() -> None:
    lines: list[str] = []
    process = await start(DEAF_FAMILY, lines)
    await until(lambda: len(lines) == 2)
    grandchild = int(next(line for line in lines if line != "up"))
    assert alive(grandchild)
    assert await process.stop(0.2) == -signal.SIGKILL
    assert not alive(grandchild)
    assert not alive(process.pid)


async def test_a_second_stop_without_grace_shortens_the_first() -> None:
    lines: list[str] = []
    process = await start(DEAF_FAMILY, lines)
    await until(lambda: len(lines) == 2)
    slow = asyncio.create_task(process.stop(60))
    await asyncio.sleep(0)
    assert await process.stop(0) == -signal.SIGKILL
    assert await slow == -signal.SIGKILL


async def test_children_left_behind_do_not_hold_up_wait_and_stop_removes_them() -> None:
    lines: list[str] = []
    process = await start(
        """
        import os, subprocess, sys
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        print(child.pid, flush=True)
        os._exit(7)
        """,
        lines,
    )
    async with asyncio.timeout(20):
        assert await process.wait() == 7
    grandchild = int(lines[0])
    assert alive(grandchild)
    assert await process.stop(5) == 7
    assert not alive(grandchild)


async def test_stopping_what_has_ended_answers_its_exit_code() -> None:
    process = await start("raise SystemExit(4)", [])
    assert await process.wait() == 4
    assert await process.stop(10) == 4


PARENT = """
import asyncio, os, sys
from headgate.flows.processes import launch

async def main():
    code = "import subprocess, sys, time; p = subprocess.Popen(['sleep', '60']); print(p.pid, flush=True); time.sleep(60)"
    lines = []
    process = await launch(
        [sys.executable, "-c", code], env=dict(os.environ), cwd=None, on_line=lines.append, die_with_parent=True
    )
    while not lines:
        await asyncio.sleep(0.01)
    print(process.pid, lines[0], flush=True)
    await process.wait()

asyncio.run(main())
"""


async def test_a_command_and_its_children_die_with_a_killed_parent() -> None:
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", PARENT, stdout=asyncio.subprocess.PIPE)
    assert parent.stdout is not None
    child, grandchild = map(int, (await parent.stdout.readline()).split())
    assert alive(child)
    assert alive(grandchild)
    parent.kill()
    await parent.wait()
    await until(lambda: not alive(child) and not alive(grandchild))


DYING = """
import asyncio, os, signal, sys
from headgate.flows import processes

def die(group):
    print(group, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

processes._guard.watch = die
command = [sys.executable, "-c", "import time; time.sleep(60)"]
asyncio.run(processes.launch(command, env=dict(os.environ), die_with_parent=True))
"""


async def test_a_command_dies_with_a_parent_that_is_killed_before_it_can_watch() -> None:
    """It is on the guard's list before it begins."""
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", DYING, stdout=asyncio.subprocess.PIPE)
    assert parent.stdout is not None
    child = int(await parent.stdout.readline())
    await until(lambda: not alive(child))
    await parent.stdout.read()  # until the guard, which writes where its parent does, is gone as well
    assert await parent.wait() == -signal.SIGKILL


async def test_a_command_that_cannot_be_started_leaves_nothing_to_be_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its number may belong to another process by the time that the parent dies."""
    guard, told = Guard(), io.StringIO()
    monkeypatch.setattr(guard, "_tell", told.write)
    with pytest.raises(LaunchError), guard.enlisting() as enlist:
        await spawn(["/nowhere"], env=ENV, cwd=None, sink=None, before=enlist)
    guard.close()
    killed: list[int] = []
    monkeypatch.setattr("os.killpg", lambda group, number: killed.append(group))
    monkeypatch.setattr("sys.stdin", io.StringIO(f"+4 7\n+5 1\n+6\n{told.getvalue()}"))
    _main()
    assert killed == [4, 6]


def test_a_guard_that_was_killed_is_replaced() -> None:
    guard = Guard()
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as first:
        guard.watch(first.pid)
        assert guard._process is not None
        guard._process.kill()
        guard._process.wait()
        with subprocess.Popen(["sleep", "60"], start_new_session=True) as second:
            guard.watch(second.pid)
            guard.release(second.pid)
            guard.close()
            assert first.wait(10) == -signal.SIGKILL
            assert second.poll() is None
            second.kill()


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (-9, "exit code 137: killed (SIGKILL), often out of memory"),
        (137, "exit code 137: killed (SIGKILL), often out of memory"),
        (-15, "exit code 143: terminated (SIGTERM), something told it to stop"),
        (139, "exit code 139: segmentation fault (SIGSEGV), a bug in native code"),
        (127, "exit code 127: the command was not found"),
        (126, "exit code 126: the command was found but may not be executed"),
        (1, "exit code 1: the program reported an error"),
        (0, "exit code 0: ended normally"),
        (-10, "exit code 138: ended by SIGUSR1"),
        (77, "exit code 77"),
    ],
)
def test_exit_codes_and_signals_are_explained(code: int, said: str) -> None:
    assert explain_exit(code) == said
