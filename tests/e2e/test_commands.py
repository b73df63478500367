"""Commands that need no system around them: the server's own, and those that bring the API with them."""

import json

from real_system import System, own_lines

from headgate.schema.states import StateType


def test_a_server_starts_detached_says_so_and_stops(system: System) -> None:
    system.headgate("server", "status", code=1)
    shown = system.headgate("server", "start", "--background", "--port", str(system.port))
    assert system.url in shown
    status = system.json("server", "status")
    assert status["healthy"] is True
    assert status["url"] == system.url
    system.headgate("server", "start", "--background", "--port", str(system.port), code=1)
    system.headgate("server", "stop")
    assert not system.answers()
    assert not system.strays()
    system.headgate("server", "stop", code=1)


def test_a_server_in_the_foreground_prints_where_it_is_and_ends_on_sigterm(system: System) -> None:
    server = system.start_server()
    assert f"{system.url}\n" in server.text
    assert f"{system.url.removesuffix('/api')}/docs\n" in server.text
    assert server.stop() == 0
    assert "Traceback" not in server.text


def test_without_an_api_url_everything_works_on_the_default_database(system: System) -> None:
    """Each command brings the API with it, and so does the run's own process."""
    del system.env["HEADGATE_API_URL"]
    system.headgate("work-pool", "create", "local", "--type", "process")
    system.headgate("deploy", "flows.py:talkative", "--name", "test", "--pool", "local", "--param", "count=2")
    system.headgate("deployment", "run", "talkative/test")
    system.headgate("worker", "start", "--pool", "local", "--run-once")
    [run] = system.json("flow-run", "ls")
    assert run["state_type"] == StateType.COMPLETED
    lines = [line["message"] for line in json.loads(system.headgate("flow-run", "logs", run["id"], "-o", "json"))]
    assert own_lines(lines) == ["line 1", "line 2"]
    assert not system.strays()
