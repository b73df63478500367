"""Use cases of collections: views of what this server's environment brings."""

import asyncio
from typing import Any

import msgspec

from headgate.errors import NotFound
from headgate.schema.collections import WorkerMetadata
from headgate.schema.work_pools import UNTYPED
from headgate.services.scope import Scope

WORKERS = "aggregate-worker-metadata"
EMPTY = frozenset({"aggregate-block-metadata", "aggregate-flow-metadata", "demo-flows"})
"""Views that existing servers fetch from a registry on the internet; this one asks nobody and knows none."""

AGENTS = WorkerMetadata(
    type=UNTYPED,
    display_name="Agents",
    description="Runs are executed by agents, on the infrastructure that their deployment names.",
    install_command="pip install prefect==2.*",
    default_base_job_configuration={},
)
"""What no worker brings. Clients of version 2 make pools of listed types only; later ones know no agents."""

CLIENTS_WITH_AGENTS = "prefect/2."
"""How the user agents of clients of version 2 begin."""


async def view(scope: Scope, name: str) -> dict[str, Any]:
    """A view by its name; `NotFound` for one that is none."""
    if name in EMPTY:
        return {}
    if name != WORKERS:
        raise NotFound(f"View {name} not found in registry")
    # In a thread: the first look imports what the types need.
    found = await asyncio.to_thread(scope.worker_types)
    views: dict[str, Any] = msgspec.to_builtins(found)
    if (scope.header("user-agent") or "").startswith(CLIENTS_WITH_AGENTS):
        views.setdefault("prefect", {})[UNTYPED] = msgspec.to_builtins(AGENTS)
    return views
