"""Which transport the settings ask for, and what is said of a URL that cannot be used."""

from pathlib import Path

import pytest

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
