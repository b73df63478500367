"""Calls about secrets."""

from headgate.client.call import Call
from headgate.schema.filters import SecretQuery
from headgate.schema.secrets import Secret, SecretCreate, SecretUpdate


def create(body: SecretCreate) -> Call[Secret]:
    """Create a secret; its value cannot be read back."""
    return Call("POST", "/secrets/", body=body, returns=Secret)


def get(name: str) -> Call[Secret]:
    """One secret, without its value."""
    return Call("GET", "/secrets/{name}", at={"name": name}, returns=Secret)


def query(body: SecretQuery | None = None) -> Call[list[Secret]]:
    """Secrets that match, without their values."""
    return Call("POST", "/secrets/filter", body=body or SecretQuery(), returns=list[Secret])


def count(body: SecretQuery | None = None) -> Call[int]:
    """How many secrets match."""
    return Call("POST", "/secrets/count", body=body or SecretQuery(), returns=int)


def update(name: str, body: SecretUpdate) -> Call[None]:
    """Give a secret another value."""
    return Call("PATCH", "/secrets/{name}", at={"name": name}, body=body)


def delete(name: str) -> Call[None]:
    """Delete a secret."""
    return Call("DELETE", "/secrets/{name}", at={"name": name})
