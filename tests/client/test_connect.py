"""Which transport the settings ask for, and what is said of a URL that cannot be used."""

import os
import subprocess
import sys
from pathlib import Path
from typing import get_overloads, get_type_hints

import pytest

import headgate.client
from headgate.client import AsyncClient, Client, get_client
from headgate.client.calls import admin
from headgate.client.connect import connect, connect_async
from headgate.errors import ConfigError
from headgate.settings import Settings


@pytest.mark.parametrize(
    "url",
    [
        *("", "localhost:4200/api", "ftp://gate/api", "http://", "http:///api", "http://[::1/api"),
        *(f"http://gate:{port}/api" for port in ("x", 0, 65536)),
    ],
)
async def test_a_url_that_is_none_is_told_with_an_example(url: str) -> None:
    for make in (connect, connect_async):
        with pytest.raises(ConfigError, match=r"HEADGATE_API_URL=.* is not a URL; it looks like http://") as caught:
            make(Settings(api_url=url))
        assert repr(url) in str(caught.value)


async def test_a_password_in_the_url_is_refused_without_repeating_it() -> None:
    for make in (connect, connect_async):
        with pytest.raises(ConfigError, match="HEADGATE_API_AUTH_STRING") as caught:
            make(Settings(api_url="http://me:s3cret@gate/api"))
        assert "s3cret" not in str(caught.value)


async def test_without_a_url_the_app_answers_in_this_process(tmp_path: Path) -> None:
    settings = Settings(home=str(tmp_path))
    with connect(settings) as client:
        assert client.send(admin.health()) is True
    async with connect_async(settings) as client:
        assert await client.send(admin.health()) is True
    assert (tmp_path / "headgate.db").exists()


async def test_the_app_in_this_process_asks_for_the_credentials_that_it_is_given(tmp_path: Path) -> None:
    settings = Settings(home=str(tmp_path), server_api_auth_string="me:s3cret", api_auth_string="me:s3cret")
    with connect(settings) as client:
        assert client.send(admin.hello())


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty HEADGATE_HOME, and no other settings."""
    for name in [name for name in os.environ if name.startswith(("HEADGATE_", "PREFECT_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HEADGATE_HOME", str(tmp_path))
    return tmp_path


async def test_get_client_answers_either_kind(home: Path) -> None:
    async with get_client() as client:
        assert isinstance(client, AsyncClient)
        assert await client.send(admin.health()) is True
    with get_client(sync_client=True) as sync_client:
        assert isinstance(sync_client, Client)
        assert sync_client.send(admin.health()) is True
    assert (home / "headgate.db").exists()
    assert [get_type_hints(each)["return"] for each in get_overloads(get_client)] == [AsyncClient, Client]


def test_get_client_goes_by_the_environment_and_the_active_profile(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "profiles.toml").write_text('active = "far"\n[profiles.far]\nHEADGATE_API_URL = "not a url"\n')
    with pytest.raises(ConfigError, match="'not a url' is not a URL"):
        get_client(sync_client=True)
    monkeypatch.setenv("HEADGATE_API_URL", "ftp://gate")
    with pytest.raises(ConfigError, match="'ftp://gate' is not a URL"):
        get_client()


def test_the_package_costs_nothing_until_it_is_used() -> None:
    program = "import sys, headgate.client; sys.exit('msgspec' in sys.modules or 'headgate.settings' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_every_name_of_the_package_is_there() -> None:
    assert {getattr(headgate.client, name).__name__ for name in headgate.client.__all__} == set(headgate.client.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'get_cleint'"):
        _ = headgate.client.get_cleint
