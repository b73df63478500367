"""Listings of any server of this wire, of whatever version, as plain JSON: for reading what another one holds."""

from typing import Any
from uuid import UUID

from headgate.client.call import Call


def page(
    path: str, *, at: dict[str, str | UUID] | None = None, offset: int, limit: int, **more: Any
) -> Call[list[dict[str, Any]]]:
    """Up to `limit` records of the collection at `path`, such as `/work_pools`; `{names}` in it are filled from `at`."""
    body = {"offset": offset, "limit": limit, **more}
    return Call("POST", f"{path}/filter", at=at or {}, body=body, returns=list[dict[str, Any]])
