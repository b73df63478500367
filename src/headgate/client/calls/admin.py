"""Calls about the server itself."""

from typing import Any

from headgate.client.call import Call
from headgate.schema.admin import Confirmation, ResultStorage, ResultStorageUpdate
from headgate.schema.leaders import Service


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


def settings() -> Call[dict[str, Any]]:
    """The server's settings, without passwords."""
    return Call("GET", "/admin/settings", returns=dict[str, Any])


def result_storage() -> Call[ResultStorage]:
    """The block that keeps results of runs which name no storage of their own."""
    return Call("GET", "/admin/storage", returns=ResultStorage)


def choose_result_storage(body: ResultStorageUpdate) -> Call[ResultStorage]:
    """Choose it."""
    return Call("PUT", "/admin/storage", body=body, returns=ResultStorage)


def clear_result_storage() -> Call[None]:
    """Have runs that name no storage keep their results on their own machine."""
    return Call("DELETE", "/admin/storage")


def clear_database(body: Confirmation) -> Call[None]:
    """Delete every record."""
    return Call("POST", "/admin/database/clear", body=body)


def drop_database(body: Confirmation) -> Call[None]:
    """Delete every record; the empty schema stays."""
    return Call("POST", "/admin/database/drop", body=body)


def create_database(body: Confirmation) -> Call[None]:
    """Nothing: the schema is there while a server runs."""
    return Call("POST", "/admin/database/create", body=body)


def services() -> Call[list[Service]]:
    """The background jobs, and which server leads at each."""
    return Call("GET", "/admin/services", returns=list[Service])
