"""Secrets: encrypted where they are kept, under a key that the server has; what is amiss with the key is said."""

import asyncio
import os
import stat
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs, to_builtins
from world import World

from headgate.errors import Conflict, NotConfigured, NotFound
from headgate.schema.filters import NameFilter, SecretFilter, SecretQuery
from headgate.schema.secrets import SecretCreate, SecretUpdate
from headgate.services import secrets
from headgate.services.encryption import KEY_FILE, keyring
from headgate.services.scope import Scope

KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
OTHER = "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="
VALUE = "s3cret ü\nsecond line"


def with_settings(scope: Scope, home: Path, **settings: Any) -> Scope:
    return replace(scope, settings=structs.replace(scope.settings, home=str(home), **settings))


@pytest.fixture
def safe(world: World, tmp_path: Path) -> Scope:
    """The scope of a server that was given a key."""
    return with_settings(world.scope, tmp_path, server_encryption_key=KEY)


@pytest.fixture
def embedded(world: World, tmp_path: Path) -> Scope:
    """The scope of a server with a database of its own, and no key in its settings."""
    return with_settings(world.scope, tmp_path / "home")


async def ciphertext(world: World, name: str = "token") -> str:
    found: str = await world.value("SELECT ciphertext FROM secret WHERE name = :name", name=name)
    return found


async def test_a_secret_is_kept_encrypted_and_never_shown(world: World, safe: Scope) -> None:
    made = await secrets.create(safe, SecretCreate(name="token", value=VALUE))
    assert to_builtins(made).keys() == {"id", "created", "updated", "name"}
    assert await secrets.get(safe, "token") == made
    assert await secrets.list_page(safe, SecretQuery()) == [made]
    kept = await ciphertext(world)
    assert "s3cret" not in kept
    assert keyring(safe).unseal(kept, "token") == VALUE


async def test_the_same_value_is_kept_differently_each_time(world: World, safe: Scope) -> None:
    for name in ("a", "b"):
        await secrets.create(safe, SecretCreate(name=name, value=VALUE))
    assert await ciphertext(world, "a") != await ciphertext(world, "b")


async def test_a_name_is_taken_once_and_a_value_is_changed_on_purpose(world: World, safe: Scope) -> None:
    made = await secrets.create(safe, SecretCreate(name="token", value="a"))
    with pytest.raises(Conflict, match="'token' already exists"):
        await secrets.create(safe, SecretCreate(name="token", value="b"))
    world.clock.advance(seconds=5)
    await secrets.update(safe, "token", SecretUpdate(value="c"))
    assert keyring(safe).unseal(await ciphertext(world), "token") == "c"
    changed = await secrets.get(safe, "token")
    assert (changed.created, changed.updated) == (made.created, world.now)


async def test_a_page_is_filtered(safe: Scope) -> None:
    for name in ("b", "a"):
        await secrets.create(safe, SecretCreate(name=name, value="x"))
    assert [each.name for each in await secrets.list_page(safe, SecretQuery())] == ["a", "b"]
    query = SecretQuery(secrets=SecretFilter(name=NameFilter(like_="B")))
    assert [each.name for each in await secrets.list_page(safe, query)] == ["b"]
    assert await secrets.count(safe, query) == 1


async def test_what_is_not_there_is_said(safe: Scope) -> None:
    for call in (
        secrets.get(safe, "none"),
        secrets.update(safe, "none", SecretUpdate(value="x")),
        secrets.delete(safe, "none"),
    ):
        with pytest.raises(NotFound, match="Secret not found"):
            await call
    await secrets.create(safe, SecretCreate(name="token", value="x"))
    await secrets.delete(safe, "token")
    assert await secrets.count(safe, SecretQuery()) == 0


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
async def test_a_shared_database_asks_for_a_key(world: World, tmp_path: Path) -> None:
    """And says how to make one; nothing is written before."""
    bare = with_settings(world.scope, tmp_path)
    with pytest.raises(NotConfigured, match=r"set HEADGATE_SERVER_ENCRYPTION_KEY to the same for all.*generate-key"):
        await secrets.create(bare, SecretCreate(name="token", value="x"))
    assert await secrets.count(bare, SecretQuery()) == 0
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
async def test_beside_an_embedded_database_a_key_is_made_that_only_its_owner_reads(embedded: Scope) -> None:
    home = embedded.settings.home_path
    await asyncio.gather(*(secrets.create(embedded, SecretCreate(name=f"s{n}", value=f"v{n}")) for n in range(4)))
    assert [path.name for path in home.iterdir()] == [KEY_FILE]
    key = (home / KEY_FILE).read_text()
    if sys.platform != "win32":
        assert stat.S_IMODE((home / KEY_FILE).stat().st_mode) == 0o600
    sealed = keyring(embedded).seal("again")
    assert (home / KEY_FILE).read_text() == key
    assert keyring(with_settings(embedded, home, server_encryption_key=key.strip())).unseal(sealed, "s") == "again"


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
async def test_a_key_file_that_is_gone_is_missed_and_not_replaced(embedded: Scope) -> None:
    sealed = keyring(embedded).seal("x")
    (embedded.settings.home_path / KEY_FILE).unlink()
    with pytest.raises(NotConfigured, match=r"encryption\.key, is gone\. Put it back"):
        keyring(embedded).unseal(sealed, "token")
    assert not (embedded.settings.home_path / KEY_FILE).exists()


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
async def test_a_key_file_that_cannot_be_made_or_read_is_named(embedded: Scope) -> None:
    home = embedded.settings.home_path
    home.parent.joinpath("file").write_text("")
    with pytest.raises(NotConfigured, match=r"encryption\.key, cannot be made: "):
        keyring(with_settings(embedded, home.parent / "file" / "home")).seal("x")
    (home / KEY_FILE).mkdir(parents=True)
    with pytest.raises(NotConfigured, match=r"encryption\.key, cannot be read: "):
        keyring(embedded).seal("x")


async def test_another_key_is_an_error_and_never_garbage(safe: Scope, tmp_path: Path) -> None:
    sealed = keyring(safe).seal("x")
    stranger = keyring(with_settings(safe, tmp_path, server_encryption_key=OTHER))
    with pytest.raises(NotConfigured, match="secret 'token' was encrypted with another key than that of HEADGATE_SERVER"):
        stranger.unseal(sealed, "token")
    with pytest.raises(NotConfigured, match="another key"):
        keyring(safe).unseal(sealed[:-4] + "AAAA", "token")


async def test_an_earlier_key_may_stand_behind_the_new_one(safe: Scope, tmp_path: Path) -> None:
    """What was written under it is still read; what is written from then on is under the new one."""
    sealed = keyring(safe).seal("x")
    both = keyring(with_settings(safe, tmp_path, server_encryption_key=f"{OTHER}, {KEY}"))
    assert both.unseal(sealed, "s") == "x"
    assert keyring(with_settings(safe, tmp_path, server_encryption_key=OTHER)).unseal(both.seal("y"), "s") == "y"


@pytest.mark.parametrize("key", ["x", "not base64!", KEY[:-4], f"{KEY},", "é" * 44])
async def test_what_is_no_key_is_refused_without_being_shown(safe: Scope, tmp_path: Path, key: str) -> None:
    with pytest.raises(
        NotConfigured, match="HEADGATE_SERVER_ENCRYPTION_KEY does not hold a key: 32 bytes in base64"
    ) as caught:
        keyring(with_settings(safe, tmp_path, server_encryption_key=key)).seal("x")
    assert key == "x" or key not in str(caught.value)


async def test_a_key_may_be_written_in_either_base64(safe: Scope, tmp_path: Path) -> None:
    urlsafe, standard = "-_" * 21 + "A=", "+/" * 21 + "A="
    sealed = keyring(with_settings(safe, tmp_path, server_encryption_key=urlsafe)).seal("x")
    assert keyring(with_settings(safe, tmp_path, server_encryption_key=standard)).unseal(sealed, "s") == "x"
