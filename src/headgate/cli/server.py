"""`headgate server`: the API server of this machine, and its database."""

from typing import Annotated, Any

from cyclopts import App, Parameter
from msgspec import structs

from headgate.cli.background import healthy, is_server, log_file, read_running, read_services, running_file, spawn, terminate
from headgate.cli.options import InSession, Output, Yes
from headgate.cli.output import confirm, print_json
from headgate.cli.session import Session, open_client
from headgate.client.calls import admin
from headgate.errors import Conflict, HeadgateError, NotFound
from headgate.settings import NAMES, PREFIX, Settings, env_name

# `headgate.server` takes 0.3 s and more to import. Only the commands that run it or open its database pay that:
# its imports stand in their functions.

app = App(name="server")
database = App(name="database", help="Look after the database of the server.")
app.command(database)
app.command("headgate.cli.server_services:app", name="services", help="Run the background jobs apart, and see who does.")
database.command("headgate.cli.server_database:prune", name="prune")
database.command("headgate.cli.server_database:compact", name="compact")

Host = Annotated[str | None, Parameter(name="--host", help="Address to listen on; without it HEADGATE_SERVER_API_HOST.")]
Port = Annotated[int | None, Parameter(name="--port", help="Port to listen on; without it HEADGATE_SERVER_API_PORT.")]
DatabaseUrl = Annotated[
    str | None,
    Parameter(
        name="--database-url",
        metavar="URL",
        help="`sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST/DB`; without it HEADGATE_SERVER_DATABASE_CONNECTION_URL.",
    ),
]
Workers = Annotated[
    int | None,
    Parameter(name="--workers", help="Server processes, on PostgreSQL; without it HEADGATE_SERVER_API_WORKERS."),
]
Background = Annotated[bool, Parameter(name=["--background", "-b"], help="Detach, and return once the API answers.")]
NoServices = Annotated[
    bool, Parameter(name="--no-services", help="Only answer calls: no scheduler, no late marks, no recovery of runs.")
]
UpTo = Annotated[str | None, Parameter(name=["--revision", "-r"], help="The revision to go to; without it the newest.")]
DownTo = Annotated[str, Parameter(name=["--revision", "-r"], help="The revision to go to; `base` is an empty database.")]
Message = Annotated[
    str | None, Parameter(name=["--message", "-m"], help="What a new revision changes; for developers of headgate.")
]


@app.command
def start(
    *,
    host: Host = None,
    port: Port = None,
    database_url: DatabaseUrl = None,
    workers: Workers = None,
    background: Background = False,
    no_services: NoServices = False,
    session: InSession,
) -> int:
    """Start the API server with its background services; it runs until Ctrl-C or SIGTERM.

    The database is created at the first start: SQLite in HEADGATE_HOME, unless another is named.

    For example:
        headgate server start --port 4300
        headgate server start --background
        headgate server start --database-url postgresql://me@db/headgate --workers 4
    """
    flags = _flags(host, port, database_url, no_services) | {"server_api_workers": workers}
    settings = session.settings(**flags)
    if background:
        return _start_detached(session, settings, flags)
    from headgate.serving import serve

    return serve(settings)


@app.command
def stop(*, session: InSession) -> None:
    """Stop the server that runs on this machine with this HEADGATE_HOME.

    For example:
        headgate server stop
    """
    settings = session.settings()
    running = read_running(settings)
    if running is None or not is_server(running, settings):
        running_file(settings).unlink(missing_ok=True)
        raise NotFound(f"No server of {settings.home_path} runs.")
    if not terminate(running.pid):
        raise HeadgateError(
            f"The server (process {running.pid}) did not stop; look at it, or end it with `kill -9 {running.pid}`."
        )
    print(f"Stopped the server (process {running.pid}).")


@app.command
def status(*, output: Output = "table", session: InSession) -> int:
    """Say where the server is, and whether it answers: exit code 0 when it does, 1 when not.

    Asks the API of HEADGATE_API_URL when that is set, else the server that runs with this HEADGATE_HOME.

    For example:
        headgate server status -o json
    """
    settings = session.settings()
    running = read_running(settings)
    url = settings.api_url or (running.api_url if running else None)
    answers = url is not None and healthy(settings, url)
    facts = {
        "url": url,
        "pid": running.pid if running and running.api_url == url else None,
        "processes": running.count if running and running.api_url == url else None,
        "healthy": answers,
        "api_version": _api_version(settings, url) if url and answers else None,
    }
    if output == "json":
        print_json(facts)
    elif url is None:
        print(f"No server of {settings.home_path} runs; `headgate server start` starts one.")
    else:
        for name, value in facts.items():
            print(f"{name.replace('_', ' ') + ':':<13} {value if value is not None else 'unknown'}")
    return 0 if answers else 1


@database.command
def upgrade(*, revision: UpTo = None, session: InSession) -> None:
    """Bring the database's schema up to a revision. A server does so itself when it starts.

    For example:
        headgate server database upgrade
    """
    from headgate.server import upgrade_database

    settings = session.settings()
    print(upgrade_database(settings, revision) if revision else upgrade_database(settings))


@database.command
def downgrade(*, revision: DownTo, yes: Yes = False, session: InSession) -> None:
    """Take the database's schema back to an older revision. What that one has no place for is lost.

    For example:
        headgate server database downgrade --revision base
    """
    from headgate.server import downgrade_database

    settings = session.settings()
    _refuse_while_running(settings)
    confirm(f"Take the schema of the database back to revision {revision!r}?", yes=yes)
    print(downgrade_database(settings, revision))


@database.command
def reset(*, yes: Yes = False, session: InSession) -> None:
    """Delete everything in the database and create it anew.

    For example:
        headgate server database reset
    """
    from headgate.server import reset_database

    settings = session.settings()
    _refuse_while_running(settings)
    confirm("Delete everything in the database: pools, deployments, runs, logs?", yes=yes)
    print(reset_database(settings))


@database.command
def revision(*, message: Message = None, session: InSession) -> None:
    """Say which revision the database is at and which is the newest; with --message, draft the next one.

    For example:
        headgate server database revision
    """
    from headgate.server import database_revision

    print(database_revision(session.settings(), message))


def _refuse_while_running(settings: Settings) -> None:
    if running := read_running(settings):
        raise Conflict(f"A server runs on it at {running.url}; stop it first with `headgate server stop`.")
    if pid := read_services(settings):
        raise Conflict(f"Background jobs run on it (process {pid}); stop them first with `headgate server services stop`.")


def _flags(host: str | None, port: int | None, database_url: str | None, no_services: bool) -> dict[str, Any]:
    """The settings that the flags give; what is None is not given."""
    services = False if no_services else None
    jobs = [name for name in NAMES if name.startswith("server_services_") and name.endswith("_enabled")]
    return {
        "server_api_host": host,
        "server_api_port": port,
        "server_database_connection_url": database_url,
        **dict.fromkeys(jobs, services),
    }


def _start_detached(session: Session, settings: Settings, flags: dict[str, Any]) -> int:
    if running := read_running(settings):
        raise Conflict(f"A server runs at {running.url} (process {running.pid}); `headgate server stop` stops it.")
    environment = {env_name(name): str(value) for name, value in flags.items() if value is not None}
    if session.profile:
        environment[f"{PREFIX}PROFILE"] = session.profile
    running = spawn(settings, environment)
    print(f"The server runs, process {running.pid}. `headgate server stop` stops it.")
    print(f"    API - {running.api_url}")
    print(f"    OpenAPI - {running.url}/docs")
    print(f"    log - {log_file(settings)}")
    return 0


def _api_version(settings: Settings, url: str) -> str | None:
    try:
        with open_client(structs.replace(settings, api_url=url), patience=0) as client:
            return client.send(admin.api_version())
    except HeadgateError:
        return None
