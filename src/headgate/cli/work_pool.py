"""`headgate work-pool`: named channels of one infrastructure type each."""

from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import App, Parameter

from headgate.cli.find import every
from headgate.cli.options import InSession, Output, PoolName, Yes
from headgate.cli.output import Column, UsageError, confirm, print_json, print_table, show
from headgate.cli.profiles import change_current
from headgate.client.calls import work_pools
from headgate.client.client import Client
from headgate.errors import ConfigError, Conflict, NotFound
from headgate.schema.filters import WorkPoolQuery
from headgate.schema.work_pools import UNTYPED, WorkPool, WorkPoolCreate, WorkPoolUpdate
from headgate.settings import env_name
from headgate.worker.types import worker_type

app = App(name="work-pool")

Type = Annotated[
    str,
    Parameter(
        name=["--type", "-t"],
        help="Where its runs are executed, such as `process`. Without a type only agents serve the pool.",
    ),
]
Paused = Annotated[bool, Parameter(name="--paused", help="Create it paused: it releases nothing until it is resumed.")]
Template = Annotated[
    Path | None,
    Parameter(name="--base-job-template", metavar="FILE", help="JSON file with the template, in place of the type's."),
]
Description = Annotated[str | None, Parameter(name="--description", help="What the pool is for.")]
Limit = Annotated[
    int | None, Parameter(name="--concurrency-limit", help="How many of its runs may be in progress at a time.")
]
AsDefault = Annotated[
    bool, Parameter(name="--set-as-default", help="Make it the pool of deployments that name none, in the active profile.")
]


@app.command
def create(
    name: PoolName,
    /,
    *,
    type: Type = UNTYPED,
    paused: Paused = False,
    base_job_template: Template = None,
    description: Description = None,
    concurrency_limit: Limit = None,
    set_as_default: AsDefault = False,
    output: Output = "table",
    session: InSession,
) -> None:
    """Create a work pool with its `default` queue.

    For example:
        headgate work-pool create local --type process --concurrency-limit 10
    """
    template = _template(base_job_template) if base_job_template else _default_template(type)
    body = WorkPoolCreate(
        name=name,
        type=type,
        is_paused=paused,
        base_job_template=template,
        description=description,
        concurrency_limit=concurrency_limit,
    )
    with session.client() as client:
        pool = _create(client, body)
    if set_as_default:
        change_current(session, lambda values: values | {env_name("default_work_pool_name"): name})
    if output == "json":
        print_json(pool)
    else:
        print(_created(pool))


@app.command
def ls(*, output: Output = "table", session: InSession) -> None:
    """List all work pools.

    For example:
        headgate work-pool ls -o json
    """
    with session.client() as client:
        found = every(client, work_pools.query, WorkPoolQuery())
    if output == "json":
        print_json(found)
    else:
        columns = [
            Column("Name"),
            Column("Type"),
            Column("ID", keep=True, spare=True),
            Column("Concurrency\nLimit", right=True),
        ]
        rows = [(pool.name + _mark(pool), pool.type, str(pool.id), str(pool.concurrency_limit)) for pool in found]
        print_table("Work pools", columns, rows, caption="(**) denotes a paused pool")


@app.command(name="inspect")
def inspect_(name: PoolName, /, *, output: Output = "table", session: InSession) -> None:
    """Show all fields of a work pool, with its base job template.

    For example:
        headgate work-pool inspect local
    """
    with session.client() as client:
        pool = find_pool(client, name)
    show(pool, output, now=session.now())


@app.command
def pause(name: PoolName, /, *, session: InSession) -> None:
    """Stop the delivery of runs to workers and agents; runs in progress go on.

    For example:
        headgate work-pool pause local
    """
    _set_paused(session, name, True)
    print(f"Paused work pool {name!r}")


@app.command
def resume(name: PoolName, /, *, session: InSession) -> None:
    """Undo `pause`.

    For example:
        headgate work-pool resume local
    """
    _set_paused(session, name, False)
    print(f"Resumed work pool {name!r}")


@app.command
def delete(name: PoolName, /, *, yes: Yes = False, session: InSession) -> None:
    """Delete a work pool with its queues. Deployments that name it get no more runs until they name another.

    For example:
        headgate work-pool delete local
    """
    with session.client() as client:
        find_pool(client, name)
        confirm(f"Delete work pool {name!r} with all its queues?", yes=yes)
        client.send(work_pools.delete(name))
    print(f"Deleted work pool {name!r}")


def find_pool(client: Client, name: str) -> WorkPool:
    """The pool of that name; the error says where to look when there is none."""
    try:
        return client.send(work_pools.get(name))
    except NotFound:
        raise NotFound(f"There is no work pool {name!r}; `headgate work-pool ls` lists all.") from None


def _create(client: Client, body: WorkPoolCreate) -> WorkPool:
    try:
        return client.send(work_pools.create(body))
    except Conflict:
        raise Conflict(
            f"Work pool {body.name!r} exists already; `headgate work-pool inspect {body.name}` shows it."
        ) from None


def _default_template(type: str) -> dict[str, Any]:
    """What pools of this type start with; agents read no template."""
    if type == UNTYPED:
        return {}
    try:
        return worker_type(type).default_base_job_template()
    except ConfigError as error:
        raise UsageError(f"{error} A pool of another type needs --base-job-template FILE.") from None


def _template(path: Path) -> dict[str, Any]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except OSError as error:
        raise UsageError(f"--base-job-template: cannot read {path}: {error.strerror}.") from None
    except msgspec.DecodeError as error:
        raise UsageError(f"--base-job-template: {path} is not a JSON object: {error}.") from None


def _set_paused(session: InSession, name: str, paused: bool) -> None:
    with session.client() as client:
        find_pool(client, name)
        client.send(work_pools.update(name, WorkPoolUpdate(is_paused=paused)))


def _created(pool: WorkPool) -> str:
    serve = f"headgate worker start --pool {pool.name!r}"
    if pool.type == UNTYPED:
        serve = "(only agents serve a pool without a type; one made with `--type process` is served by workers)"
    return f"""\
Created work pool with properties:
    name - {pool.name!r}
    id - {pool.id}
    concurrency limit - {pool.concurrency_limit}

Start a worker to pick up runs from the work pool:
    {serve}

Inspect the work pool:
    headgate work-pool inspect {pool.name!r}"""


def _mark(pool: WorkPool) -> str:
    return " **" if pool.is_paused else ""
