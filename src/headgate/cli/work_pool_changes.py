"""The commands of `headgate work-pool` that change a pool."""

from msgspec import UNSET

from headgate.cli.find import find_pool_or_id
from headgate.cli.launch_rates import AtOnce, Rate, limit_of, rate_of
from headgate.cli.misfits import misfits_of
from headgate.cli.options import Description, FairShare, InSession, Output, PoolLimit, PoolName, Slots, Template
from headgate.cli.output import UsageError, print_json, warning_line
from headgate.cli.pauses import By, Reason, note_of
from headgate.cli.pool_templates import read_template
from headgate.cli.session import Session
from headgate.client.calls import work_pools
from headgate.client.client import Client
from headgate.schema.work_pools import WorkPool, WorkPoolUpdate


def update(
    name: PoolName,
    /,
    *,
    description: Description = None,
    concurrency_limit: PoolLimit = None,
    launch_rate: Rate = None,
    launch_limit: AtOnce = None,
    fair_share: FairShare = None,
    base_job_template: Template = None,
    output: Output = "table",
    session: InSession,
) -> None:
    """Change what a pool was created with; what is not given stays.

    For example:
        headgate work-pool update local --description Nightly --concurrency-limit 5
        headgate work-pool update local --launch-rate 10/s
        headgate work-pool update local --launch-rate none --launch-limit 20 -o json
        headgate work-pool update local --fair-share
    """
    body = WorkPoolUpdate()
    if description is not None:
        body.description = description
    if concurrency_limit is not None:
        body.concurrency_limit = concurrency_limit
    if launch_rate is not None:
        body.launch_rate = rate_of(launch_rate)
    if launch_limit is not None:
        body.launch_limit = limit_of(launch_limit)
    if fair_share is not None:
        body.fair_share = fair_share
    if base_job_template is not None:
        body.base_job_template = read_template(base_job_template)
    if body == WorkPoolUpdate():
        raise UsageError(
            "What is to change? Give --description, --concurrency-limit, --launch-rate, --launch-limit, --fair-share or "
            "--base-job-template."
        )
    with session.client() as client:
        pool = find_pool_or_id(client, name)
        client.send(work_pools.update(pool.name, body))
        broken = _broken(client, pool, body)
        changed = client.send(work_pools.get(pool.name)) if output == "json" else None
    if changed is None:
        print(f"Updated work pool {pool.name!r}")
    else:
        print_json(changed)
    if broken:
        why = f"`headgate work-pool template diff {pool.name}` says why."
        warning_line(f"Of its deployments no longer fit: {', '.join(broken)}. {why}")


def pause(name: PoolName, /, *, reason: Reason = None, by: By = None, session: InSession) -> None:
    """Stop the delivery of runs to workers and agents; runs in progress go on.

    For example:
        headgate work-pool pause local --reason "db upgrade"
    """
    with session.client() as client:
        pool = find_pool_or_id(client, name)
        note = note_of(reason, by, is_paused=pool.is_paused)
        body = WorkPoolUpdate(is_paused=True, pause_reason=note.pause_reason, paused_by=note.paused_by)
        client.send(work_pools.update(pool.name, body))
    print(f"Paused work pool {pool.name!r}")


def resume(name: PoolName, /, *, session: InSession) -> None:
    """Undo `pause`: runs are released at once, and why it was paused is forgotten.

    For example:
        headgate work-pool resume local
    """
    name = _update(session, name, WorkPoolUpdate(is_paused=False))
    print(f"Resumed work pool {name!r}")


def set_concurrency_limit(name: PoolName, limit: Slots, /, *, session: InSession) -> None:
    """Limit how many runs of a pool may be in progress at a time. Runs in progress go on, also above a lower limit.

    For example:
        headgate work-pool set-concurrency-limit local 3
    """
    name = _update(session, name, WorkPoolUpdate(concurrency_limit=limit))
    print(f"Set concurrency limit for work pool {name!r} to {limit}")
    if limit == 0:
        print("It releases nothing until its limit is raised or cleared.")


def clear_concurrency_limit(name: PoolName, /, *, session: InSession) -> None:
    """Let any number of runs of a pool be in progress, as far as the limits of queues and deployments allow.

    For example:
        headgate work-pool clear-concurrency-limit local
    """
    name = _update(session, name, WorkPoolUpdate(concurrency_limit=None))
    print(f"Cleared concurrency limit for work pool {name!r}")


def _update(session: Session, text: str, body: WorkPoolUpdate) -> str:
    """The name of the pool that was changed."""
    with session.client() as client:
        name = find_pool_or_id(client, text).name
        client.send(work_pools.update(name, body))
    return name


def _broken(client: Client, before: WorkPool, body: WorkPoolUpdate) -> list[str]:
    """The deployments that fitted the pool's template before."""
    if body.base_job_template is UNSET:
        return []
    misfits = misfits_of(client, before, body.base_job_template or {})
    return [*dict.fromkeys(misfit.deployment for misfit in misfits if not misfit.already)]
