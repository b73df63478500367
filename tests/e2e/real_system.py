"""A whole system in a temporary directory: server, workers and commands as processes, and what a test asks about them."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Self, TypeVar
from uuid import UUID

from headgate.cli.watch import all_lines
from headgate.client.calls import admin, deployments, flow_runs
from headgate.client.client import Client
from headgate.client.connect import connect
from headgate.core.states import TERMINAL
from headgate.errors import HeadgateError
from headgate.schema.filters import FlowRunQuery
from headgate.schema.flow_runs import DeploymentFlowRunCreate, FlowRun
from headgate.schema.states import State, StateCreate, StateDetails, StateType
from headgate.settings import load

T = TypeVar("T")

UNTIDY = ("Exception ignored", "Warning:", "was never awaited", "Task was destroyed")
PYTHON = sys.executable
HEADGATE = str(Path(PYTHON).with_name("headgate"))
PROJECT = Path(__file__).parent / "project"
PATIENCE = 60.0
"""Seconds after which something that has not happened is taken not to happen. Reached by failing tests only."""


@dataclass
class Program:
    """A started program and the file with its output; `ours` tells whether it is of this project."""

    process: subprocess.Popen[bytes]
    log: Path
    ours: bool = True

    @property
    def text(self) -> str:
        """What it has printed so far."""
        return self.log.read_text("utf-8", "replace")

    def signal(self, number: int) -> None:
        """Send a signal to the program alone."""
        self.process.send_signal(number)

    def wait(self, seconds: float = PATIENCE) -> int:
        """Its exit code, once it has ended."""
        return self.process.wait(seconds)

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        self.signal(signal.SIGKILL)
        self.wait()


@dataclass
class System:
    """A home, a project directory with the flows of `project/`, and a port; `env` is what every program is given."""

    root: Path
    env: dict[str, str] = field(default_factory=dict)
    programs: list[Program] = field(default_factory=list)
    _client: Client | None = None

    def __post_init__(self) -> None:
        self.home, self.project = self.root / "home", self.root / "project"
        self.project.mkdir()
        for file in PROJECT.iterdir():
            if file.is_file():
                (self.project / file.name).write_bytes(file.read_bytes())
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/api"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HEADGATE_", "PREFECT_"))}
        self.env = kept | {"HEADGATE_HOME": str(self.home), "HEADGATE_API_URL": self.url, "PYTHONWARNINGS": "error"}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._client is not None:
            self._client.close()
        for program in self.programs:
            program.process.kill()
        for pid in self.strays():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for program in self.programs:
            program.process.wait()
        if exception[0] is None:
            self.check_tidiness()

    def check_tidiness(self) -> None:
        """No program may have left a file, a socket or a coroutine unclosed; all run with warnings as errors."""
        untidy = [each for each in self.programs if each.ours and any(mark in each.text for mark in UNTIDY)]
        assert not untidy, "\n".join(program.text[-3000:] for program in untidy)

    # Programs

    def start(self, *argv: str, name: str, env: Mapping[str, str] = {}, cwd: Path | None = None) -> Program:
        """Start a program in the project's directory; what it prints goes to a file.

        With a directory of its own it is another's program, which nobody promises to be tidy.
        """
        log = self.root / f"{len(self.programs)}-{name}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                argv,
                cwd=cwd or self.project,
                env=self.env | env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.programs.append(Program(process, log, ours=cwd is None))
        return self.programs[-1]

    def start_server(self, **settings: object) -> Program:
        """A server, once it answers; `settings` by their short names."""
        server = self.start(HEADGATE, "server", "start", "--port", str(self.port), name="server", env=as_env(settings))
        self.until(lambda: self.answers() or server.process.poll() is not None, "the server to answer")
        assert server.process.poll() is None, server.text
        return server

    def start_worker(self, *options: str, pool: str = "local", **settings: object) -> Program:
        """A worker, once it says that it has started."""
        env = as_env(settings)
        worker = self.start(HEADGATE, "worker", "start", "--pool", pool, *options, name="worker", env=env)
        self.wait_for_text(worker, "started!")
        return worker

    def start_agent(self, *options: str, **settings: object) -> Program:
        """An agent, once it says that it has started."""
        agent = self.start(HEADGATE, "agent", "start", *options, name="agent", env=as_env(settings))
        self.wait_for_text(agent, "Agent started!")
        return agent

    def wait_for_text(self, program: Program, text: str) -> None:
        """Wait until a program has printed `text`; an error when it ends without."""
        self.until(lambda: text in program.text or program.process.poll() is not None, f"{text!r}")
        assert text in program.text, f"it ended with exit code {program.process.poll()}\n{program.text}"

    def run(self, *argv: str, env: Mapping[str, str] = {}) -> subprocess.CompletedProcess[str]:
        """Run a program to its end, in the project's directory."""
        everything = self.env | env
        return subprocess.run(
            argv, cwd=self.project, env=everything, capture_output=True, text=True, timeout=PATIENCE, check=False
        )

    def headgate(self, *arguments: str, code: int = 0, env: Mapping[str, str] = {}) -> str:
        """Run a command that ends with exit code `code`; what it printed."""
        done = self.run(HEADGATE, *arguments, env=env)
        assert done.returncode == code, f"headgate {' '.join(arguments)}: {done.returncode}\n{done.stdout}{done.stderr}"
        assert not any(mark in done.stderr for mark in ("Traceback", *UNTIDY)), done.stderr
        return done.stdout

    def json(self, *arguments: str) -> Any:
        """The same, for a command that answers JSON."""
        return json.loads(self.headgate(*arguments, "-o", "json"))

    def strays(self) -> list[int]:
        """Processes that belong to this system: those with its home in their environment."""
        mark = f"HEADGATE_HOME={self.home}".encode()
        return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if mark in environment_of(pid)]

    # Questions

    @property
    def client(self) -> Client:
        """A client that tries for long, so that a test may stop the server."""
        if self._client is None:
            self._client = connect(load(environ=self.env).settings, patience=PATIENCE)
        return self._client

    def answers(self) -> bool:
        """Whether the server does."""
        with connect(load(environ=self.env).settings, patience=0) as probe:
            try:
                return probe.send(admin.health())
            except HeadgateError:
                return False

    def deploy(self, entrypoint: str, *options: str, name: str = "test", pool: str = "local") -> str:
        """Deploy to a pool; the full name."""
        self.headgate("deploy", entrypoint, "--name", name, "--pool", pool, *options)
        return f"{entrypoint.rpartition(':')[2]}/{name}"

    def create_run(self, deployment: str, *, due: datetime | None = None, **parameters: object) -> UUID:
        """A run of a deployment `flow/name` that is due at a time, or now."""
        found = self.client.send(deployments.get_by_name(*deployment.split("/")))
        state = StateCreate(type=StateType.SCHEDULED, state_details=StateDetails(scheduled_time=due)) if due else None
        body = DeploymentFlowRunCreate(state=state, parameters=parameters)
        return self.client.send(deployments.create_flow_run(found.id, body)).id

    def flow_run(self, id: UUID) -> FlowRun:
        """A run as it is now."""
        return self.client.send(flow_runs.get(id))

    def flow_runs(self) -> list[FlowRun]:
        """All runs; a page at most."""
        return self.client.send(flow_runs.query(FlowRunQuery()))

    def states(self, id: UUID) -> list[State]:
        """The run's history."""
        return self.client.send(flow_runs.get_states(id))

    def lines(self, id: UUID) -> list[str]:
        """The messages in the run's log."""
        return [line.message for line in all_lines(self.client, id)]

    def wait_for(self, id: UUID, *types: StateType, seconds: float = PATIENCE) -> FlowRun:
        """The run, once it is in one of these states; at once an error when it ends in another."""

        def reached() -> FlowRun | None:
            run = self.flow_run(id)
            if run.state_type in TERMINAL and run.state_type not in types:
                raise AssertionError(f"The run is {run.state}.\n{self.story(id)}")
            return run if run.state_type in types else None

        return self.until(reached, f"run {id} to be {' or '.join(types)}", seconds=seconds, story=lambda: self.story(id))

    def wait_for_line(self, id: UUID, text: str) -> None:
        """Wait until the run's log has a line with this text."""
        self.until(lambda: any(text in line for line in self.lines(id)), f"a line {text!r}", story=lambda: self.story(id))

    def until(
        self, holds: Callable[[], T | None], what: str, *, seconds: float = PATIENCE, story: Callable[[], str] = str
    ) -> T:
        """Ask again and again until the answer is true; that answer."""
        deadline = time.monotonic() + seconds
        while not (answer := holds()):
            assert time.monotonic() < deadline, f"waited {seconds:g} s for {what}, in vain\n{story()}\n{self.logs()}"
            time.sleep(0.05)
        return answer

    def story(self, id: UUID) -> str:
        """What a failing test wants to know about a run."""
        states = [f"{state.timestamp:%T.%f} {state.name}: {state.message}" for state in self.states(id)]
        return "\n".join([*states, *self.lines(id)[-20:], self.logs()])

    def logs(self) -> str:
        """The end of what every program printed."""
        return "\n".join(f"--- {program.log.name}\n{program.text[-3000:]}" for program in self.programs)


def as_env(settings: Mapping[str, object]) -> dict[str, str]:
    """`leases_seconds` or any other setting as its environment variable."""
    return {f"HEADGATE_{name.upper()}": str(value) for name, value in settings.items()}


def free_port() -> int:
    """A port that nothing listens on at present."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment_of(pid: int) -> list[bytes]:
    """The environment that a process was started with; empty when it is gone or a zombie."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and that nobody waited for does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return stat.rpartition(b")")[2].split()[0] not in (b"Z", b"X")


def pid_of(run: FlowRun) -> int:
    """The process of a run, from the `host:pid` that its worker noted."""
    assert run.infrastructure_pid is not None
    return int(run.infrastructure_pid.rpartition(":")[2])


def own_lines(lines: Sequence[str]) -> list[str]:
    """Those that the flows of `project/` printed."""
    return [line for line in lines if line.startswith("line ")]
