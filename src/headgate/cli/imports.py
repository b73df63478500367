"""`headgate import`: what another server holds, copied into this one, with the differences shown first."""

from typing import Annotated, Any
from uuid import UUID

from cyclopts import App, Parameter
from msgspec import structs

from headgate.cli.apply import carry_out
from headgate.cli.options import DryRun, InSession, Output, Yes
from headgate.cli.pool_templates import installed_template
from headgate.cli.session import open_client
from headgate.client.calls import collections, listings
from headgate.client.client import Client
from headgate.core.prefect_import import WORKER_TYPES, Holdings, translate
from headgate.errors import Forbidden, HeadgateError, NotFound

app = App(name="import")

Url = Annotated[str, Parameter(help="Its API, such as http://127.0.0.1:4200/api.")]
Auth = Annotated[
    str | None,
    Parameter(name="--auth-string", env_var="PREFECT_API_AUTH_STRING", help="USER:PASSWORD, where that server asks for it."),
]
ToWorkers = Annotated[
    bool,
    Parameter(
        name="--to-workers",
        help="Move deployments that agents run to pools for workers, made of their infrastructure blocks.",
    ),
]

Paused = Annotated[
    bool, Parameter(name="--paused", help="Write deployments paused, so that no schedule fires on both servers meanwhile.")
]

_PAGE = 200


@app.command
def prefect(
    url: Url,
    /,
    *,
    auth_string: Auth = None,
    to_workers: ToWorkers = False,
    paused: Paused = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    output: Output = "table",
    session: InSession,
) -> int:
    """Copy variables, secrets, work pools with queues, and deployments with schedules from a Prefect server (2.20 or 3.x).

    What is missing or differs here is shown first, with a note on all that has no equivalent, and nothing is written until
    you agree. Nothing is changed there, and nothing is deleted here; a second time, only what differs is written.
    Schedules fire on both servers until one of them is paused: --paused writes deployments so here, and importing again
    without it, once the other server is off, gives them the switch that they have there.

    For example:
        headgate import prefect http://127.0.0.1:4200/api --dry-run
        headgate import prefect http://old:4200/api --to-workers --paused --yes
    """
    settings = structs.replace(session.settings(), api_url=url, api_auth_string=auth_string)
    with open_client(settings, patience=3.0) as there:
        found = translate(read_holdings(there), to_workers=to_workers)
    for deployment in found.manifest.deployments if paused else ():
        deployment.wanted.paused = True
    with session.client() as here:
        notes = [f"  ! {note}" for note in found.notes] if output == "table" else found.notes
        return carry_out(here, found.manifest, dry_run=dry_run, yes=yes, output=output, notes=notes)


def read_holdings(there: Client) -> Holdings:
    """All that an import looks at of the other server."""
    pools = _all(there, "/work_pools")
    queues, notes = _queues(there, [pool["name"] for pool in pools])
    return Holdings(
        work_pools=pools,
        work_queues=queues,
        flows=_all(there, "/flows"),
        deployments=_all(there, "/deployments"),
        variables=_all(there, "/variables"),
        concurrency_limits=_some(there, "/v2/concurrency_limits"),
        tag_limits=_some(there, "/concurrency_limits"),
        block_schemas=_some(there, "/block_schemas"),
        block_documents=_blocks(there),
        automations=_some(there, "/automations"),
        notifications=_some(there, "/flow_run_notification_policies"),
        templates=_templates(there),
        notes=notes,
    )


def _queues(there: Client, pools: list[str]) -> tuple[dict[str, list[dict[str, Any]]], list[str]]:
    """The queues of each pool, and a note on each pool whose queues that server fails to list: one bad name does it."""
    found: dict[str, list[dict[str, Any]]] = {}
    notes = []
    for pool in pools:
        try:
            found[pool] = _all(there, "/work_pools/{pool}/queues", at={"pool": pool})
        except HeadgateError as error:
            notes.append(f"work pool {pool!r}: its queues could not be read: {error}")
    return found, notes


def _all(there: Client, path: str, *, at: dict[str, str | UUID] | None = None, **more: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        page = there.send(listings.page(path, at=at, offset=len(found), limit=_PAGE, **more))
        found += page
        if len(page) < _PAGE:
            return found


def _some(there: Client, path: str) -> list[dict[str, Any]]:
    """The same of what not every server has, or lets everybody see."""
    try:
        return _all(there, path)
    except (NotFound, Forbidden):
        return []


def _blocks(there: Client) -> list[dict[str, Any]]:
    """Documents with their secrets, the anonymous ones too: infrastructure of deployments is often among those."""
    anonymous: dict[str, Any] = {"block_documents": {"is_anonymous": {"eq_": True}}}
    return [
        *_all(there, "/block_documents", include_secrets=True),
        *_all(there, "/block_documents", include_secrets=True, **anonymous),
    ]


def _templates(there: Client) -> dict[str, dict[str, Any]]:
    """Base job templates by type: ours where the type is installed here, else the other server's."""
    theirs = {
        type: metadata.get("default_base_job_configuration") or {}
        for types in there.send(collections.view("aggregate-worker-metadata")).values()
        for type, metadata in types.items()
    }
    return theirs | {type: ours for type in WORKER_TYPES.values() if (ours := installed_template(type))}
