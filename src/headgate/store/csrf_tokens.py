"""Rows of CSRF tokens."""

from datetime import datetime

from headgate.schema.csrf_tokens import CsrfToken
from headgate.store.database import Tx
from headgate.store.statements import load_statements

_SQL = load_statements("csrf_tokens")


async def put(tx: Tx, token: CsrfToken) -> None:
    """Insert, or replace the one that the client has."""
    await tx.execute(_SQL["put"], {name: getattr(token, name) for name in token.__struct_fields__})


async def get(tx: Tx, client: str, *, now: datetime) -> CsrfToken | None:
    """The client's, if it has one that is of use at `now`."""
    row = await tx.fetch_one(_SQL["get"], {"client": client, "now": now})
    return CsrfToken(**row) if row else None


async def delete_expired(tx: Tx, *, now: datetime) -> None:
    """Delete those that are of no use any more."""
    await tx.execute(_SQL["delete_expired"], {"now": now})
