"""Clients as the settings ask for them: over HTTP, or to the app in this process when no URL is set."""

from importlib import import_module
from typing import Any

from headgate.client.client import AsyncClient, Client
from headgate.errors import ConfigError
from headgate.settings import Settings

EPHEMERAL = ("headgate.server", "open_ephemeral")
"""Who builds the app in this process. By name: the client's floor does not import the server's."""


def connect(settings: Settings, *, patience: float = 3.0) -> Client:
    """A client for a thread. Close it, or use it in a `with`."""
    if settings.api_url is None:
        transport = _ephemeral(settings)
    else:
        from headgate.client.http import HttpTransport

        transport = HttpTransport(_checked(settings.api_url))
    return Client(transport, auth=settings.api_auth_string, timeout=settings.api_request_timeout, patience=patience)


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
    if not url.startswith(("http://", "https://")):
        raise ConfigError(f"HEADGATE_API_URL={url!r} is not a URL; it looks like http://127.0.0.1:4200/api.")
    return url.rstrip("/")
