"""`headgate server services`: the background jobs as a process of their own, and which server leads at each."""

from typing import Annotated

from cyclopts import App, Parameter
from msgspec import structs

from headgate.cli.background import read_running, read_services, services_log, spawn_services, terminate
from headgate.cli.options import InSession, Output
from headgate.cli.output import Column, local, print_json, print_table
from headgate.cli.session import open_client
from headgate.client.calls import admin
from headgate.errors import Conflict, HeadgateError, NotFound
from headgate.schema.leaders import Service
from headgate.settings import PREFIX

app = App(name="services")

Background = Annotated[bool, Parameter(name=["--background", "-b"], help="Detach, and return once the jobs run.")]


@app.command
def start(*, background: Background = False, session: InSession) -> int:
    """Run the background jobs without an API, beside servers that run with --no-services.

    For example:
        headgate server services start --background
    """
    settings = session.settings()
    if pid := read_services(settings):
        raise Conflict(f"Background jobs run (process {pid}); `headgate server services stop` stops them.")
    if not background:
        from headgate.serving import serve_services

        return serve_services(settings)
    pid = spawn_services(settings, {f"{PREFIX}PROFILE": session.profile} if session.profile else {})
    print(f"The background jobs run, process {pid}. `headgate server services stop` stops them.")
    print(f"    log - {services_log(settings)}")
    return 0


@app.command
def stop(*, session: InSession) -> None:
    """Stop the background jobs that run apart on this machine with this HEADGATE_HOME.

    For example:
        headgate server services stop
    """
    settings = session.settings()
    if (pid := read_services(settings)) is None:
        raise NotFound(f"No background jobs of {settings.home_path} run apart.")
    if not terminate(pid):
        raise HeadgateError(f"The background jobs (process {pid}) did not stop; end them with `kill -9 {pid}`.")
    print(f"Stopped the background jobs (process {pid}).")


@app.command
def status(*, output: Output = "table", session: InSession) -> int:
    """Say whether background jobs run apart with this HEADGATE_HOME: exit code 0 when they do, 1 when not.

    For example:
        headgate server services status
    """
    settings = session.settings()
    pid = read_services(settings)
    if output == "json":
        print_json({"pid": pid})
    else:
        print(f"Background jobs run, process {pid}." if pid else f"No background jobs of {settings.home_path} run apart.")
    return 0 if pid else 1


@app.command
def ls(*, output: Output = "table", session: InSession) -> None:
    """List the background jobs, and which server leads at each, since when.

    For example:
        headgate server services ls
    """
    settings = session.settings()
    if settings.api_url is None and (running := read_running(settings)):
        settings = structs.replace(settings, api_url=running.api_url)
    with open_client(settings, patience=3.0) as client:
        services = client.send(admin.services())
    if output == "json":
        print_json(services)
        return
    columns = [Column("Name"), Column("Enabled"), Column("Every", right=True), Column("Leader"), Column("Since")]
    print_table("Background jobs", columns, [_row(each) for each in services])


def _row(service: Service) -> tuple[str, ...]:
    leader = service.leader
    where = (leader.place, local(leader.since)) if leader else ("", "")
    return service.name, "yes" if service.enabled else "no", f"{service.loop_seconds:g} s", *where
