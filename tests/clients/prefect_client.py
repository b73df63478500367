"""A real client from the package index: its command line, its scripts and its long-running processes, against our server."""

import json
import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from real_system import Program, System

DRIVER = Path(__file__).with_name("prefect_commands.py")
UNBUFFERED = {"PYTHONUNBUFFERED": "1"}
GROUPS = {
    *(
        "agent",
        "artifact",
        "block",
        "block type",
        "concurrency-limit",
        "config",
        "deployment",
        "deployment schedule",
        "automation",
        "event",
        "server",
        "work-pool storage",
        "work-pool storage configure",
        "experimental result-storage",
        "experimental",
        "flow",
    ),
    *(
        "flow-run",
        "global-concurrency-limit",
        "profile",
        "sdk",
        "shell",
        "task",
        "task-run",
        "variable",
        "work-pool",
        "work-queue",
        "worker",
    ),
}
"""Words that are followed by the word for what to do."""


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """All that it printed, on one line: tables and panels break lines where they like."""
        return " ".join((self.out + " " + self.err).split())

    @property
    def json(self) -> Any:
        """What it printed, for a command that answers JSON."""
        return json.loads(self.out)


class Driver:
    """A process of a client's Python that runs commands, each in a process of its own."""

    def __init__(self, python: Path, home: Path) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.home = home
        self.log = (home / "driver.log").open("wb")
        self.process = subprocess.Popen(
            [str(python), str(DRIVER)],
            env=plain_environment() | {"PREFECT_HOME": str(home)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )
        assert self._read() == "ready\n", (home / "driver.log").read_text()

    def run(self, what: Mapping[str, object]) -> Done:
        """Run one command or script to its end."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()
        return Done(**json.loads(self._read()))

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.communicate()
        self.log.close()

    def _read(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()


@dataclass
class Prefect:
    """One release of the client, at one server, with a home and a project directory of its own."""

    release: str
    programs: Path
    driver: Driver
    system: System
    home: Path
    ran: set[str] = field(default_factory=set)
    started: list[Program] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.directory = self.home.with_name("project")
        self.directory.mkdir()
        self.env = client_environment(self.home, self.system.url)

    @property
    def is_2(self) -> bool:
        """Whether this is a client of version 2."""
        return self.release.startswith("2.")

    def __call__(self, *arguments: str, code: int | None = 0, answers: str = "") -> Done:
        """Run a command that ends with this exit code; with any, if that is None. It reads `answers` to what it asks."""
        self.ran.add(command_of(arguments))
        order = {"arguments": arguments, "environment": self.env, "directory": str(self.directory), "answers": answers}
        done = self.driver.run(order)
        told = f"prefect {' '.join(arguments)} ended with {done.code}\n{done.out}{done.err}"
        assert code is None or done.code == code, told
        return done

    def alone(self, *arguments: str) -> str:
        """What a command prints that knows of its profiles alone: one that is forked keeps its parent's profile."""
        self.ran.add(command_of(arguments))
        env = {name: value for name, value in self.env.items() if name != "PREFECT_API_URL"}
        done = subprocess.run(
            [str(self.programs / "prefect"), *arguments],
            cwd=self.directory,
            env=plain_environment() | env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def profiles(self, **urls: str) -> None:
        """Write profiles, each with the URL of a server."""
        self.home.mkdir(exist_ok=True)
        texts = [f'[profiles.{name}]\nPREFECT_API_URL = "{url}"\n' for name, url in urls.items()]
        (self.home / "profiles.toml").write_text(f'active = "{next(iter(urls))}"\n' + "".join(texts))

    def script(self, text: str, *, code: int = 0, name: str = "script.py") -> Done:
        """Run Python in the client's environment, as the program of a process."""
        file = self.directory / name
        file.write_text(text)
        done = self.driver.run({"script": str(file), "environment": self.env, "directory": str(self.directory)})
        assert done.code == code, f"{text}\nended with {done.code}\n{done.out}{done.err}"
        return done

    def start(self, *arguments: str, env: Mapping[str, str] = {}, program: str = "prefect") -> Program:
        """Start a command that goes on until it is stopped, as a process. What it prints is in its log at once."""
        if program == "prefect":
            self.ran.add(command_of(arguments))
        name = f"{program}-{arguments[0]}"
        at = str(self.programs / program)
        self.started.append(
            self.system.start(at, *arguments, name=name, env=self.env | UNBUFFERED | env, cwd=self.directory)
        )
        return self.started[-1]

    def close(self) -> None:
        """End what it started, with all children."""
        for program in self.started:
            with suppress(ProcessLookupError):
                os.killpg(program.process.pid, signal.SIGKILL)
            program.wait()


def command_of(arguments: tuple[str, ...]) -> str:
    """`work-pool create` of `work-pool create mine --type process`."""
    arguments = tuple(each for each in arguments if each != "--no-prompt")
    words = 1
    while " ".join(arguments[:words]) in GROUPS and len(arguments) > words:
        words += 1
    return " ".join(arguments[:words])


def plain_environment() -> dict[str, str]:
    """This process's, without what a client or a server of either kind would read."""
    drop = ("HEADGATE_", "PREFECT_", "PYTHON", "COVERAGE_")
    return {name: value for name, value in os.environ.items() if not name.startswith(drop)}


def client_environment(home: Path, url: str) -> dict[str, str]:
    """What a client is told; it asks often, so that nothing is waited for longer than it must be."""
    return {
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": url,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "PREFECT_AGENT_QUERY_INTERVAL": "1",
        "PREFECT_RUNNER_POLL_FREQUENCY": "1",
        "PYTHONWARNINGS": "default",
        "NO_COLOR": "1",
        "COLUMNS": "500",
    }
