"""`headgate worker`: processes that join a pool, claim its runs and start their infrastructure."""

from functools import partial
from typing import Annotated

from cyclopts import App, Parameter

from headgate.cli.find import every
from headgate.cli.options import InSession, Output
from headgate.cli.output import Column, UsageError, ago, print_json, print_table
from headgate.client.calls import workers
from headgate.schema.filters import WorkerQuery

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
RunOnce = Annotated[bool, Parameter(name="--run-once", help="Take what is due now, wait until it is done, and leave.")]


@app.command
def start(
    *,
    pool: Pool = None,
    name: Name = None,
    type: Type = None,
    work_queue: Queues = None,
    limit: Limit = None,
    prefetch_seconds: Prefetch = None,
    run_once: RunOnce = False,
    session: InSession,
) -> int:
    """Start a worker; it runs until Ctrl-C or SIGTERM and finishes its runs before it leaves.

    For example:
        headgate worker start --pool local --limit 5
    """
    settings = session.settings(worker_prefetch_seconds=prefetch_seconds)
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
def ls(
    *,
    pool: Annotated[str, Parameter(name=["--pool", "-p"], help="The work pool.")],
    output: Output = "table",
    session: InSession,
) -> None:
    """List the workers of a pool; a worker that stopped sending heartbeats is OFFLINE.

    For example:
        headgate worker ls --pool local
    """
    with session.client() as client:
        found = every(client, partial(workers.query, pool), WorkerQuery())
    if output == "json":
        print_json(found)
    else:
        columns = [Column("Name"), Column("Type"), Column("Status", keep=True), Column("Last heartbeat")]
        now = session.now()
        rows = [(worker.name, worker.type or "", worker.status, ago(worker.last_heartbeat_time, now)) for worker in found]
        print_table(f"Workers of {pool}", columns, rows)
