"""A work pool at work, for people: a row for each queue, and why its oldest due run waits."""

from datetime import datetime

from headgate.cli.output import Column, ago, counted, print_table
from headgate.cli.pauses import said
from headgate.schema.explanations import PoolExplanation, QueueExplanation
from headgate.schema.work_pools import UNTYPED
from headgate.schema.workers import WorkerStatus


def print_pool_explanation(it: PoolExplanation, *, now: datetime) -> None:
    """The pool, its queues by priority, and a line for each queue with due runs."""
    print(_headline(it, now))
    columns = [
        Column("Queue"),
        Column("Priority", right=True),
        Column("Slots", right=True),
        Column("Due", right=True),
        Column("Late", right=True),
        Column("Polled"),
    ]
    print_table(f"Work queues of {it.name}", columns, [_row(queue, now) for queue in it.queues], caption=_CAPTION)
    for queue in it.queues:
        if queue.oldest is not None:
            print(f"{queue.name}: {_why(queue)} ({queue.oldest.name}, due {ago(queue.oldest.due_at, now)})")


_CAPTION = "(**) denotes a paused queue"


def _headline(it: PoolExplanation, now: datetime) -> str:
    """`Work pool 'local' (process): 2 of 5 slots in use, 1 worker online.`"""
    online = sum(1 for worker in it.workers if worker.status is WorkerStatus.ONLINE)
    workers = "" if it.type == UNTYPED else f", {counted(online, 'worker')} online"
    since = f" since {said(it.pause, now)}" if it.pause else ""
    paused = f" It is paused{since}." if it.is_paused else ""
    return f"Work pool {it.name!r} ({it.type}): {_slots(it.active_slots, it.concurrency_limit)} in use{workers}.{paused}"


def _slots(used: int, limit: int | None) -> str:
    return counted(used, "slot") if limit is None else f"{used} of {counted(limit, 'slot')}"


def _row(queue: QueueExplanation, now: datetime) -> tuple[str, ...]:
    return (
        queue.name + " **" * queue.is_paused,
        str(queue.priority),
        str(queue.active_slots) if queue.concurrency_limit is None else f"{queue.active_slots}/{queue.concurrency_limit}",
        f"{queue.due}+" if queue.more else str(queue.due),
        str(queue.late),
        ago(queue.last_polled, now) or "never",
    )


def _why(queue: QueueExplanation) -> str:
    """What keeps its oldest due run."""
    gate = queue.oldest.gate if queue.oldest else None
    return gate.message if gate else "nothing blocks its oldest run; the next poll with room takes it"
