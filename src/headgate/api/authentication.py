"""Who calls: the one seam that turns an Authorization header into a caller."""

import base64
import hmac
from collections.abc import Callable

from headgate.errors import Unauthorized

Authenticator = Callable[[str | None], str | None]
"""Given the Authorization header, answers who calls (None: nobody in particular), or raises `Unauthorized`."""


def password(auth_string: str) -> Authenticator:
    """Admits callers that send `auth_string` (`user:password`) by Basic authentication, or as a Bearer token."""
    expected = auth_string.encode()

    def authenticate(header: str | None) -> str | None:
        if not hmac.compare_digest(_credentials(header or ""), expected):
            raise Unauthorized("The Authorization header is missing or does not hold the server's auth string.")
        return auth_string.partition(":")[0]

    return authenticate


def _credentials(header: str) -> bytes:
    """What a Basic or Bearer header carries; empty when it is neither."""
    scheme, _, value = header.partition(" ")
    match scheme.lower():
        case "basic":
            try:
                return base64.b64decode(value.strip(), validate=True)
            except ValueError:
                return b""
        case "bearer":
            return value.strip().encode("latin-1")
        case _:
            return b""
