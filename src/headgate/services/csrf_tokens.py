"""Use cases of CSRF tokens: handed out to clients, and asked for with each write."""

import hmac
import secrets
from datetime import timedelta

from headgate.errors import Forbidden, Unprocessable
from headgate.ids import uuid7
from headgate.schema.csrf_tokens import CsrfToken
from headgate.services.scope import Scope
from headgate.store import csrf_tokens as rows
from headgate.store.database import Tx


async def issue(scope: Scope, client: str) -> CsrfToken:
    """A new token for a client, whose earlier one is void; `Unprocessable` where none is asked for."""
    if not scope.settings.server_csrf_protection_enabled:
        raise Unprocessable("CSRF protection is disabled.")
    now = scope.now
    expiration = now + timedelta(seconds=scope.settings.server_csrf_token_expiration)
    made = CsrfToken(
        id=uuid7(now), created=now, updated=now, token=secrets.token_hex(32), client=client, expiration=expiration
    )

    async def unit(tx: Tx) -> CsrfToken | None:
        await rows.delete_expired(tx, now=now)
        await rows.put(tx, made)
        return await rows.get(tx, client, now=now)

    return await scope.store.write(unit) or made


async def check(scope: Scope, *, token: str | None, client: str | None) -> None:
    """`Forbidden`, in the words that existing clients look for, unless the token is the client's and still good."""
    if token is None:
        raise Forbidden("Missing CSRF token.")
    if client is None:
        raise Forbidden("Missing client identifier.")
    found = await scope.store.read(lambda tx: rows.get(tx, client, now=scope.now))
    if found is None or not hmac.compare_digest(found.token.encode(), token.encode()):
        raise Forbidden("Invalid CSRF token or client identifier.")
