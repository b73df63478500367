"""When clients send a call again, when they give up, and what they raise."""

import asyncio
import base64
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec
import pytest

from headgate import errors
from headgate.client import client as module
from headgate.client.call import Call
from headgate.client.calls import admin, claims, deployments, flow_runs, flow_runs_bulk, flows
from headgate.client.client import AsyncClient, Client
from headgate.client.transport import Request, Response, unreachable
from headgate.errors import HeadgateError, Unavailable, Unreachable
from headgate.schema.claims import ClaimRequest
from headgate.schema.flow_runs import DeploymentFlowRunCreate, FlowRunCreate
from headgate.schema.flow_runs_bulk import BulkCreate, BulkFlowRunCreate
from headgate.schema.flows import FlowCreate
from headgate.schema.states import SetState, StateCreate, StateDetails, StateType

URL = "http://gate:4200/api"
ID = UUID("019cad25-6000-7000-8000-000000000000")
UP = Response(200, b"true")
AWAY = unreachable(URL, ConnectionRefusedError(111, "Connection refused"))


@dataclass
class Scripted:
    """A transport of both kinds that gives these answers in turn, the last for ever."""

    answers: list[Response | Unreachable]
    requests: list[Request] = field(default_factory=list)
    closed: bool = False

    def send(self, request: Request) -> Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Unreachable):
            raise answer
        return answer

    async def send_async(self, request: Request) -> Response:
        return self.send(request)

    def close(self) -> None:
        self.closed = True

    async def close_async(self) -> None:
        self.closed = True

    @property
    def bodies(self) -> list[Any]:
        return [msgspec.json.decode(request.body or b"null") for request in self.requests]


@dataclass
class Time:
    """The clock of the clients' patience: sleeping moves it."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.slept.append(seconds)
        self.now += seconds

    async def sleep_async(self, seconds: float) -> None:
        self.sleep(seconds)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    time = Time()
    monkeypatch.setattr(module, "monotonic", lambda: time.now)
    monkeypatch.setattr(module.time, "sleep", time.sleep)
    monkeypatch.setattr(asyncio, "sleep", time.sleep_async)
    return time


Send = Callable[..., Awaitable[Any]]


@pytest.fixture(params=["thread", "event loop"])
def send(request: pytest.FixtureRequest) -> Send:
    """`await send(transport, call, …)` by each of the two clients."""

    async def send_one(transport: Scripted, call: Call[Any], **options: Any) -> Any:
        if request.param == "thread":
            with Client(transport, **options) as client:
                return client.send(call)
        async with AsyncClient(transport, **options) as client:
            return await client.send(call)

    return send_one


# --- trying again


@pytest.mark.parametrize(
    "answers",
    [
        [UP],
        [AWAY, UP],
        [AWAY, AWAY, AWAY, UP],
        [Response(503, b"", {"retry-after": "1"}), UP],
        [Response(429, b""), UP],
        [Response(408, b""), Response(502, b"<html>"), Response(504, b""), AWAY, UP],
    ],
)
async def test_an_api_that_is_away_or_busy_is_tried_again(time: Time, send: Send, answers: Sequence[Any]) -> None:
    transport = Scripted(list(answers))
    assert await send(transport, admin.health()) is True
    assert len(transport.requests) == len(answers)
    assert len(time.slept) == len(answers) - 1
    assert transport.closed


async def test_pauses_double_with_some_jitter_up_to_a_longest(time: Time, send: Send) -> None:
    with pytest.raises(Unreachable):
        await send(Scripted([AWAY]), admin.health(), patience=120.0)
    for pause, around in zip(time.slept[:-1], [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, *[8.0] * 100], strict=False):
        assert 0.75 * around <= pause <= 1.25 * around
    assert sum(time.slept) == pytest.approx(120.0)


@pytest.mark.parametrize(("wanted", "pause"), [("2", 2.0), ("0.5", 0.5), ("3600", 8.0)])
async def test_a_busy_server_says_when_to_come_back(time: Time, send: Send, wanted: str, pause: float) -> None:
    await send(Scripted([Response(503, b"", {"retry-after": wanted}), UP]), admin.health(), patience=60.0)
    assert time.slept == [pause]


@pytest.mark.parametrize("wanted", ["0", "-1", "nan", "inf", "soon", "Sun, 06 Nov 1994 08:49:37 GMT"])
async def test_a_word_of_the_server_that_is_no_span_is_passed_over(time: Time, send: Send, wanted: str) -> None:
    await send(Scripted([Response(503, b"", {"retry-after": wanted}), UP]), admin.health())
    assert 0.075 <= time.slept[0] <= 0.125


async def test_no_server_can_stretch_the_callers_patience(time: Time, send: Send) -> None:
    transport = Scripted([Response(503, b"", {"retry-after": "5"})])
    with pytest.raises(Unavailable):
        await send(transport, admin.health(), patience=7.0)
    assert time.slept == [5.0, pytest.approx(2.0)]
    assert len(transport.requests) == 3


async def test_patience_ends_with_the_url_and_what_to_do(time: Time, send: Send) -> None:
    with pytest.raises(Unreachable) as caught:
        await send(Scripted([AWAY]), admin.health(), patience=3.0)
    assert sum(time.slept) == pytest.approx(3.0)
    for words in (URL, "Connection refused", "headgate server start", "HEADGATE_API_URL"):
        assert words in str(caught.value)


@pytest.mark.parametrize("answer", [AWAY, Response(503, b"")])
async def test_without_patience_there_is_one_try(time: Time, send: Send, answer: Any) -> None:
    transport = Scripted([answer])
    with pytest.raises(Unavailable):
        await send(transport, admin.health(), patience=0.0)
    assert (len(transport.requests), time.slept) == (1, [])


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 413, 422, 500])
async def test_other_refusals_are_not_tried_again(time: Time, send: Send, status: int) -> None:
    transport = Scripted([Response(status, b'{"detail":"no"}')])
    with pytest.raises(HeadgateError):
        await send(transport, admin.health(), patience=60.0)
    assert (len(transport.requests), time.slept) == (1, [])


async def test_an_error_that_is_not_the_networks_is_not_tried_again(time: Time, send: Send) -> None:
    class Broken(Scripted):
        def send(self, request: Request) -> Response:
            raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        await send(Broken([]), admin.health(), patience=60.0)
    assert time.slept == []


# --- what may arrive twice


@pytest.mark.parametrize(
    "make",
    [
        lambda **key: deployments.create_flow_run(ID, DeploymentFlowRunCreate(**key)),
        lambda **key: flow_runs.create(FlowRunCreate(flow_id=ID, **key)),
    ],
)
async def test_a_run_is_created_once_however_often_its_creation_is_sent(time: Time, send: Send, make: Any) -> None:
    transport = Scripted([AWAY, Response(503, b""), Response(409, b"")])
    with pytest.raises(errors.Conflict):
        await send(transport, make())
    first, *others = [body["idempotency_key"] for body in transport.bodies]
    assert first
    assert others == [first, first]


async def test_two_creations_are_two_runs(send: Send) -> None:
    transport, call = Scripted([Response(409, b"")]), deployments.create_flow_run(ID)
    for _ in range(2):
        with pytest.raises(errors.Conflict):
            await send(transport, call)
    first, second = [body["idempotency_key"] for body in transport.bodies]
    assert first != second
    assert call.body.idempotency_key is None


async def test_an_idempotency_key_of_the_callers_is_kept(send: Send) -> None:
    transport = Scripted([Response(409, b"")])
    with pytest.raises(errors.Conflict):
        await send(transport, deployments.create_flow_run(ID, DeploymentFlowRunCreate(idempotency_key="mine")))
    assert transport.bodies[0]["idempotency_key"] == "mine"


@pytest.mark.parametrize(
    "call",
    [
        flow_runs_bulk.create(BulkCreate(flow_runs=[BulkFlowRunCreate(deployment_id=ID) for _ in range(2)])),
        flow_runs_bulk.create_of_deployment(ID, [DeploymentFlowRunCreate() for _ in range(2)]),
    ],
)
async def test_each_run_of_many_has_a_key_that_stays(time: Time, send: Send, call: Call[Any]) -> None:
    transport = Scripted([AWAY, Response(409, b"")])
    with pytest.raises(errors.Conflict):
        await send(transport, call)
    first, again = [body["flow_runs"] if isinstance(body, dict) else body for body in transport.bodies]
    assert first == again
    assert len({each["idempotency_key"] for each in first} - {None}) == 2


async def test_a_proposal_keeps_its_transition_id(time: Time, send: Send) -> None:
    state = StateCreate(type=StateType.RUNNING, state_details=StateDetails(transition_id=ID))
    transport = Scripted([AWAY, AWAY, Response(404, b"")])
    with pytest.raises(errors.NotFound):
        await send(transport, flow_runs.set_state(ID, SetState(state=state)))
    assert [body["state"]["state_details"]["transition_id"] for body in transport.bodies] == [str(ID)] * 3


# --- the request


async def test_a_request_carries_credentials_versions_and_its_time_out(send: Send) -> None:
    transport = Scripted([Response(200, b'{"grants":[]}')])
    call = claims.claim("a pool", ClaimRequest(worker="w", wait_seconds=20))
    await send(transport, call, auth="me:s3cret", timeout=5.0)
    (request,) = transport.requests
    assert (request.method, request.target, request.timeout) == ("POST", "/work_pools/a%20pool/claim", 25.0)
    assert request.headers["authorization"] == "Basic " + base64.b64encode(b"me:s3cret").decode()
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"].startswith("headgate/")
    assert request.headers["x-prefect-api-version"] == "0.8.4"


async def test_without_credentials_none_are_sent(send: Send) -> None:
    transport = Scripted([UP])
    await send(transport, admin.health())
    assert "authorization" not in transport.requests[0].headers
    assert transport.requests[0].body is None


# --- what answers mean


@pytest.mark.parametrize(("status", "kind"), [*errors.BY_STATUS.items(), (500, HeadgateError), (418, HeadgateError)])
async def test_a_status_is_raised_as_the_error_that_it_stands_for(
    send: Send, status: int, kind: type[HeadgateError]
) -> None:
    with pytest.raises(HeadgateError) as caught:
        await send(Scripted([Response(status, b'{"detail":"no"}')]), admin.health(), patience=0.0)
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"detail":"Deployment not found"}', "Deployment not found"),
        (b'{"exception_message":"Internal Server Error"}', "Internal Server Error"),
        (b'{"detail":[{"loc":["body","name"],"msg":"Field required"}]}', "name: Field required"),
        (b'{"other":1}', "{'other': 1}"),
    ],
)
async def test_an_error_says_what_the_server_said(send: Send, body: bytes, message: str) -> None:
    with pytest.raises(errors.Conflict) as caught:
        await send(Scripted([Response(409, body)]), admin.health())
    assert str(caught.value) == message


async def test_a_refused_body_names_each_field_and_value(send: Send) -> None:
    problems = [
        {"type": "value_error", "loc": ["body", "schedules", 0, "cron"], "msg": "Not a cron expression", "input": "* *"},
        {"type": "missing", "loc": ["body", "name"], "msg": "Field required"},
        {"type": "value_error", "loc": ["body"], "msg": "Too odd", "input": None},
        "and so on",
    ]
    body = msgspec.json.encode({"exception_message": "Invalid request received.", "exception_detail": problems})
    with pytest.raises(errors.Invalid) as caught:
        await send(Scripted([Response(422, body)]), flows.create(FlowCreate(name="f")))
    assert str(caught.value) == (
        "schedules.0.cron: Not a cron expression (got '* *'); name: Field required; Too odd (got None); and so on"
    )


@pytest.mark.parametrize("body", [b"", b"<html>Bad Gateway</html>", b"[]", b"\xff"])
async def test_an_error_of_something_in_between_names_the_call_and_its_status(send: Send, body: bytes) -> None:
    with pytest.raises(HeadgateError, match=r"GET /health was answered with status 502.*HEADGATE_API_URL"):
        await send(Scripted([Response(502, body)]), admin.health(), patience=0.0)


async def test_a_redirect_is_told_and_not_followed(send: Send) -> None:
    moved = Response(301, b"", {"location": "https://gate/api/health"})
    with pytest.raises(HeadgateError, match=r"status 301 \(moved to https://gate/api/health\)"):
        await send(Scripted([moved]), admin.health())


async def test_missing_credentials_are_told_with_their_setting(send: Send) -> None:
    with pytest.raises(errors.Unauthorized, match="HEADGATE_API_AUTH_STRING"):
        await send(Scripted([Response(401, b'{"exception_message":"Unauthorized"}')]), admin.health())


@pytest.mark.parametrize("body", [b"<!doctype html>", b"", b'{"grants":3}'])
async def test_an_answer_of_another_program_is_told_with_the_setting(send: Send, body: bytes) -> None:
    call = claims.claim("p", ClaimRequest(worker="w"))
    with pytest.raises(HeadgateError, match=r"POST /work_pools/p/claim is not one of this API.*HEADGATE_API_URL"):
        await send(Scripted([Response(200, body)]), call)


async def test_a_call_without_an_answer_looks_at_no_body(send: Send) -> None:
    assert await send(Scripted([Response(204, b"")]), flows.delete(ID)) is None
