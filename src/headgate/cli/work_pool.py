"""`headgate work-pool`: named channels of one infrastructure type each."""

from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from headgate.cli import work_pool_changes as changes
from headgate.cli.find import every, find_pool
from headgate.cli.options import Description, Hours, InSession, Output, PoolLimit, PoolName, Template, Yes
from headgate.cli.output import Column, UsageError, confirm, counted, print_json, print_table, show
from headgate.cli.pool_templates import default_template, read_template, write_template
from headgate.cli.preview import preview_table, upcoming
from headgate.cli.profiles import change_current
from headgate.cli.serving import server_of, start_command
from headgate.client.calls import deployments, work_pools, work_queues
from headgate.client.client import Client
from headgate.errors import Conflict
from headgate.schema.filters import DeploymentQuery, IdFilter, WorkPoolFilter, WorkPoolQuery, WorkQueueQuery
from headgate.schema.work_pools import UNTYPED, WorkPool, WorkPoolCreate
from headgate.settings import env_name
from headgate.worker.types import installed_types

app = App(name="work-pool")

Type = Annotated[
    str,
    Parameter(
        name=["--type", "-t"],
        help="Where its runs are executed, such as `process`. Without a type only agents serve the pool.",
    ),
]
Paused = Annotated[bool, Parameter(name="--paused", help="Create it paused: it releases nothing until it is resumed.")]
AsDefault = Annotated[
    bool, Parameter(name="--set-as-default", help="Make it the pool of deployments that name none, in the active profile.")
]
TypeOrOnly = Annotated[
    str | None, Parameter(name=["--type", "-t"], help="The worker type; without it the only one that is installed.")
]
File = Annotated[Path | None, Parameter(name=["--file", "-f"], help="Write it to this new file instead of the terminal.")]


@app.command
def create(
    name: PoolName,
    /,
    *,
    type: Type = UNTYPED,
    paused: Paused = False,
    base_job_template: Template = None,
    description: Description = None,
    concurrency_limit: PoolLimit = None,
    set_as_default: AsDefault = False,
    output: Output = "table",
    session: InSession,
) -> None:
    """Create a work pool with its `default` queue.

    For example:
        headgate work-pool create local --type process --concurrency-limit 10
    """
    template = read_template(base_job_template) if base_job_template else default_template(type)
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
def preview(name: PoolName, /, *, hours: Hours = 1, output: Output = "table", session: InSession) -> None:
    """Show the runs that the pool would release in the hours ahead, under its limits.

    For example:
        headgate work-pool preview local --hours 12
    """
    with session.client() as client:
        pool = find_pool(client, name)
        found = upcoming(client, name, hours=hours, now=session.now())
    if output == "json":
        print_json(found)
    else:
        preview_table(f"Scheduled runs of {name}", found, now=session.now())
        if pool.is_paused:
            print(f"Work pool {name!r} is paused and releases nothing: `headgate work-pool resume {name}`.")
        elif pool.concurrency_limit == 0:
            print(f"Work pool {name!r} has a concurrency limit of 0 and releases nothing.")


@app.command
def get_default_base_job_template(*, type: TypeOrOnly = None, file: File = None) -> None:
    """Print the base job template that new pools of a type start with, to edit it and pass it to `create` or `update`.

    For example:
        headgate work-pool get-default-base-job-template --type process -f t.json
    """
    template = default_template(type or _only_type())
    if file is None:
        print_json(template)
    else:
        write_template(template, file)
        print(f"Wrote the base job template to {file}")


for command in (
    changes.update,
    changes.pause,
    changes.resume,
    changes.set_concurrency_limit,
    changes.clear_concurrency_limit,
):
    app.command(command)


@app.command
def delete(name: PoolName, /, *, yes: Yes = False, session: InSession) -> None:
    """Delete a work pool with its queues. Deployments that name it get no more runs until they name another.

    For example:
        headgate work-pool delete local
    """
    with session.client() as client:
        pool = find_pool(client, name)
        confirm(f"{_consequences(client, pool)} Delete work pool {name!r}?", yes=yes)
        client.send(work_pools.delete(name))
    print(f"Deleted work pool {name!r}")


def _consequences(client: Client, pool: WorkPool) -> str:
    """What a deletion takes along and what it leaves behind, in a sentence."""
    this = DeploymentQuery(work_pools=WorkPoolFilter(id=IdFilter(any_=[pool.id])))
    left = client.send(deployments.count(this))
    queues = len(every(client, partial(work_queues.query, pool.name), WorkQueueQuery()))
    return f"{counted(queues, 'queue')} would be gone, and {counted(left, 'deployment')} left without a pool."


def _create(client: Client, body: WorkPoolCreate) -> WorkPool:
    try:
        return client.send(work_pools.create(body))
    except Conflict:
        raise Conflict(
            f"Work pool {body.name!r} exists already; `headgate work-pool inspect {body.name}` shows it."
        ) from None


def _only_type() -> str:
    match sorted(installed_types()):
        case [only]:
            return only
        case names:
            raise UsageError(f"Of which type? Give --type; installed: {', '.join(names) or 'none'}.")


def _created(pool: WorkPool) -> str:
    return f"""\
Created work pool with properties:
    name - {pool.name!r}
    id - {pool.id}
    concurrency limit - {pool.concurrency_limit}

Start {server_of(pool.type)} to pick up {"flows" if pool.type == UNTYPED else "runs"} from the work pool:
    {start_command(repr(pool.name), pool.type)}

Inspect the work pool:
    headgate work-pool inspect {pool.name!r}"""


def _mark(pool: WorkPool) -> str:
    return " **" if pool.is_paused else ""
