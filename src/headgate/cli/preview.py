"""What a pool or a queue will run in the hours ahead, and what holds it back."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from headgate.cli.find import every
from headgate.cli.output import Column, UsageError, print_table, warning_line
from headgate.cli.pauses import paused_line, paused_pool, paused_queue
from headgate.client.calls import deployments, work_pools, work_queues
from headgate.client.client import Client
from headgate.schema.deployments import Deployment
from headgate.schema.filters import DeploymentFilter, DeploymentQuery, IdFilter, WorkQueueQuery
from headgate.schema.previews import MOST_ENTRIES, MOST_HOURS, PreviewEntry, PreviewRequest
from headgate.schema.work_pools import WorkPool
from headgate.schema.work_queues import WorkQueue


def upcoming(client: Client, pool: str, *, hours: float, queues: list[str] | None = None) -> list[PreviewEntry]:
    """What the pool will run until `hours` from now, by time; says so on stderr where that is more than is shown."""
    if not 0 < hours <= MOST_HOURS:
        raise UsageError(f"--hours {hours:g}: give more than 0, and at most {MOST_HOURS} (a year).")
    body = PreviewRequest(work_queue_names=queues, hours=hours, limit=MOST_ENTRIES)
    preview = client.send(work_pools.preview(pool, body))
    if preview.cut:
        warning_line(f"Only the first {len(preview.entries)} are shown; give fewer --hours.")
    return preview.entries


def what_holds(
    client: Client, pool: WorkPool, entries: Sequence[PreviewEntry], *, now: datetime, queues: Sequence[WorkQueue] = ()
) -> list[str]:
    """A line for each thing that holds back entries, and for the pool and `queues` anyway, with what undoes it."""
    lines = _pool_lines(pool, now)
    for queue in [*queues, *_holding_queues(client, pool, entries, {queue.name for queue in queues})]:
        lines += _queue_lines(queue, now)
    titles = {
        each.deployment_id: f"{each.flow_name}/{each.deployment_name}" for each in entries if _is_held(each, "deployment")
    }
    ids = sorted(id for id in titles if id)
    query = DeploymentQuery(deployments=DeploymentFilter(id=IdFilter(any_=ids)))
    for deployment in every(client, deployments.query, query) if ids else []:
        lines += _deployment_lines(deployment, titles[deployment.id], now)
    return lines


def preview_table(title: str, entries: Sequence[PreviewEntry], notes: Sequence[str]) -> None:
    """The entries with the latest first, so that the next one stands just above the prompt; below them the notes."""
    columns = [
        Column("Scheduled Start Time", keep=True),
        Column("Run ID", keep=True),
        Column("Name"),
        Column("Deployment ID", keep=True, spare=True),
    ]
    rows = [(_start(each), _run_id(each), _name(each), str(each.deployment_id or "")) for each in reversed(entries)]
    print_table(title, columns, rows, caption="(**) denotes a late run")
    for note in notes:
        print(note)


def _holding_queues(client: Client, pool: WorkPool, entries: Sequence[PreviewEntry], known: set[str]) -> list[WorkQueue]:
    names = {each.work_queue_name for each in entries if _is_held(each, "work queue")} - known
    found = every(client, partial(work_queues.query, pool.name), WorkQueueQuery()) if names else []
    return [queue for queue in found if queue.name in names]


def _is_held(entry: PreviewEntry, by: str) -> bool:
    return any(reason.startswith(by) for reason in entry.held)


def _pool_lines(pool: WorkPool, now: datetime) -> list[str]:
    raise_it = f"headgate work-pool set-concurrency-limit {pool.name} N"
    lines = [paused_pool(pool, now)] * pool.is_paused
    return lines + [_shut_line(f"Work pool {pool.name!r}", raise_it)] * (pool.concurrency_limit == 0)


def _queue_lines(queue: WorkQueue, now: datetime) -> list[str]:
    what = f"Work queue {queue.name!r} of work pool {queue.work_pool_name!r}"
    raise_it = f"headgate work-queue set-concurrency-limit {queue.name} N --pool {queue.work_pool_name}"
    lines = [paused_queue(queue, now)] * queue.is_paused
    return lines + [_shut_line(what, raise_it)] * (queue.concurrency_limit == 0)


def _deployment_lines(deployment: Deployment, title: str, now: datetime) -> list[str]:
    what, resume = f"Deployment {title!r}", f"headgate deployment resume {title}"
    lines = [paused_line(what, deployment.pause, now, effect="starts no runs", resume=resume)] * deployment.paused
    return lines + [f"{what} has a concurrency limit of 0 and starts no runs."] * (deployment.concurrency_limit == 0)


def _shut_line(what: str, raise_it: str) -> str:
    return f"{what} has a concurrency limit of 0 and releases nothing: `{raise_it}`."


def _start(entry: PreviewEntry) -> str:
    return f"{entry.scheduled_time.astimezone():%Y-%m-%d %H:%M:%S}" + " **" * (entry.late_by_seconds > 0)


def _run_id(entry: PreviewEntry) -> str:
    return str(entry.flow_run.id) if entry.flow_run else "(projected)"


def _name(entry: PreviewEntry) -> str:
    """The run's name, or what it will be a run of."""
    return entry.flow_run.name if entry.flow_run else f"{entry.flow_name}/{entry.deployment_name}"
