"""`examples/demo.py`, which `dev.py demo` becomes once everything is installed."""

import signal
import socket
import time
from collections.abc import Iterator

import pytest
from real_system import PROJECT, PYTHON, Program, System

DEMO = str(PROJECT.parents[2] / "examples" / "demo.py")


@pytest.fixture
def taken_port() -> Iterator[int]:
    """The port that the demo would like to have; somebody else listens there for as long as the test lasts."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        deadline = time.monotonic() + 30  # another test may have it for a while; who has it for longer will keep it
        while not is_bound(listener) and time.monotonic() < deadline:
            time.sleep(0.1)
        yield 4200


def is_bound(listener: socket.socket) -> bool:
    try:
        listener.bind(("127.0.0.1", 4200))
        listener.listen()
    except OSError:
        return False
    return True


def start(system: System, *options: str) -> Program:
    return system.start(PYTHON, DEMO, *options, name="demo")


def test_the_demo_shows_completed_runs_also_after_one_that_was_killed(system: System, taken_port: int) -> None:
    first = start(system)
    system.wait_for_text(first, "as they happen")
    first.kill()
    assert len(system.strays()) >= 2, "its server and its worker go on"
    second = start(system, "--until-completed", "1")
    assert second.wait() == 0, second.text
    assert "Stopping what an earlier demo left running" in second.text
    assert f"127.0.0.1:{taken_port}" not in second.text
    for text in ("/docs", "$ headgate deploy -n every-ten-seconds", "Pending", "Running", "| found ", "Completed"):
        assert text in second.text, second.text
    assert second.text.count(" Running\n") == second.text.count("| found ") >= 1, "each line is shown once"
    assert (system.home / "inventory" / "inventory.md").exists()
    assert not system.strays()


def test_ctrl_c_ends_the_demo_and_all_that_it_started(system: System) -> None:
    demo = start(system, "--port", str(system.port))
    system.wait_for_text(demo, "| found ")
    demo.signal(signal.SIGINT)
    assert demo.wait() == 0, demo.text
    assert demo.text.endswith("Stopping the worker ...\nStopping the server ...\nStopped.\n")
    assert not system.strays()


def test_a_second_demo_in_the_same_place_is_refused(system: System) -> None:
    demo = start(system, "--port", str(system.port))
    system.wait_for_text(demo, "as they happen")
    other = start(system)
    assert other.wait() == 1
    assert f"another one, process {demo.process.pid}, is running" in other.text
    demo.signal(signal.SIGTERM)
    assert demo.wait() == 0, demo.text


def test_a_port_that_is_asked_for_and_taken_is_said_so(system: System, taken_port: int) -> None:
    demo = start(system, "--port", str(taken_port))
    assert demo.wait() == 1
    assert f"port {taken_port} is taken" in demo.text
    assert not system.strays()
