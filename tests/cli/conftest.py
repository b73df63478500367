"""A home of its own for each test, the command line as a call, and two APIs to talk to: the real app, and a scripted one."""

import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from msgspec import structs

from headgate.cli import dispatch, main, session
from headgate.cli.session import Session
from headgate.client.client import Client
from headgate.client.transport import Request, Response
from headgate.clock import FrozenClock
from headgate.server import InProcess, open_ephemeral
from headgate.settings import Settings

sys.path.insert(0, str(Path(__file__).parent))

from command_line import NOW, Outcome, Run
from scripted_api import Script

FLOWS = '''
from headgate import flow

@flow
def hello(name: str = "world", times: int = 1) -> None:
    """Says hello."""

def plain(path: str) -> None:
    """Not decorated."""
'''


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty HEADGATE_HOME, no other settings, and an empty working directory of 80 columns."""
    for name in [name for name in os.environ if name.startswith(("HEADGATE_", "PREFECT_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HEADGATE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "80")
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    return tmp_path / "home"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """The command line."""

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
    """The real app without its background jobs; the command line talks to it, and so does the answered client."""
    off = dict.fromkeys(
        (f"server_services_{loop}_enabled" for loop in ("scheduler", "late_runs", "lifeline", "pruner")), False
    )
    app = open_ephemeral(structs.replace(Settings(), home=str(home), **off))
    monkeypatch.setattr(session, "connect", lambda settings, patience: Client(_Kept(app), patience=0))
    yield Client(_Kept(app), patience=0)
    app.close()


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    """The scripted API, in place of the real one."""
    script = Script()
    monkeypatch.setattr(session, "connect", lambda settings, patience: Client(script, patience=0))
    return script


@pytest.fixture
def flows_file(monkeypatch: pytest.MonkeyPatch) -> Path:
    """`flows.py` in the working directory, with the flow `hello` and the function `plain`."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "flows", raising=False)
    file = Path("flows.py").absolute()
    file.write_text(FLOWS)
    return file
