"""Deploying flows: plans become deployments of the API."""

from typing import Any
from uuid import UUID

from headgate.client.calls import deployments, flows, work_pools
from headgate.client.client import Client
from headgate.client.connect import connect
from headgate.core.serving import server_of, start_command
from headgate.errors import ConfigError, NotFound
from headgate.flows.flow import Flow
from headgate.flows.plans import DeploymentPlan, plan
from headgate.flows.runs import run_deployment, run_deployment_async
from headgate.schema.deployments import Deployment
from headgate.schema.flows import FlowCreate
from headgate.schema.work_pools import WorkPool
from headgate.settings import load

__all__ = ["deploy", "register", "run_deployment", "run_deployment_async"]


def deploy(
    *programs: Flow[..., Any] | DeploymentPlan, work_pool_name: str | None = None, print_next_steps: bool = True
) -> list[UUID]:
    """Create or replace deployments on work pools, and answer their ids in order.

    A bare flow is deployed under its own name. `work_pool_name` is the pool of those that name none; without it the
    setting `default_work_pool_name` is. Raises `ConfigError` when there is no such pool, before anything is written.
    """
    settings = load().settings
    plans = [plan(program, program.name) if isinstance(program, Flow) else program for program in programs]
    fallback = work_pool_name or settings.default_work_pool_name
    with connect(settings) as client:
        pools = [_checked_pool(client, each.work_pool_name or fallback) for each in plans]
        made = [register(client, each, work_pool_name=pool.name) for each, pool in zip(plans, pools, strict=True)]
    if print_next_steps:
        for each, pool in zip(plans, pools, strict=True):
            print(_next_steps(each, pool))
    return [deployment.id for deployment in made]


def register(client: Client, each: DeploymentPlan, *, work_pool_name: str | None) -> Deployment:
    """Create or replace one deployment."""
    flow = client.send(flows.create(FlowCreate(name=each.flow.name)))
    return client.send(deployments.create(each.body(flow.id, work_pool_name=work_pool_name)))


def _checked_pool(client: Client, name: str | None) -> WorkPool:
    """The pool of that name, if there is one."""
    if name is None:
        raise ConfigError(
            "Which work pool? Give `work_pool_name=`, or set HEADGATE_DEFAULT_WORK_POOL_NAME. " + _pools(client)
        )
    try:
        return client.send(work_pools.get(name))
    except NotFound:
        raise ConfigError(
            f"There is no work pool {name!r}. {_pools(client)} `headgate work-pool create {name} --type process` makes it."
        ) from None


def _pools(client: Client) -> str:
    names = sorted(pool.name for pool in client.send(work_pools.query()))
    return f"Pools there: {', '.join(names)}." if names else "There are no pools yet."


def _next_steps(each: DeploymentPlan, pool: WorkPool) -> str:
    start = f"Start {server_of(pool.type)}:"
    return (
        f"Deployed {each.full_name!r} to work pool {pool.name!r}.\n"
        f"  Run it now:         headgate deployment run {each.full_name!r}\n"
        f"  {start:<18}  {start_command(repr(pool.name), pool.type)}"
    )
