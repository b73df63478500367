"""`headgate work-pool`: named channels of one infrastructure type each."""

from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from msgspec import UNSET

from headgate.cli import work_pool_changes as changes
from headgate.cli.consequences import parts, pool_content
from headgate.cli.find import every, find_pool_or_id
from headgate.cli.launch_rates import AtOnce, Rate, limit_of, rate_of, rate_text
from headgate.cli.options import (
    Description,
    FairShare,
    Hours,
    InSession,
    Output,
    PoolLimit,
    PoolName,
    Template,
    Verbose,
    Yes,
)
from headgate.cli.output import Column, UsageError, confirm, print_json, print_table, show
from headgate.cli.pauses import login, said
from headgate.cli.pool_explanation import print_pool_explanation
from headgate.cli.pool_templates import default_template, read_template, write_template
from headgate.cli.preview import held_lines, preview_table, print_lines, upcoming
from headgate.cli.profiles import change_current
from headgate.client.calls import work_pools, work_queues
from headgate.client.client import Client
from headgate.core.serving import server_of, start_command
from headgate.errors import Conflict
from headgate.schema.filters import WorkPoolQuery, WorkQueueQuery
from headgate.schema.work_pools import UNTYPED, WorkPool, WorkPoolCreate
from headgate.settings import env_name
from headgate.worker.types import installed_types

app = App(name="work-pool")
app.command(
    "headgate.cli.work_pool_template:app", name="template", help="Judge base job templates, and see what becomes of them."
)

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
    launch_rate: Rate = None,
    launch_limit: AtOnce = None,
    fair_share: FairShare = None,
    set_as_default: AsDefault = False,
    output: Output = "table",
    session: InSession,
) -> None:
    """Create a work pool with its `default` queue.

    For example:
        headgate work-pool create local --type process --concurrency-limit 10
        headgate work-pool create jobs --type process --launch-limit 20
    """
    template = read_template(base_job_template) if base_job_template else default_template(type)
    body = WorkPoolCreate(
        name=name,
        type=type,
        is_paused=paused,
        base_job_template=template,
        description=description,
        concurrency_limit=concurrency_limit,
        launch_rate=rate_of(launch_rate) if launch_rate else None,
        launch_limit=limit_of(launch_limit) if launch_limit else None,
        fair_share=bool(fair_share),
        paused_by=login() if paused else UNSET,
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
def ls(*, verbose: Verbose = False, output: Output = "table", session: InSession) -> None:
    """List all work pools. With --verbose also whether something serves each, its slots in use and what it is for.

    For example:
        headgate work-pool ls --verbose
    """
    with session.client() as client:
        found = every(client, work_pools.query, WorkPoolQuery())
    if output == "json":
        print_json(found)
    else:
        columns = [
            Column("Name"),
            Column("Type"),
            Column("ID", keep=True, spare=verbose),
            Column("Concurrency Limit", right=True),
        ]
        columns += _MORE if verbose else []
        rows = [_row(pool, session.now(), verbose=verbose) for pool in found]
        print_table("Work pools", columns, rows, caption="(**) denotes a paused pool")


@app.command(name="inspect")
def inspect_(name: PoolName, /, *, output: Output = "table", session: InSession) -> None:
    """Show all fields of a work pool, with its base job template.

    For example:
        headgate work-pool inspect local
    """
    with session.client() as client:
        pool = find_pool_or_id(client, name)
    # The documents show pools under this name, and with a filter: that of queues in older days, which is always none.
    show(pool, output, now=session.now(), title="Workpool", more={"filter": None})


@app.command
def preview(name: PoolName, /, *, hours: Hours = 1, output: Output = "table", session: InSession) -> None:
    """Show what the pool will run in the hours ahead: runs that wait, and (projected) those that schedules will make.

    For example:
        headgate work-pool preview local --hours 12
    """
    with session.client() as client:
        pool = find_pool_or_id(client, name)
        found = upcoming(client, pool.name, hours=hours)
        queues = every(client, partial(work_queues.query, pool.name), WorkQueueQuery()) if output == "table" else []
    if output == "json":
        print_json(found)
    else:
        preview_table(f"Scheduled runs of {pool.name}", found)
        print_lines(held_lines(found, pool, queues, now=session.now()))


@app.command
def explain(name: PoolName, /, *, output: Output = "table", session: InSession) -> None:
    """Say what a pool does: slots in use, due and late runs of each queue, and why the oldest of them waits.

    For example:
        headgate work-pool explain local
    """
    with session.client() as client:
        explanation = client.send(work_pools.explain(find_pool_or_id(client, name).name))
    if output == "json":
        print_json(explanation)
    else:
        print_pool_explanation(explanation, now=session.now())


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
    """Delete a work pool with its queues and workers, and say first what that does.

    Its deployments and waiting runs stay, without a pool, and wait until they are given another. Runs in progress go on.

    For example:
        headgate work-pool delete local
    """
    with session.client() as client:
        pool = find_pool_or_id(client, name)
        content = pool_content(client, pool)
        left = f"Left without a pool until they are given another: {content.stays}." if content.stays else ""
        goes_on = f"Going on as before: {content.goes_on}." if content.goes_on else ""
        question = [f"Gone with it: {parts(client, pool)}.", left, goes_on, f"Delete work pool {pool.name!r}?"]
        confirm("\n".join(filter(None, question)), yes=yes)
        client.send(work_pools.delete(pool.name))
    print("\n".join(filter(None, [f"Deleted work pool {pool.name!r}", left, goes_on])))


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
    launches = f"\n    launch rate - {rate_text(pool.launch_rate)}" if pool.launch_rate else ""
    launches += f"\n    launch limit - {pool.launch_limit}" if pool.launch_limit else ""
    launches += "\n    fair share - True" if pool.fair_share else ""
    return f"""\
Created work pool with properties:
    name - {pool.name!r}
    id - {pool.id}
    concurrency limit - {pool.concurrency_limit}{launches}

Start {server_of(pool.type)} to pick up {"flows" if pool.type == UNTYPED else "runs"} from the work pool:
    {start_command(repr(pool.name), pool.type)}

Inspect the work pool:
    headgate work-pool inspect {pool.name!r}"""


_MORE = [Column("Status", keep=True), Column("Slots\nin use", right=True), Column("Paused"), Column("Description")]


def _row(pool: WorkPool, now: datetime, *, verbose: bool) -> tuple[str, ...]:
    mark = " **" if pool.is_paused else ""
    row = (pool.name + mark, pool.type, str(pool.id), str(pool.concurrency_limit))
    if not verbose:
        return row
    return (*row, pool.status or "", str(pool.active_slots or 0), said(pool.pause, now), pool.description or "")
