"""What a worker type is, and which are installed (entry points of the group `headgate.workers`)."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Protocol, runtime_checkable
from uuid import UUID

from headgate.client.transport import Request, Response
from headgate.errors import ConfigError
from headgate.flows.reporter import Assignment
from headgate.schema.collections import WorkerMetadata

GROUP = "headgate.workers"

Forward = Callable[[Request], Awaitable[Response]]
"""Sends a request to the API once; `Unreachable` when there is no answer."""


@dataclass(frozen=True, slots=True)
class Job:
    """One run, ready to be started.

    `configuration` is the pool's rendered job configuration, secrets in the clear. `env` goes over the infrastructure's
    own environment; a None takes the name out of it. `argv` is the command to run; None means Headgate's engine, started
    however suits the infrastructure. A command ends when its worker dies, the engine lives on. `directory` is where it
    runs; None means a fresh one. Every line of output goes to `on_line`, which never blocks and never raises.

    An engine asks the API for its run and reports to it. Where the infrastructure can spare it that: `assignment` is what it
    would be answered, `forward` sends a request to the API in its stead.
    """

    flow_run_id: UUID
    flow_run_name: str
    configuration: Mapping[str, Any] = field(repr=False)
    env: Mapping[str, str | None] = field(repr=False)
    on_line: Callable[[str], None]
    argv: tuple[str, ...] | None = None
    directory: str | None = None
    assignment: Assignment | None = None
    forward: Forward | None = None


@runtime_checkable
class Traced(Protocol):
    """Started infrastructure that others can find again, where its type is `Finding`."""

    @property
    def handle(self) -> str | None:
        """Names it on its site, and nothing else ever; None when it cannot be told."""


class Remnant(Protocol):
    """Infrastructure of a run that another worker started."""

    @property
    def identifier(self) -> str:
        """Names it for people."""

    async def gone(self) -> None:
        """Wait until the run is not executed any longer."""

    async def stop(self, grace: float) -> None:
        """Ask it to end, end it after `grace` seconds, and return once nothing of it is left. May be called again."""


@runtime_checkable
class Finding(Protocol):
    """A worker type that can look after the runs of another worker that died."""

    @property
    def site(self) -> str | None:
        """Equal on all workers that reach the same infrastructure, such as one boot of one machine; None for nowhere."""

    async def find(self, handle: str, flow_run_id: UUID) -> Remnant | None:
        """What of a run's infrastructure still lives, and never anything else; None when nothing does."""


class Running(Protocol):
    """Started infrastructure."""

    @property
    def identifier(self) -> str:
        """Names it for people and for a later stop, such as `host:pid`."""

    async def wait(self) -> int:
        """The exit code once it has ended, `-n` for signal n. May be awaited by several, also after the end."""

    async def stop(self, grace: float) -> int:
        """Ask it to end, end it after `grace` seconds, and answer its exit code once nothing of it is left.

        May be called again with a shorter grace, and when it has ended already.
        """


LOGO = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Cpath d='M2 14V2h2v5h8V2h2v12h-2V9H4v5z'/%3E%3C/svg%3E"
)
"""A gate. Existing pages leave out types without a picture."""


class WorkerType(Protocol):
    """One kind of infrastructure. An entry point names a callable without arguments that gives one."""

    type: str
    display_name: str
    description: str

    def default_base_job_template(self) -> dict[str, Any]:
        """The template of new pools of this type: `job_configuration` and `variables`."""

    async def start(self, job: Job) -> Running:
        """Start a run. Raises `HeadgateError` with a message for the run's owner when that is not possible."""


def installed_types() -> dict[str, WorkerType]:
    """All worker types of this environment, by name; one that cannot be loaded is logged and left out."""
    types: dict[str, WorkerType] = {}
    for name, entry in _entries().items():
        try:
            types[name] = entry.load()()
        except Exception as error:
            logging.getLogger("headgate.worker").warning("Worker type %r cannot be used: %s", name, _cause(entry, error))
    return types


OWN_COLLECTION = "prefect"
"""What existing clients call the collection of a server's own types; the others are under their package's name."""


def described() -> dict[str, dict[str, WorkerMetadata]]:
    """The installed types as clients look them up: by collection, and by name."""
    packages = {name: entry.dist.name if entry.dist else GROUP for name, entry in _entries().items()}
    found: dict[str, dict[str, WorkerMetadata]] = {OWN_COLLECTION: {}}
    for name, kind in installed_types().items():
        package = packages[name]
        collection = found.setdefault(OWN_COLLECTION if package == "headgate" else package, {})
        collection[kind.type] = WorkerMetadata(
            logo_url=LOGO,
            type=kind.type,
            display_name=kind.display_name,
            description=kind.description,
            install_command=f"pip install {package}",
            default_base_job_configuration=kind.default_base_job_template(),
        )
    return found


def worker_type(name: str) -> WorkerType:
    """The worker type of that name; `ConfigError` when it is not installed, or broken."""
    entries = _entries()
    if name not in entries:
        raise ConfigError(f"There is no worker type {name!r} here; installed: {', '.join(sorted(entries)) or 'none'}.")
    try:
        kind: WorkerType = entries[name].load()()
    except Exception as error:
        raise ConfigError(f"Worker type {name!r} cannot be used: {_cause(entries[name], error)}.") from error
    return kind


def _entries() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def _cause(entry: EntryPoint, error: Exception) -> str:
    return f"{entry.value} raised {type(error).__name__}: {error}"
