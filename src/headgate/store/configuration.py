"""Rows of what is configured for all clients while the server runs: a JSON value under each name."""

from datetime import datetime
from typing import Any

from headgate.store.database import Tx
from headgate.store.statements import load_statements

_SQL = load_statements("configuration")


async def put(tx: Tx, key: str, value: Any, *, now: datetime) -> None:
    """Set it."""
    await tx.execute(_SQL["put"], {"key": key, "value": value, "updated": now})


async def get(tx: Tx, key: str) -> Any:
    """What it is set to; None when it is not."""
    row = await tx.fetch_one(_SQL["get"], {"key": key})
    return row["value"] if row else None


async def delete(tx: Tx, key: str) -> None:
    """Unset it."""
    await tx.execute(_SQL["delete"], {"key": key})
