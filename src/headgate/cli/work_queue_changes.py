"""The commands of `headgate work-queue` that change a queue."""

from functools import partial
from typing import Annotated

from cyclopts import Parameter

from headgate.cli.find import every, find_queue
from headgate.cli.options import InSession, QueueName, QueuePool, Slots
from headgate.cli.pauses import By, Reason, note_of
from headgate.cli.session import Session
from headgate.client.calls import work_queues
from headgate.client.client import Client
from headgate.schema.filters import WorkQueueQuery
from headgate.schema.work_queues import WorkQueue, WorkQueueUpdate

Rank = Annotated[int, Parameter(help="1 is served first; when it is taken, the others make room.")]


def pause(queue: QueueName, /, *, pool: QueuePool = None, reason: Reason = None, by: By = None, session: InSession) -> None:
    """Stop the delivery of a queue's runs; runs in progress go on.

    For example:
        headgate work-queue pause default --pool local --reason "db upgrade"
    """
    with session.client() as client:
        found = find_queue(client, queue, pool)
        note = note_of(reason, by, is_paused=found.is_paused)
        body = WorkQueueUpdate(is_paused=True, pause_reason=note.pause_reason, paused_by=note.paused_by)
        client.send(work_queues.update(found.id, body))
    print(f"Paused {title(found)}")


def resume(queue: QueueName, /, *, pool: QueuePool = None, session: InSession) -> None:
    """Undo `pause`: runs are released at once, and why it was paused is forgotten.

    For example:
        headgate work-queue resume default --pool local
    """
    print(f"Resumed {title(_update(session, queue, pool, WorkQueueUpdate(is_paused=False)))}")


def set_concurrency_limit(queue: QueueName, limit: Slots, /, *, pool: QueuePool = None, session: InSession) -> None:
    """Limit how many runs of a queue may be in progress at a time, within its pool's limit.

    For example:
        headgate work-queue set-concurrency-limit default 3 --pool local
    """
    changed = _update(session, queue, pool, WorkQueueUpdate(concurrency_limit=limit))
    print(f"Set concurrency limit for {title(changed)} to {limit}")
    if limit == 0:
        print("It releases nothing until its limit is raised or cleared.")


def clear_concurrency_limit(queue: QueueName, /, *, pool: QueuePool = None, session: InSession) -> None:
    """Let any number of runs of a queue be in progress, as far as its pool's limit allows.

    For example:
        headgate work-queue clear-concurrency-limit default --pool local
    """
    changed = _update(session, queue, pool, WorkQueueUpdate(concurrency_limit=None))
    print(f"Cleared concurrency limit for {title(changed)}")


def set_priority(queue: QueueName, priority: Rank, /, *, pool: QueuePool = None, session: InSession) -> None:
    """Change the rank of a queue in its pool. Queues that have to make room keep their order.

    For example:
        headgate work-queue set-priority critical 1 --pool local
    """
    with session.client() as client:
        found = find_queue(client, queue, pool)
        before = _priorities(client, found)
        client.send(work_queues.update(found.id, WorkQueueUpdate(priority=priority)))
        after = _priorities(client, found)
    print(f"Set priority of {title(found)} to {priority}")
    for name, rank in sorted(after.items(), key=lambda item: item[1]):
        if name != queue and before.get(name) != rank:
            print(f"    {name!r} made room: {before.get(name)} is now {rank}")


def title(queue: WorkQueue) -> str:
    """`work queue 'urgent' of work pool 'local'`."""
    return f"work queue {queue.name!r} of work pool {queue.work_pool_name!r}"


def _update(session: Session, name: str, pool: str | None, body: WorkQueueUpdate) -> WorkQueue:
    with session.client() as client:
        found = find_queue(client, name, pool)
        client.send(work_queues.update(found.id, body))
    return found


def _priorities(client: Client, queue: WorkQueue) -> dict[str, int]:
    """The priority of each queue of the same pool, by name."""
    query = partial(work_queues.query, queue.work_pool_name or "")
    return {each.name: each.priority for each in every(client, query, WorkQueueQuery())}
