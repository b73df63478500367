"""`headgate flow-run`: executions of flows, their states and logs."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Annotated

from cyclopts import App, Parameter

from headgate.cli import flow_run_bulk
from headgate.cli.explanation import explanation_text, waiting_text
from headgate.cli.find import every, find_flow_run, first, flow_names
from headgate.cli.options import FlowRunName, InSession, Output
from headgate.cli.output import Column, UsageError, ago, print_json, print_json_line, print_record, print_table
from headgate.cli.watch import all_lines, follow_lines, log_text
from headgate.client.calls import flow_runs, logs
from headgate.client.client import Client
from headgate.schema.filters import (
    FlowFilter,
    FlowRunFilter,
    FlowRunQuery,
    FlowRunSort,
    IdFilter,
    LogFilter,
    LogQuery,
    LogSort,
    NameFilter,
    StateFilter,
    StateTypeFilter,
    TextsFilter,
    TimeFilter,
)
from headgate.schema.flow_runs import FlowRun
from headgate.schema.logs import Log
from headgate.schema.states import StateType

app = App(name="flow-run")

_SOON = timedelta(seconds=10)
"""What is due so soon is not for later: clocks differ a little, and workers start ahead of time."""

StateName = Annotated[
    list[str] | None, Parameter(name="--state", help="Only runs in a state of this name, such as Late; again for each.")
]
OfType = Annotated[
    list[StateType] | None,
    Parameter(name="--state-type", help="Only runs in a state of this type, again for each.", show_choices=True),
]
FlowName = Annotated[list[str] | None, Parameter(name="--flow-name", help="Only runs of this flow, again for each.")]
Limit = Annotated[int, Parameter(name="--limit", help="How many runs to list, at most.")]
Follow = Annotated[bool, Parameter(name=["--follow", "-f"], help="Go on with new lines until the run has ended.")]
Head = Annotated[int | None, Parameter(name="--head", metavar="N", help="Only the first N lines.")]
Tail = Annotated[int | None, Parameter(name="--tail", metavar="N", help="Only the last N lines.")]
Reverse = Annotated[bool, Parameter(name=["--reverse", "-r"], help="The newest line first.")]


@app.command
def ls(
    *,
    state: StateName = None,
    state_type: OfType = None,
    flow_name: FlowName = None,
    limit: Limit = 15,
    output: Output = "table",
    session: InSession,
) -> None:
    """List the latest flow runs. Those for later are counted only, unless a state is asked for.

    For example:
        headgate flow-run ls --state-type FAILED --limit 50
        headgate flow-run ls --state Scheduled
    """
    now = session.now()
    due = None if state or state_type else now + _SOON
    with session.client() as client:
        found = first(client, flow_runs.query, _query(state, state_type, flow_name, before=due), limit=limit)
        later = client.send(flow_runs.count(_query(None, None, flow_name, after=due))) if due else 0
        names = flow_names(client, {run.flow_id for run in found})
    if output == "json":
        print_json(found)
    else:
        columns = [Column("ID", keep=True, spare=True), Column("Flow"), Column("Name"), Column("State"), Column("When")]
        rows = [(str(run.id), names.get(run.flow_id, ""), run.name, run.state_name or "", _when(run, now)) for run in found]
        print_table("Flow runs", columns, rows)
        if later:
            print(f"{later} more are scheduled for later; `headgate flow-run ls --state Scheduled` lists them.")


@app.command(name="inspect")
def inspect_(flow_run: FlowRunName, /, *, output: Output = "table", session: InSession) -> None:
    """Show all fields of a flow run, what it waits or waited for, and the states that it was in.

    For example:
        headgate flow-run inspect careful-wolf
    """
    with session.client() as client:
        run = find_flow_run(client, flow_run)
        if output == "json":
            print_json(run)
            return
        explanation, history = client.send(flow_runs.explain(run.id)), client.send(flow_runs.get_states(run.id))
    print_record(run, now=session.now())
    print(waiting_text(explanation, history, now=session.now()))


@app.command
def explain(flow_run: FlowRunName, /, *, output: Output = "table", session: InSession) -> None:
    """Say why a flow run is not running: pauses, limits and who has the slots, missing workers, runs ahead of it.

    For example:
        headgate flow-run explain careful-wolf
    """
    with session.client() as client:
        explanation = client.send(flow_runs.explain(find_flow_run(client, flow_run).id))
    if output == "json":
        print_json(explanation)
    else:
        print(explanation_text(explanation, now=session.now()))


@app.command(name="logs")
def logs_(
    flow_run: FlowRunName,
    /,
    *,
    follow: Follow = False,
    head: Head = None,
    tail: Tail = None,
    reverse: Reverse = False,
    output: Output = "table",
    session: InSession,
) -> None:
    """Print the log lines of a flow run, oldest first.

    With --follow and `-o json` each line is a JSON object of its own.

    For example:
        headgate flow-run logs careful-wolf --follow
        headgate flow-run logs careful-wolf --tail 20
    """
    if sum([follow, head is not None, tail is not None]) > 1 or (follow and reverse):
        raise UsageError("Of --follow, --head and --tail only one can be given, and --follow goes forward only.")
    with session.client() as client:
        run = find_flow_run(client, flow_run)
        if follow:
            _print_following(client, run, output)
            return
        lines = _lines(client, run, head, tail, reverse)
        if output == "json":
            print_json(list(lines))
        else:
            for line in lines:
                print(log_text(line))


app.command(flow_run_bulk.cancel)
app.command(flow_run_bulk.delete)


def _query(
    states: list[str] | None,
    types: list[StateType] | None,
    flows: list[str] | None,
    *,
    before: datetime | None = None,
    after: datetime | None = None,
) -> FlowRunQuery:
    state = StateFilter(
        name=TextsFilter(any_=states) if states else None, type=StateTypeFilter(any_=types) if types else None
    )
    expected = TimeFilter(before_=before, after_=after) if before or after else None
    return FlowRunQuery(
        flow_runs=FlowRunFilter(state=state if states or types else None, expected_start_time=expected),
        flows=FlowFilter(name=NameFilter(any_=flows)) if flows else None,
        sort=FlowRunSort.EXPECTED_START_TIME_DESC,
    )


def _lines(client: Client, run: FlowRun, head: int | None, tail: int | None, reverse: bool) -> Iterable[Log]:
    filter = LogFilter(flow_run_id=IdFilter(any_=[run.id]))
    newest, oldest = (LogQuery(logs=filter, sort=sort) for sort in (LogSort.TIMESTAMP_DESC, LogSort.TIMESTAMP_ASC))
    match head, tail, reverse:
        case None, None, False:
            return all_lines(client, run.id)
        case None, None, True:
            return every(client, logs.query, newest)
        case int(), _, _:
            found = first(client, logs.query, oldest, limit=head)
            return found[::-1] if reverse else found
        case _:
            found = first(client, logs.query, newest, limit=tail or 0)
            return found if reverse else found[::-1]


def _print_following(client: Client, run: FlowRun, output: str) -> None:
    for line in follow_lines(client, run.id):
        if output == "json":
            print_json_line(line)
        else:
            print(log_text(line), flush=True)


def _when(run: FlowRun, now: datetime) -> str:
    return ago(run.end_time or run.start_time or run.expected_start_time, now, short=True)
