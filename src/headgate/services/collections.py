"""Use cases of collections: views of what this server's environment brings."""

import asyncio
from typing import Any

import msgspec

from headgate.errors import NotFound
from headgate.services.scope import Scope

WORKERS = "aggregate-worker-metadata"
EMPTY = frozenset({"aggregate-block-metadata", "aggregate-flow-metadata", "demo-flows"})
"""Views that existing servers fetch from a registry on the internet; this one asks nobody and knows none."""


async def view(scope: Scope, name: str) -> dict[str, Any]:
    """A view by its name; `NotFound` for one that is none."""
    if name in EMPTY:
        return {}
    if name != WORKERS:
        raise NotFound(f"View {name} not found in registry")
    # In a thread: the first look imports what the types need.
    found = await asyncio.to_thread(scope.worker_types)
    views: dict[str, Any] = msgspec.to_builtins(found)
    return views
