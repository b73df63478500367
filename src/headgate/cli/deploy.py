"""`headgate deploy`: deployments from a project's file or from flags, checked whole before anything is written."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from msgspec import structs

from headgate.cli.find import find_limit, find_pool
from headgate.cli.hints import hint
from headgate.cli.options import InSession, Output
from headgate.cli.output import Problems, UsageError, print_json, warning_line
from headgate.cli.overrides import Overrides
from headgate.cli.plan import Plan, Surroundings, destination_of, make_plan
from headgate.cli.project import Project, Raw, entry_of, find_file, read_project
from headgate.cli.values import pairs
from headgate.client.calls import deployments, flows
from headgate.client.client import Client
from headgate.core import schedules
from headgate.core.serving import server_of, start_command
from headgate.errors import HeadgateError, NotFound
from headgate.schema.deployments import Deployment
from headgate.schema.flows import FlowCreate

Entrypoint = Annotated[
    str | None,
    Parameter(help="`path.py:function`, relative to the project's directory, or `package.module:function`."),
]
File = Annotated[
    Path | None,
    Parameter(
        name=["--file", "-f"], help="The project's file; without it headgate.yaml, prefect.yaml or deployment.yaml here."
    ),
]
Names = Annotated[
    list[str] | None,
    Parameter(
        name=["--name", "-n"],
        help="NAME or FLOW/NAME of a deployment in the file, again for each; or the name of a new one.",
    ),
]
All = Annotated[bool, Parameter(name="--all", help="Deploy everything that the file has.")]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which deployments the command line asks for."""

    names: Sequence[str]
    all: bool
    has_code: bool
    """Whether the command line says itself what is to be run."""


def deploy(
    entrypoint: Entrypoint = None,
    /,
    *,
    name: Names = None,
    all: All = False,
    file: File = None,
    flags: Annotated[Overrides | None, Parameter(name="*")] = None,
    output: Output = "table",
    session: InSession,
) -> None:
    """Create or update deployments, from a file or from flags.

    Everything is checked before anything is written: entrypoints, parameters, schedules, the work pool and its
    variables. Flags go before what the file says.

    For example:
        headgate deploy --all
        headgate deploy -n nightly --pool local
        headgate deploy flows.py:hello --name hello --pool local --cron "0 3 * * *"
        headgate deploy --command "df -h" --name disk-space --pool local
    """
    flags = flags or Overrides()
    if entrypoint and flags.command:
        raise UsageError("A deployment runs an entrypoint or a --command, not both.")
    pairs(flags.param, option="--param")
    path = file or find_file(Path.cwd())
    project = read_project(path) if path else None
    wanted = Selection(name or [], all, has_code=bool(entrypoint or flags.command))
    code = {"entrypoint": entrypoint, "command": None} if entrypoint else {}
    chosen = [(where, flags.over({**entry, **code})) for where, entry in _choose(project, wanted)]
    with session.client() as client:
        around = Surroundings(
            directory=project.directory if project else Path.cwd(),
            pool_of=cache(lambda name: destination_of(find_pool(client, name))),
            limit_of=cache(lambda name: find_limit(client, name).id),
            default_pool=session.settings().default_work_pool_name,
            parameters=flags.param or (),
        )
        plans = _plans(chosen, around)
        for line in [*(project.warnings if project else ()), *(text for plan in plans for text in plan.warnings)]:
            warning_line(line)
        written = [_write(client, plan, quiet=output == "json") for plan in plans]
    if output == "json":
        print_json(written)
    else:
        print(_next_steps(plans))


def _choose(project: Project | None, wanted: Selection) -> list[tuple[str, Raw]]:
    """The entries that are asked for; one of flags alone is empty but for its name."""
    entries = project.entries if project else ()
    if wanted.all:
        return _all(project, wanted)
    if not wanted.names:
        return [_only(project, wanted)]
    if len(wanted.names) == 1 and wanted.has_code:
        [name] = wanted.names
        named = [(where, entry) for where, entry in entries if _is_named(entry, name)]
        ground = [(where, entry) for where, entry in entries if entry.get("name") is None]
        where, entry = (named or ground or [("", {})])[0]
        return [(where or f"deployment {name!r}", {**entry, "name": name.rpartition("/")[2]})]
    if wanted.has_code:
        raise UsageError("An entrypoint or --command says what one deployment runs; give one --name with it.")
    return [found for name in wanted.names for found in _named(project, name)]


def _all(project: Project | None, wanted: Selection) -> list[tuple[str, Raw]]:
    if wanted.names or wanted.has_code:
        raise UsageError("--all takes every deployment of the file; leave out --name, --command and the entrypoint.")
    if project is None:
        raise UsageError("There is no headgate.yaml, prefect.yaml or deployment.yaml here; --file says where one is.")
    if not project.entries:
        raise UsageError(f"{project.file} has no deployments.")
    return list(project.entries)


def _only(project: Project | None, wanted: Selection) -> tuple[str, Raw]:
    if wanted.has_code:
        raise UsageError("What is the deployment called? Give --name NAME.")
    if project is None:
        raise UsageError(
            "Nothing to deploy: there is no headgate.yaml, prefect.yaml or deployment.yaml here. Give --file, or an "
            "entrypoint with --name and --pool."
        )
    match project.entries:
        case [entry]:
            return entry
        case _:
            raise UsageError(f"{project.file.name} has {', '.join(project.names) or 'none'}: give --all, or -n NAME.")


def _named(project: Project | None, name: str) -> Iterator[tuple[str, Raw]]:
    if project is None:
        raise UsageError(f"There is no file here that has deployment {name!r}; give --file, or an entrypoint with it.")
    found = [(where, entry) for where, entry in project.entries if _is_named(entry, name)]
    if not found:
        raise UsageError(f"{project.file.name} has no deployment {name!r}{hint(name, project.names)}")
    yield from found


def _is_named(entry: Raw, name: str) -> bool:
    """Whether `name` or `flow/name` means this entry; the flow is the entry's `flow_name`, its function or its command's."""
    flow, _, own = name.rpartition("/")
    if entry.get("name") != own:
        return False
    function = str(entry.get("entrypoint") or "").rpartition(":")[2]
    return not flow or flow in (entry.get("flow_name"), function, function.replace("_", "-"), own)


def _plans(chosen: Sequence[tuple[str, Raw]], around: Surroundings) -> list[Plan]:
    """The plans of all that is chosen; `Problems` lists what is wrong with any of them."""
    plans, problems = [], []
    for where, raw in chosen:
        try:
            plans.append(make_plan(entry_of(raw, where), where, around))
        except Problems as error:
            problems += error.lines
        except HeadgateError as error:
            problems.append(str(error))
    if problems:
        raise Problems([*problems, "Nothing was deployed."])
    return plans


def _write(client: Client, plan: Plan, *, quiet: bool) -> Deployment:
    before = _before(client, plan)
    paused = plan.paused if plan.paused is not None else before is not None and before.paused
    flow = client.send(flows.create(FlowCreate(name=plan.flow_name)))
    written = client.send(deployments.create(structs.replace(plan.body, flow_id=flow.id, paused=paused)))
    if not quiet:
        print(f"{'Updated' if before else 'Created'} deployment {plan.full_name!r}{' (paused)' * paused}")
        print(f"    id - {written.id}")
        print(f"    work pool - {plan.pool.name}, queue {written.work_queue_name or 'default'}")
        for each in reversed(written.schedules):
            print(f"    schedule - {schedules.describe(each.schedule)}{'' if each.active else ' (paused)'}")
    return written


def _before(client: Client, plan: Plan) -> Deployment | None:
    try:
        return client.send(deployments.get_by_name(plan.flow_name, plan.body.name))
    except NotFound:
        return None


def _next_steps(plans: Sequence[Plan]) -> str:
    pools = {plan.pool.name: plan.pool.type for plan in plans}
    who = " or ".join(dict.fromkeys(map(server_of, pools.values())))
    names = dict.fromkeys(plan.full_name for plan in plans)
    return "\n".join(
        [
            "",
            f"To execute runs, start {who}:",
            *(f"    {start_command(shlex.quote(pool), type)}" for pool, type in pools.items()),
            "To create one now:",
            *(f"    headgate deployment run {shlex.quote(name)} --watch" for name in names),
        ]
    )
