"""What a pool or a queue will run in the hours ahead, and what holds it back."""

from collections.abc import Sequence
from datetime import datetime

from headgate.cli.output import Column, UsageError, print_table, warning_line
from headgate.cli.pauses import paused_pool, paused_queue
from headgate.client.calls import work_pools
from headgate.client.client import Client
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


def preview_table(title: str, entries: Sequence[PreviewEntry]) -> None:
    """The entries with the latest first, so that the next one stands just above the prompt."""
    columns = [
        Column("Scheduled Start Time", keep=True),
        Column("Run ID", keep=True),
        Column("Name"),
        Column("Deployment ID", keep=True, spare=True),
    ]
    rows = [(_start(each), _run_id(each), _name(each), str(each.deployment_id or "")) for each in reversed(entries)]
    print_table(title, columns, rows, caption="(**) denotes a late run")


def held_lines(
    entries: Sequence[PreviewEntry],
    pool: WorkPool,
    queues: Sequence[WorkQueue],
    *,
    always: WorkQueue | None = None,
    now: datetime,
) -> list[str]:
    """A line for each thing that holds back entries, with what undoes it; and, anyway, for what `pool` and the queue
    `always` release nothing for."""
    lines = dict.fromkeys([*_queue_lines(always, now).values(), *_pool_lines(pool, now).values()])
    by_name = {queue.name: queue for queue in queues}
    for each in entries:
        known = _pool_lines(pool, now) | _queue_lines(by_name.get(each.work_queue_name), now)
        lines |= dict.fromkeys(known.get(reason) or _deployment_line(reason, each) for reason in each.held)
    return [*lines]


def print_lines(lines: Sequence[str]) -> None:
    """One below the other, below a table."""
    for line in lines:
        print(line)


def _pool_lines(pool: WorkPool, now: datetime) -> dict[str, str]:
    """By the reasons of `PreviewEntry.held`, why a pool releases nothing."""
    lines = {"work pool paused": paused_pool(pool, now)} if pool.is_paused else {}
    if pool.concurrency_limit == 0:
        raise_it = f"headgate work-pool set-concurrency-limit {pool.name} N"
        lines["work pool limit 0"] = (
            f"Work pool {pool.name!r} has a concurrency limit of 0 and releases nothing: `{raise_it}`."
        )
    return lines


def _queue_lines(queue: WorkQueue | None, now: datetime) -> dict[str, str]:
    """The same for a queue."""
    if queue is None:
        return {}
    lines = {"work queue paused": paused_queue(queue, now)} if queue.is_paused else {}
    if queue.concurrency_limit == 0:
        raise_it = f"headgate work-queue set-concurrency-limit {queue.name} N --pool {queue.work_pool_name}"
        lines["work queue limit 0"] = (
            f"Work queue {queue.name!r} has a concurrency limit of 0 and releases nothing: `{raise_it}`."
        )
    return lines


def _deployment_line(reason: str, entry: PreviewEntry) -> str:
    deployment = f"{entry.flow_name}/{entry.deployment_name}"
    match reason:
        case "deployment paused":
            return f"Deployment {deployment!r} is paused: `headgate deployment resume {deployment}`."
        case "deployment limit 0":
            return f"Deployment {deployment!r} has a concurrency limit of 0."
    return f"Runs of {deployment!r} are held back: {reason}."  # a newer server knows more reasons


def _start(entry: PreviewEntry) -> str:
    return f"{entry.scheduled_time.astimezone():%Y-%m-%d %H:%M:%S}" + " **" * (entry.late_by_seconds > 0)


def _run_id(entry: PreviewEntry) -> str:
    return str(entry.flow_run.id) if entry.flow_run else "(projected)"


def _name(entry: PreviewEntry) -> str:
    """The run's name, or what it will be a run of."""
    return entry.flow_run.name if entry.flow_run else f"{entry.flow_name}/{entry.deployment_name}"
