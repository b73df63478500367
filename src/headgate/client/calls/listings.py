"""Listings of any server of this wire, of whatever version, as plain JSON: for reading what another one holds."""

from typing import Any

from headgate.client.call import Call


def page(path: str, *, offset: int, limit: int, **more: Any) -> Call[list[dict[str, Any]]]:
    """Up to `limit` records of the collection at `path`, such as `/work_pools`."""
    body = {"offset": offset, "limit": limit, **more}
    return Call("POST", f"{path}/filter", body=body, returns=list[dict[str, Any]])


def worker_metadata() -> Call[dict[str, dict[str, Any]]]:
    """What types of workers that server knows, by the package that each comes in."""
    return Call("GET", "/collections/views/aggregate-worker-metadata", returns=dict[str, dict[str, Any]])
