"""How late user code begins when its process was started ahead of its time, for a worker and for an agent.

    .venv/bin/python bench/prefetch.py [--runs 20] [--apart 0.5] [--ahead 10]

Starts a server and one holder in a temporary directory, creates runs that are due some seconds apart, and prints by how many
milliseconds the first line of each flow came after its scheduled time.
"""

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

from headgate import clock
from headgate.client.calls import admin, deployments, flow_runs
from headgate.client.client import Client
from headgate.client.connect import connect
from headgate.errors import HeadgateError
from headgate.schema.flow_runs import DeploymentFlowRunCreate
from headgate.schema.states import StateCreate, StateDetails, StateType
from headgate.settings import load

HEADGATE = str(Path(sys.executable).with_name("headgate"))
PATIENCE = 60.0
FLOWS = """
import time
from pathlib import Path

from headgate import flow


@flow
def stamp(file: str) -> None:
    Path(file).write_text(repr(time.time()))
"""
HOLDERS = {
    "worker": ["worker", "start", "--pool", "bench"],
    "agent": ["agent", "start", "--pool", "bench", "--hide-welcome"],
}


def main(arguments: Sequence[str]) -> int:
    """Measure both kinds of holder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20, help="how many runs")
    parser.add_argument("--apart", type=float, default=0.5, help="seconds between their times")
    parser.add_argument("--ahead", type=float, default=10.0, help="seconds until the first, in which processes start")
    options = parser.parse_args(arguments)
    print(f"{options.runs} runs, {options.apart:g} s apart; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for who in HOLDERS:
        with tempfile.TemporaryDirectory(prefix="headgate-bench-") as directory:
            print(f"{who:<8}{summary(measure(who, Path(directory), options))}", flush=True)
    return 0


def measure(who: str, directory: Path, options: argparse.Namespace) -> list[float]:
    """The lateness of each run, in seconds; negative would be before its time."""
    (directory / "flows.py").write_text(FLOWS)
    port = free_port()
    env = os.environ | {"HEADGATE_HOME": str(directory / "home"), "HEADGATE_API_URL": f"http://127.0.0.1:{port}/api"}

    def headgate(*words: str) -> list[str]:
        return [HEADGATE, *words]

    with ExitStack() as stack:
        client = stack.enter_context(connect(load(environ=env).settings, patience=PATIENCE))
        log = stack.enter_context((directory / "log").open("wb"))
        common = {"cwd": directory, "env": env, "stdout": log, "stderr": log}
        stack.enter_context(stopped(subprocess.Popen(headgate("server", "start", "--port", str(port)), **common)))
        wait_for(lambda: answers(client))
        subprocess.run(headgate("work-pool", "create", "bench", "--type", "process"), check=True, **common)
        subprocess.run(headgate("deploy", "flows.py:stamp", "--name", "bench", "--pool", "bench"), check=True, **common)
        start = headgate(*HOLDERS[who], "--prefetch-seconds", "600")
        stack.enter_context(stopped(subprocess.Popen(start, **common)))
        deployment = client.send(deployments.get_by_name("stamp", "bench"))
        first = clock.now() + timedelta(seconds=options.ahead)
        files = {}
        for number in range(options.runs):
            due, file = first + timedelta(seconds=number * options.apart), directory / f"{number}.txt"
            state = StateCreate(type=StateType.SCHEDULED, state_details=StateDetails(scheduled_time=due))
            body = DeploymentFlowRunCreate(state=state, parameters={"file": str(file)})
            files[client.send(deployments.create_flow_run(deployment.id, body)).id] = (due, file)
        for id in files:
            wait_for(lambda id=id: client.send(flow_runs.get(id)).state_type is StateType.COMPLETED)
        return [float(file.read_text()) - due.timestamp() for due, file in files.values()]


def summary(seconds: list[float]) -> str:
    """Lowest, middle, 95th of a hundred and highest, in milliseconds."""
    ordered = sorted(1000 * each for each in seconds)
    high = ordered[min(len(ordered) - 1, round(0.95 * (len(ordered) - 1)))]
    return f"min {ordered[0]:.1f}  median {statistics.median(ordered):.1f}  p95 {high:.1f}  max {ordered[-1]:.1f} ms late"


@contextmanager
def stopped(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """End a program in the end."""
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def wait_for(holds: Callable[[], bool]) -> None:
    """Ask again and again until it is so."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit("Waited in vain; is something wrong with this machine?")
        time.sleep(0.1)


def answers(client: Client) -> bool:
    """Whether the server does."""
    try:
        return client.send(admin.health())
    except HeadgateError:
        return False


def free_port() -> int:
    """A port that nothing listens on at present."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
