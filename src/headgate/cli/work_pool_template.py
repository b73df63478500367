"""`headgate work-pool template`: judge base job templates, and see what becomes of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import App, Parameter
from msgspec import Struct

from headgate.cli.find import find_deployment, find_flow_run, find_pool, find_pool_or_id
from headgate.cli.misfits import Misfitting, misfits_of
from headgate.cli.options import InSession, Output
from headgate.cli.output import Column, UsageError, counted, print_json, print_table, warning_line
from headgate.cli.pool_templates import default_template, installed_template, read_template
from headgate.client.calls import deployments
from headgate.client.client import Client
from headgate.core.placeholders import to_pointer
from headgate.core.rendering import Origin
from headgate.core.template_diff import Change, Kind, diff
from headgate.core.template_lint import lint
from headgate.core.templates import Layer, check, list_misfits, trace
from headgate.errors import NotFound
from headgate.schema.deployments import Deployment
from headgate.schema.flow_runs import FlowRun
from headgate.schema.work_pools import WorkPool

app = App(name="template")

PoolName = Annotated[str, Parameter(help="Name of the work pool.")]
SomePool = Annotated[str | None, Parameter(help="Name of the work pool.")]
LintedFile = Annotated[
    Path | None, Parameter(name=["--file", "-f"], help="A JSON file with a template, in place of a pool's.")
]
OtherFile = Annotated[
    Path | None,
    Parameter(name=["--file", "-f"], help="A JSON file with the other template, in place of the type's default."),
]
OfDeployment = Annotated[
    str | None, Parameter(name=["--deployment", "-d"], help="FLOW/DEPLOYMENT or id: what its runs are started with.")
]
OfFlowRun = Annotated[str | None, Parameter(name="--flow-run", help="Id or name: what this run is started with.")]


class Problem(Struct, kw_only=True):
    """One finding of `lint`."""

    severity: str
    pointer: str
    reason: str
    value: Any = None


class Rendered(Struct, kw_only=True):
    """A job configuration as `render` shows it: of each innermost place, by JSON pointer, where its value comes from."""

    job_configuration: dict[str, Any]
    origins: dict[str, list[str]]
    problems: list[str]


class Difference(Struct, kw_only=True):
    """One place that differs."""

    change: str
    pointer: str
    before: Any = None
    after: Any = None


class Differences(Struct, kw_only=True):
    """What `diff` found."""

    changes: list[Difference]
    deployments: list[Misfitting]


@app.command(name="lint")
def lint_(pool: SomePool = None, /, *, file: LintedFile = None, output: Output = "table", session: InSession) -> int:
    """Say all that is wrong with a base job template, with the place of each as a JSON pointer.

    Errors keep a pool from taking the template; the exit code is 1 when there is one. Warnings are for what is
    strange: variables that no placeholder uses, defaults that their own schema refuses, required variables without one.

    For example:
        headgate work-pool template lint local
        headgate work-pool template lint --file template.json
    """
    if (pool is None) == (file is None):
        raise UsageError("Which template? Give a pool's name or --file FILE.")
    if file is not None:
        template = read_template(file, option="--file")
    else:
        with session.client() as client:
            template = find_pool_or_id(client, str(pool)).base_job_template
    findings = lint(template)
    found = [
        Problem(severity="error" if each.is_error else "warning", pointer=each.pointer, reason=each.reason, value=each.value)
        for each in findings
    ]
    if output == "json":
        print_json(found)
    else:
        for each in found:
            print(f"{each.severity}: {each.pointer}: {each.reason}")
        errors = sum(finding.is_error for finding in findings)
        print(f"{counted(errors, 'error')}, {counted(len(found) - errors, 'warning')}")
    return int(any(finding.is_error for finding in findings))


@app.command
def render(
    pool: SomePool = None,
    /,
    *,
    deployment: OfDeployment = None,
    flow_run: OfFlowRun = None,
    output: Output = "table",
    session: InSession,
) -> None:
    """Show the job configuration that runs are started with, and where each of its values comes from.

    Of a pool: with nothing set. Of a deployment or a run: with its job variables. `{{ $NAME }}` is filled in by the
    worker, and references to variables and secrets when a run is launched: here they stay as they are.

    For example:
        headgate work-pool template render local
        headgate work-pool template render --deployment inventory/nightly
        headgate work-pool template render --flow-run kind-nightingale -o json
    """
    if sum(each is not None for each in (pool, deployment, flow_run)) != 1:
        raise UsageError("Of what? Give a pool's name, --deployment FLOW/NAME or --flow-run ID.")
    with session.client() as client:
        source, layers = _source(client, pool, deployment, flow_run)
    installed = installed_template(source.type)
    template = source.base_job_template or installed
    if not template:
        raise UsageError(
            f"Work pool {source.name!r} has no base job template; its type {source.type!r} is not installed here."
        )
    traced = trace(template, layers, installed=installed)
    problems = [misfit.message for misfit in list_misfits(template, *(values for _, values in layers))]
    if output == "json":
        origins = {to_pointer(path): [str(origin) for origin in found] for path, found in traced.origins.items()}
        print_json(Rendered(job_configuration=traced.configuration, origins=origins, problems=problems))
        return
    rows = [
        (to_pointer(path), _text(_at(traced.configuration, path)), ", ".join(origins))
        for path, origins in traced.origins.items()
    ]
    print_table(
        f"Job configuration of {deployment or flow_run or pool}", [Column("Place"), Column("Value"), Column("From")], rows
    )
    for problem in problems:
        warning_line(f"{problem}. Runs crash when they are launched.")


@app.command(name="diff")
def diff_(pool: PoolName, /, *, file: OtherFile = None, output: Output = "table", session: InSession) -> int:
    """Show what would change if a pool took another base job template: its type's default, or one in a file.

    `+` is what the other template adds, `-` what it takes away, `~` what it changes. Then come the deployments of the
    pool that would no longer fit; the exit code is 1 when there is one.

    For example:
        headgate work-pool template diff local
        headgate work-pool template diff local --file template.json
    """
    with session.client() as client:
        present = find_pool_or_id(client, pool)
        other = read_template(file, option="--file") if file else default_template(present.type)
        check(other)
        changes = diff(present.base_job_template, other)
        misfits = list(misfits_of(client, present, other))
    if output == "json":
        found = [Difference(change=c.kind, pointer=c.pointer, before=c.before, after=c.after) for c in changes]
        print_json(Differences(changes=found, deployments=misfits))
    else:
        whose = str(file) if file else f"the default of type {present.type!r}"
        _print_changes(f"From the template of work pool {present.name!r} to {whose}:", changes)
        _print_misfits("Deployments that would no longer fit:", [each for each in misfits if not each.already])
        _print_misfits("Deployments that do not fit the pool as it is:", [each for each in misfits if each.already])
    return int(any(not each.already for each in misfits))


def _source(
    client: Client, pool: str | None, deployment: str | None, flow_run: str | None
) -> tuple[WorkPool, list[tuple[Origin, Layer]]]:
    """The pool that is meant, and the layers of job variables that go over its template's defaults."""
    if pool is not None:
        return find_pool_or_id(client, pool), []
    if deployment is not None:
        of = find_deployment(client, deployment)
        return _pool_of(client, of, f"Deployment {deployment!r}"), [(Origin.DEPLOYMENT, of.job_variables)]
    run = find_flow_run(client, str(flow_run))
    layers: list[tuple[Origin, Layer]] = []
    if run.deployment_id is not None:
        try:
            layers.append((Origin.DEPLOYMENT, client.send(deployments.get(run.deployment_id)).job_variables))
        except NotFound:
            warning_line(f"The deployment of run {flow_run!r} is gone; this is the run without its job variables.")
    scheduled = run.created_by is not None and run.created_by.type == "SCHEDULE"
    layers.append((Origin.SCHEDULE if scheduled else Origin.RUN, run.job_variables or {}))
    return _pool_of(client, run, f"Flow run {flow_run!r}"), layers


def _pool_of(client: Client, record: Deployment | FlowRun, title: str) -> WorkPool:
    if record.work_pool_name is None:
        raise UsageError(f"{title} belongs to no work pool: there is no template that it is started with.")
    return find_pool(client, record.work_pool_name)


_SIGNS = {Kind.ADDED: "+", Kind.REMOVED: "-", Kind.CHANGED: "~"}


def _print_changes(title: str, changes: Sequence[Change]) -> None:
    print(title)
    for change in changes:
        match change.kind:
            case Kind.ADDED:
                told = _text(change.after)
            case Kind.REMOVED:
                told = _text(change.before)
            case Kind.CHANGED:
                told = f"{_text(change.before)} -> {_text(change.after)}"
        print(f"  {_SIGNS[change.kind]} {change.pointer}: {told}")
    if not changes:
        print("  no difference")


def _print_misfits(title: str, misfits: Sequence[Misfitting]) -> None:
    if not misfits:
        return
    print(f"\n{title}")
    for each in misfits:
        schedule = f" (schedule {each.schedule!r})" if each.schedule else ""
        place = f" {each.pointer}" if each.pointer else ""
        print(f"  {each.deployment}{schedule}{place}: {each.reason}")


def _at(value: Any, path: Sequence[str | int]) -> Any:
    for key in path:
        value = value[key]
    return value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
