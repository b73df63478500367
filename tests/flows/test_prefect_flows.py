"""Flows written for Prefect, told from others and left to Prefect's engine: a stand-in of it, beside the code.

What the real ones do is the business of the tests with real clients.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fake_api import FakeApi

from headgate.flows.entrypoints import load_flow
from headgate.flows.flow import Flow
from headgate.flows.prefect_flows import PrefectFlow, import_ahead, needs_prefect
from headgate.flows.processes import ENGINE_ARGV
from headgate.schema.flow_runs import FlowRun
from headgate.schema.states import StateType

Write = Callable[..., Path]

STAND_IN = {
    "prefect/__init__.py": "from prefect.flows import flow",
    "prefect/flows.py": """
class Flow:
    def __init__(self, fn, name=None, version=None):
        self.fn, self.name, self.description, self.version = fn, name or fn.__name__, fn.__doc__, version
    def __call__(self, *args): raise AssertionError("only Prefect's engine runs it")
class Special(Flow): ...
def flow(fn=None, **options): return Flow(fn, **options) if fn else lambda fn: Special(fn, **options)
""",
    "prefect/context.py": """
import os
def root_settings_context(): return os.environ.get("PREFECT_API_URL")
GLOBAL_SETTINGS_CONTEXT = root_settings_context()
""",
    "prefect/_internal/__init__.py": "",
    "prefect/_internal/control_listener.py": """
intent = None
def get_intent(): return intent
def _set_intent(value):
    global intent
    intent = value
""",
    "prefect/flow_engine.py": "from prefect._internal.control_listener import get_intent",
    "prefect/engine.py": """
import json, os, signal, sys, time, urllib.request
import prefect.flow_engine
from prefect import context
def propose(kind):
    url = f"{os.environ['PREFECT_API_URL']}/flow_runs/{os.environ['PREFECT__FLOW_RUN_ID']}/set_state"
    body = json.dumps({"state": {"type": kind}, "fence": 1}).encode()
    urllib.request.urlopen(urllib.request.Request(url, body, {"content-type": "application/json"})).read()
if __name__ == "__main__":
    seen = {name: value for name, value in os.environ.items() if name.startswith("PREFECT")}
    seen |= {"settings": context.GLOBAL_SETTINGS_CONTEXT, "directory": os.getcwd(), "argv": sys.argv}
    print(json.dumps(seen), flush=True)
    propose("RUNNING")
    ending = os.environ.get("STAND_IN", "")
    if ending == "wait":
        told = []
        signal.signal(signal.SIGTERM, lambda *_: told.append(1))
        print("waiting", flush=True)
        while not told: time.sleep(0.01)
        print("intent:", prefect.flow_engine.get_intent(), flush=True)
        sys.exit(0)
    propose("FAILED" if ending else "COMPLETED")
    sys.exit(int(ending or 0))
""",
}


@pytest.fixture
def stand_in(program: Write, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The stand-in is what `import prefect` finds, here and in processes that are started."""
    known = set(sys.modules)
    for name, text in STAND_IN.items():
        file = program(text, name)
    directory = file.parents[1]
    monkeypatch.syspath_prepend(directory)
    monkeypatch.setenv("PYTHONPATH", str(directory))
    yield directory
    for name in [name for name in sys.modules.keys() - known if name.partition(".")[0] == "prefect"]:
        del sys.modules[name]


@contextmanager
def _started(run: FlowRun, **env: str) -> Iterator[subprocess.Popen[str]]:
    """An engine for the run; it is gone afterwards."""
    orders = {"HEADGATE__FENCE": "1", "HEADGATE__FLOW_RUN_ID": str(run.id)}
    streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    env = {**os.environ, **orders, **env}
    with subprocess.Popen(ENGINE_ARGV, env=env, text=True, start_new_session=True, **streams) as process:
        try:
            yield process
        finally:
            process.kill()


def _shown(process: subprocess.Popen[str]) -> str:
    return process.communicate(timeout=60)[0]


@pytest.mark.usefixtures("stand_in")
def test_a_flow_of_prefect_is_known_by_its_type_and_keeps_its_name(program: Write) -> None:
    program("""
from prefect import flow
@flow
def plain(n: int = 1):
    "Says so."
@flow(name="other name", version="7")
def named(): ...
def no_flow(): ...
""")
    plain, named, other = (
        load_flow(f"flows_under_test.py:{name}", base=Path.cwd()) for name in ("plain", "named", "no_flow")
    )
    assert isinstance(plain, PrefectFlow)
    assert (plain.name, plain.description) == ("plain", "Says so.")
    assert set(plain.parameters.schema()["properties"]) == {"n"}
    assert isinstance(named, PrefectFlow)  # of a type below Prefect's own
    assert (named.name, named.version) == ("other name", "7")
    assert type(other) is Flow


@pytest.mark.parametrize(("ending", "code", "states"), [("", 0, ["Running", "Completed"]), ("1", 1, ["Running", "Failed"])])
@pytest.mark.usefixtures("stand_in")
def test_the_engine_of_prefect_executes_and_reports(
    api: FakeApi, url: str, program: Write, ending: str, code: int, states: list[str]
) -> None:
    program("from prefect import flow\n@flow\ndef go(): ...")
    run = api.add_run("flows_under_test.py:go")
    with _started(run, STAND_IN=ending, PREFECT_CLIENT_CUSTOM_HEADERS='{"x-mine": "1"}') as process:
        shown = _shown(process)
    assert (process.returncode, api.states(run.id)) == (code, states), shown
    seen = json.loads(shown.splitlines()[0])
    assert seen["PREFECT__FLOW_ENTRYPOINT"] == "flows_under_test.py:go"
    assert seen["PREFECT_API_URL"] == seen["settings"] == url  # read again: the code imported Prefect before
    assert json.loads(seen["PREFECT_CLIENT_CUSTOM_HEADERS"]) == {"x-mine": "1", "x-headgate-claim": f"{run.id} 1"}
    assert seen["directory"] == os.getcwd()


@pytest.mark.parametrize(("cancelled", "intent"), [(True, "cancel"), (False, "None")])
@pytest.mark.usefixtures("stand_in")
def test_sigterm_is_told_as_a_cancellation_only_where_it_is_one(
    api: FakeApi, url: str, program: Write, cancelled: bool, intent: str
) -> None:
    program("from prefect import flow\n@flow\ndef go(): ...")
    run = api.add_run("flows_under_test.py:go")
    with _started(run, STAND_IN="wait") as process:
        assert process.stdout is not None
        while process.stdout.readline() != "waiting\n":
            assert process.poll() is None
        if cancelled:
            api.force(run.id, StateType.CANCELLING)
        os.killpg(process.pid, signal.SIGTERM)
        assert process.stdout.read() == f"intent: {intent}\n"
        assert process.wait(60) == 0


@pytest.mark.usefixtures("stand_in")
def test_code_that_only_prefect_can_fetch_is_left_to_it(api: FakeApi, url: str) -> None:
    step = {"prefect.deployments.steps.git_clone": {"repository": "https://example.com/x.git"}}
    run = api.add_run("flows_under_test.py:go")
    assert run.deployment_id is not None
    api.deployments[run.deployment_id].pull_steps = [step]
    with _started(run) as process:
        seen = json.loads(_shown(process).splitlines()[0])
    assert "PREFECT__FLOW_ENTRYPOINT" not in seen
    assert seen["directory"] != os.getcwd()
    assert not os.path.exists(seen["directory"])
    assert api.states(run.id) == ["Running", "Completed"]


def test_only_a_step_that_is_prefects_own_needs_it(api: FakeApi, stand_in: Path) -> None:
    run = api.add_run("x.py:go")
    assert run.deployment_id is not None
    deployment = api.deployments[run.deployment_id]
    for step, needs in (
        ("prefect.deployments.steps.set_working_directory", False),
        ("prefect_github.clone", True),
        ("mine.clone", False),
    ):
        deployment.pull_steps = [{step: {"directory": "/"}}]
        assert needs_prefect(deployment) is needs
    assert needs_prefect(None) is False


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("from prefect import flow", True),
        ("if 1:\n    import prefect.flows", True),
        ("# import prefect\nimport prefects", False),
    ],
)
def test_prefect_is_imported_ahead_for_code_that_imports_it(program: Write, stand_in: Path, text: str, found: bool) -> None:
    import_ahead(program(text))
    assert ("prefect.flow_engine" in sys.modules) is found


@pytest.mark.usefixtures("stand_in")
def test_without_a_server_the_run_says_what_is_missing(api: FakeApi, program: Write) -> None:
    from headgate.errors import ConfigError
    from headgate.flows.prefect_engine import order
    from headgate.settings import Settings

    run = api.add_run("x.py:go")
    with pytest.raises(ConfigError, match="start a server, and set HEADGATE_API_URL"):
        order(None, run_id=run.id, fence=1, settings=Settings(), fetch=False)
