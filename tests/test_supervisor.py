"""Several server processes on one socket: what is lost is started again, errors are told once, and all end together."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from headgate.client.calls import admin, flows
from headgate.client.connect import connect
from headgate.schema.flows import FlowCreate
from headgate.settings import Settings

PATIENCE = 60.0
"""Seconds after which what has not happened is taken not to happen. Reached by failing tests only."""


@pytest.fixture
def dialect() -> str:
    return "postgresql"


@contextmanager
def servers(home: Path, url: str, *options: str, **settings: object) -> Iterator[subprocess.Popen[str]]:
    """`headgate server start --workers 2` on a free port; in the end nothing of it is left."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HEADGATE_", "PREFECT_"))}
    given = {"home": home, "server_database_connection_url": url} | settings
    named = {f"HEADGATE_{name.upper()}": str(value) for name, value in given.items()}
    with (home / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "headgate", "server", "start", "--port", "0", "--workers", "2", *options],
            env={**kept, "PYTHONWARNINGS": "error", **named},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()
            wait_until(lambda: not any(map(alive, children_of(home))))


def note(home: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((home / "server.json").read_text())
    except (OSError, ValueError):
        return {}
    return found


def children_of(home: Path) -> list[int]:
    """Server processes of this home that run."""
    mark = f"HEADGATE_HOME={home}".encode()
    return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if mark in environment(pid)]


def environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except OSError:
        return False


def wait_until(holds: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (found := holds()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
    return found


def test_what_is_killed_is_started_again_and_all_end_together(tmp_path: Path, empty_url: str) -> None:
    """The socket answers all the while; a word tells about the loss."""
    with servers(tmp_path, empty_url) as process:
        wait_until(lambda: note(tmp_path).get("processes"))
        first = note(tmp_path)
        assert first["pid"] == process.pid
        assert len(first["processes"]) == 2
        with connect(Settings(api_url=f"{first['url']}/api"), patience=PATIENCE) as client:
            for round in range(2):
                before = note(tmp_path)["processes"]
                os.kill(before[round], signal.SIGKILL)
                made = [client.send(flows.create(FlowCreate(name=f"f{round}-{n}"))) for n in range(20)]
                assert len({flow.id for flow in made}) == 20
                wait_until(lambda before=before: set(note(tmp_path).get("processes", ())) - set(before))  # type: ignore[misc]
            assert client.send(flows.count()) == 40
            assert {each.leader is not None for each in client.send(admin.services())} == {True}
        process.terminate()
        assert process.wait(PATIENCE) == 0
        assert children_of(tmp_path) == []
    said = (tmp_path / "log").read_text()
    assert said.count("API       ") == 1
    assert said.count("It ended with signal 9.") == 2
    assert "Traceback" not in said
    assert not (tmp_path / "server.json").exists()


def test_servers_without_their_supervisor_end(tmp_path: Path, empty_url: str) -> None:
    with servers(tmp_path, empty_url, "--no-services") as process:
        processes = wait_until(lambda: note(tmp_path).get("processes"))
        process.kill()
        wait_until(lambda: not any(map(alive, processes)))
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_what_keeps_them_from_starting_is_told_once(tmp_path: Path, unused_tcp_port: int) -> None:
    url = f"postgresql://me:s3cret@127.0.0.1:{unused_tcp_port}/x"
    with servers(tmp_path, url, server_database_wait_seconds=0) as process:
        assert process.wait(PATIENCE) == 1
    [line] = (tmp_path / "log").read_text().splitlines()
    assert line.startswith(f"Error: Cannot connect to PostgreSQL at 127.0.0.1:{unused_tcp_port}/x: ")


def test_a_server_that_fails_in_a_process_of_its_own_ends_all_with_its_word(tmp_path: Path) -> None:
    """Forked in a process of its own, because this one has threads."""
    code = """
from headgate.errors import HeadgateError
from headgate.supervisor import Supervisor

def run(ready, leash):
    raise HeadgateError("no luck")

try:
    Supervisor(3, run, print).run()
except HeadgateError as error:
    print("told:", error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "told: no luck\n", "")


def test_one_sqlite_file_serves_one_server(tmp_path: Path) -> None:
    with servers(tmp_path, f"sqlite:///{tmp_path / 'x.db'}") as process:
        assert process.wait(PATIENCE) == 1
    [line] = (tmp_path / "log").read_text().splitlines()
    assert line.startswith("Error: 2 server processes cannot share the SQLite file ")
    assert "--database-url postgresql://" in line
    assert not (tmp_path / "x.db").exists()
