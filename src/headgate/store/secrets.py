"""Rows of secrets; what they hold comes and goes encrypted."""

from collections.abc import Collection
from datetime import datetime

from headgate.schema.filters import SecretQuery
from headgate.schema.secrets import Secret
from headgate.store.database import Row, Tx
from headgate.store.filters import Params, secret_condition
from headgate.store.paging import page
from headgate.store.statements import load_statements

_SQL = load_statements("secrets")
_SELECT = _SQL["select"].sqlite


def _secret(row: Row) -> Secret:
    return Secret(**row)


async def insert(tx: Tx, secret: Secret, ciphertext: str) -> bool:
    """Insert; False when the name is taken."""
    values = {name: getattr(secret, name) for name in secret.__struct_fields__}
    return await tx.execute(_SQL["insert"], values | {"ciphertext": ciphertext}) > 0


async def get(tx: Tx, name: str) -> Secret | None:
    """By name."""
    row = await tx.fetch_one(f"{_SELECT} WHERE s.name = :name", {"name": name})
    return _secret(row) if row else None


async def ciphertexts_of(tx: Tx, names: Collection[str]) -> dict[str, str]:
    """What those that exist hold, by name."""
    rows = await tx.fetch(_SQL["ciphertexts_of"], {"names": sorted(names)})
    return {row["name"]: row["ciphertext"] for row in rows}


async def list_page(tx: Tx, query: SecretQuery) -> list[Secret]:
    """A page of those that match, by name."""
    p = Params(tx.dialect)
    where = secret_condition(query.secrets, p)
    rows = await tx.fetch(f"{_SELECT} WHERE {where} ORDER BY s.name {page(query, p)}", p.values)
    return [_secret(row) for row in rows]


async def count(tx: Tx, query: SecretQuery) -> int:
    """How many match."""
    p = Params(tx.dialect)
    where = secret_condition(query.secrets, p)
    found: int = await tx.fetch_value(f"SELECT count(*) FROM secret s WHERE {where}", p.values)
    return found


async def update(tx: Tx, name: str, ciphertext: str, *, now: datetime) -> bool:
    """Give it another value; False when there is none."""
    return await tx.execute(_SQL["update"], {"name": name, "ciphertext": ciphertext, "updated": now}) > 0


async def delete(tx: Tx, name: str) -> bool:
    """Delete; False when there is none."""
    return await tx.execute(_SQL["delete"], {"name": name}) > 0
