"""What a pool or a queue will run in the hours ahead, and what holds it back."""

from collections.abc import Iterable, Sequence

from headgate.cli.output import Column, UsageError, print_table, warning_line
from headgate.client.calls import work_pools
from headgate.client.client import Client
from headgate.schema.previews import MOST_ENTRIES, MOST_HOURS, PreviewEntry, PreviewRequest


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


def print_held(pool: str, entries: Sequence[PreviewEntry], *, always: Iterable[str] = ()) -> None:
    """A line for each thing that holds back entries, with what undoes it; `always` are lines that stand first anyway."""
    notes = dict.fromkeys(always)
    notes |= dict.fromkeys(note for each in entries for reason in each.held if (note := _note(reason, pool, each)))
    for note in notes:
        print(note)


def pool_note(pool: str, *, paused: bool, limit: int | None) -> list[str]:
    """What to say about a pool that releases nothing."""
    notes = [f"Work pool {pool!r} is paused and releases nothing: `headgate work-pool resume {pool}`."] * paused
    if limit == 0:
        raise_it = f"headgate work-pool set-concurrency-limit {pool} N"
        notes.append(f"Work pool {pool!r} has a concurrency limit of 0 and releases nothing: `{raise_it}`.")
    return notes


def queue_note(pool: str, queue: str, *, paused: bool, limit: int | None) -> list[str]:
    """What to say about a queue that releases nothing."""
    resume = f"headgate work-queue resume {queue} --pool {pool}"
    notes = [f"Work queue {queue!r} is paused and releases nothing: `{resume}`."] * paused
    if limit == 0:
        raise_it = f"headgate work-queue set-concurrency-limit {queue} N --pool {pool}"
        notes.append(f"Work queue {queue!r} has a concurrency limit of 0 and releases nothing: `{raise_it}`.")
    return notes


def _note(reason: str, pool: str, entry: PreviewEntry) -> str | None:
    """The line about a reason of `PreviewEntry.held`."""
    queue, deployment = entry.work_queue_name, f"{entry.flow_name}/{entry.deployment_name}"
    match reason:
        case "work pool paused":
            return pool_note(pool, paused=True, limit=None)[0]
        case "work pool limit 0":
            return pool_note(pool, paused=False, limit=0)[0]
        case "work queue paused":
            return queue_note(pool, queue, paused=True, limit=None)[0]
        case "work queue limit 0":
            return queue_note(pool, queue, paused=False, limit=0)[0]
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
