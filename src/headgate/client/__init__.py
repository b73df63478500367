"""The API as a Python caller sees it: `calls` say what to send, `get_client` gives a client that sends it.

The names below are loaded when they are first used, so that `import headgate.client` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headgate.client.client import AsyncClient, Client
    from headgate.client.connect import get_client

_HOMES = {
    "AsyncClient": "headgate.client.client",
    "Client": "headgate.client.client",
    "get_client": "headgate.client.connect",
}

__all__ = ["AsyncClient", "Client", "get_client"]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'headgate.client' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value
