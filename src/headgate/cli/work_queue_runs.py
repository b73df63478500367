"""The command of `headgate work-queue` that asks for runs as an agent does."""

from typing import Annotated

from cyclopts import Parameter

from headgate.cli.find import find_pool, find_queue
from headgate.cli.options import InSession, Output, QueueName, QueuePool
from headgate.cli.output import Column, ago, local, print_json, print_table
from headgate.cli.pauses import paused_pool, paused_queue
from headgate.client.calls import work_queues
from headgate.schema.work_queues import GetQueueRuns

Limit = Annotated[int | None, Parameter(name=["--limit", "-l"], help="How many runs to list, at most; without it 200.")]


def read_runs(
    queue: QueueName,
    /,
    *,
    pool: QueuePool = None,
    limit: Limit = None,
    output: Output = "table",
    session: InSession,
) -> None:
    """List the runs that a queue would hand out now, in that order. Nothing is taken, but it counts as a poll.

    For example:
        headgate work-queue read-runs default --pool local
    """
    now = session.now()
    with session.client() as client:
        found = find_queue(client, queue, pool)
        holder = find_pool(client, found.work_pool_name or "")
        runs = client.send(work_queues.get_runs(found.id, GetQueueRuns(scheduled_before=now, limit=limit)))
    if output == "json":
        print_json(runs)
        return
    columns = [Column("Due"), Column("Run ID", keep=True), Column("Name"), Column("Deployment ID", keep=True, spare=True)]
    due = [run.next_scheduled_start_time or run.expected_start_time or run.created for run in runs]
    rows = [
        (f"{local(when)[:-4]} ({ago(when, now)})", str(run.id), run.name, str(run.deployment_id or ""))
        for when, run in zip(due, runs, strict=True)
    ]
    print_table(f"Runs of {found.work_pool_name}/{queue} that may start now", columns, rows)
    if found.is_paused:
        print(paused_queue(found, now))
    if holder.is_paused:
        print(paused_pool(holder, now))
