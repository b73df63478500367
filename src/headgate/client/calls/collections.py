"""Calls about collections."""

from typing import Any

from headgate.client.call import Call


def view(name: str) -> Call[dict[str, Any]]:
    """A view, such as `aggregate-worker-metadata`."""
    return Call("GET", "/collections/views/{view}", at={"view": name}, returns=dict[str, Any])
