"""What a handler's signature promises about the requests that reach it and the answers that leave it."""

import gzip
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

import pytest
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from headgate.api.app import create_app
from headgate.api.routing import Answer, Prebuilt, Router
from headgate.api.table import Table
from headgate.errors import NotFound
from headgate.settings import Settings

Ask = Callable[..., Awaitable[Any]]


class Thing(Struct):
    name: str
    size: int = 0


class Query(Struct):
    limit: int | None = None


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Scope:
    def __init__(self, request: Request) -> None:
        self.actor = request.scope["actor"]
        self.agent = request.headers.get("user-agent")


router = Router("/things", tag="Things")


@router.post("/", status=201)
async def create_thing(scope: Scope, body: Thing) -> Answer[Thing]:
    return Answer(body, 200 if body.name == "old" else 201, {"X-Thing": body.name})


@router.get("/{id}")
async def read_thing(scope: Scope, id: UUID) -> dict[str, Any]:
    return {"id": id, "agent": scope.agent}


@router.post("/filter")
async def read_things(scope: Scope, body: Query | None) -> str:
    return "none" if body is None else f"limit {body.limit}"


@router.get("/filter")
async def read_filter(scope: Scope) -> str:
    return "the filter"


@router.get("/{id}/parts/{name}")
async def read_part(name: str, id: UUID, scope: Scope) -> list[str]:
    return [str(id), name]


@router.get("/latest/parts/{name}")
async def read_latest_part(scope: Scope, name: str) -> str:
    return f"latest {name}"


@router.get("/numbered/{number}")
async def read_numbered(number: int) -> int:
    return number


@router.delete("/{id}", status=204)
async def delete_thing(scope: Scope, id: UUID) -> None:
    return None


@router.get("/")
async def list_things(
    scope: Scope,
    owner: UUID,
    limit: int = 200,
    deep: bool = False,
    colour: Colour | None = None,
    tag: list[str] | None = None,
) -> list[Any]:
    return [owner, limit, deep, colour, tag]


@router.get("/large")
async def read_large(scope: Scope) -> Prebuilt[list[str]]:
    return Prebuilt(b'["' + b"x" * 5000 + b'"]')


@router.get("/huge")
async def read_huge(scope: Scope) -> str:
    return "x" * 300_000


ID = uuid4()
OWNER = f"owner={ID}"


@pytest.fixture
def app() -> Any:
    return create_app(routers=[router], make_scope=Scope, settings=Settings(server_api_max_body_bytes=1000))


async def test_a_body_reaches_its_handler_as_the_annotated_type(app: Any, ask: Ask) -> None:
    got = await ask(app, "POST", "/api/things/", {"name": "new", "size": 3})
    assert (got.status, got.json) == (201, {"name": "new", "size": 3})
    assert got.headers["content-type"] == "application/json"
    assert int(got.headers["content-length"]) == len(got.body)


async def test_an_answer_chooses_its_status_and_headers(app: Any, ask: Ask) -> None:
    got = await ask(app, "POST", "/api/things/", {"name": "old"})
    assert (got.status, got.headers["x-thing"]) == (200, "old")


async def test_paths_answer_with_and_without_a_trailing_slash(app: Any, ask: Ask) -> None:
    for path in ("/api/things", "/api/things/"):
        assert (await ask(app, "POST", path, {"name": "a"})).status == 201
    for path in (f"/api/things/{ID}", f"/api/things/{ID}/"):
        assert (await ask(app, "GET", path)).status == 200


async def test_the_scope_is_made_from_the_request(app: Any, ask: Ask) -> None:
    got = await ask(app, "GET", f"/api/things/{ID}", headers={"user-agent": "tester"})
    assert got.json == {"id": str(ID), "agent": "tester"}


async def test_path_values_are_matched_by_name_not_by_order(app: Any, ask: Ask) -> None:
    assert (await ask(app, "GET", f"/api/things/{ID}/parts/wheel")).json == [str(ID), "wheel"]


async def test_fixed_words_win_over_names(app: Any, ask: Ask) -> None:
    assert (await ask(app, "GET", "/api/things/filter")).json == "the filter"
    assert (await ask(app, "GET", "/api/things/latest/parts/wheel")).json == "latest wheel"


async def test_path_values_are_converted(app: Any, ask: Ask) -> None:
    assert (await ask(app, "GET", "/api/things/numbered/7")).json == 7


@pytest.mark.parametrize(
    "path",
    ["/api/things/not-a-uuid", "/api/things/numbered/x", "/api/nothing", "/things/", "/", "//api/things/", "/api/things//"],
)
async def test_a_path_that_fits_no_route_is_not_found(app: Any, ask: Ask, path: str) -> None:
    got = await ask(app, "GET", path)
    assert (got.status, got.json) == (404, {"detail": "Not Found"})


async def test_a_wrong_verb_is_told_the_right_ones(app: Any, ask: Ask) -> None:
    got = await ask(app, "PATCH", f"/api/things/{ID}")
    assert (got.status, got.json) == (405, {"detail": "Method Not Allowed"})
    assert got.headers["allow"] == "DELETE, GET, HEAD"


async def test_head_answers_like_get_without_the_body(app: Any, ask: Ask) -> None:
    full = await ask(app, "GET", f"/api/things/{ID}")
    head = await ask(app, "HEAD", f"/api/things/{ID}")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == str(len(full.body))


async def test_an_answer_of_204_has_neither_body_nor_length(app: Any, ask: Ask) -> None:
    got = await ask(app, "DELETE", f"/api/things/{ID}")
    assert (got.status, got.body, got.headers) == (204, b"", {})


@pytest.mark.parametrize(
    ("body", "seen"), [(b"", "none"), (b"null", "none"), (b"{}", "limit None"), ({"limit": 3}, "limit 3")]
)
async def test_an_optional_body_may_be_left_out(app: Any, ask: Ask, body: Any, seen: str) -> None:
    assert (await ask(app, "POST", "/api/things/filter", body)).json == seen


async def test_query_values_are_converted_and_have_defaults(app: Any, ask: Ask) -> None:
    plain = await ask(app, "GET", f"/api/things/?{OWNER}")
    assert plain.json == [str(ID), 200, False, None, None]
    full = await ask(app, "GET", f"/api/things/?{OWNER}&limit=5&deep=true&colour=red&tag=a&tag=b%26c&other=1")
    assert full.json == [str(ID), 5, True, "red", ["a", "b&c"]]


async def test_a_missing_query_value_is_named(app: Any, ask: Ask) -> None:
    got = await ask(app, "GET", "/api/things/")
    assert got.status == 422
    assert got.json["exception_detail"] == [
        {"type": "missing", "loc": ["query", "owner"], "msg": "Field required", "input": None}
    ]


async def test_a_query_value_of_the_wrong_type_is_named_and_shown(app: Any, ask: Ask) -> None:
    got = await ask(app, "GET", f"/api/things/?{OWNER}&colour=green")
    [problem] = got.json["exception_detail"]
    assert (problem["type"], problem["loc"], problem["input"]) == ("enum", ["query", "colour"], "green")


async def test_a_body_in_pieces_is_put_together(app: Any, ask: Ask, chunks: Any) -> None:
    got = await ask(app, "POST", "/api/things/", chunks([b'{"na', b"", b'me":"a"}']))
    assert got.json == {"name": "a", "size": 0}


async def test_a_body_of_the_limit_is_read(app: Any, ask: Ask) -> None:
    body = b'{"name":"' + b"a" * 989 + b'"}'
    assert len(body) == 1000
    assert (await ask(app, "POST", "/api/things/", body)).status == 201
    assert (await ask(app, "POST", "/api/things/", body + b" ")).status == 413


async def test_a_body_that_says_it_is_too_large_is_not_read(app: Any, ask: Ask, chunks: Any) -> None:
    body = chunks([b"x" * 1001])
    got = await ask(app, "POST", "/api/things/", body, headers={"content-length": "1001"})
    assert (got.status, body.read) == (413, 0)
    assert "1000 bytes" in got.json["detail"]


async def test_a_body_is_read_no_further_than_the_limit(app: Any, ask: Ask, chunks: Any) -> None:
    body = chunks([b"x" * 600] * 100)
    assert (await ask(app, "POST", "/api/things/", body)).status == 413
    assert body.read == 2


async def test_a_client_that_goes_away_while_sending_is_no_error(
    app: Any, ask: Ask, chunks: Any, caplog: pytest.LogCaptureFixture
) -> None:
    assert (await ask(app, "POST", "/api/things/", chunks([b"{"], ends=False))).status == 0
    assert not caplog.records


async def test_large_answers_are_compressed_when_asked(app: Any, ask: Ask) -> None:
    plain = await ask(app, "GET", "/api/things/large")
    assert (len(plain.body), "content-encoding" in plain.headers) == (5004, False)
    for path in ("/api/things/large", "/api/things/huge"):
        got = await ask(app, "GET", path, headers={"accept-encoding": "gzip, deflate"})
        assert got.headers["content-encoding"] == "gzip"
        assert int(got.headers["content-length"]) == len(got.body) < 5000
        assert gzip.decompress(got.body) == (await ask(app, "GET", path)).body


async def test_streams_pass_uncompressed_and_unheld(ask: Ask) -> None:
    async def count(request: Request) -> StreamingResponse:
        return StreamingResponse(chr(97 + i) * 2000 for i in range(3))

    app = create_app(routers=[], make_scope=Scope, settings=Settings(), routes=[Route("/count", count)])
    got = await ask(app, "GET", "/count", headers={"accept-encoding": "gzip"})
    assert ("content-encoding" in got.headers, got.body) == (False, b"a" * 2000 + b"b" * 2000 + b"c" * 2000)


async def test_small_answers_are_not_compressed(app: Any, ask: Ask) -> None:
    got = await ask(app, "GET", f"/api/things/{ID}", headers={"accept-encoding": "gzip"})
    assert "content-encoding" not in got.headers


async def test_an_app_below_a_proxys_path_answers_there(app: Any, ask: Ask) -> None:
    assert (await ask(app, "GET", f"/below/api/things/{ID}", root_path="/below")).status == 200


async def test_each_request_is_a_line_at_debug_level(app: Any, ask: Ask, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="headgate.api.requests"):
        await ask(app, "GET", "/api/nothing")
    [record] = caplog.records
    assert record.getMessage().startswith("GET /api/nothing 404 ")


async def test_pages_of_other_origins_may_read_nothing_and_write_nothing(app: Any, ask: Ask) -> None:
    foreign = {"origin": "https://elsewhere.example"}
    for headers in (foreign, {**foreign, "sec-fetch-site": "cross-site"}, {"origin": "null"}):
        got = await ask(app, "POST", "/api/things/", {"name": "a"}, headers=headers)
        assert got.status == 403
    read = await ask(app, "GET", f"/api/things/{ID}", headers=foreign)
    assert "access-control-allow-origin" not in read.headers


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "http://localhost"},
        {"origin": "http://elsewhere.example", "sec-fetch-site": "same-origin"},
    ],
)
async def test_programs_and_our_own_pages_may_write(app: Any, ask: Ask, headers: dict[str, str]) -> None:
    assert (await ask(app, "POST", "/api/things/", {"name": "a"}, headers=headers)).status == 201


async def test_allowed_origins_may_read_and_write(ask: Ask) -> None:
    app = create_app(routers=[router], make_scope=Scope, settings=Settings(), origins=["https://friend.example"])
    headers = {"origin": "https://friend.example", "sec-fetch-site": "cross-site"}
    got = await ask(app, "POST", "/api/things/", {"name": "a"}, headers=headers)
    assert (got.status, got.headers["access-control-allow-origin"]) == (201, "https://friend.example")
    asked = await ask(app, "OPTIONS", "/api/things/", headers={**headers, "access-control-request-method": "POST"})
    assert asked.status == 200


async def greet(request: Request) -> PlainTextResponse:
    return PlainTextResponse("hello")


async def miss(request: Request) -> PlainTextResponse:
    raise NotFound("no such file")


async def test_further_routes_stand_beside_the_api(ask: Ask) -> None:
    routes = [Route("/hello", greet), Route("/miss", miss)]
    app = create_app(routers=[router], make_scope=Scope, settings=Settings(), routes=routes)
    assert (await ask(app, "GET", "/hello")).body == b"hello"
    assert (await ask(app, "POST", "/hello")).status == 405
    missed = await ask(app, "GET", "/miss")
    assert (missed.status, missed.json) == (404, {"detail": "no such file"})
    assert (await ask(app, "GET", f"/api/things/{ID}")).status == 200


async def test_websockets_reach_their_route_and_others_are_refused() -> None:
    async def talk(socket: WebSocket) -> None:
        await socket.accept("prefect")
        await socket.close()

    app = create_app(
        routers=[router], make_scope=Scope, settings=Settings(), routes=[WebSocketRoute("/api/events/in", talk)]
    )
    assert await dial(app, "/api/events/in") == ["websocket.accept", "websocket.close"]
    assert await dial(app, "/api/other") == ["websocket.close"]


async def dial(app: Any, path: str) -> list[str]:
    sent = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await app({"type": "websocket", "path": path, "headers": [], "query_string": b""}, receive, send)
    return sent


async def test_the_lifespan_opens_before_and_closes_after() -> None:
    told: list[str] = []

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        told.append("opened")
        yield
        told.append("closed")

    app = create_app(routers=[router], make_scope=Scope, settings=Settings(), lifespan=lifespan)
    asked = iter(["lifespan.startup", "lifespan.shutdown"])

    async def receive() -> dict[str, Any]:
        return {"type": next(asked)}

    async def send(message: Any) -> None:
        told.append(message["type"])

    await app({"type": "lifespan", "state": {}}, receive, send)
    assert told == ["opened", "lifespan.startup.complete", "closed", "lifespan.shutdown.complete"]


def test_what_cannot_be_served_is_refused_at_registration() -> None:
    refused = Router("/refused")

    async def no_parameter(scope: Scope) -> None: ...

    async def no_annotation(scope: Scope, limit=3) -> None: ...  # type: ignore[no-untyped-def]

    async def no_return(scope: Scope, id: UUID): ...  # type: ignore[no-untyped-def]

    with pytest.raises(TypeError, match=r"no_parameter has no parameter for \{id\}"):
        refused.get("/{id}")(no_parameter)
    with pytest.raises(TypeError, match="'limit' needs an annotation"):
        refused.get("/")(no_annotation)
    with pytest.raises(TypeError, match="'return' needs an annotation"):
        refused.get("/{id}")(no_return)


@pytest.mark.parametrize("path", ["/", "/{id}"])
def test_two_routes_for_the_same_requests_are_refused(path: str) -> None:
    twins = Router("/twins")

    async def one(id: UUID) -> None: ...

    async def two(id: UUID) -> None: ...

    twins.get(path)(one)
    twins.get(path)(two)
    with pytest.raises(TypeError, match="GET /twins"):
        Table(twins.routes)
