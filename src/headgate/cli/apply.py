"""`headgate apply`: bring the server to what a file says, with the differences shown first."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from headgate.cli.changes import pending, plan_lines, record_of
from headgate.cli.find import find_limit, find_pool
from headgate.cli.making import Maker
from headgate.cli.manifest_file import manifest_in
from headgate.cli.options import DryRun, InSession, Output, Yes
from headgate.cli.output import UsageError, confirm, error_line, print_json, warning_line
from headgate.cli.plan import destination_of
from headgate.cli.pool_templates import default_template
from headgate.cli.present import read_present
from headgate.cli.project import find_file, read_project
from headgate.client.client import Client
from headgate.core.manifests import Change, compare
from headgate.errors import HeadgateError
from headgate.schema.manifests import Manifest

File = Annotated[
    Path | None,
    Parameter(name=["--file", "-f"], help="The file; without it headgate.yaml, prefect.yaml or deployment.yaml here."),
]


def apply(
    *, file: File = None, dry_run: DryRun = False, yes: Yes = False, output: Output = "table", session: InSession
) -> int:
    """Create and change what a file describes: variables, work pools with queues, deployments with schedules.

    What differs is shown first, and nothing is written until you agree. What the file leaves out stays as it is, and
    nothing is ever deleted. Applied a second time, the same file changes nothing.

    For example:
        headgate apply --dry-run
        headgate apply --file production.yaml --yes
    """
    path = file or find_file(Path.cwd())
    if path is None:
        raise UsageError("There is no headgate.yaml, prefect.yaml or deployment.yaml here; --file says where one is.")
    project = read_project(path)
    with session.client() as client:
        manifest, warnings = manifest_in(
            project,
            pool_of=lambda name: destination_of(find_pool(client, name)),
            limit_of=lambda name: find_limit(client, name).id,
            template_of=default_template,
            default_pool=session.settings().default_work_pool_name,
        )
        for line in warnings:
            warning_line(line)
        return carry_out(client, manifest, dry_run=dry_run, yes=yes, output=output)


def carry_out(
    client: Client, manifest: Manifest, *, dry_run: bool, yes: bool, output: str, notes: Sequence[str] = ()
) -> int:
    """Show what is to change, ask, change it; the exit code. `notes` are told with the plan."""
    present = read_present(client, blocks=bool(manifest.blocks))
    changes = compare(manifest, present)
    quiet = output == "json"
    if not quiet:
        for line in [*plan_lines(changes), *notes]:
            print(line)
    if dry_run or not pending(changes):
        if quiet:
            print_json({"changes": [record_of(change) for change in changes], "notes": notes, "applied": False})
        return 0
    confirm("Make these changes?", yes=yes)
    errors: dict[str, str] = {}

    def done(change: Change, error: HeadgateError | None) -> None:
        if error is not None:
            errors[change.kind + change.name] = str(error)
            error_line(f"{change.kind} {change.name!r}: {error}")
        elif not quiet:
            print(f"{change.action.capitalize()}d {change.kind} {change.name!r}")

    well = Maker(client, present).make(changes, done=done)
    if quiet:
        records = [record_of(change, errors.get(change.kind + change.name)) for change in changes]
        print_json({"changes": records, "notes": notes, "applied": True})
    return 0 if well else 1
