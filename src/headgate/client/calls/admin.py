"""Calls about the server itself."""

from headgate.client.call import Call


def health() -> Call[bool]:
    """Whether the server is up."""
    return Call("GET", "/health", returns=bool)


def ready() -> Call[dict[str, str]]:
    """Whether the server reaches its database; `Unavailable` when it does not."""
    return Call("GET", "/ready", returns=dict[str, str])


def api_version() -> Call[str]:
    """Version of the wire."""
    return Call("GET", "/version", returns=str)


def peer_version() -> Call[str]:
    """Version of the server that existing clients take this one for."""
    return Call("GET", "/admin/version", returns=str)


def hello() -> Call[str]:
    """A greeting."""
    return Call("GET", "/hello", returns=str)
