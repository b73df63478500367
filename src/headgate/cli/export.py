"""`headgate export`: what the server holds, as a file that `headgate apply` takes."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from headgate.cli.manifest_file import text_of, write
from headgate.cli.options import InSession, Output
from headgate.cli.output import counted, print_json
from headgate.cli.present import read_manifest

File = Annotated[str, Parameter(name=["--file", "-f"], allow_leading_hyphen=True, help="Where to write it; `-` prints it.")]
Overwrite = Annotated[bool, Parameter(name="--overwrite", help="Replace the file if there is one.")]


def export(
    *, file: File = "headgate.yaml", overwrite: Overwrite = False, output: Output = "table", session: InSession
) -> None:
    """Write variables, concurrency limits, work pools with queues, and deployments with schedules to a file.

    The file says what is to be so, without ids and history: `headgate apply` brings this or another server to it.
    Secrets are not written: they cannot be read back. Neither are blocks, which may hold some.

    For example:
        headgate export
        headgate export --file - | less
        headgate export --file backup.yaml --overwrite
    """
    with session.client() as client:
        manifest = read_manifest(client)
    if output == "json":
        print_json(manifest)
        return
    text = text_of(manifest)
    if file == "-":
        print(text, end="")
        return
    write(text, Path(file), overwrite=overwrite)
    what = (
        (manifest.variables, "variable"),
        (manifest.concurrency_limits, "concurrency limit"),
        (manifest.work_pools, "work pool"),
        (manifest.deployments, "deployment"),
    )
    print(f"Wrote {file}: {', '.join(counted(len(each), noun) for each, noun in what if each) or 'nothing'}")
