"""A home of its own for each test, the command line as a call, and two APIs to talk to: the real app, and a scripted one."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import structs

from headgate.cli import dispatch, main, session
from headgate.cli.session import Session
from headgate.client.client import Client
from headgate.client.transport import Request, Response
from headgate.clock import FrozenClock
from headgate.server import InProcess, open_ephemeral
from headgate.settings import Settings

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
FLOWS = '''
from headgate import flow

@flow
def hello(name: str = "world", times: int = 1) -> None:
    """Says hello."""

def plain(path: str) -> None:
    """Not decorated."""
'''


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command answered and printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """stdout as JSON."""
        return msgspec.json.decode(self.out)


Run = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty HEADGATE_HOME, no other settings, and an empty working directory of 80 columns."""
    for name in [name for name in os.environ if name.startswith(("HEADGATE_", "PREFECT_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HEADGATE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.delenv("COLUMNS", raising=False)
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    return tmp_path / "home"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """The command line: `run("flow", "ls")`."""

    def call(*arguments: str) -> Outcome:
        capsys.readouterr()
        code = main(arguments)
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return call


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> FrozenClock:
    """The command line's clock, standing at `NOW`."""
    clock = FrozenClock(NOW)
    monkeypatch.setattr(dispatch, "Session", partial(Session, now=clock))
    return clock


class _Kept:
    """A transport that stays open when its client is closed."""

    def __init__(self, app: InProcess) -> None:
        self._app = app

    def send(self, request: Request) -> Response:
        return self._app.send(request)

    def close(self) -> None:
        pass


@pytest.fixture
def api(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """The real app without its background jobs; the command line and the answered client both talk to it."""
    app = open_ephemeral(
        structs.replace(
            Settings(),
            home=str(home),
            server_services_scheduler_enabled=False,
            server_services_late_runs_enabled=False,
            server_services_lifeline_enabled=False,
        )
    )
    monkeypatch.setattr(session, "connect", lambda settings, patience: Client(_Kept(app), patience=0))
    yield Client(_Kept(app), patience=0)
    app.close()


@dataclass(slots=True)
class Script:
    """An API that answers what it was told to; several answers of one call come in turn, the last one stays."""

    answers: dict[tuple[str, str], list[tuple[int, Any]]] = field(default_factory=dict)
    requests: list[tuple[str, str, Any]] = field(default_factory=list)

    def on(self, method: str, target: str, *answers: Any, status: int = 200) -> None:
        """Answer calls of `target` with these bodies."""
        self.answers[method, target] = [(status, answer) for answer in answers]

    def send(self, request: Request) -> Response:
        body = msgspec.json.decode(request.body) if request.body else None
        self.requests.append((request.method, request.target, body))
        queue = self.answers.get((request.method, request.target), [(404, {"detail": "Not Found"})])
        status, answer = queue.pop(0) if len(queue) > 1 else queue[0]
        return Response(status, msgspec.json.encode(answer))

    def close(self) -> None:
        pass


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    """The scripted API, in place of the real one."""
    script = Script()
    monkeypatch.setattr(session, "connect", lambda settings, patience: Client(script, patience=0))
    return script


@pytest.fixture
def flows_file() -> Path:
    """`flows.py` in the working directory, with the flow `hello` and the function `plain`."""
    file = Path("flows.py")
    file.write_text(FLOWS)
    return file
