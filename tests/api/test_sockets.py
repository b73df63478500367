"""The handshake of websockets: who is let in, and what the others are told."""

from typing import Any

import pytest

from headgate.settings import Settings

WORKERS = "/work_pools/pool/workers/connect"
ANY = "/logs/out"


async def test_who_asks_for_the_subprotocol_is_greeted(api: Any) -> None:
    async with api.socket(ANY) as socket:
        assert socket.greeting == {"type": "auth_success"}


@pytest.mark.parametrize("first", ["nonsense", {"type": "filter"}, {}, []])
async def test_who_does_not_say_who_it_is_first_is_sent_away(api: Any, first: Any) -> None:
    async with api.raw_socket(ANY, speaks=()) as open_to_all:
        assert await open_to_all.opened()
    async with api.raw_socket(WORKERS, speaks=()) as worker:
        assert not await worker.opened()
    async with api.raw_socket(ANY) as raw:
        assert await raw.opened()
        await raw.send(first)
        assert await raw.next() is None
        assert raw.closed == (1008, "Expected 'auth' message")


async def test_an_unknown_path_is_no_websocket(api: Any) -> None:
    async with api.raw_socket("/nowhere") as raw:
        assert not await raw.opened()


@pytest.mark.parametrize("path", [ANY, WORKERS])
async def test_pages_of_other_sites_open_none(api: Any, path: str) -> None:
    """A page that a user visits could otherwise read and write on the server of the user's own machine."""
    async with api.raw_socket(path, origin="https://evil.example") as raw:
        assert not await raw.opened()
    async with api.raw_socket(path, origin="http://localhost") as raw:
        assert await raw.opened()


class TestWithASecret:
    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(server_api_auth_string="admin:pass")

    async def test_the_right_token_lets_in(self, api: Any) -> None:
        async with api.socket(ANY, token="admin:pass") as socket:
            assert socket.greeting == {"type": "auth_success"}

    @pytest.mark.parametrize(
        ("token", "reason"),
        [(None, "Auth required but no token provided"), ("admin:word", "Invalid token"), ("é", "Invalid token")],
    )
    async def test_any_other_does_not(self, api: Any, token: str | None, reason: str) -> None:
        async with api.socket(ANY, token=token) as socket:
            assert (socket.greeting, socket.closed) == (None, (1008, reason))
        async with api.socket(WORKERS, token=token) as socket:
            assert (socket.greeting, socket.closed) == (None, (1008, "authentication_failed"))

    async def test_who_cannot_authenticate_is_not_let_in(self, api: Any) -> None:
        async with api.raw_socket(ANY, speaks=()) as raw:
            assert not await raw.opened()
            assert raw.closed == (1002, "")
