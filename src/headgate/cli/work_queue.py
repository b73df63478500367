"""`headgate work-queue`: the lanes of work pools."""

from functools import partial
from typing import Annotated

from cyclopts import App, Parameter

from headgate.cli import work_queue_changes as changes
from headgate.cli.find import every, find_pool, find_queue
from headgate.cli.options import Description, Hours, InSession, Output, QueueLimit, QueueName, QueuePool, Yes
from headgate.cli.output import Column, UsageError, ago, confirm, counted, print_json, print_table, show
from headgate.cli.preview import preview_table, upcoming
from headgate.cli.serving import server_of, start_command
from headgate.client.calls import deployments, flow_runs, work_queues
from headgate.client.client import Client
from headgate.core.states import TERMINAL
from headgate.errors import Conflict
from headgate.schema.filters import (
    DeploymentQuery,
    FlowRunFilter,
    FlowRunQuery,
    IdFilter,
    StateFilter,
    StateTypeFilter,
    WorkQueueFilter,
    WorkQueueQuery,
)
from headgate.schema.work_queues import WorkQueue, WorkQueueCreate

app = App(name="work-queue")

ListedPool = Annotated[str | None, Parameter(name=["--pool", "-p"], help="Only list the queues of this work pool.")]
NewPool = Annotated[
    str | None, Parameter(name=["--pool", "-p"], help="Its work pool; without it HEADGATE_DEFAULT_WORK_POOL_NAME.")
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
    if pool is None:
        raise UsageError("In which pool? Give --pool NAME; `headgate work-pool ls` lists all.")
    body = WorkQueueCreate(name=queue, description=description, is_paused=paused, concurrency_limit=limit, priority=priority)
    with session.client() as client:
        type = find_pool(client, pool).type
        created = _create(client, pool, body)
    if output == "json":
        print_json(created)
    else:
        print(_created(created, type))


@app.command
def ls(*, pool: ListedPool = None, output: Output = "table", session: InSession) -> None:
    """List the queues of one pool, or of all, by priority: 1 is served first.

    For example:
        headgate work-queue ls --pool local
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
            Column("Priority", right=True),
            Column("Limit", right=True),
            Column("Polled"),
        ]
        rows = [_row(queue, ago(queue.last_polled, session.now())) for queue in sorted(found, key=_place)]
        print_table("Work queues", columns, rows, caption="(**) denotes a paused queue")


@app.command(name="inspect")
def inspect_(queue: QueueName, /, *, pool: QueuePool = None, output: Output = "table", session: InSession) -> None:
    """Show all fields of a queue; --pool is needed when several pools have a queue of that name.

    For example:
        headgate work-queue inspect default --pool local
    """
    with session.client() as client:
        found = find_queue(client, queue, pool)
    show(found, output, now=session.now())


@app.command
def preview(
    queue: QueueName, /, *, pool: QueuePool = None, hours: Hours = 1, output: Output = "table", session: InSession
) -> None:
    """Show the runs that a queue would release in the hours ahead, under its limits and its pool's.

    For example:
        headgate work-queue preview default --pool local --hours 12
    """
    with session.client() as client:
        found = find_queue(client, queue, pool)
        pool = found.work_pool_name or ""
        runs = upcoming(client, pool, queues=[queue], hours=hours, now=session.now())
    if output == "json":
        print_json(runs)
    else:
        preview_table(f"Scheduled runs of {pool}/{queue}", runs, now=session.now())
        if found.is_paused:
            print(f"Nothing is released while the queue is paused: `headgate work-queue resume {queue} --pool {pool}`.")


for command in (
    changes.pause,
    changes.resume,
    changes.set_concurrency_limit,
    changes.clear_concurrency_limit,
    changes.set_priority,
):
    app.command(command)


@app.command
def delete(queue: QueueName, /, *, pool: QueuePool = None, yes: Yes = False, session: InSession) -> None:
    """Delete a queue. Its deployments and unfinished runs go to the default queue of its pool.

    For example:
        headgate work-queue delete critical --pool local
    """
    with session.client() as client:
        found = find_queue(client, queue, pool)
        title = changes.title(found)
        if find_pool(client, found.work_pool_name or "").default_queue_id == found.id:
            raise Conflict(f"Cannot delete {title}: a pool keeps its default queue as long as it lives.")
        confirm(f"{_content(client, found)} go to the pool's default queue. Delete {title}?", yes=yes)
        client.send(work_queues.delete(found.id))
    print(f"Deleted {title}")


def _create(client: Client, pool: str, body: WorkQueueCreate) -> WorkQueue:
    try:
        return client.send(work_queues.create(pool, body))
    except Conflict:
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


def _content(client: Client, queue: WorkQueue) -> str:
    """`2 deployments and 1 unfinished run`: what a queue has."""
    this = WorkQueueFilter(id=IdFilter(any_=[queue.id]))
    unfinished = FlowRunFilter(state=StateFilter(type=StateTypeFilter(not_any_=sorted(TERMINAL))))
    waiting = client.send(flow_runs.count(FlowRunQuery(work_queues=this, flow_runs=unfinished)))
    served = client.send(deployments.count(DeploymentQuery(work_queues=this)))
    return f"{counted(served, 'deployment')} and {counted(waiting, 'unfinished run')}"


def _row(queue: WorkQueue, polled: str) -> tuple[str, ...]:
    mark = " **" if queue.is_paused else ""
    return (
        queue.work_pool_name or "",
        queue.name + mark,
        str(queue.priority),
        str(queue.concurrency_limit),
        polled or "never",
    )


def _place(queue: WorkQueue) -> tuple[str, int]:
    return (queue.work_pool_name or "", queue.priority)
