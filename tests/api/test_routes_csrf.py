"""CSRF tokens: off unless asked for; then every write shows one, whoever writes."""

from typing import Any

import pytest

from headgate.client.calls import flows
from headgate.client.client import AsyncClient, Client
from headgate.client.transport import Request, Response
from headgate.schema.flows import FlowCreate
from headgate.server import InProcess, call_app
from headgate.settings import Settings

REFUSED = "Invalid CSRF token or client identifier."


def shown(token: str, client: str = "c1") -> dict[str, str]:
    return {"prefect_csrf_token": token, "prefect_csrf_client": client}


async def test_without_protection_there_are_no_tokens_and_none_is_asked_for(any_api: Any) -> None:
    """Existing clients go by these words, and ask no more."""
    got = await any_api.get("/csrf-token?client=c1")
    assert (got.status, got.json) == (422, {"detail": "CSRF protection is disabled."})
    assert (await any_api.post("/flows/", {"name": "hello"})).status == 201


class TestWithProtection:
    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(server_csrf_protection_enabled=True, server_csrf_token_expiration=60)

    async def test_a_client_is_given_a_token_that_lasts(self, any_api: Any) -> None:
        got = await any_api.get("/csrf-token?client=c1")
        assert (got.status, set(got.json)) == (200, {"id", "created", "updated", "token", "client", "expiration"})
        assert got.json["client"] == "c1"
        assert got.json["expiration"] == "2026-03-02T09:01:00Z"
        assert (await any_api.post("/flows/", {"name": "hello"}, **shown(got.json["token"]))).status == 201
        any_api.clock.advance(seconds=59)
        assert (await any_api.post("/flows/", {"name": "hello"}, **shown(got.json["token"]))).status == 200
        any_api.clock.advance(seconds=1)
        late = await any_api.post("/flows/", {"name": "hello"}, **shown(got.json["token"]))
        assert (late.status, late.json) == (403, {"detail": REFUSED})

    async def test_a_new_token_makes_the_earlier_one_void_and_stays_the_same_record(self, any_api: Any) -> None:
        first = (await any_api.get("/csrf-token?client=c1")).json
        second = (await any_api.get("/csrf-token?client=c1")).json
        assert first["token"] != second["token"]
        assert first["id"] == second["id"]
        assert (await any_api.post("/flows/", {"name": "hello"}, **shown(first["token"]))).status == 403
        assert (await any_api.post("/flows/", {"name": "hello"}, **shown(second["token"]))).status == 201

    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
    async def test_a_write_without_is_refused_wherever_it_goes(self, any_api: Any, method: str) -> None:
        token = (await any_api.get("/csrf-token?client=c1")).json["token"]
        for headers, words in [
            ({}, "Missing CSRF token."),
            ({"prefect_csrf_client": "c1"}, "Missing CSRF token."),
            ({"prefect_csrf_token": token}, "Missing client identifier."),
            (shown("other"), REFUSED),
            (shown("\xe9"), REFUSED),
            (shown(token, "c2"), REFUSED),
        ]:
            got = await any_api.send(method, "/flows/nowhere", **headers)
            assert (got.status, got.json) == (403, {"detail": words})
        assert (await any_api.send(method, "/flows/nowhere", **shown(token))).status in (404, 405)

    async def test_reading_needs_none(self, any_api: Any) -> None:
        assert (await any_api.get("/version")).status == 200

    async def test_a_client_must_say_who_it_is(self, any_api: Any) -> None:
        got = await any_api.get("/csrf-token")
        assert got.status == 422
        problem = got.json["exception_detail"][0]
        assert (problem["type"], problem["loc"]) == ("missing", ["query", "client"])

    async def test_our_own_client_gets_tokens_by_itself_and_new_ones_in_time(self, any_api: Any) -> None:
        asked: list[str] = []

        class InApp:
            async def send_async(self, request: Request) -> Response:
                asked.append(request.target)
                return await call_app(any_api.app, request)

            async def close_async(self) -> None: ...

        client = AsyncClient(InApp(), patience=0.0)
        await client.send(flows.create(FlowCreate(name="a")))
        await client.send(flows.create(FlowCreate(name="b")))
        assert [target.partition("?")[0] for target in asked] == ["/flows/", "/csrf-token", "/flows/", "/flows/"]
        any_api.clock.advance(seconds=61)
        asked.clear()
        await client.send(flows.create(FlowCreate(name="c")))
        assert [target.partition("?")[0] for target in asked] == ["/flows/", "/csrf-token", "/flows/"]


def test_our_threads_client_gets_tokens_by_itself(tmp_path: Any) -> None:
    settings = Settings(home=str(tmp_path), server_csrf_protection_enabled=True)
    app = InProcess(settings)
    with Client(app) as client:
        assert client.send(flows.create(FlowCreate(name="a"))).name == "a"
        assert client.send(flows.create(FlowCreate(name="b"))).name == "b"
