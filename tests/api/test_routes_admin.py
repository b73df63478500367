"""Routes about the server itself, and what every route has in common."""

import base64
from dataclasses import replace
from typing import Any

import pytest

from headgate.client.transport import Request
from headgate.server import app_of, call_app
from headgate.services.scope import Scope
from headgate.settings import Settings


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/health", True),
        ("/ready", {"message": "OK"}),
        ("/version", "0.8.4"),
        ("/admin/version", "3.9.1"),
        ("/hello", "👋"),
    ],
)
async def test_existing_clients_find_what_they_ask_a_server_first(api: Any, path: str, answer: Any) -> None:
    got = await api.get(path)
    assert (got.status, got.json) == (200, answer)
    assert got.headers["content-type"] == "application/json"


async def test_a_server_whose_database_is_gone_is_alive_but_not_ready(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from headgate.errors import Unavailable
    from headgate.services import admin

    async def refuse(scope: Any) -> None:
        raise Unavailable("gone")

    monkeypatch.setattr(admin, "check_ready", refuse)
    assert (await api.get("/health")).status == 200
    got = await api.get("/ready")
    assert (got.status, got.json) == (503, {"exception_message": "Service Unavailable"})
    assert got.headers["retry-after"] == "1"


@pytest.mark.parametrize(
    ("method", "path", "status", "detail"),
    [
        ("GET", "/nowhere", 404, "Not Found"),
        ("GET", "/flows/no-uuid", 404, "Not Found"),
        ("POST", "/deployments/no-uuid/create_flow_run", 404, "Not Found"),
        ("GET", "/work_pools/a/b/c", 404, "Not Found"),
        ("PUT", "/flows/", 405, "Method Not Allowed"),
        ("GET", "/work_pools/filter/x", 404, "Not Found"),
    ],
)
async def test_what_is_no_operation_is_told(api: Any, method: str, path: str, status: int, detail: str) -> None:
    got = await api.send(method, path)
    assert (got.status, got.json) == (status, {"detail": detail})


async def test_a_missing_or_an_added_slash_is_no_matter(api: Any) -> None:
    for path in ("/flows", "/flows/"):
        assert (await api.post(path, {"name": "hello"})).status in (200, 201)


async def test_a_version_of_the_wire_that_is_too_old_is_told_on_every_route(api: Any) -> None:
    got = await api.post("/flows/filter", {}, x_prefect_api_version="0.7.9")
    assert got.status == 400
    assert got.json == {
        "detail": "The request specified API version 0.7.9 but this server requires version 0.8.0 or higher."
    }
    assert (await api.post("/flows/filter", {}, x_prefect_api_version="0.8.4")).status == 200


class TestWithAuthentication:
    """With an auth string only the two probes answer to anyone."""

    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(server_api_auth_string="admin:pass")

    @pytest.mark.parametrize("path", ["/flows/filter", "/work_pools/filter", "/logs/", "/nowhere"])
    async def test_nothing_is_told_without_it(self, api: Any, path: str) -> None:
        got = await api.post(path, {})
        assert (got.status, got.json) == (401, {"exception_message": "Unauthorized"})

    async def test_probes_answer(self, api: Any) -> None:
        assert (await api.get("/health")).status == 200
        assert (await api.get("/ready")).status == 200
        assert (await api.get("/version")).status == 401

    async def test_with_it_all_is_told(self, api: Any) -> None:
        given = "Basic " + base64.b64encode(b"admin:pass").decode()
        assert (await api.post("/flows/filter", {}, authorization=given)).json == []
        wrong = "Basic " + base64.b64encode(b"admin:past").decode()
        assert (await api.post("/flows/filter", {}, authorization=wrong)).status == 401


class TestWithASmallLimitOfBodies:
    """A body over the limit is refused whatever it holds, and writes nothing."""

    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(server_api_max_body_bytes=200)

    async def test_it_is_told_with_the_limit(self, api: Any) -> None:
        got = await api.post("/flows/", {"name": "x", "labels": {"long": "y" * 300}})
        assert got.status == 413
        assert "200 bytes" in got.json["detail"]
        assert (await api.post("/flows/count")).json == 0

    async def test_one_below_it_is_taken(self, api: Any) -> None:
        assert (await api.post("/flows/", {"name": "x", "labels": {"short": "y" * 100}})).status == 201


async def test_pages_of_sites_that_the_settings_name_may_call(scope: Scope) -> None:
    app = app_of(replace(scope, settings=Settings(server_cors_allowed_origins="https://ui.example, https://b.example")))
    for origin, allowed in (("https://ui.example", "https://ui.example"), ("https://c.example", None)):
        got = await call_app(app, Request("GET", "/api/health", None, {"origin": origin}, 5.0))
        assert got.headers.get("access-control-allow-origin") == allowed
