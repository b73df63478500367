"""`headgate worker`: processes that join a pool, claim its runs and start their infrastructure."""

from datetime import datetime
from functools import partial
from typing import Annotated

from cyclopts import App, Parameter

from headgate.cli.find import every, find_pool
from headgate.cli.leaving import wait_until_gone
from headgate.cli.options import InSession, LaunchLimit, Output
from headgate.cli.output import Column, UsageError, ago, print_json, print_table, show, warning_line
from headgate.client.calls import work_pools, workers
from headgate.client.client import Client
from headgate.errors import NotFound
from headgate.schema.filters import WorkerQuery, WorkPoolQuery
from headgate.schema.workers import Worker, WorkerStatus

app = App(name="worker")

Pool = Annotated[
    str | None, Parameter(name=["--pool", "-p"], help="The work pool to join; without it HEADGATE_DEFAULT_WORK_POOL_NAME.")
]
Name = Annotated[str | None, Parameter(name=["--name", "-n"], help="What to call the worker; without it a name is made up.")]
Type = Annotated[
    str | None,
    Parameter(
        name=["--type", "-t"],
        help="Type of the worker; without it the pool's. With it, a pool that does not exist yet is created.",
    ),
]
Queues = Annotated[
    list[str] | None, Parameter(name=["--work-queue", "-q"], help="Serve this queue only, again for each; without it all.")
]
Limit = Annotated[int | None, Parameter(name=["--limit", "-l"], help="How many runs may be in progress here at a time.")]
Prefetch = Annotated[
    float | None,
    Parameter(name="--prefetch-seconds", help="How long before its time a run's infrastructure may be started."),
]
RunOnce = Annotated[
    bool,
    Parameter(name="--run-once", negative="--no-run-once", help="Take what is due now, wait until it is done, and leave."),
]

ItsPool = Annotated[str, Parameter(name=["--pool", "-p"], help="The work pool.")]
AnyPool = Annotated[str | None, Parameter(name=["--pool", "-p"], help="The work pool; without it the workers of all.")]
WorkerName = Annotated[str, Parameter(help="Name of the worker.")]
Wait = Annotated[bool, Parameter(name="--wait", help="Wait until the worker has left: until it is OFFLINE or forgotten.")]

_COLUMNS = [
    Column("Name"),
    Column("Work pool"),
    Column("Type"),
    Column("Status", keep=True),
    Column("Draining"),
    Column("Last heartbeat"),
]


@app.command
def start(
    *,
    pool: Pool = None,
    name: Name = None,
    type: Type = None,
    work_queue: Queues = None,
    limit: Limit = None,
    launch_limit: LaunchLimit = None,
    prefetch_seconds: Prefetch = None,
    run_once: RunOnce = False,
    session: InSession,
) -> int:
    """Start a worker; it runs until Ctrl-C or SIGTERM and finishes its runs before it leaves.

    For example:
        headgate worker start --pool local --limit 5
        headgate worker start --pool containers --launch-limit 10
    """
    settings = session.settings(worker_prefetch_seconds=prefetch_seconds, worker_launch_limit=launch_limit)
    pool = pool or settings.default_work_pool_name
    if pool is None:
        raise UsageError("Which pool? Give --pool NAME; `headgate work-pool ls` lists all.")
    if limit is not None and limit < 1:
        raise UsageError(f"--limit {limit}: a worker needs room for at least one run.")
    # A worker imports an event loop and an HTTP client; `worker ls` and `--help` do without.
    from headgate.worker.start import run_worker

    return run_worker(
        settings,
        pool=pool,
        name=name,
        type=type,
        queues=work_queue or [],
        limit=limit,
        prefetch_seconds=settings.worker_prefetch_seconds,
        run_once=run_once,
    )


@app.command
def ls(*, pool: AnyPool = None, output: Output = "table", session: InSession) -> None:
    """List workers, of one pool or of all; a worker that stopped sending heartbeats is OFFLINE.

    For example:
        headgate worker ls
        headgate worker ls --pool local
    """
    with session.client() as client:
        pools = [pool] if pool else [each.name for each in every(client, work_pools.query, WorkPoolQuery())]
        found = {name: every(client, partial(workers.query, name), WorkerQuery()) for name in pools}
    if output == "json":
        print_json([worker for its in found.values() for worker in its])
    else:
        now = session.now()
        rows = [_row(worker, name, now) for name, its in found.items() for worker in its]
        print_table(f"Workers of {pool}" if pool else "Workers", _COLUMNS, rows)


def _row(worker: Worker, pool: str, now: datetime) -> tuple[str, ...]:
    draining, heartbeat = "yes" if worker.draining else "", ago(worker.last_heartbeat_time, now)
    return worker.name, pool, worker.type or "", worker.status, draining, heartbeat


@app.command(name="inspect")
def inspect_(name: WorkerName, /, *, pool: ItsPool, output: Output = "table", session: InSession) -> None:
    """Show all fields of a worker.

    For example:
        headgate worker inspect night --pool local
    """
    with session.client() as client:
        found = _find(client, name, pool)
    show(found, output, now=session.now())


@app.command
def drain(name: WorkerName, /, *, pool: ItsPool, wait: Wait = False, session: InSession) -> None:
    """Have a worker claim no more runs, finish those that it has, and leave.

    Claimed runs that have not begun go back to their queue at once. A worker that is started anew under the same name is
    not draining.

    For example:
        headgate worker drain night --pool local --wait
    """
    with session.client() as client:
        found = _find(client, name, pool)
        client.send(workers.drain(pool, name))
        print(f"Worker {name!r} of work pool {pool!r} drains: it finishes its runs and leaves", flush=True)
        if found.status is WorkerStatus.OFFLINE:
            warning_line(f"Worker {name!r} is offline: it learns of this only if it comes back.")
        elif wait:
            wait_until_gone(lambda: _status(client, name, pool))
            print(f"Worker {name!r} of work pool {pool!r} has left")


def _status(client: Client, name: str, pool: str) -> WorkerStatus | None:
    found = every(client, partial(workers.query, pool), WorkerQuery())
    return next((worker.status for worker in found if worker.name == name), None)


@app.command
def forget(name: WorkerName, /, *, pool: ItsPool, session: InSession) -> None:
    """Take a worker off the list of its pool. It is not stopped: one that still runs joins again.

    For example:
        headgate worker forget night --pool local
    """
    with session.client() as client:
        found = _find(client, name, pool)
        client.send(workers.delete(pool, name))
    print(f"Forgot worker {name!r} of work pool {pool!r}")
    if found.status is WorkerStatus.ONLINE:
        warning_line(f"Worker {name!r} was online a moment ago: while it runs, it joins again with its next heartbeat.")


def _find(client: Client, name: str, pool: str) -> Worker:
    find_pool(client, pool)
    found = [worker for worker in every(client, partial(workers.query, pool), WorkerQuery()) if worker.name == name]
    if not found:
        raise NotFound(f"Work pool {pool!r} has no worker {name!r}; `headgate worker ls --pool {pool}` lists all.")
    return found[0]
