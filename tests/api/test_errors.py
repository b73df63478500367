"""What each error is on the wire, and who is let in."""

import base64
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID, uuid4

import pytest
from msgspec import Meta, Struct, field

from headgate import errors
from headgate.api.app import create_app
from headgate.api.errors import failure
from headgate.api.routing import Router
from headgate.settings import Settings

Ask = Callable[..., Awaitable[Any]]


class Colour(StrEnum):
    RED = "red"


class Part(Struct, forbid_unknown_fields=True):
    size: int


class Rule(Struct):
    cron: str | None = None
    every: float | None = None

    def __post_init__(self) -> None:
        if (self.cron is None) == (self.every is None):
            raise ValueError("give one of cron and every")


class Thing(Struct, kw_only=True):
    name: Annotated[str, Meta(min_length=2, pattern="^[a-z - at `]+$")] = "thing"
    count: Annotated[int, Meta(ge=0)] = 0
    parts: list[Part] = field(default_factory=list)
    by_name: dict[str, Part] = field(default_factory=dict)
    by_id: dict[UUID, int] = field(default_factory=dict)
    born: datetime | None = None
    colour: Colour = Colour.RED
    rule: Rule | None = None
    ratio: int | float = 0


router = Router("/things")
RAISED: list[Exception] = []


@router.post("/")
async def create_thing(body: Thing) -> Thing:
    if RAISED:
        raise RAISED.pop()
    return body


@router.post("/list")
async def create_things(body: list[Thing]) -> int:
    return len(body)


@router.post("/some")
async def create_some(body: Thing, times: int, colour: Colour) -> int:
    return times


@router.post("/{id}/set_state", error_key="exception_message")
async def set_state(id: UUID) -> None:
    raise errors.NotFound(f"Flow run with id {id} not found")


probes = Router()


@probes.get("/health")
async def health() -> bool:
    return True


@probes.get("/ready")
async def ready() -> bool:
    raise errors.Unavailable("the database is away")


def make(**settings: Any) -> Any:
    return create_app(routers=[router, probes], make_scope=lambda request: None, settings=Settings(**settings))


@pytest.fixture
def app() -> Any:
    return make()


FAULTS = [
    ({"parts": [{"size": 1}, {"size": "b"}]}, "int_type", ["parts", 1, "size"], "b", "Input should be a valid integer"),
    ({"parts": [{}]}, "missing", ["parts", 0, "size"], {}, "Field required"),
    ({"parts": [{"size": 1, "sise": 2}]}, "extra_forbidden", ["parts", 0, "sise"], 2, "Extra inputs are not permitted"),
    ({"parts": {}}, "list_type", ["parts"], {}, "Input should be a valid list"),
    ({"parts": None}, "list_type", ["parts"], None, "Input should be a valid list"),
    ({"name": 3}, "string_type", ["name"], 3, "Input should be a valid string"),
    ({"name": "a"}, "string_too_short", ["name"], "a", "String should have at least 2 characters"),
    ({"name": "A/B"}, "string_pattern_mismatch", ["name"], "A/B", "String should match pattern '^[a-z - at `]+$'"),
    ({"count": -1}, "greater_than_equal", ["count"], -1, "Input should be greater than or equal to 0"),
    ({"born": "soon"}, "datetime_parsing", ["born"], "soon", "Invalid RFC3339 encoded datetime"),
    ({"colour": "green"}, "enum", ["colour"], "green", "Invalid enum value 'green'"),
    ({"rule": {}}, "value_error", ["rule"], {}, "give one of cron and every"),
    ({"rule": 3}, "dict_type", ["rule"], 3, "Input should be a valid dictionary"),
    ({"ratio": "x"}, "float_type", ["ratio"], "x", "Input should be a valid number"),
    (
        {"by_name": {"a.b[0]": {"size": None}}},
        "int_type",
        ["by_name"],
        {"a.b[0]": {"size": None}},
        "Input should be a valid integer",
    ),
    ({"by_id": {"x": 1}}, "uuid_parsing", ["by_id"], {"x": 1}, "Invalid UUID"),
    ([], "dict_type", [], [], "Input should be a valid dictionary"),
]


@pytest.mark.parametrize(("body", "kind", "path", "value", "message"), FAULTS)
async def test_a_value_that_does_not_fit_is_named_and_shown(
    app: Any, ask: Ask, body: Any, kind: str, path: list[Any], value: Any, message: str
) -> None:
    """Inside a mapping, whose keys the decoder does not tell, the mapping is named."""
    got = await ask(app, "POST", "/api/things/", body)
    assert got.status == 422
    assert got.json == {
        "exception_message": "Invalid request received.",
        "exception_detail": [{"type": kind, "loc": ["body", *path], "msg": message, "input": value}],
        "request_body": body,
    }


async def test_an_item_of_a_list_is_named_by_its_index(app: Any, ask: Ask) -> None:
    got = await ask(app, "POST", "/api/things/list", [{}, {"count": "x"}])
    [problem] = got.json["exception_detail"]
    assert (problem["loc"], problem["input"]) == (["body", 1, "count"], "x")


async def test_all_that_does_not_fit_is_told_at_once(app: Any, ask: Ask) -> None:
    got = await ask(app, "POST", "/api/things/list", [{"count": "x", "name": 3}, {}, {"parts": [{}, {"size": "y"}]}, 7])
    assert [(each["loc"], each["type"]) for each in got.json["exception_detail"]] == [
        (["body", 0, "name"], "string_type"),
        (["body", 0, "count"], "int_type"),
        (["body", 2, "parts", 0, "size"], "missing"),
        (["body", 2, "parts", 1, "size"], "int_type"),
        (["body", 3], "dict_type"),
    ]


async def test_faults_of_the_query_are_told_with_those_of_the_body(app: Any, ask: Ask) -> None:
    got = await ask(app, "POST", "/api/things/some?times=x", {"count": -1, "rule": {}})
    assert [each["loc"] for each in got.json["exception_detail"]] == [
        ["query", "times"],
        ["query", "colour"],
        ["body", "count"],
        ["body", "rule"],
    ]


async def test_a_body_of_endless_faults_is_answered_with_the_first_hundred(app: Any, ask: Ask) -> None:
    got = await ask(app, "POST", "/api/things/list", [{"count": "x"}] * 300)
    assert [each["loc"][1] for each in got.json["exception_detail"]] == list(range(100))


@pytest.mark.parametrize(
    ("raw", "loc"),
    [
        (b'{"count": }', ["body", 10]),
        (b'{"count"', ["body", 8]),
        (b'{} {"count": 1}', ["body", 4]),
        (b"\xff\xfe", ["body", 0]),
        (b'{"name": "\xff"}', ["body", 10]),
        (b'{"else": ' + b"[" * 100_000, ["body"]),
    ],
)
async def test_json_that_is_none_is_told_with_its_place(app: Any, ask: Ask, raw: bytes, loc: list[Any]) -> None:
    got = await ask(app, "POST", "/api/things/", raw)
    [problem] = got.json["exception_detail"]
    assert (got.status, problem["type"], problem["loc"]) == (422, "json_invalid", loc)
    assert got.json["request_body"] == raw.decode(errors="replace")


async def test_a_missing_body_is_told(app: Any, ask: Ask) -> None:
    got = await ask(app, "POST", "/api/things/")
    assert got.json["exception_detail"] == [{"type": "missing", "loc": ["body"], "msg": "Field required", "input": None}]


@pytest.mark.parametrize(
    ("error", "loc", "value"),
    [
        (errors.Invalid("no such zone", field="parts[1].size"), ["body", "parts", 1, "size"], 2),
        (errors.Invalid("no such zone", field="parts[7].size"), ["body", "parts", 7, "size"], None),
        (errors.Invalid("no such zone", field="rule.zone", value="Mars"), ["body", "rule", "zone"], "Mars"),
        (errors.Invalid("no such zone", value=complex(1, 2)), ["body"], "(1+2j)"),
        (errors.Invalid("no such zone"), ["body"], None),
    ],
)
async def test_a_broken_rule_is_told_like_a_wrong_type(
    app: Any, ask: Ask, error: Exception, loc: list[Any], value: Any
) -> None:
    RAISED.append(error)
    body = {"parts": [{"size": 1}, {"size": 2}]}
    got = await ask(app, "POST", "/api/things/", body)
    assert got.status == 422
    assert got.json["exception_detail"] == [{"type": "value_error", "loc": loc, "msg": "no such zone", "input": value}]
    assert got.json["request_body"] == body


@pytest.mark.parametrize(
    ("error", "status", "body"),
    [
        (errors.BadRequest("no"), 400, {"detail": "no"}),
        (errors.Unauthorized("no"), 401, {"exception_message": "Unauthorized"}),
        (errors.Forbidden("no"), 403, {"detail": "no"}),
        (errors.NotFound("no"), 404, {"detail": "no"}),
        (errors.Conflict("no"), 409, {"detail": "no"}),
        (errors.TooLarge("no"), 413, {"detail": "no"}),
        (errors.NotConfigured("set it"), 501, {"exception_message": "set it"}),
        (errors.Unavailable("no"), 503, {"exception_message": "Service Unavailable"}),
    ],
)
async def test_every_error_has_its_status(app: Any, ask: Ask, error: Exception, status: int, body: Any) -> None:
    RAISED.append(error)
    got = await ask(app, "POST", "/api/things/", {})
    assert (got.status, got.json) == (status, body)


def test_the_mapping_is_the_inverse_of_the_clients() -> None:
    assert {status: failure(kind("x")).status for status, kind in errors.BY_STATUS.items()} == {
        status: status for status in errors.BY_STATUS
    }


async def test_unavailable_says_when_to_come_back(app: Any, ask: Ask) -> None:
    got = await ask(app, "GET", "/api/ready")
    assert (got.status, got.headers["retry-after"]) == (503, "1")


@pytest.mark.parametrize(
    "error", [ZeroDivisionError("secret"), errors.DatabaseError("secret"), errors.ConfigError("secret")]
)
async def test_an_unexpected_error_is_logged_and_not_told(
    app: Any, ask: Ask, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    RAISED.append(error)
    got = await ask(app, "POST", "/api/things/", {})
    assert (got.status, got.json) == (500, {"exception_message": "Internal Server Error"})
    [record] = caplog.records
    assert (record.levelno, record.getMessage()) == (logging.ERROR, "POST /api/things/ failed")
    assert record.exc_info is not None
    assert record.exc_info[1] is error


async def test_a_route_may_tell_what_is_missing_under_another_key(app: Any, ask: Ask) -> None:
    id = uuid4()
    got = await ask(app, "POST", f"/api/things/{id}/set_state")
    assert (got.status, got.json) == (404, {"exception_message": f"Flow run with id {id} not found"})
    no_route = await ask(app, "POST", "/api/things/x/set_state")
    assert no_route.json == {"detail": "Not Found"}


@pytest.mark.parametrize("version", ["0.8.0", "0.8.4", "0.9.0", "1.0.0", "0.10.0"])
async def test_versions_of_the_wire_from_0_8_0_on_are_served(app: Any, ask: Ask, version: str) -> None:
    got = await ask(app, "GET", "/api/health", headers={"x-prefect-api-version": version})
    assert got.status == 200


async def test_older_versions_of_the_wire_are_refused(app: Any, ask: Ask) -> None:
    got = await ask(app, "GET", "/api/health", headers={"x-prefect-api-version": "0.7.9"})
    detail = "The request specified API version 0.7.9 but this server requires version 0.8.0 or higher."
    assert (got.status, got.json) == (400, {"detail": detail})


@pytest.mark.parametrize("version", ["abc", "", "0.8", "0.8.4.1", "0.8.x"])
async def test_what_is_no_version_is_refused(app: Any, ask: Ask, version: str) -> None:
    got = await ask(app, "GET", "/api/health", headers={"x-prefect-api-version": version})
    detail = f"Invalid X-PREFECT-API-VERSION header format.Expected header in format 'x.y.z' but received {version}"
    assert (got.status, got.json) == (400, {"detail": detail})


def basic(text: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(text.encode()).decode()}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        basic("admin:wrong"),
        basic("admin"),
        {"authorization": "Basic %%%"},
        {"authorization": "Basic"},
        {"authorization": "Bearer wrong"},
        {"authorization": "Digest admin:pässword"},
    ],
)
@pytest.mark.parametrize("path", ["/api/things/", "/api/nothing", "/api", "/api/openapi.json", "/api/health/x"])
async def test_without_the_auth_string_nothing_is_told(ask: Ask, headers: dict[str, str], path: str) -> None:
    got = await ask(make(server_api_auth_string="admin:pässword"), "POST", path, {}, headers=headers)
    assert (got.status, got.json) == (401, {"exception_message": "Unauthorized"})
    assert "www-authenticate" not in got.headers


@pytest.mark.parametrize(
    "headers",
    [
        basic("admin:pässword"),
        {"authorization": basic("admin:pässword")["authorization"].replace("Basic", "basic")},
        {"authorization": "Bearer admin:pässword"},
    ],
)
async def test_with_the_auth_string_all_is_open(ask: Ask, headers: dict[str, str]) -> None:
    got = await ask(make(server_api_auth_string="admin:pässword"), "POST", "/api/things/", {}, headers=headers)
    assert got.status == 200


async def test_probes_need_no_auth_string(ask: Ask) -> None:
    app = make(server_api_auth_string="admin:pass")
    assert (await ask(app, "GET", "/api/health")).status == 200
    assert (await ask(app, "GET", "/api/health/")).status == 200
    assert (await ask(app, "GET", "/api/ready")).status == 503


async def test_the_page_for_people_lets_the_browser_ask(ask: Ask) -> None:
    app = make(server_api_auth_string="admin:pass")
    got = await ask(app, "GET", "/docs")
    assert (got.status, got.headers["www-authenticate"]) == (401, 'Basic realm="headgate"')
    assert (await ask(app, "GET", "/docs", headers=basic("admin:pass"))).status == 200


async def test_whoever_calls_is_known_to_the_scope(ask: Ask) -> None:
    actors: list[str | None] = []

    who = Router()

    @who.get("/whoami")
    async def whoami(scope: Any) -> None:
        actors.append(scope)

    def tokens(header: str | None) -> str | None:
        if header != "Bearer t0ken":
            raise errors.Unauthorized("no")
        return "robot"

    app = create_app(
        routers=[who], make_scope=lambda request: request.scope["actor"], settings=Settings(), authenticate=tokens
    )
    assert (await ask(app, "GET", "/api/whoami")).status == 401
    assert (await ask(app, "GET", "/api/whoami", headers={"authorization": "Bearer t0ken"})).status == 200
    assert actors == ["robot"]
