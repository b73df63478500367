"""The commands of `headgate deployment` that change its limits."""

from typing import Annotated, Literal

from cyclopts import Parameter
from msgspec import UNSET, UnsetType

from headgate.cli.find import find_deployment, find_limit
from headgate.cli.options import DeploymentName, InSession, Output, Slots
from headgate.cli.output import UsageError, print_json
from headgate.cli.session import Session
from headgate.client.calls import deployments
from headgate.schema.deployments import (
    CollisionStrategy,
    ConcurrencyKey,
    ConcurrencyOptions,
    Deployment,
    DeploymentPatch,
    KeyStrategy,
)

Expression = Annotated[str, Parameter(help="Text with placeholders of parameters: '{{ parameters.customer }}'.")]
KeyLimit = Annotated[
    int | None, Parameter(name=["--limit", "-l"], help="How many runs of a key may be in progress at a time; at first 1.")
]
LimitName = Annotated[str, Parameter(help="Name of a limit that `headgate global-concurrency-limit ls` lists.")]
OnKeyCollision = Annotated[
    Literal["ENQUEUE", "CANCEL_NEW", "CANCEL_RUNNING", "REPLACE_QUEUED"] | None,
    Parameter(name="--collision-strategy", help="What happens to a run whose key is full; at first it waits (ENQUEUE)."),
]
OnCollision = Annotated[
    Literal["ENQUEUE", "CANCEL_NEW"] | None,
    Parameter(name="--collision-strategy", help="What happens to a run that finds no slot; at first it waits (ENQUEUE)."),
]


def set_concurrency_limit(
    deployment: DeploymentName,
    limit: Slots,
    /,
    *,
    collision_strategy: OnCollision = None,
    output: Output = "table",
    session: InSession,
) -> None:
    """Limit how many runs of a deployment may be in progress at a time. Runs in progress go on, also above a lower limit.

    For example:
        headgate deployment set-concurrency-limit inventory/nightly 3
    """
    body = DeploymentPatch(concurrency_limit=limit, concurrency_options=_options(collision_strategy))
    text = f"Set concurrency limit for deployment {deployment!r} to {limit}"
    stopped = "\nIt releases nothing until its limit is raised or cleared." if limit == 0 else ""
    _show(_update(session, deployment, body), output, text + stopped)


def share_concurrency_limit(
    deployment: DeploymentName,
    limit: LimitName,
    /,
    *,
    collision_strategy: OnCollision = None,
    output: Output = "table",
    session: InSession,
) -> None:
    """Have the runs of a deployment take slots of a named limit, with all others who take slots of it.

    Give several deployments the same one, and their runs together stay below it. It takes the place of the deployment's own
    limit; `clear-concurrency-limit` takes it away. `headgate global-concurrency-limit create` makes such a limit.

    For example:
        headgate deployment share-concurrency-limit inventory/nightly database
    """
    with session.client() as client:
        found = find_limit(client, limit)
    body = DeploymentPatch(global_concurrency_limit_id=found.id, concurrency_options=_options(collision_strategy))
    _show(_update(session, deployment, body), output, f"Deployment {deployment!r} shares concurrency limit {limit!r} now")


def clear_concurrency_limit(deployment: DeploymentName, /, *, output: Output = "table", session: InSession) -> None:
    """Let any number of runs of a deployment be in progress, as far as the limits of pools, queues and keys allow.

    Whether the limit is its own or a named one that it shares; that one stays as it is for others.

    For example:
        headgate deployment clear-concurrency-limit inventory/nightly
    """
    nothing = DeploymentPatch(concurrency_limit=None, global_concurrency_limit_id=None, concurrency_options=None)
    changed = _update(session, deployment, nothing)
    _show(changed, output, f"Cleared concurrency limit for deployment {deployment!r}")


def set_concurrency_key(
    deployment: DeploymentName,
    expression: Expression,
    /,
    *,
    limit: KeyLimit = None,
    collision_strategy: OnKeyCollision = None,
    output: Output = "table",
    session: InSession,
) -> None:
    """Limit how many runs with the same parameters, as far as an expression names them, may be in progress at a time.

    Of a key that is there what is not given stays. Runs that are there keep the keys that they have.

    For example:
        headgate deployment set-concurrency-key etl/load '{{ parameters.day }}'
        headgate deployment set-concurrency-key etl/load '{{ parameters.day }}' -l 2
    """
    if limit is not None and limit < 1:
        raise UsageError(f"--limit {limit}: a key needs at least one slot; `headgate deployment pause` holds all runs back.")
    with session.client() as client:
        found = find_deployment(client, deployment)
        key = found.concurrency_key or ConcurrencyKey(expression=expression)
        key.expression = expression
        key.limit = limit or key.limit
        key.collision_strategy = KeyStrategy(collision_strategy or key.collision_strategy)
        client.send(deployments.update(found.id, DeploymentPatch(concurrency_key=key)))
        changed = client.send(deployments.get(found.id))
    text = f"Of deployment {deployment!r}, runs with the same {expression!r} are in progress {key.limit} at a time"
    _show(changed, output, text)


def clear_concurrency_key(deployment: DeploymentName, /, *, output: Output = "table", session: InSession) -> None:
    """Let runs of a deployment be in progress whatever their parameters.

    For example:
        headgate deployment clear-concurrency-key etl/load
    """
    changed = _update(session, deployment, DeploymentPatch(concurrency_key=None))
    _show(changed, output, f"Cleared concurrency key of deployment {deployment!r}")


def _options(collision_strategy: str | None) -> ConcurrencyOptions | UnsetType:
    if collision_strategy is None:
        return UNSET
    return ConcurrencyOptions(collision_strategy=CollisionStrategy(collision_strategy))


def _update(session: Session, deployment: str, body: DeploymentPatch) -> Deployment:
    with session.client() as client:
        id = find_deployment(client, deployment).id
        client.send(deployments.update(id, body))
        return client.send(deployments.get(id))


def _show(changed: Deployment, output: str, text: str) -> None:
    if output == "json":
        print_json(changed)
    else:
        print(text)
