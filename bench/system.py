"""One side at work: a home, a database and a port of its own, its server, its workers, and the calls that set it up."""

import http.client
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self
from uuid import uuid4

import msgspec

from bench.environments import ROOT
from bench.load import Loaded, Plan
from bench.postgresql import Postgresql
from bench.processes import Program, Trouble
from bench.sides import Side

SQLITE, POSTGRESQL = "sqlite", "postgresql"
LOAD_GRACE = 120.0
"""Seconds after its time within which a load's last calls must have been answered."""
POOL = "bench"


class Store(Protocol):
    """A database of a system."""

    kind: str
    url: str
    """As the side writes it."""

    @property
    def cpu_seconds(self) -> float:
        """What its own processes have taken of the processors; 0 for one without."""
        ...


@dataclass(frozen=True, slots=True)
class SqliteStore:
    """A file in the system's home."""

    file: Path
    url: str
    kind: str = SQLITE
    cpu_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class PostgresqlStore:
    """A database of the benchmarks' PostgreSQL."""

    server: Postgresql
    name: str
    url: str
    kind: str = POSTGRESQL

    @property
    def cpu_seconds(self) -> float:
        """Of the whole PostgreSQL, where only this database is in use."""
        return self.server.cpu_seconds


@dataclass
class Stores:
    """Makes databases; those with a schema are copies of one that the side's own command made once."""

    folder: Path
    postgresql: Postgresql
    _templates: dict[tuple[str, str], SqliteStore | PostgresqlStore] = field(default_factory=dict)

    def empty(self, side: Side, kind: str) -> SqliteStore | PostgresqlStore:
        """A database without tables."""
        if kind == SQLITE:
            file = self.folder / f"{side.name}-{uuid4().hex[:8]}.db"
            return SqliteStore(file, side.sqlite_url(file))
        name = self.postgresql.create()
        return PostgresqlStore(self.postgresql, name, side.postgresql_url(self.postgresql.url(name)))

    def with_schema(self, side: Side, kind: str) -> SqliteStore | PostgresqlStore:
        """A database with the side's tables and no rows of a user."""
        template = self._templates.get((side.name, kind))
        if template is None:
            template = self._templates[side.name, kind] = self.empty(side, kind)
            home = self.folder / f"template-{side.name}-{kind}"
            environment = side.environment(home, api_url="", database_url=template.url)
            del environment[f"{side.prefix}API_URL"]
            home.mkdir(parents=True)
            command = [*side.program, *side.upgrade]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise Trouble(f"{' '.join(command)} failed.\n{(done.stdout + done.stderr)[-3000:]}")
        match template:
            case SqliteStore():
                copy = self.folder / f"{side.name}-{uuid4().hex[:8]}.db"
                shutil.copy(template.file, copy)
                return SqliteStore(copy, side.sqlite_url(copy))
            case PostgresqlStore():
                name = self.postgresql.create(template.name)
                return PostgresqlStore(self.postgresql, name, side.postgresql_url(self.postgresql.url(name)))

    def drop(self, store: SqliteStore | PostgresqlStore) -> None:
        """Delete a database that nobody needs any more."""
        match store:
            case SqliteStore():
                for file in self.folder.glob(f"{store.file.name}*"):
                    file.unlink()
            case PostgresqlStore():
                self.postgresql.drop(store.name)


class System:
    """One side with a home, a database, a port, and the programs that are started on them; leaving it ends them."""

    def __init__(self, side: Side, store: SqliteStore | PostgresqlStore, folder: Path) -> None:
        self.side = side
        self.store = store
        self.home = folder / "home"
        self.project = folder / "project"
        for each in (self.home, self.project):
            each.mkdir(parents=True)
        self.port = free_port()
        self.server_program = side.program
        self.environment = self.env()
        self.programs: list[Program] = []
        self.loads: list[Loaded] = []
        self.server: Program | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for program in reversed(self.programs):
            program.stop()

    def env(self, port: int | None = None) -> dict[str, str]:
        """The environment of its programs; with `port` they call the API there instead."""
        url = f"http://127.0.0.1:{port or self.port}/api"
        return self.side.environment(self.home, api_url=url, database_url=self.store.url)

    # Programs

    def start(
        self, name: str, argv: Sequence[str], environment: dict[str, str] | None = None, folder: Path | None = None
    ) -> Program:
        """Start any program, in the project's folder unless in another."""
        log = self.home.parent / f"{name}-{len(self.programs)}.log"
        program = Program(argv, environment=environment or self.environment, folder=folder or self.project, log=log)
        self.programs.append(program)
        return program

    def start_server(self) -> float:
        """Start the server; the seconds until it answered."""
        command = [*self.server_program, "server", "start", "--host", "127.0.0.1", "--port", str(self.port)]
        self.server = self.start("server", command)
        self.server.wait_until(lambda: answers(self.port), what=f"{self.side.name}'s server to answer")
        return time.perf_counter() - self.server.started_at

    def start_worker(self, environment: dict[str, str] | None = None) -> Program:
        """Start a process worker of `POOL`, once it says that it has started."""
        command = [*self.side.program, "worker", "start", "--pool", POOL]
        worker = self.start("worker", command, {**(environment or self.environment), "PYTHONUNBUFFERED": "1"})
        worker.wait_until(lambda: "started" in worker.log.read_text("utf-8", "replace"), what="the worker to start")
        return worker

    def command(self, *arguments: str) -> str:
        """Run one of its commands to its end; what it printed. `Trouble` when it fails."""
        argv = [*self.side.program, *arguments]
        done = subprocess.run(argv, env=self.environment, cwd=self.project, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Trouble(f"{' '.join(argv)} ended with {done.returncode}.\n{(done.stdout + done.stderr)[-3000:]}")
        return done.stdout

    # Calls

    def call(self, method: str, target: str, body: Any = None) -> Any:
        """One call that sets something up; its answer, decoded. Tried again while the server is busy."""
        for _attempt in range(20):
            status, answer = self._send(method, target, body)
            if status != 503:
                break
            time.sleep(0.5)
        if not 200 <= status < 300:
            raise Trouble(f"{method} {target} was answered {status}: {answer[:500]!r}")
        return msgspec.json.decode(answer) if answer else None

    def _send(self, method: str, target: str, body: Any) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            content = None if body is None else msgspec.json.encode(body)
            connection.request(method, f"/api{target}", content, {"content-type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def load(self, function: str, *, callers: int, seconds: float, warm_up: float = 0.0, **arguments: Any) -> Loaded:
        """Run the load `function`, `module:name` below `bench.scenarios`, in a process of its own."""
        found = self.home.parent / "loaded.json"
        plan = Plan(
            function=f"bench.scenarios.{function}",
            port=self.port,
            callers=callers,
            seconds=seconds,
            warm_up=warm_up,
            arguments=arguments,
        )
        try:
            done = subprocess.run(
                [sys.executable, "-m", "bench.load", str(found)],
                cwd=ROOT,
                input=msgspec.json.encode(plan),
                capture_output=True,
                timeout=warm_up + seconds + LOAD_GRACE,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise Trouble(f"{function}: calls were not answered within {LOAD_GRACE:g} s after the end.") from None
        if done.returncode != 0:
            raise Trouble(f"the load {function} failed.\n{done.stderr.decode()[-1000:]}")
        loaded = msgspec.json.decode(found.read_bytes(), type=Loaded)
        self.loads.append(loaded)
        return loaded


def answers(port: int) -> bool:
    """Whether a server says there that it is well."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/api/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def free_port() -> int:
    """A port that nothing listens on at present."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
