"""`headgate work-queue`: the lanes of work pools."""

from datetime import datetime
from functools import partial
from typing import Annotated

from cyclopts import App, Parameter
from msgspec import UNSET

from headgate.cli import work_queue_changes as changes
from headgate.cli.consequences import queue_content
from headgate.cli.find import every, find_pool, find_queue
from headgate.cli.options import Description, Hours, InSession, Output, QueueLimit, QueueName, QueuePool, Verbose, Yes
from headgate.cli.output import Column, ago, confirm, print_json, print_table, show
from headgate.cli.pauses import login, said
from headgate.cli.preview import held_lines, preview_table, print_lines, upcoming
from headgate.cli.work_queue_runs import read_runs
from headgate.client.calls import work_queues
from headgate.client.client import Client
from headgate.core.serving import server_of, start_command
from headgate.errors import Conflict
from headgate.schema.filters import WorkQueueQuery
from headgate.schema.work_pools import UNTYPED
from headgate.schema.work_queues import WorkQueue, WorkQueueCreate

app = App(name="work-queue")

ListedPool = Annotated[str | None, Parameter(name=["--pool", "-p"], help="Only list the queues of this work pool.")]
NewPool = Annotated[
    str | None,
    Parameter(
        name=["--pool", "-p"],
        help="Its work pool; without it HEADGATE_DEFAULT_WORK_POOL_NAME, and without that the agents' default-agent-pool.",
    ),
]
Priority = Annotated[
    int | None,
    Parameter(name="--priority", help="1 is served first; a taken priority shifts the others. Without it the first free."),
]
Paused = Annotated[bool, Parameter(name="--paused", help="Create it paused: it releases nothing until it is resumed.")]


@app.command
def create(
    queue: QueueName,
    /,
    *,
    pool: NewPool = None,
    priority: Priority = None,
    limit: QueueLimit = None,
    description: Description = "",
    paused: Paused = False,
    output: Output = "table",
    session: InSession,
) -> None:
    """Create a queue in a work pool. Deployments and workers create those that they name by themselves.

    For example:
        headgate work-queue create critical --pool local --priority 1 --limit 1
    """
    pool = pool or session.settings().default_work_pool_name
    body = WorkQueueCreate(
        name=queue,
        description=description,
        is_paused=paused,
        paused_by=login() if paused else UNSET,
        concurrency_limit=limit,
        priority=priority,
    )
    with session.client() as client:
        type = find_pool(client, pool).type if pool else UNTYPED
        created = _create(client, pool, body)
    if output == "json":
        print_json(created)
    else:
        print(_created(created, type))


@app.command
def ls(*, pool: ListedPool = None, verbose: Verbose = False, output: Output = "table", session: InSession) -> None:
    """List the queues of one pool, or of all, by priority: 1 is served first.

    For example:
        headgate work-queue ls --pool local --verbose
    """
    query = partial(work_queues.query, pool) if pool else work_queues.query_all
    with session.client() as client:
        found = every(client, query, WorkQueueQuery())
    if output == "json":
        print_json(found)
    else:
        columns = [
            Column("Pool"),
            Column("Queue"),
            Column("Priority", keep=True, right=True),
            Column("Limit", right=True),
            Column("Polled"),
        ]
        columns += _MORE if verbose else []
        rows = [_row(queue, session.now(), verbose=verbose) for queue in sorted(found, key=_place)]
        print_table("Work queues", columns, rows, caption="(**) denotes a paused queue")


@app.command(name="inspect")
def inspect_(queue: QueueName, /, *, pool: QueuePool = None, output: Output = "table", session: InSession) -> None:
    """Show all fields of a queue and its health; --pool is needed when several pools have a queue of that name.

    For example:
        headgate work-queue inspect default --pool local
    """
    with session.client() as client:
        found = find_queue(client, queue, pool)
        health = client.send(work_queues.status(found.id))
    show(found, output, now=session.now(), more={"health": health})


@app.command
def preview(
    queue: QueueName, /, *, pool: QueuePool = None, hours: Hours = 1, output: Output = "table", session: InSession
) -> None:
    """Show what a queue will run in the hours ahead: runs that wait, and (projected) those that schedules will make.

    For example:
        headgate work-queue preview default --pool local --hours 12
    """
    with session.client() as client:
        found = find_queue(client, queue, pool)
        pool = found.work_pool_name or ""
        holder = find_pool(client, pool)
        entries = upcoming(client, pool, queues=[queue], hours=hours)
    if output == "json":
        print_json(entries)
    else:
        preview_table(f"Scheduled runs of {pool}/{queue}", entries)
        print_lines(held_lines(entries, holder, [found], always=found, now=session.now()))


for command in (
    changes.pause,
    changes.resume,
    changes.set_concurrency_limit,
    changes.clear_concurrency_limit,
    changes.set_priority,
    read_runs,
):
    app.command(command)


@app.command
def delete(queue: QueueName, /, *, pool: QueuePool = None, yes: Yes = False, session: InSession) -> None:
    """Delete a queue, and say first what that does: its deployments and unfinished runs go to its pool's default queue.

    For example:
        headgate work-queue delete critical --pool local
    """
    with session.client() as client:
        found = find_queue(client, queue, pool)
        title = changes.title(found)
        if find_pool(client, found.work_pool_name or "").default_queue_id == found.id:
            raise Conflict(f"Cannot delete {title}: a pool keeps its default queue as long as it lives.")
        content = queue_content(client, found)
        moved = ", ".join(filter(None, (content.stays, content.goes_on)))
        moves = f"Moved to the pool's default queue: {moved}." if moved else ""
        confirm("\n".join(filter(None, [moves, f"Delete {title}?"])), yes=yes)
        client.send(work_queues.delete(found.id))
    print("\n".join(filter(None, [f"Deleted {title}", moves])))


def _create(client: Client, pool: str | None, body: WorkQueueCreate) -> WorkQueue:
    try:
        return client.send(work_queues.create(pool, body) if pool else work_queues.create_in_default_pool(body))
    except Conflict as error:
        if pool is None:
            raise Conflict(f"{error} `headgate work-queue ls` lists all.") from None
        raise Conflict(
            f"Work pool {pool!r} has a queue {body.name!r} already; `headgate work-queue ls --pool {pool}` lists all."
        ) from None


def _created(queue: WorkQueue, type: str) -> str:
    return f"""\
Created work queue with properties:
    name - {queue.name!r}
    work pool - {queue.work_pool_name!r}
    id - {queue.id}
    priority - {queue.priority}
    concurrency limit - {queue.concurrency_limit}

Start {server_of(type)} to pick up runs from the work queue:
    {start_command(repr(queue.work_pool_name), type, queue=repr(queue.name))}

Inspect the work queue:
    headgate work-queue inspect {queue.name!r} --pool {queue.work_pool_name!r}"""


_MORE = [Column("Status", keep=True), Column("Slots\nin use", right=True), Column("Paused"), Column("Description")]


def _row(queue: WorkQueue, now: datetime, *, verbose: bool) -> tuple[str, ...]:
    mark = " **" if queue.is_paused else ""
    row = (
        queue.work_pool_name or "",
        queue.name + mark,
        str(queue.priority),
        str(queue.concurrency_limit),
        ago(queue.last_polled, now) or "never",
    )
    if not verbose:
        return row
    return (*row, queue.status or "", str(queue.active_slots or 0), said(queue.pause, now), queue.description or "")


def _place(queue: WorkQueue) -> tuple[str, int]:
    return (queue.work_pool_name or "", queue.priority)
