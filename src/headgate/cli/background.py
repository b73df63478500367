"""The server as a process of its own: starting it detached, finding it again, stopping it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct, structs

from headgate.cli.session import open_client
from headgate.client.calls import admin
from headgate.errors import HeadgateError
from headgate.settings import Settings

START_SECONDS = 60.0
STOP_SECONDS = 30.0
_POLL_SECONDS = 0.05


class Running(Struct, frozen=True):
    """What a server writes about itself to `server.json`."""

    pid: int
    url: str
    processes: list[int] = []  # where it supervises several

    @property
    def count(self) -> int:
        """How many processes answer calls."""
        return sum(map(alive, self.processes)) if self.processes else 1

    @property
    def api_url(self) -> str:
        """The URL of its API."""
        return f"{self.url}/api"


def running_file(settings: Settings) -> Path:
    """Where a server of this home says that it runs."""
    return settings.home_path / "server.json"


def log_file(settings: Settings) -> Path:
    """Where a detached server writes its log."""
    return settings.home_path / "server.log"


def read_running(settings: Settings) -> Running | None:
    """The server of this home whose process is alive; None when there is none."""
    try:
        running = msgspec.json.decode(running_file(settings).read_bytes(), type=Running)
    except (FileNotFoundError, msgspec.DecodeError):  # none, or being written just now
        return None
    return running if alive(running.pid) else None


def read_services(settings: Settings) -> int | None:
    """The process of this home that runs background jobs apart and is alive; None when there is none."""
    try:
        running = msgspec.json.decode((settings.home_path / "services.json").read_bytes(), type=Running)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    return running.pid if alive(running.pid) and _runs_services(running.pid) else None


def _runs_services(pid: int) -> bool:
    """Whether the process is not one that got the number of another; where that cannot be seen it is believed."""
    try:
        return b"services" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return True


def spawn(settings: Settings, environment: Mapping[str, str]) -> Running:
    """Start a server detached, `environment` added to this process's, and wait until its API answers."""
    _spawn(["server", "start"], log_file(settings), environment, lambda pid: _answers(settings, pid))
    running = read_running(settings)
    if running is None:
        raise HeadgateError(f"The server did not start. Look at {log_file(settings)}.")
    return running


def spawn_services(settings: Settings, environment: Mapping[str, str]) -> int:
    """Start the background jobs detached and wait until they run; the process."""
    command = ["server", "services", "start"]
    return _spawn(command, services_log(settings), environment, lambda pid: read_services(settings) == pid)


def services_log(settings: Settings) -> Path:
    """Where detached background jobs write their log."""
    return settings.home_path / "services.log"


def _spawn(command: list[str], log: Path, environment: Mapping[str, str], ready: Callable[[int], bool]) -> int:
    """Settings travel in the environment and not as arguments, which everybody on the machine can read."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        start = output.tell()
        process = subprocess.Popen(
            [sys.executable, "-m", "headgate", *command],
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        answered = _wait(lambda: process.poll() is not None or ready(process.pid), START_SECONDS)
    except BaseException:
        process.kill()
        process.wait()
        raise
    if process.poll() is not None or not answered:
        raise HeadgateError(f"The server did not start: {_last_line(log, start)} All of it is in {log}.")
    # It outlives this process on purpose, so nobody is going to wait for it.
    process.returncode = 0
    return process.pid


def terminate(pid: int) -> bool:
    """Ask a process to stop and wait for its end; whether it ended."""
    os.kill(pid, signal.SIGTERM)
    return _wait(lambda: not alive(pid), STOP_SECONDS)


def is_server(running: Running, settings: Settings) -> bool:
    """Whether that process is a server of ours, and not one that got the number of a server that died."""
    try:
        command = Path(f"/proc/{running.pid}/cmdline").read_bytes()
    except OSError:
        command = b""
    return (b"headgate" in command and b"server" in command) or healthy(settings, running.api_url)


def healthy(settings: Settings, url: str) -> bool:
    """Whether the API at `url` says that it is up."""
    try:
        with open_client(structs.replace(settings, api_url=url, api_request_timeout=5.0), patience=0) as client:
            return client.send(admin.health())
    except HeadgateError:
        return False


def alive(pid: int) -> bool:
    """Whether a process of that number is there and did not end."""
    try:
        # A child of this process that has ended stays in the table until it is waited for.
        if os.waitpid(pid, os.WNOHANG)[0] == pid:
            return False
    except ChildProcessError:
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _answers(settings: Settings, pid: int) -> bool:
    running = read_running(settings)
    return running is not None and running.pid == pid and healthy(settings, running.api_url)


def _wait(condition: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _last_line(log: Path, start: int) -> str:
    lines = log.read_bytes()[start:].decode(errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else f"no answer within {START_SECONDS:.0f} s."
