"""`headgate server`: a real server in the background, found again and stopped; and the database commands."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import Run

from headgate.cli import background
from headgate.settings import NAMES, Settings


@pytest.fixture
def port() -> int:
    """A free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def in_background(run: Run, port: int, home: Path) -> Iterator[int]:
    """A server in the background; its port."""
    outcome = run("server", "start", "--background", "--port", str(port), "--no-services")
    assert outcome.code == 0, outcome.err
    yield port
    run("server", "stop")


def test_a_server_in_the_background_is_found_and_stopped(run: Run, in_background: int, home: Path) -> None:
    status = run("server", "status", "-o", "json")
    url = f"http://127.0.0.1:{in_background}/api"
    assert status.code == 0
    assert status.json == {
        "url": url,
        "pid": json.loads((home / "server.json").read_text())["pid"],
        "processes": 1,
        "healthy": True,
        "api_version": "0.8.4",
    }
    assert f"url:          {url}\n" in run("server", "status").out
    stopped = run("server", "stop")
    assert (stopped.code, stopped.out) == (0, f"Stopped the server (process {status.json['pid']}).\n")
    assert not background.alive(status.json["pid"])
    assert run("server", "status").code == 1


def test_a_second_one_and_a_reset_are_refused_while_it_runs(run: Run, in_background: int) -> None:
    for command in (["start", "--background"], ["database", "reset", "--yes"]):
        outcome = run("server", *command)
        assert outcome.code == 1
        assert f"runs at http://127.0.0.1:{in_background}" in outcome.err or "A server runs on it" in outcome.err


def test_status_asks_the_api_of_the_settings(run: Run, in_background: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as elsewhere:  # and back again, for the end of the server
        elsewhere.setenv("HEADGATE_API_URL", f"http://127.0.0.1:{in_background}/api")
        elsewhere.setenv("HEADGATE_HOME", "/nonexistent")
        status = run("server", "status", "-o", "json")
    assert (status.code, status.json["healthy"], status.json["pid"]) == (0, True, None)


def test_why_a_server_does_not_start_is_said(run: Run, port: int) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        outcome = run("server", "start", "--background", "--port", str(port))
    assert outcome.code == 1
    assert f"Cannot listen on 127.0.0.1:{port}" in outcome.err
    assert outcome.err.count("\n") == 1


def test_stop_without_a_server_fails_and_clears_up(run: Run, home: Path) -> None:
    home.mkdir()
    (home / "server.json").write_text('{"pid": 999999999, "url": "http://127.0.0.1:1"}')
    outcome = run("server", "stop")
    assert outcome.code == 1
    assert outcome.err == f"Error: No server of {home} runs.\n"
    assert not (home / "server.json").exists()


def test_stop_does_not_touch_another_process_of_that_number(run: Run, home: Path) -> None:
    home.mkdir()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        (home / "server.json").write_text(json.dumps({"pid": other.pid, "url": "http://127.0.0.1:9"}))
        assert run("server", "stop").code == 1
        assert other.poll() is None
        other.send_signal(signal.SIGKILL)


def test_background_jobs_run_apart_and_are_found_and_stopped(run: Run, home: Path) -> None:
    assert run("server", "services", "status").code == 1
    started = run("server", "services", "start", "--background")
    assert started.code == 0, started.err
    status = run("server", "services", "status", "-o", "json")
    assert status.code == 0
    assert "Background jobs run (process" in run("server", "services", "start").err
    assert "Background jobs run on it" in run("server", "database", "reset", "--yes").err
    stopped = run("server", "services", "stop")
    assert (stopped.code, stopped.out) == (0, f"Stopped the background jobs (process {status.json['pid']}).\n")
    assert run("server", "services", "stop").code == 1


def test_the_background_jobs_are_listed(run: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADGATE_SERVER_SERVICES_PRUNER_ENABLED", "false")
    found = {each["name"]: each for each in run("server", "services", "ls", "-o", "json").json}
    assert (found["scheduler"]["enabled"], found["scheduler"]["leader"]) == (True, None)
    assert found["pruner"]["enabled"] is False
    assert "late runs" in run("server", "services", "ls").out


def test_background_jobs_that_are_all_off_are_not_started(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (name for name in NAMES if name.startswith("server_services_") and name.endswith("_enabled")):
        monkeypatch.setenv(f"HEADGATE_{name.upper()}", "false")
    outcome = run("server", "services", "start")
    assert outcome.code == 1
    assert "nothing is to run" in outcome.err


def test_flags_reach_the_server(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Settings] = []

    def serve(settings: Settings) -> int:
        started.append(settings)
        return 3

    monkeypatch.setattr("headgate.serving.serve", serve)
    command = "server start --host ::1 --port 1 --database-url sqlite:///x.db --no-services"
    assert run(*command.split()).code == 3
    [settings] = started
    assert (settings.server_api_host, settings.server_api_port) == ("::1", 1)
    assert settings.server_database_connection_url == "sqlite:///x.db"
    assert not settings.server_services_scheduler_enabled
    assert not settings.server_services_late_runs_enabled
    assert not settings.server_services_lifeline_enabled
    assert not settings.server_services_pruner_enabled


def test_a_background_server_gets_its_flags_in_its_environment(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A password in the arguments would be seen by everybody on the machine."""
    given: dict[str, Any] = {}

    def spawn(settings: Settings, environment: dict[str, str]) -> background.Running:
        given.update(environment)
        return background.Running(1, "http://127.0.0.1:1")

    monkeypatch.setattr("headgate.cli.server.spawn", spawn)
    run("profile", "create", "other")
    run("--profile", "other", "server", "start", "-b", "--database-url", "postgresql://me:s3cret@db/x")
    assert given == {
        "HEADGATE_SERVER_DATABASE_CONNECTION_URL": "postgresql://me:s3cret@db/x",
        "HEADGATE_PROFILE": "other",
    }


def test_the_database_commands(run: Run, home: Path) -> None:
    assert "none" in run("server", "database", "revision").out
    assert run("server", "database", "upgrade").out.startswith("Upgraded the database from nothing")
    run("work-pool", "create", "local", "--type", "process")
    refused = run("server", "database", "reset")
    assert refused.code == 2
    assert len(run("work-pool", "ls", "-o", "json").json) == 1
    assert run("server", "database", "reset", "--yes").code == 0
    assert run("work-pool", "ls", "-o", "json").json == []
    assert run("server", "database", "downgrade", "--revision", "base", "-y").code == 0
    assert "none" in run("server", "database", "revision").out


def test_without_a_url_commands_use_the_app_in_their_own_process(run: Run, home: Path) -> None:
    assert run("work-pool", "create", "local", "--type", "process").code == 0
    assert [pool["name"] for pool in run("work-pool", "ls", "-o", "json").json] == ["local"]
    assert (home / "headgate.db").exists()


def test_a_wrong_database_is_one_line(run: Run, home: Path) -> None:
    outcome = run("server", "start", "--database-url", "mysql://x/y")
    assert outcome.code == 1
    assert outcome.err.count("\n") == 1


def test_version_calls_nobody(run: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADGATE_API_URL", "http://127.0.0.1:9/api")
    facts = run("version", "-o", "json").json
    assert (facts["api"], facts["home"], facts["profile"]) == ("http://127.0.0.1:9/api", str(home), "default")
    assert f"home:         {home}\n" in run("version").out
    assert os.environ["HEADGATE_HOME"] == str(home)
