"""The runs that a pool or a queue would release in the hours ahead."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from headgate.cli.output import Column, UsageError, print_table
from headgate.client.calls import work_pools
from headgate.client.client import Client
from headgate.schema.flow_runs import FlowRun
from headgate.schema.work_pools import GetScheduledFlowRuns, WorkerFlowRun


def upcoming(
    client: Client, pool: str, *, hours: float, now: datetime, queues: list[str] | None = None
) -> list[WorkerFlowRun]:
    """Runs of the pool that fall due until `hours` from `now`, in the order in which they would be released."""
    if not 0 < hours <= _MOST_HOURS:
        raise UsageError(f"--hours {hours:g}: give more than 0, and at most {_MOST_HOURS} (a year).")
    body = GetScheduledFlowRuns(work_queue_names=queues, scheduled_before=now + timedelta(hours=hours))
    return client.send(work_pools.get_scheduled_flow_runs(pool, body))


def preview_table(title: str, found: Sequence[WorkerFlowRun], *, now: datetime) -> None:
    """The runs with the latest first, so that the next one stands just above the prompt."""
    runs = sorted((each.flow_run for each in found), key=lambda run: (_due(run), run.name), reverse=True)
    columns = [
        Column("Scheduled Start Time", keep=True),
        Column("Run ID", keep=True),
        Column("Name"),
        Column("Deployment ID", keep=True, spare=True),
    ]
    rows = [(_start(run, now), str(run.id), run.name, str(run.deployment_id or "")) for run in runs]
    print_table(title, columns, rows, caption="(**) denotes a late run")


_MOST_HOURS = 8784


def _start(run: FlowRun, now: datetime) -> str:
    due = _due(run)
    return f"{due.astimezone():%Y-%m-%d %H:%M:%S}" + " **" * (due < now)


def _due(run: FlowRun) -> datetime:
    return run.next_scheduled_start_time or run.expected_start_time or run.created
