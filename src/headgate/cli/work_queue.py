"""`headgate work-queue`: the lanes of work pools."""

from functools import partial
from typing import Annotated

from cyclopts import App, Parameter

from headgate.cli.find import every
from headgate.cli.options import InSession, Output
from headgate.cli.output import Column, UsageError, ago, print_json, print_table, show
from headgate.client.calls import work_queues
from headgate.client.client import Client
from headgate.errors import NotFound
from headgate.schema.filters import QueueNameFilter, WorkQueueFilter, WorkQueueQuery
from headgate.schema.work_queues import WorkQueue

app = App(name="work-queue")

Pool = Annotated[str | None, Parameter(name=["--pool", "-p"], help="Only look at the queues of this work pool.")]
QueueName = Annotated[str, Parameter(help="Name of the queue.")]


@app.command
def ls(*, pool: Pool = None, output: Output = "table", session: InSession) -> None:
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
def inspect_(queue: QueueName, /, *, pool: Pool = None, output: Output = "table", session: InSession) -> None:
    """Show all fields of a queue; --pool is needed when several pools have a queue of that name.

    For example:
        headgate work-queue inspect default --pool local
    """
    with session.client() as client:
        found = _find(client, queue, pool)
    show(found, output, now=session.now())


def _find(client: Client, name: str, pool: str | None) -> WorkQueue:
    if pool is not None:
        try:
            return client.send(work_queues.get_by_name(pool, name))
        except NotFound:
            raise NotFound(f"Work pool {pool!r} has no queue {name!r}; `headgate work-queue ls` lists all.") from None
    filter = WorkQueueFilter(name=QueueNameFilter(any_=[name]))
    match every(client, work_queues.query_all, WorkQueueQuery(work_queues=filter)):
        case []:
            raise NotFound(f"There is no work queue {name!r}; `headgate work-queue ls` lists all.")
        case [queue]:
            return queue
        case queues:
            pools = ", ".join(sorted(queue.work_pool_name or "" for queue in queues))
            raise UsageError(f"Several pools have a queue {name!r}: {pools}. Say which with --pool.")


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
