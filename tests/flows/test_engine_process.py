"""The engine as a process: exit codes, signals, readers that go away, floods of output, and what its start costs."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_api import FakeApi

from headgate.flows.processes import ENGINE_ARGV
from headgate.schema.flow_runs import FlowRun
from headgate.schema.states import StateType

Write = Callable[..., Path]
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(url: str) -> Iterator[Start]:
    """Starts an engine for a run; every process is gone afterwards."""
    started: list[subprocess.Popen[str]] = []

    def begin(run: FlowRun | None, *, fence: int = 1, **about: Any) -> subprocess.Popen[str]:
        env = {**os.environ, "HEADGATE__FENCE": str(fence), **about.pop("env", {})}
        if run is not None:
            env["HEADGATE__FLOW_RUN_ID"] = str(run.id)
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, **about}
        process = subprocess.Popen(ENGINE_ARGV, env=env, text=True, start_new_session=True, **streams)
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def output_of(process: subprocess.Popen[str]) -> str:
    return process.communicate(timeout=60)[0]


@pytest.mark.parametrize(
    ("entrypoint", "code", "state"), [("go", 0, "Completed"), ("fails", 1, "Failed"), ("no_such", 3, "Crashed")]
)
def test_the_exit_code_says_what_was_reported(
    api: FakeApi, start: Start, program: Write, entrypoint: str, code: int, state: str
) -> None:
    program("def go(): ...\ndef fails(): raise ValueError('v')")
    run = api.add_run(f"flows_under_test.py:{entrypoint}")
    process = start(run)
    shown = output_of(process)
    assert process.returncode == code
    assert api.runs[run.id].state_name == state
    assert ("Flow run 'brave-otter' - " in shown) == (code != 0)


def test_a_process_without_orders_says_who_gives_them(start: Start) -> None:
    process = start(None)
    assert "HEADGATE__FLOW_RUN_ID='' and HEADGATE__FENCE='1' do not name a run" in output_of(process)
    assert process.returncode == 75


def test_an_api_that_is_not_there_is_waited_for_and_then_named(api: FakeApi, start: Start) -> None:
    run = api.add_run("x.py:go")
    env = {"HEADGATE_API_URL": "http://127.0.0.1:9/api", "HEADGATE_API_OUTAGE_TOLERANCE": "0.3"}
    process = start(run, env=env)
    assert "No answer from the API at http://127.0.0.1:9/api" in output_of(process)
    assert process.returncode == 75


def test_sigterm_to_the_group_of_a_cancelled_run(api: FakeApi, start: Start, program: Write) -> None:
    program("""
import threading
from headgate import flow, get_run_logger
def hook(flow, run, state): get_run_logger().info("hook: %s", state.type.value)
@flow(on_cancellation=[hook])
def go():
    get_run_logger().info("begun")
    threading.Event().wait(60)
""")
    run = api.add_run("flows_under_test.py:go")
    process = start(run, env={"HEADGATE_LOGGING_TO_API_BATCH_INTERVAL": "0.01"})
    api.wait_until(lambda: "begun" in api.messages())
    api.force(run.id, StateType.CANCELLING)
    os.killpg(process.pid, signal.SIGTERM)
    output_of(process)
    assert process.returncode == 143
    assert api.states(run.id) == ["Running", "Cancelling"]
    assert api.messages() == ["begun", "hook: CANCELLING", "Flow run was cancelled"]


def test_a_reader_that_goes_away_does_not_kill_the_flow(api: FakeApi, start: Start, program: Write) -> None:
    program("""
import os, subprocess, sys, threading
from headgate import get_run_logger
def go():
    print("first", flush=True)
    while not os.path.exists("closed"):
        threading.Event().wait(0.01)
    for n in range(10_000):
        print("to stdout", n)
        print("to stderr", n, file=sys.stderr)
    sys.stdout.buffer.write(b"bytes")
    subprocess.run([sys.executable, "-c", "print('from a child' * 10_000)"], check=True)
    get_run_logger().info("done")
""")
    run = api.add_run("flows_under_test.py:go")
    process = start(run)
    assert process.stdout is not None
    assert process.stdout.readline() == "first\n"
    process.stdout.close()
    Path("closed").touch()
    assert process.wait(60) == 0
    assert api.runs[run.id].state_name == "Completed"
    assert api.messages() == ["done"]


def test_output_of_any_kind_comes_through_line_by_line(api: FakeApi, start: Start, program: Write) -> None:
    program("import sys\ndef go():\n    print('snow ❄ \\ud800')\n    sys.stdout.write('no end')")
    process = start(api.add_run("flows_under_test.py:go"), env={"PYTHONIOENCODING": "", "LC_ALL": "C", "PYTHONUTF8": "0"})
    shown = output_of(process)
    assert process.returncode == 0
    assert shown.startswith("snow ")
    assert shown.endswith("no end")


@pytest.mark.parametrize(("count", "api_seconds"), [(100_000, 0.0), (1_000_000, 0.5)])
def test_a_flood_of_lines_neither_blocks_nor_loses_the_last(
    api: FakeApi, start: Start, program: Write, count: int, api_seconds: float
) -> None:
    program(f"""
import resource
from headgate import flow, get_run_logger
@flow(log_prints=True)
def go():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for n in range({count}):
        print("line", n)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    get_run_logger().info("grown by %d KiB", grown)
""")
    api.before = lambda method, target: time.sleep(api_seconds) if target == "/logs/" else None
    run = api.add_run("flows_under_test.py:go")
    begin = time.monotonic()
    process = start(run, env={"HEADGATE_LOGGING_TO_API_MAX_BUFFERED": "20000"}, stderr=subprocess.DEVNULL)
    output_of(process)
    assert process.returncode == 0
    assert api.runs[run.id].state_name == "Completed"
    messages = api.messages()
    assert messages[-2] == f"line {count - 1}"
    assert int(messages[-1].split()[2]) < 60_000
    notices = [message for message in messages if "log lines were dropped" in message]
    dropped = sum(int(notice.split()[0].replace(",", "")) for notice in notices)
    assert dropped + len(messages) - len(notices) - 1 == count
    assert [m for m in messages[-1000:-1] if "dropped" not in m] == [f"line {n}" for n in range(count - 999, count)]
    assert time.monotonic() - begin < 60


def test_files_beside_the_flow_and_pools_of_processes_work(api: FakeApi, start: Start, program: Write) -> None:
    """What is defined in a flow's file can be sent to other processes, as from any script."""
    program("def triple(n): return 3 * n", "arithmetic_here.py")
    program("""
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from headgate import flow, get_run_logger
import arithmetic_here
def twice_tripled(n): return 2 * arithmetic_here.triple(n)
@flow
def go():
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        get_run_logger().info("%s", list(pool.map(twice_tripled, [1, 2])))
""")
    process = start(api.add_run("flows_under_test.py:go"))
    shown = output_of(process)
    assert process.returncode == 0, shown
    assert api.messages() == ["[6, 12]"]


def test_forked_pools_log_and_end_quietly(api: FakeApi, start: Start, program: Write) -> None:
    """Children of a fork neither hang on the parent's locks, nor lose lines, nor take part in being stopped."""
    program("""
import multiprocessing
from headgate import flow, get_run_logger
def work(n):
    print("printed by a child", n)
    get_run_logger().info("logged by a child %d", n)
    return n
@flow(log_prints=True)
def go():
    for n in range(2000):
        print("busy", n)
    context = multiprocessing.get_context("fork")
    with context.Pool(2) as pool:
        assert sum(pool.map(work, range(20))) == 190
        pool.close()
        pool.join()
    with context.Pool(2) as pool:
        pool.map(abs, range(20))
    print("done")
""")
    process = start(api.add_run("flows_under_test.py:go"))
    shown = output_of(process)
    assert process.returncode == 0, shown
    assert "Traceback" not in shown
    lines = api.messages()
    assert sorted(line for line in lines if "child" in line) == sorted(
        f"{how} by a child {n}" for n in range(20) for how in ("printed", "logged")
    )
    assert sum(line.startswith("busy") for line in lines) == 2000
    assert lines[-1] == "done"


def test_a_process_without_standard_streams_works(api: FakeApi, start: Start, program: Write) -> None:
    program("import sys\ndef go():\n    print('x')\n    print('y', file=sys.stderr)")
    run = api.add_run("flows_under_test.py:go")
    closed = [sys.executable, "-c", "import os, sys; os.closerange(0, 3); os.execv(sys.argv[1], sys.argv[1:])", *ENGINE_ARGV]
    env = {**os.environ, "HEADGATE__FLOW_RUN_ID": str(run.id)}
    assert subprocess.run(closed, env=env, check=False, timeout=30).returncode == 0
    assert api.runs[run.id].state_name == "Completed"


def test_a_level_that_is_none_is_named(api: FakeApi, start: Start) -> None:
    process = start(api.add_run("x.py:go"), env={"HEADGATE_LOGGING_LEVEL": "loud"})
    assert "HEADGATE_LOGGING_LEVEL='loud' is no level; levels are DEBUG, INFO" in output_of(process)
    assert process.returncode == 75


@pytest.mark.parametrize("unwanted", ["asyncio", "aiohttp", "rich", "cyclopts", "jsonschema_rs", "sqlalchemy", "hashlib"])
def test_the_engine_starts_without_what_it_does_not_need(unwanted: str) -> None:
    program = f"import sys, headgate.flows.engine; sys.exit({unwanted!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
