"""Executing a run of a flow of Prefect's, by the engine of the Prefect that is installed, in this process."""

import os
import runpy
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable
from importlib import import_module
from uuid import UUID

import msgspec

from headgate.errors import ConfigError
from headgate.flows.entrypoints import split
from headgate.schema.claims import CLAIM_HEADER, claim_text
from headgate.schema.deployments import Deployment
from headgate.settings import Settings


def order(deployment: Deployment | None, *, run_id: UUID, fence: int | None, settings: Settings, fetch: bool) -> None:
    """Tell Prefect's engine, by this process's environment, which run to execute, and where to report.

    The code is where this process is, unless `fetch`: then Prefect fetches it as the deployment says.
    Raises `ConfigError` where there is no server that Prefect could report to.
    """
    if settings.api_url is None:
        raise ConfigError("flows of Prefect report over HTTP: start a server, and set HEADGATE_API_URL.")
    os.environ.update(_environment(run_id, fence, settings.api_url, settings.api_auth_string))
    if not fetch and deployment is not None and deployment.entrypoint is not None:
        os.environ["PREFECT__FLOW_ENTRYPOINT"] = _as_there(deployment.entrypoint)


def execute(*, fetch: bool, is_cancelled: Callable[[], bool]) -> int:
    """Have Prefect's engine execute the run that was ordered; the exit code that it ends with.

    With `fetch` that happens in a directory of its own, which is gone afterwards. `is_cancelled` is asked when the engine
    was told to stop.
    """
    directory = tempfile.mkdtemp(prefix="headgate-") if fetch else None
    try:
        if directory is not None:
            os.chdir(directory)
        _reread_settings()
        _answer_why(is_cancelled)
        # Importing it ahead is meant.
        warnings.filterwarnings("ignore", message=".*found in sys.modules after import of package", category=RuntimeWarning)
        sys.argv[:] = ["prefect.engine"]
        return _exit_code(lambda: runpy.run_module("prefect.engine", run_name="__main__", alter_sys=True))
    finally:
        if directory is not None:
            shutil.rmtree(directory, ignore_errors=True)


def _reread_settings() -> None:
    """Prefect read its settings when the flow's code imported it, before this run was known."""
    context = import_module("prefect.context")
    context.GLOBAL_SETTINGS_CONTEXT = context.root_settings_context()  # type: ignore[attr-defined]


def _answer_why(is_cancelled: Callable[[], bool]) -> None:
    """Let the engine know a cancellation from a crash when SIGTERM comes: it then calls the flow's hooks for that.

    Prefect's own runner says so over a socket that is of no other use here. Versions without one take it for a crash, and
    report that; the server does not let it stand.
    """
    try:
        listener = import_module("prefect._internal.control_listener")
        asked, settle = listener.get_intent, listener._set_intent
    except (ImportError, AttributeError):
        return

    def answer() -> object:
        if asked() is None and is_cancelled():
            settle("cancel")
        return asked()

    for module in (listener, import_module("prefect.flow_engine")):
        module.get_intent = answer  # type: ignore[attr-defined]


def _environment(run_id: UUID, fence: int | None, url: str, auth: str | None) -> dict[str, str]:
    env = {"PREFECT__FLOW_RUN_ID": str(run_id), "PREFECT_API_URL": url}
    if auth:
        env["PREFECT_API_AUTH_STRING"] = auth
    if fence is not None:
        own = os.environ.get("PREFECT_CLIENT_CUSTOM_HEADERS") or "{}"
        headers = msgspec.json.decode(own, type=dict[str, str]) | {CLAIM_HEADER: claim_text(run_id, fence)}
        env["PREFECT_CLIENT_CUSTOM_HEADERS"] = msgspec.json.encode(headers).decode()
    return env


def _as_there(entrypoint: str) -> str:
    """Prefect writes `package.module:name` as `package.module.name`."""
    place, name = split(entrypoint)
    return entrypoint if place.endswith(".py") else f"{place}.{name}"


def _exit_code(program: Callable[[], object]) -> int:
    try:
        program()
    except SystemExit as end:
        match end.code:
            case None:
                return 0
            case int(code):
                return code
            case text:
                sys.stderr.write(f"{text}\n")
                return 1
    return 0
