"""CSRF tokens on the wire: what a client shows with each of its writes, where the server asks for it."""

from datetime import datetime
from uuid import UUID

from msgspec import Struct

TOKEN_HEADER = "prefect-csrf-token"
CLIENT_HEADER = "prefect-csrf-client"


class CsrfToken(Struct, kw_only=True):
    """A token, and the client that it was made for; of no use after `expiration`."""

    id: UUID
    created: datetime
    updated: datetime
    token: str
    client: str
    expiration: datetime
