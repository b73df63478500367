"""What warm processes are worth: `python bench/warm.py` prints figures of cold and warm starts, measured in turns.

A server on SQLite and one worker are started in a temporary directory. `--rounds`, `--runs` and `--bursts` say how much is
measured. Other work on the machine disturbs the figures; the ratios less than the rest.
"""

import argparse
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import UUID

from headgate.client.calls import admin, deployments, flow_runs, flows, work_pools
from headgate.client.client import Client
from headgate.client.connect import connect
from headgate.core.states import TERMINAL
from headgate.errors import HeadgateError
from headgate.schema.deployments import DeploymentCreate
from headgate.schema.filters import FlowRunFilter, FlowRunQuery, IdFilter, StateFilter, StateTypeFilter
from headgate.schema.flow_runs import DeploymentFlowRunCreate, FlowRun
from headgate.schema.flows import FlowCreate
from headgate.schema.work_pools import WorkPoolCreate
from headgate.settings import load
from headgate.worker.infra.process import ProcessInfrastructure

FLOWS = """
import time
from pathlib import Path


def noop(): ...


def tells(file: str):
    Path(file).write_text(repr(time.time()))


def stays(file: str):
    Path(file).touch()
    time.sleep(600)
"""
PATIENCE = 300.0
KINDS = ("cold", "warm")


class Bench:
    """A running system."""

    def __init__(self, root: Path, env: dict[str, str], client: Client) -> None:
        self.root, self.env, self.client = root, env, client
        (root / "flows.py").write_text(FLOWS)
        template = ProcessInfrastructure().default_base_job_template()
        client.send(work_pools.create(WorkPoolCreate(name="bench", type="process", base_job_template=template)))
        self.deployments = {name: self._deploy(name) for name in ("noop", "tells", "stays")}

    def _deploy(self, name: str) -> UUID:
        flow = self.client.send(flows.create(FlowCreate(name=name)))
        body = DeploymentCreate(
            name="bench", flow_id=flow.id, work_pool_name="bench", path=str(self.root), entrypoint=f"flows.py:{name}"
        )
        return self.client.send(deployments.create(body)).id

    @contextmanager
    def worker(self, kind: str) -> Iterator[int]:
        """A worker that starts runs cold or warm, once it has done a run of each flow; its process id."""
        env = self.env | {"HEADGATE_WORKER_WARM_PROCESSES": str(kind == "warm")}
        with subprocess.Popen(
            _argv("worker", "start", "--pool", "bench"), env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            try:
                self.latency()
                self.burst(1)
                yield process.pid
            finally:
                process.send_signal(signal.SIGTERM)
                process.communicate()

    def create(self, name: str, **parameters: str) -> UUID:
        """A run that is due now."""
        body = DeploymentFlowRunCreate(parameters=parameters)
        return self.client.send(deployments.create_flow_run(self.deployments[name], body)).id

    def latency(self) -> tuple[float, float]:
        """Milliseconds from the call that creates a run to its Running, and to its first line of code."""
        file = self.root / "told"
        file.unlink(missing_ok=True)
        begin = time.time()
        run = self.ended([self.create("tells", file=str(file))])[0]
        assert run.start_time is not None
        return (run.start_time.timestamp() - begin) * 1e3, (float(file.read_text()) - begin) * 1e3

    def burst(self, count: int) -> float:
        """Runs a second of `count` no-op flows that are created as fast as one caller can."""
        begin = time.time()
        runs = self.ended([self.create("noop") for _ in range(count)])
        return count / (max(run.end_time.timestamp() for run in runs if run.end_time) - begin)

    def memory(self) -> float:
        """Megabytes that one more run takes: its share of pages is counted by the number of processes that have them."""
        files = [self.root / f"begun-{n}" for n in range(10)]
        ids = [self.create("stays", file=str(file)) for file in files]
        _until(lambda: all(file.exists() for file in files))
        runs = self.client.send(flow_runs.query(FlowRunQuery(flow_runs=FlowRunFilter(id=IdFilter(any_=ids)))))
        pids = [int((run.infrastructure_pid or "").rpartition(":")[2]) for run in runs]
        taken = statistics.fmean(_own_memory(pid) for pid in pids)
        for pid, file in zip(pids, files, strict=True):
            os.killpg(pid, signal.SIGKILL)
            file.unlink()
        self.ended(ids)
        return taken

    def ended(self, ids: Sequence[UUID]) -> list[FlowRun]:
        """The runs, once all have ended; it is asked so that the question costs little."""
        of_these = FlowRunFilter(id=IdFilter(any_=list(ids)))
        not_final = StateFilter(type=StateTypeFilter(not_any_=list(TERMINAL)))
        going = FlowRunQuery(flow_runs=FlowRunFilter(id=of_these.id, state=not_final), limit=1)
        _until(lambda: not self.client.send(flow_runs.query(going)))
        return self.client.send(flow_runs.query(FlowRunQuery(flow_runs=of_these)))


def main(arguments: Sequence[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="turns of each kind")
    parser.add_argument("--runs", type=int, default=40, help="single runs a round")
    parser.add_argument("--bursts", type=int, nargs="*", default=[20, 100], help="sizes of bursts")
    given = parser.parse_args(arguments)
    figures: dict[str, dict[str, list[float]]] = {kind: {} for kind in KINDS}
    with _system() as bench:
        for turn in range(given.rounds):
            for kind in KINDS if turn % 2 == 0 else KINDS[::-1]:
                with bench.worker(kind):
                    _measure(bench, figures[kind], given.runs, given.bursts)
    _show(figures)
    return 0


def _measure(bench: Bench, figures: dict[str, list[float]], runs: int, bursts: Sequence[int]) -> None:
    for _ in range(runs):
        running, line = bench.latency()
        figures.setdefault("trigger to Running, ms", []).append(running)
        figures.setdefault("trigger to first line, ms", []).append(line)
    for count in bursts:
        figures.setdefault(f"burst of {count}, runs a second", []).append(bench.burst(count))
    figures.setdefault("memory of a run, MB", []).append(bench.memory())


def _show(figures: dict[str, dict[str, list[float]]]) -> None:
    print(f"{'':36}{'cold':>10}{'warm':>10}{'ratio':>8}")
    for name in figures["cold"]:
        points = (("p50", 0.5), ("p99", 0.99)) if name.endswith("ms") else (("p50", 0.5),)
        for label, share in points:
            cold, warm = (_quantile(figures[kind][name], share) for kind in KINDS)
            ratio = cold / warm if name.endswith(("ms", "MB")) else warm / cold
            print(f"{name + ', ' + label:36}{cold:10.1f}{warm:10.1f}{ratio:8.1f}")


def _quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(round(share * (len(ordered) - 1)), len(ordered) - 1)]


@contextmanager
def _system() -> Iterator[Bench]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    with tempfile.TemporaryDirectory() as directory:
        env = {name: value for name, value in os.environ.items() if not name.startswith(("HEADGATE_", "PREFECT_"))}
        env |= {"HEADGATE_HOME": f"{directory}/home", "HEADGATE_API_URL": f"http://127.0.0.1:{port}/api"}
        env["HEADGATE_LOGGING_LEVEL"] = "WARNING"
        with subprocess.Popen(_argv("server", "start", "--port", port), env=env, stdout=subprocess.DEVNULL) as server:
            try:
                with connect(load(environ=env).settings, patience=30.0) as client:
                    _until(lambda: _answers(client))
                    yield Bench(Path(directory), env, client)
            finally:
                server.terminate()


def _argv(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "headgate", *arguments]


def _answers(client: Client) -> bool:
    try:
        return client.send(admin.health())
    except HeadgateError:
        return False


def _own_memory(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        sys.exit(main(sys.argv[1:]))
