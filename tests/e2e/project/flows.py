"""Flows that the end-to-end tests deploy. Files say what happened and when to go on, so that no test depends on timing."""

import os
import signal
import time
from pathlib import Path

from headgate import flow, runtime


def wait_for(gate: str) -> None:
    """Return once the file is there."""
    while not Path(gate).exists():
        time.sleep(0.02)


@flow(log_prints=True)
def gated(gate: str, executions: str | None = None) -> None:
    """Print numbered lines until `gate` exists, then a last one."""
    if executions:
        note(executions)
    number = 0
    while not Path(gate).exists():
        number += 1
        print(f"line {number}")
        time.sleep(0.05)
    print(f"line {number + 1}")
    print("the last line")


@flow
def note(executions: str) -> None:
    """Append the run's id to a file, as one write."""
    with open(executions, "a") as file:
        file.write(f"{runtime.flow_run.id}\n")


@flow
def stamp(file: str) -> None:
    """Write down when the first line of the flow was reached, in seconds since 1970."""
    Path(file).write_text(repr(time.time()))


def told(flow, flow_run, state):
    """A hook that leaves a file."""
    Path(flow_run.parameters["hooked"]).write_text(f"{flow.name} {state.name}")


@flow(on_cancellation=[told], log_prints=True)
def family(hooked: str, pids: str) -> None:
    """Start a child, write down both process ids, and stay."""
    child = os.posix_spawnp("sleep", ["sleep", "600"], os.environ)
    Path(f"{pids}.draft").write_text(f"{os.getpid()} {child}")
    Path(f"{pids}.draft").replace(pids)
    print("both are here")
    time.sleep(600)


@flow(log_prints=True)
def talkative(count: int) -> None:
    """Print `count` lines, as fast as it can."""
    for number in range(count):
        print(f"line {number + 1}")


@flow(log_prints=True)
def facts(word: str = "none") -> None:
    """Print what `runtime` says."""
    run, deployment = runtime.flow_run, runtime.deployment
    print(f"line {run.id} {run.name} {run.parameters} {run.run_count} {run.tags} {runtime.flow_name} {deployment.name}")
    print(f"line {deployment.id} {run.scheduled_start_time}")
    print(f"line in {os.getcwd()}")


@flow(log_prints=True)
def deaf(pids: str) -> None:
    """Not hear SIGTERM, have a child, write down both process ids, and stay."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = os.posix_spawnp("sleep", ["sleep", "600"], os.environ)
    Path(f"{pids}.draft").write_text(f"{os.getpid()} {child}")
    Path(f"{pids}.draft").replace(pids)
    print("both are here")
    while True:
        time.sleep(60)
