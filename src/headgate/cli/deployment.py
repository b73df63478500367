"""`headgate deployment`: flows with where their code is and how they are run."""

from datetime import datetime, timedelta
from typing import Annotated, Any

from cyclopts import App, Parameter
from msgspec import UNSET

from headgate.cli import deployment_changes
from headgate.cli.find import every, find_deployment, find_pool, flow_names
from headgate.cli.flow_run_bulk import run_many
from headgate.cli.options import DeploymentName, InSession, JobVariables, Output, Params, ParamsJson, Tags, Verbose, Yes
from headgate.cli.output import (
    Column,
    UsageError,
    ago,
    confirm,
    local,
    print_json,
    print_json_line,
    print_table,
    show,
    warning_line,
)
from headgate.cli.pauses import By, Reason, note_of, said
from headgate.cli.times import moment_of, seconds_of
from headgate.cli.values import json_or_text, pairs, parameters_of, unknown_parameters
from headgate.cli.watch import watch, watched_text
from headgate.client.calls import deployments
from headgate.client.client import Client
from headgate.core import schedules, templates
from headgate.core.placeholders import list_placeholders, to_pointer
from headgate.core.serving import server_of, start_command
from headgate.schema.deployments import Deployment, DeploymentPatch
from headgate.schema.filters import DeploymentQuery, DeploymentSort, FlowFilter, NameFilter
from headgate.schema.flow_runs import DeploymentFlowRunCreate, FlowRun
from headgate.schema.states import State, StateCreate, StateDetails, StateType

app = App(name="deployment")
app.command(
    "headgate.cli.deployment_schedule:app", name="schedule", help="Create and look after the schedules of a deployment."
)

FlowName = Annotated[list[str] | None, Parameter(name="--flow-name", help="Only deployments of this flow, again for each.")]
Watch = Annotated[
    bool, Parameter(name="--watch", help="Print states and log lines until the run ends; exit code 0 when it completed.")
]
StartIn = Annotated[
    str | None, Parameter(name="--start-in", metavar="TIME", help="Start after this time: 90, 15m, '2 hours'.")
]
StartAt = Annotated[
    str | None, Parameter(name="--start-at", metavar="MOMENT", help="Start then: '2026-03-01 09:30', 18:00.")
]
RunName = Annotated[
    str | None, Parameter(name="--flow-run-name", help="What to call the run; without it a name is made up.")
]
NewPool = Annotated[str, Parameter(name=["--pool", "-p"], help="The work pool that its runs go to.")]
NewQueue = Annotated[
    str | None, Parameter(name=["--queue", "-q"], help="A queue of that pool, made if missing; without it the default one.")
]

Count = Annotated[int, Parameter(name="--count", metavar="N", help="Create so many runs, all alike.")]


@app.command
def ls(*, flow_name: FlowName = None, verbose: Verbose = False, output: Output = "table", session: InSession) -> None:
    """List all deployments.

    For example:
        headgate deployment ls --flow-name inventory
        headgate deployment ls --verbose
    """
    query = DeploymentQuery(
        flows=FlowFilter(name=NameFilter(any_=flow_name)) if flow_name else None, sort=DeploymentSort.NAME_ASC
    )
    with session.client() as client:
        found = every(client, deployments.query, query)
        names = flow_names(client, {deployment.flow_id for deployment in found})
    if output == "json":
        print_json(found)
    else:
        rows = sorted(_row(each, names.get(each.flow_id, ""), session.now(), verbose=verbose) for each in found)
        columns = [Column("Name"), Column("ID", keep=True, spare=True), Column("Work pool"), Column("Schedules")]
        columns += [Column("Queue"), Column("Status", keep=True), Column("Paused"), Column("Description")] if verbose else []
        print_table("Deployments", columns, rows, caption="(**) denotes a paused deployment")


@app.command(name="inspect")
def inspect_(deployment: DeploymentName, /, *, output: Output = "table", session: InSession) -> None:
    """Show all fields of a deployment, with its schedules.

    For example:
        headgate deployment inspect inventory/nightly
    """
    with session.client() as client:
        found = find_deployment(client, deployment)
    show(found, output, now=session.now())


@app.command
def run(
    deployment: DeploymentName,
    /,
    *,
    param: Params = None,
    params: ParamsJson = None,
    job_variable: JobVariables = None,
    tag: Tags = None,
    start_in: StartIn = None,
    start_at: StartAt = None,
    flow_run_name: RunName = None,
    count: Count = 1,
    watch: Watch = False,
    output: Output = "table",
    session: InSession,
) -> int:
    """Create a run of a deployment, or several. A worker of its pool picks it up when it is due.

    For example:
        headgate deployment run inventory/nightly --param min_size=1000 --watch
        headgate deployment run inventory/nightly --start-in 10m --tag by-hand
        headgate deployment run inventory/nightly --count 100
    """
    if count != 1 and watch:
        raise UsageError("--watch follows one run; leave it out, or --count.")
    due = _due(start_in, start_at, session.now())
    with session.client(patience=60.0 if watch else 3.0) as client:
        found = find_deployment(client, deployment)
        body = DeploymentFlowRunCreate(
            state=_scheduled(due),
            name=flow_run_name,
            parameters=_parameters(found, param, params),
            job_variables=_job_variables(client, found, job_variable),
            tags=tag,
        )
        if count != 1:
            return run_many(client, found, body, count, output)
        created = client.send(deployments.create_flow_run(found.id, body))
        if output == "json" and not watch:
            print_json(created)
        elif output == "table":
            print(_created(created, deployment, due, session.now(), watch))
        return _watch(client, created, output) if watch else 0


@app.command
def set_pool(deployment: DeploymentName, /, *, pool: NewPool, queue: NewQueue = None, session: InSession) -> None:
    """Send a deployment's runs to another work pool. Those that wait go with it; runs in progress go on where they are.

    For example:
        headgate deployment set-pool inventory/nightly --pool my-local-machine
        headgate deployment set-pool inventory/nightly --pool local --queue urgent
    """
    with session.client() as client:
        found = find_deployment(client, deployment)
        type = find_pool(client, pool).type
        client.send(deployments.update(found.id, DeploymentPatch(work_pool_name=pool, work_queue_name=queue or UNSET)))
        changed = client.send(deployments.get(found.id))
    print(f"Deployment {deployment!r} runs in work pool {changed.work_pool_name!r}, queue {changed.work_queue_name!r}")
    print(f"\nTo execute its runs, start {server_of(type)}:\n    {start_command(repr(pool), type)}")
    if found.work_pool_name and found.work_pool_name != pool:
        back = f"--pool {found.work_pool_name!r} --queue {found.work_queue_name!r}"
        print(f"To send them back:\n    headgate deployment set-pool {deployment!r} {back}")


@app.command
def pause(deployment: DeploymentName, /, *, reason: Reason = None, by: By = None, session: InSession) -> None:
    """Stop a deployment's schedules and hold back its runs; runs in progress go on.

    For example:
        headgate deployment pause inventory/nightly --reason "db upgrade"
    """
    with session.client() as client:
        found = find_deployment(client, deployment)
        client.send(deployments.pause(found.id, note_of(reason, by, is_paused=found.paused)))
    print(f"Paused deployment {deployment!r}")


@app.command
def resume(deployment: DeploymentName, /, *, session: InSession) -> None:
    """Undo `pause`: runs are released at once, and why it was paused is forgotten.

    For example:
        headgate deployment resume inventory/nightly
    """
    with session.client() as client:
        client.send(deployments.resume(find_deployment(client, deployment).id))
    print(f"Resumed deployment {deployment!r}")


@app.command
def delete(deployment: DeploymentName, /, *, yes: Yes = False, session: InSession) -> None:
    """Delete a deployment with its schedules and its runs that have not started.

    For example:
        headgate deployment delete inventory/nightly
    """
    with session.client() as client:
        found = find_deployment(client, deployment)
        confirm(f"Delete deployment {deployment!r} with its schedules?", yes=yes)
        client.send(deployments.delete(found.id))
    print(f"Deleted deployment {deployment!r}")


for command in (
    deployment_changes.set_concurrency_limit,
    deployment_changes.share_concurrency_limit,
    deployment_changes.clear_concurrency_limit,
    deployment_changes.set_concurrency_key,
    deployment_changes.clear_concurrency_key,
):
    app.command(command)


def _row(deployment: Deployment, flow: str, now: datetime, *, verbose: bool) -> tuple[str, ...]:
    mark = " **" if deployment.paused else ""
    timing = "; ".join(schedules.describe(item.schedule) for item in reversed(deployment.schedules) if item.active)
    row = (f"{flow}/{deployment.name}{mark}", str(deployment.id), deployment.work_pool_name or "", timing)
    if not verbose:
        return row
    about = (deployment.work_queue_name, deployment.status, said(deployment.pause, now), deployment.description)
    return (*row, *(text or "" for text in about))


def _due(start_in: str | None, start_at: str | None, now: datetime) -> datetime | None:
    if start_in and start_at:
        raise UsageError("Of --start-in and --start-at only one can be given.")
    if start_in:
        return now + timedelta(seconds=seconds_of(start_in, option="--start-in"))
    return moment_of(start_at, now, option="--start-at") if start_at else None


def _scheduled(due: datetime | None) -> StateCreate | None:
    return StateCreate(type=StateType.SCHEDULED, state_details=StateDetails(scheduled_time=due)) if due else None


def _parameters(deployment: Deployment, param: list[str] | None, params: str | None) -> dict[str, Any] | None:
    given = parameters_of(param, params, schema=deployment.parameter_openapi_schema)
    if problems := unknown_parameters(given, deployment.parameter_openapi_schema):
        raise UsageError(" ".join(problems))
    return given or None


def _job_variables(client: Client, deployment: Deployment, given: list[str] | None) -> dict[str, Any] | None:
    """The variables, when the deployment's pool takes them; a wrong one would only show when the run is started."""
    variables = {key: json_or_text(text) for key, text in pairs(given, option="--job-variable").items()}
    if variables and deployment.work_pool_name:
        pool = find_pool(client, deployment.work_pool_name)
        templates.validate_variables(pool.base_job_template, deployment.job_variables, variables, known_only=True)
    for path, name in list_placeholders(variables):
        if name.startswith("$"):
            warning_line(
                f"--job-variable {to_pointer(path)}: {{{{ {name} }}}} stays the text that it is; only a pool's template "
                "names variables of the worker's environment."
            )
    return variables or None


def _created(run: FlowRun, deployment: str, due: datetime | None, now: datetime, watched: bool) -> str:
    lines = [f"Created flow run {run.name!r} of {deployment}.", f"    id - {run.id}"]
    if due:
        lines.append(f"    due - {local(due)} ({ago(due, now)})")
    if not watched:
        lines += ["", "Follow it:", f"    headgate flow-run logs {run.id} --follow"]
    return "\n".join(lines)


def _watch(client: Client, run: FlowRun, output: str) -> int:
    if output == "json":
        print_json_line(run)
    final = None
    try:
        for item in watch(client, run.id):
            final = item.type if isinstance(item, State) else final
            if output == "json":
                print_json_line(item)
            else:
                print(watched_text(item), flush=True)
    except KeyboardInterrupt:
        warning_line(f"Not watched any more, the run goes on: `headgate flow-run logs {run.id} --follow`.")
        raise
    return 0 if final is StateType.COMPLETED else 1
