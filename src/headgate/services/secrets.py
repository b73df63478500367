"""Use cases of secrets: values go in, and come out only when a run is launched."""

from headgate.errors import Conflict, NotFound
from headgate.ids import uuid7
from headgate.schema.filters import SecretQuery
from headgate.schema.secrets import Secret, SecretCreate, SecretUpdate
from headgate.services.encryption import keyring
from headgate.services.scope import Scope
from headgate.store import secrets as rows


async def create(scope: Scope, body: SecretCreate) -> Secret:
    """Create a secret; `Conflict` when the name is taken, `NotConfigured` when the server has no key for it."""
    now = scope.now
    secret = Secret(id=uuid7(now), created=now, updated=now, name=body.name)
    ciphertext = keyring(scope).seal(body.value)
    if not await scope.store.write(lambda tx: rows.insert(tx, secret, ciphertext)):
        raise Conflict(f"A secret with the name {body.name!r} already exists.")
    return secret


async def get(scope: Scope, name: str) -> Secret:
    """One secret, without its value."""
    found = await scope.store.read(lambda tx: rows.get(tx, name))
    if found is None:
        raise _missing()
    return found


async def list_page(scope: Scope, query: SecretQuery) -> list[Secret]:
    """A page of those that match, without their values."""
    return await scope.store.read(lambda tx: rows.list_page(tx, query))


async def count(scope: Scope, query: SecretQuery) -> int:
    """How many match."""
    return await scope.store.read(lambda tx: rows.count(tx, query))


async def update(scope: Scope, name: str, body: SecretUpdate) -> None:
    """Give a secret another value; runs that are launched from now on get it."""
    ciphertext, now = keyring(scope).seal(body.value), scope.now
    if not await scope.store.write(lambda tx: rows.update(tx, name, ciphertext, now=now)):
        raise _missing()


async def delete(scope: Scope, name: str) -> None:
    """Delete a secret; runs that refer to it crash when they are launched, and say so."""
    if not await scope.store.write(lambda tx: rows.delete(tx, name)):
        raise _missing()


def _missing() -> NotFound:
    return NotFound("Secret not found")
