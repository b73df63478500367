"""What scenarios need before they begin: a pool, a flow, a deployment, and runs; made by the same calls on both sides."""

from dataclasses import dataclass
from typing import Any

from bench.system import POOL, System

FLOWS = '''"""Flows that do next to nothing; the first thing they do is to say when they began."""

import time
from pathlib import Path

from {module} import flow

BEGUN = Path({begun!r})


@flow
def begin(number: int) -> None:
    """Leave a file that holds the time."""
    now = time.time()
    (BEGUN / str(number)).write_text(repr(now))


@flow
def pass_by(number: int) -> None:
    """No more than an end."""
'''


FAR = "2999-01-01T00:00:00"
"""When a run is due that is only there to be copied."""


@dataclass(frozen=True, slots=True)
class Deployed:
    """A deployment and the flow that it is of."""

    id: str
    flow_id: str


def create_pool(system: System, *, limit: int | None = None) -> None:
    """The pool `POOL`, of processes."""
    variables = {"type": "object", "properties": {"command": {"type": "string"}}}
    template = {"job_configuration": {"command": "{{ command }}"}, "variables": variables}
    body = {"name": POOL, "type": "process", "concurrency_limit": limit, "base_job_template": template}
    system.call("POST", "/work_pools/", body)


def create_flow(system: System, name: str = "bench") -> str:
    """A flow; its id."""
    flow_id: str = system.call("POST", "/flows/", {"name": name})["id"]
    return flow_id


def deploy(system: System, name: str = "bench", **more: Any) -> Deployed:
    """A deployment of a flow of the same name, in `POOL`."""
    flow_id = create_flow(system, name)
    body = {"name": name, "flow_id": flow_id, "work_pool_name": POOL, "enforce_parameter_schema": False, **more}
    return Deployed(system.call("POST", "/deployments/", body)["id"], flow_id)


def deploy_code(system: System, function: str) -> Deployed:
    """A deployment of one of `FLOWS`, written into the system's project, in a pool that the side's own command made."""
    begun = system.project / "begun"
    begun.mkdir(exist_ok=True)
    (system.project / "flows.py").write_text(FLOWS.format(module=system.side.name, begun=str(begun)))
    step = {"prefect.deployments.steps.set_working_directory": {"directory": str(system.project)}}
    place: dict[str, Any] = {"path": str(system.project)} if system.side.is_ours else {"pull_steps": [step]}
    return deploy(system, function.replace("_", "-"), entrypoint=f"flows.py:{function}", **place)


def create_run(system: System, deployed: Deployed, *, due: str | None = None, **more: Any) -> str:
    """A run that is due now, or at `due`; its id."""
    state = {"type": "SCHEDULED", "state_details": {"scheduled_time": due}} if due else {"type": "SCHEDULED"}
    run_id: str = system.call("POST", f"/deployments/{deployed.id}/create_flow_run", {"state": state, **more})["id"]
    return run_id


def create_template(system: System, deployed: Deployed) -> str:
    """A run for `backlog.load` to copy, which nobody will ever find due; its id."""
    return create_run(system, deployed, due=f"{FAR}Z")
