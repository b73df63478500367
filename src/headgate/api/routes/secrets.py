"""Routes of secrets: no answer holds a value, nor does a refusal show the one that was sent."""

from headgate.api.routing import Router
from headgate.schema.filters import SecretQuery
from headgate.schema.secrets import Secret, SecretCreate, SecretUpdate
from headgate.services import secrets
from headgate.services.scope import Scope

router = Router("/secrets", tag="Secrets", confidential=True)


@router.post("/", status=201)
async def create_secret(scope: Scope, body: SecretCreate) -> Secret:
    """Create a secret; its value cannot be read back."""
    return await secrets.create(scope, body)


@router.post("/filter")
async def read_secrets(scope: Scope, body: SecretQuery | None) -> list[Secret]:
    """Secrets that match, without their values."""
    return await secrets.list_page(scope, body or SecretQuery())


@router.post("/count")
async def count_secrets(scope: Scope, body: SecretQuery | None) -> int:
    """How many secrets match."""
    return await secrets.count(scope, body or SecretQuery())


@router.get("/{name}")
async def read_secret(scope: Scope, name: str) -> Secret:
    """One secret, without its value."""
    return await secrets.get(scope, name)


@router.patch("/{name}")
async def update_secret(scope: Scope, name: str, body: SecretUpdate) -> None:
    """Give a secret another value."""
    await secrets.update(scope, name, body)


@router.delete("/{name}")
async def delete_secret(scope: Scope, name: str) -> None:
    """Delete a secret."""
    await secrets.delete(scope, name)
