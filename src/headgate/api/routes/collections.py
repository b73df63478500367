"""Routes of collections."""

from typing import Any

from headgate.api.routing import Router
from headgate.services import collections
from headgate.services.scope import Scope

router = Router("/collections", tag="Collections")


@router.get("/views/{view}")
async def read_view_content(scope: Scope, view: str) -> dict[str, Any]:
    """A view: `aggregate-worker-metadata` holds the worker types that this server knows, by package and name."""
    return await collections.view(scope, view)
