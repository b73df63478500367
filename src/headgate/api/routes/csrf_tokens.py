"""Routes of CSRF tokens."""

from headgate.api.routing import Router
from headgate.schema.csrf_tokens import CsrfToken
from headgate.services import csrf_tokens
from headgate.services.scope import Scope

router = Router("/csrf-token", tag="CSRF tokens")


@router.get("")
async def create_csrf_token(scope: Scope, client: str) -> CsrfToken:
    """A token for a client's writes; refused while the server does not ask for any."""
    return await csrf_tokens.issue(scope, client)
