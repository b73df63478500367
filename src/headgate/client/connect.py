"""Clients as the settings ask for them: over HTTP, or to the app in this process when no URL is set."""

from importlib import import_module
from typing import Any, Literal, overload
from urllib.parse import urlsplit

from headgate.client.client import AsyncClient, Client
from headgate.client.transport import Transport
from headgate.errors import ConfigError
from headgate.settings import Settings, load

EPHEMERAL = ("headgate.server", "open_ephemeral")
"""Who builds the app in this process. By name: the client's floor does not import the server's."""


@overload
def get_client(*, sync_client: Literal[False] = False) -> AsyncClient: ...
@overload
def get_client(*, sync_client: Literal[True]) -> Client: ...
def get_client(*, sync_client: bool = False) -> AsyncClient | Client:
    """A client of the API that the environment and the active profile name; of one in this process when they name none.

    For an event loop: `async with get_client() as client: await client.send(call)`, with a call of
    `headgate.client.calls`. For a thread: `with get_client(sync_client=True) as client: client.send(call)`.
    """
    settings = load().settings
    return connect(settings) if sync_client else connect_async(settings)


def connect(settings: Settings, *, patience: float = 3.0) -> Client:
    """A client for a thread. Close it, or use it in a `with`."""
    return client_over(transport_of(settings), settings, patience=patience)


def client_over(transport: Transport, settings: Settings, *, patience: float) -> Client:
    """A client for a thread that sends over `transport`."""
    return Client(transport, auth=settings.api_auth_string, timeout=settings.api_request_timeout, patience=patience)


def transport_of(settings: Settings) -> Transport:
    """What carries a thread's requests."""
    if settings.api_url is None:
        ephemeral: Transport = _ephemeral(settings)
        return ephemeral
    from headgate.client.http import HttpTransport

    return HttpTransport(_checked(settings.api_url))


def connect_async(settings: Settings, *, patience: float = 3.0) -> AsyncClient:
    """A client for an event loop. Close it, or use it in an `async with`."""
    if settings.api_url is None:
        transport = _ephemeral(settings)
    else:
        from headgate.client.aio import AiohttpTransport

        transport = AiohttpTransport(_checked(settings.api_url))
    return AsyncClient(transport, auth=settings.api_auth_string, timeout=settings.api_request_timeout, patience=patience)


def _ephemeral(settings: Settings) -> Any:
    module, name = EPHEMERAL
    return getattr(import_module(module), name)(settings)


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:  # a port that is no number, a bracket that is not closed
        sound = False
    if not sound:
        raise ConfigError(f"HEADGATE_API_URL={url!r} is not a URL; it looks like http://127.0.0.1:4200/api.")
    if parts.username is not None:
        raise ConfigError(
            f"HEADGATE_API_URL for {parts.hostname} holds a name or password; they belong in "
            "HEADGATE_API_AUTH_STRING=user:password."
        )
    return url.rstrip("/")
