"""Use cases about the server itself."""

from typing import Any

from headgate.errors import BadRequest
from headgate.schema.admin import Confirmation
from headgate.services.scope import Scope
from headgate.settings import NAMES, masked
from headgate.store.emptying import empty

WIRE_VERSION = "0.8.4"
"""Version of the wire, as existing clients of both majors announce it."""

PEER_VERSION = "3.9.1"
"""The server that existing clients take this one for: 3.x clients demand their own major, 2.x ones do not ask."""

_GROUPS = (
    ("server", "services"),
    ("server", "api"),
    ("server", "database"),
    ("server",),
    ("logging", "to_api"),
    ("logging",),
    ("api",),
    ("worker",),
    ("agent",),
    ("runner",),
)
"""How existing clients group settings that have the same beginning."""

_SERVICES = (
    "scheduler",
    "late_runs",
    "lifeline",
    "misfires",
    "collisions",
    "pause_expirations",
    "cancellation_cleanup",
    "statuses",
    "pruner",
)


async def check_ready(scope: Scope) -> None:
    """`Unavailable` when the database does not answer."""
    await scope.store.read(lambda tx: tx.fetch_value("SELECT 1"))


def settings(scope: Scope) -> dict[str, Any]:
    """The server's settings in groups, without passwords."""
    found: dict[str, Any] = {}
    for name in NAMES:
        *groups, last = _place(name)
        inner = found
        for group in groups:
            inner = inner.setdefault(group, {})
        inner[last] = masked(name, getattr(scope.settings, name))
    return found


def _place(name: str) -> tuple[str, ...]:
    """`server_services_late_runs_enabled` as `("server", "services", "late_runs", "enabled")`."""
    for group in _GROUPS:
        start = "_".join(group) + "_"
        if name.startswith(start):
            rest = name.removeprefix(start)
            service = next((each for each in _SERVICES if group[-1] == "services" and rest.startswith(f"{each}_")), None)
            return (*group, service, rest.removeprefix(f"{service}_")) if service else (*group, rest)
    return (name,)


async def clear_database(scope: Scope, body: Confirmation) -> None:
    """Delete every record; `BadRequest` unless it is confirmed."""
    _confirmed(body, "delete every record")
    await scope.store.write(empty)


def create_database(body: Confirmation) -> None:
    """Nothing: the schema of a server that runs is there; `BadRequest` unless it is confirmed."""
    _confirmed(body, "make the schema")


def _confirmed(body: Confirmation, deed: str) -> None:
    if not body.confirm:
        raise BadRequest(f'Nothing was done; to {deed}, send {{"confirm": true}}.')
