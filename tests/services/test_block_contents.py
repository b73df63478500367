"""Blocks at rest: nothing that a schema calls secret is ever kept in the clear."""

from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from headgate.errors import NotConfigured
from headgate.schema.block_documents import BlockDocument, BlockDocumentCreate
from headgate.schema.block_schemas import BlockSchemaCreate
from headgate.schema.block_types import BlockTypeCreate
from headgate.services import block_documents, block_schemas, block_types
from headgate.services.scope import Scope

KEY, OTHER = "k" * 43 + "=", "o" * 43 + "="


def with_key(scope: Scope, key: str | None, home: Path) -> Scope:
    settings = structs.replace(scope.settings, server_encryption_key=key, home=str(home))
    return Scope(scope.store, scope.clock, settings, scope.wakeups, scope.telemetry)


async def save(scope: Scope, *, secret: bool) -> BlockDocument:
    kind = await block_types.create(scope, BlockTypeCreate(name="Creds", slug="creds"))
    fields: dict[str, Any] = {"secret_fields": ["token"]} if secret else {}
    schema, _ = await block_schemas.create(scope, BlockSchemaCreate(block_type_id=kind.id, fields=fields))
    body = BlockDocumentCreate(name="x", block_type_id=kind.id, block_schema_id=schema.id, data={"token": "hush", "u": 1})
    return await block_documents.create(scope, body)


async def at_rest(scope: Scope) -> str:
    text: str = await scope.store.read(lambda tx: tx.fetch_value("SELECT data FROM block_document"))
    return text


@pytest.mark.parametrize("secret", [True, False])
async def test_documents_are_encrypted_and_come_back(scope: Scope, tmp_path: Path, secret: bool) -> None:
    keyed = with_key(scope, KEY, tmp_path)
    made = await save(keyed, secret=secret)
    assert "hush" not in await at_rest(keyed)
    got = await block_documents.get(keyed, made.id, include_secrets=True)
    assert got.data == {"token": "hush", "u": 1}


async def test_a_lost_key_is_told_with_the_way_out(scope: Scope, tmp_path: Path) -> None:
    made = await save(with_key(scope, KEY, tmp_path), secret=True)
    with pytest.raises(NotConfigured, match=r"block document 'x' was encrypted with another key .* save it anew"):
        await block_documents.get(with_key(scope, OTHER, tmp_path), made.id, include_secrets=False)
    both = with_key(scope, f"{OTHER},{KEY}", tmp_path)
    assert (await block_documents.get(both, made.id, include_secrets=True)).data["token"] == "hush"


async def test_without_a_key_only_what_is_not_secret_is_kept_and_then_in_the_clear(scope: Scope, tmp_path: Path) -> None:
    """A server on SQLite makes itself a key; one on PostgreSQL, which others may share, cannot."""
    bare = with_key(scope, None, tmp_path)
    if scope.store.dialect == "sqlite":
        await save(bare, secret=True)
        assert "hush" not in await at_rest(bare)
        assert (tmp_path / "encryption.key").exists()
        return
    with pytest.raises(NotConfigured, match="needs a key: set HEADGATE_SERVER_ENCRYPTION_KEY"):
        await save(bare, secret=True)
    await scope.store.write(lambda tx: tx.execute("DELETE FROM block_type"))
    made = await save(bare, secret=False)
    assert "hush" in await at_rest(bare)
    later = with_key(scope, KEY, tmp_path)
    assert (await block_documents.get(later, made.id, include_secrets=True)).data["token"] == "hush"
