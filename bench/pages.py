"""The command `python3 dev.py pages`: the peer's web pages, as they come with its package, in a browser against our API.

It is no part of `dev.py check`, because it needs a browser: Chromium or Chrome on the PATH, or the program that `--browser`
names. The pages are served as they are; what they are told is where our API is.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from mimetypes import guess_type
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from bench.environments import FOLDER, ROOT, Environment, install_browsing, install_peer
from bench.processes import Program, Trouble, alone
from bench.system import free_port

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PLACEHOLDER = b"/PREFECT_UI_SERVE_BASE_REPLACE_PLACEHOLDER"
EDITIONS = {"v1": ("ui", ""), "v2": ("ui-v2", "/v2")}
"""The folder of each edition of the pages in the peer's package, and the path below which it is served."""

NOTED: Mapping[tuple[str, str], str] = {}
"""Calls that may fail, by method and path, and why."""


def main(arguments: Sequence[str]) -> int:
    """0 when every page was shown and every call answered, 1 when not."""
    parser = argparse.ArgumentParser(prog="dev.py pages", description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--browser", help=f"the browser's program; by default the first of {', '.join(BROWSERS)}")
    parser.add_argument("--only", default="", metavar="TEXT", help="only pages with this in their path")
    parser.add_argument("--verbose", action="store_true", help="show every call")
    options = parser.parse_args(arguments)
    try:
        browser = options.browser or _find_browser()
        with alone(FOLDER):
            peer, driver = install_peer(FOLDER, _say), install_browsing(FOLDER, _say)
            return _check(browser, peer, driver, only=options.only, verbose=options.verbose)
    except Trouble as trouble:
        _say(f"The pages cannot be opened: {trouble}")
        return 1


def _check(browser: str, peer: Environment, driver: Environment, *, only: str, verbose: bool) -> int:
    with (
        tempfile.TemporaryDirectory(prefix="headgate-pages-") as folder,
        _served_pages(peer) as (site, tell),
        _server(Path(folder), origin=site) as api,
    ):
        pages = [page for page in _pages(site, _fill(api)) if only in page["name"]]
        tell(api)
        argv = [str(driver.program("python")), str(Path(__file__).with_name("browse.py"))]
        orders = json.dumps({"browser": browser, "api": api, "pages": pages})
        told = subprocess.run(argv, input=orders, stdout=subprocess.PIPE, text=True, check=False)
    visits = [json.loads(line) for line in told.stdout.splitlines()]
    if told.returncode != 0 or len(visits) != len(pages):
        raise Trouble("the browser ended early; what it said stands above.")
    if not visits:
        raise Trouble(f"no page has {only!r} in its path.")
    return max(_judge(visit, page, verbose=verbose) for visit, page in zip(visits, pages, strict=True))


def _pages(site: str, ids: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Which pages are opened, and a text that each shows if all is well."""
    pages = {
        "/dashboard": "Flow Runs",
        "/runs": ids["run_name"],
        "/flows": "greet",
        f"/flows/flow/{ids['flow']}": "greet",
        "/deployments": "by-hand",
        f"/deployments/deployment/{ids['deployment']}": "by-hand",
        f"/deployments/deployment/{ids['deployment']}/run": "name",
        "/work-pools": "local",
        "/work-pools/work-pool/local": "local",
        "/work-pools/work-pool/local?tab=Workers": "w1",
        "/work-pools/work-pool/local/edit": "local",
        "/work-pools/create": "Process",
        "/work-pools/work-pool/local/queue/default": "default",
        f"/runs/flow-run/{ids['run']}": ids["run_name"],
        f"/runs/flow-run/{ids['run']}?tab=Logs": "hello",
        f"/runs/flow-run/{ids['waiting']}": ids["waiting_name"],
        f"/runs/task-run/{ids['task']}": "step",
        "/variables": "region",
        "/blocks": "Blocks",
        "/concurrency-limits": "Concurrency",
        "/automations": "Automations",
        "/events": "Event",
        "/settings": "Settings",
    }
    for edition, (_, base) in EDITIONS.items():
        for path, text in pages.items():
            yield {"name": f"{edition} {path}", "url": f"{site}{base}{path}", "shows": text}


def _judge(visit: dict[str, Any], page: dict[str, Any], *, verbose: bool) -> int:
    wrong = [f"an error of the page: {error}" for error in visit["errors"]]
    for method, target, status in visit["requests"]:
        path = target.partition("?")[0]
        if verbose:
            _say(f"      {status} {method} {target}")
        if (status is None or status >= 400) and (method, path) not in NOTED:
            wrong.append(f"{method} {target} was answered with {status or 'nothing'}")
    if page["shows"].lower() not in visit["text"].lower():
        wrong.append(f"{page['shows']!r} is not shown, but: {' '.join(visit['text'].split())[:1500]!r}")
    _say(f"{'FAIL' if wrong else 'ok':4}  {visit['name']} ({len(visit['requests'])} calls)")
    for each in wrong:
        _say(f"      {each}")
    return int(bool(wrong))


# What is opened


def _fill(api: str) -> dict[str, str]:
    """One of everything, by the calls that clients make."""

    def call(method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = Request(api + path, data, {"content-type": "application/json"}, method=method)
        with urlopen(request, timeout=30) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def enter(run: str, kind: str, what: str = "flow_runs") -> None:
        call("POST", f"/{what}/{run}/set_state", {"state": {"type": kind}})

    call("POST", "/work_pools/", {"name": "local", "type": "process"})
    call("POST", "/work_pools/local/workers/heartbeat", {"name": "w1", "heartbeat_interval_seconds": 30})
    call("POST", "/variables/", {"name": "region", "value": "north"})
    call("POST", "/v2/concurrency_limits/", {"name": "database", "limit": 3})
    call("POST", "/concurrency_limits/", {"tag": "heavy", "concurrency_limit": 2})
    flow = call("POST", "/flows/", {"name": "greet"})["id"]
    schema = {"type": "object", "properties": {"name": {"type": "string", "title": "name", "default": "you"}}}
    body = {
        "name": "by-hand",
        "flow_id": flow,
        "work_pool_name": "local",
        "entrypoint": "greet.py:greet",
        "parameter_openapi_schema": schema,
        "schedules": [{"schedule": {"interval": 3600}, "active": True}],
        "tags": ["example"],
    }
    deployment = call("POST", "/deployments/", body)["id"]
    run = call("POST", f"/deployments/{deployment}/create_flow_run", {"parameters": {"name": "her"}})
    for kind in ("PENDING", "RUNNING"):
        enter(run["id"], kind)
    task = call("POST", "/task_runs/", {"flow_run_id": run["id"], "task_key": "step", "dynamic_key": "0", "name": "step"})[
        "id"
    ]
    for kind in ("PENDING", "RUNNING", "COMPLETED"):
        enter(task, kind, "task_runs")
    line = {"name": "prefect.flow_runs", "level": 20, "message": "hello", "timestamp": "2026-01-01T00:00:00Z"}
    call("POST", "/logs/", [line | {"flow_run_id": run["id"]}])
    call("POST", "/artifacts/", {"key": "report", "type": "markdown", "data": "# Report", "flow_run_id": run["id"]})
    enter(run["id"], "COMPLETED")
    waiting = call("POST", f"/deployments/{deployment}/create_flow_run", {})
    ids = {"flow": flow, "deployment": deployment, "run": run["id"], "run_name": run["name"], "task": task}
    return ids | {"waiting": waiting["id"], "waiting_name": waiting["name"]}


@contextmanager
def _server(folder: Path, *, origin: str) -> Iterator[str]:
    """A server of this clone, and where its API is."""
    port = free_port()
    api = f"http://127.0.0.1:{port}/api"
    environment = {
        "HEADGATE_HOME": str(folder / "home"),
        "HEADGATE_API_URL": api,
        "HEADGATE_SERVER_API_PORT": str(port),
        "HEADGATE_SERVER_CORS_ALLOWED_ORIGINS": origin,
    }
    argv = [sys.executable, "-m", "headgate", "server", "start"]
    with Program(argv, environment=environment, folder=ROOT, log=folder / "server.log") as program:
        program.wait_until(lambda: _answers(f"{api}/health"), what="the server", seconds=60)
        yield api


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=5):
            return True
    except OSError:
        return False


@contextmanager
def _served_pages(peer: Environment) -> Iterator[tuple[str, Any]]:
    """The site with both editions; call the second to tell them where the API is."""
    root = peer.packages / "prefect" / "server"
    told: dict[str, str] = {}

    class Pages(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def show(self) -> None:
            """A file of the pages, or where the API is."""
            path = self.path.partition("?")[0]
            if path.endswith("/ui-settings"):
                self._answer(json.dumps(_ui_settings(told["api"])).encode(), "application/json")
                return
            edition = "v2" if path == "/v2" or path.startswith("/v2/") else "v1"
            folder, base = EDITIONS[edition]
            file = (root / folder / path.removeprefix(base).lstrip("/")).resolve()
            if not file.is_file() or root not in file.parents:
                file = root / folder / "index.html"  # the page finds its way by itself
            kind = guess_type(file.name)[0] or "application/octet-stream"
            self._answer(file.read_bytes().replace(PLACEHOLDER, base.encode()), kind)

        do_GET = show  # the library's name

        def _answer(self, body: bytes, kind: str) -> None:
            self.send_response(200)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", lambda api: told.update(api=api)
        server.shutdown()


def _ui_settings(api: str) -> dict[str, Any]:
    editions = [*EDITIONS]
    bases = {f"{edition}_base_url": base or "/" for edition, (_, base) in EDITIONS.items()}
    told = {"api_url": api, "csrf_enabled": False, "auth": None, "flags": [], "default_ui": "v1", "available_uis": editions}
    return told | bases


def _find_browser() -> str:
    for name in BROWSERS:
        if (found := shutil.which(name)) is not None:
            return found
    raise Trouble("there is no Chromium or Chrome on the PATH; install one, or name its program with --browser.")


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
