"""Use cases about the server itself."""

from headgate.services.scope import Scope

WIRE_VERSION = "0.8.4"
"""Version of the wire, as existing clients of both majors announce it."""

PEER_VERSION = "3.9.1"
"""The server that existing clients take this one for: 3.x clients demand their own major, 2.x ones do not ask."""


async def check_ready(scope: Scope) -> None:
    """`Unavailable` when the database does not answer."""
    await scope.store.read(lambda tx: tx.fetch_value("SELECT 1"))
