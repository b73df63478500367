"""Calls about CSRF tokens; a client gets them by itself when the server asks for them."""

from headgate.client.call import Call
from headgate.schema.csrf_tokens import CsrfToken


def create(client: str) -> Call[CsrfToken]:
    """A token for a client's writes; `Invalid` while the server does not ask for any."""
    return Call("GET", "/csrf-token", query={"client": client}, returns=CsrfToken)
