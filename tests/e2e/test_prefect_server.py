"""A worker of ours at a real server of Prefect's, from the release that the benchmarks install."""

import json
import os
from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from bench.environments import FOLDER, install_peer
from bench.processes import Program
from real_system import HEADGATE, System, free_port

FLOWS = """
import time
from headgate import flow

@flow
def quick(): ...

@flow
def slow():
    time.sleep(600)
"""


def caller(api: str, until: Callable[..., Any]) -> Callable[..., Any]:
    """Sends what its clients send, as it stands, and like them again while its database is busy."""

    def call(method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = Request(api + path, data, {"content-type": "application/json"}, method=method)

        def send() -> list[Any]:
            try:
                with urlopen(request, timeout=30) as answer:
                    return [json.loads(answer.read() or b"null")]
            except HTTPError as error:
                if error.code != HTTPStatus.SERVICE_UNAVAILABLE:
                    raise
                return []

        [answered] = until(send, f"{method} {path} to be answered")
        return answered

    return call


def test_runs_of_its_pool_are_claimed_reported_and_cancelled(system: System) -> None:
    peer = install_peer(FOLDER, print)
    port = free_port()
    api = f"http://127.0.0.1:{port}/api"
    call = caller(api, system.until)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HEADGATE_", "PREFECT_"))}
    env = kept | {"PREFECT_HOME": str(system.root / "peer"), "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    argv = [str(peer.program("prefect")), "server", "start", "--host", "127.0.0.1", "--port", str(port)]

    def answers() -> bool:
        try:
            return call("GET", "/health") is True
        except OSError:
            return False

    with Program(argv, environment=env, folder=system.root, log=system.root / "peer.log") as server:
        server.wait_until(answers, what="the peer's server", seconds=120)
        (system.project / "other_way.py").write_text(FLOWS)
        call("POST", "/work_pools/", {"name": "theirs", "type": "process"})
        runs = {}
        for name in ("quick", "slow"):
            flow = call("POST", "/flows/", {"name": name})["id"]
            place = {"entrypoint": f"other_way.py:{name}", "path": str(system.project), "work_pool_name": "theirs"}
            deployment = call("POST", "/deployments/", {"name": name, "flow_id": flow, **place})["id"]
            runs[name] = call("POST", f"/deployments/{deployment}/create_flow_run", {})["id"]

        def state(name: str) -> str:
            return str(call("GET", f"/flow_runs/{runs[name]}")["state"]["type"])

        argv = [HEADGATE, "worker", "start", "--pool", "theirs", "--name", "w"]
        worker = system.start(*argv, name="worker", env={"HEADGATE_API_URL": api})
        system.until(lambda: state("quick") == "COMPLETED", "quick is COMPLETED")
        system.until(lambda: state("slow") == "RUNNING", "slow is RUNNING")
        call("POST", f"/flow_runs/{runs['slow']}/set_state", {"state": {"type": "CANCELLING"}})
        system.until(lambda: state("slow") == "CANCELLED", "slow is CANCELLED")
        assert worker.stop() == 0
        assert worker.text.count("one of Prefect's") == 1
