"""HTTP against real servers, from threads and from event loops: connections, hang-ups, time-outs, certificates."""

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from headgate.client import aio
from headgate.client import client as client_module
from headgate.client.aio import AiohttpTransport
from headgate.client.calls import admin
from headgate.client.client import Client
from headgate.client.connect import connect, connect_async
from headgate.client.http import HttpTransport
from headgate.client.transport import Request, Response
from headgate.errors import Unreachable
from headgate.settings import Settings

PATIENCE = 20.0
"""Seconds after which what has not happened is taken not to happen. Reached by failing tests only."""

GET = Request("GET", "/health", None, {}, PATIENCE)
POST = Request("POST", "/flows/", b'{"name":"f"}', {"content-type": "application/json"}, PATIENCE)

Send = Callable[[Request], Awaitable[Response]]
Open = Callable[[str], Send]


@pytest.fixture(params=["thread", "event loop"])
async def open_to(request: pytest.FixtureRequest) -> AsyncIterator[Open]:
    """`send = open_to(url)`: each of the two transports in turn, closed in the end."""
    threaded: list[HttpTransport] = []
    pooled: list[AiohttpTransport] = []

    def open_one(url: str) -> Send:
        if request.param == "event loop":
            pooled.append(AiohttpTransport(url))
            return pooled[-1].send_async
        threaded.append(HttpTransport(url))
        return lambda each: asyncio.to_thread(threaded[-1].send, each)

    yield open_one
    for transport in threaded:
        transport.close()
    for other in pooled:
        await other.close_async()


@pytest.fixture
def transport(peer: Any) -> Iterator[HttpTransport]:
    transport = HttpTransport(peer.url)
    yield transport
    transport.close()


# --- both


async def test_a_request_arrives_as_it_is_and_so_does_the_answer(peer: Any, open_to: Open) -> None:
    answer = await open_to(peer.url)(POST)
    ((method, path, headers, body),) = peer.requests
    assert (method, path, body) == ("POST", "/api/flows/", POST.body)
    assert headers["content-type"] == "application/json"
    assert headers["content-length"] == str(len(POST.body or b""))
    assert (answer.status, answer.body, answer.headers["x-word"]) == (200, POST.body, "Yes")


async def test_a_kept_connection_is_used_again(peer: Any, open_to: Open) -> None:
    send = open_to(peer.url)
    for _ in range(5):
        assert (await send(POST)).status == 200
    assert len(peer.connections) == 1


@pytest.mark.parametrize("request_", [GET, POST], ids=["GET", "POST"])
async def test_a_connection_that_the_server_closed_meanwhile_is_opened_anew_and_the_request_sent_once(
    peer: Any, open_to: Open, request_: Request
) -> None:
    send = open_to(peer.url)
    for _ in range(3):
        assert (await send(request_)).status == 200
        peer.hang_up()
        await asyncio.sleep(0)  # the event loop hears of it
    assert (len(peer.connections), len(peer.requests)) == (3, 3)


async def test_a_server_that_leaves_after_its_answer_is_met_again(peer: Any, open_to: Open, acts: Any) -> None:
    peer.script = [acts.ANSWER_AND_LEAVE] * 2
    send = open_to(peer.url)
    for _ in range(3):
        assert (await send(POST)).status == 200
    assert (len(peer.connections), len(peer.requests)) == (3, 3)


@pytest.mark.parametrize("act", ["HANG_UP", "HALF", "BABBLE"])
async def test_a_server_that_breaks_off_or_babbles_is_unreachable(peer: Any, open_to: Open, acts: Any, act: str) -> None:
    send = open_to(peer.url)
    peer.script = [acts[act]] * 4
    with pytest.raises(Unreachable, match=rf"No answer from the API at {peer.url}: .+ Is the server running"):
        await send(POST)
    peer.script = []
    assert (await send(POST)).status == 200


async def test_a_silent_server_is_unreachable_once_the_time_is_up(peer: Any, open_to: Open, acts: Any) -> None:
    send = open_to(peer.url)
    for scripted in ([acts.SILENCE], [acts.ANSWER, acts.SILENCE]):  # on a new connection, on a kept one
        peer.script = scripted
        for _ in scripted[1:]:
            await send(GET)
        with pytest.raises(Unreachable, match="timed out"):
            await send(Request("POST", "/", b"{}", {}, 0.05))


async def test_each_call_has_its_own_time_out_on_a_shared_connection(peer: Any, open_to: Open) -> None:
    send = open_to(peer.url)
    await send(Request("GET", "/", None, {}, 0.2))
    await asyncio.sleep(0)
    assert (await send(Request("GET", "/", None, {}, PATIENCE))).status == 200


async def test_nobody_listening_is_unreachable(open_to: Open, unused_tcp_port: int) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}/api"
    with pytest.raises(Unreachable, match=rf"{url}.*headgate server start"):
        await open_to(url)(GET)


async def test_a_name_that_nobody_knows_is_unreachable(open_to: Open) -> None:
    with pytest.raises(Unreachable, match=r"http://gate\.invalid/api"):
        await open_to("http://gate.invalid/api")(GET)


async def test_a_certificate_that_nobody_vouches_for_is_refused(start_peer: Any, open_to: Open) -> None:
    peer = start_peer(secure=True)
    with pytest.raises(Unreachable, match=rf"certificate of the API at {peer.url} is refused: .*SSL_CERT_FILE"):
        await open_to(peer.url)(POST)
    assert peer.requests == []


async def test_a_plain_server_behind_a_secure_url_is_unreachable(peer: Any, open_to: Open) -> None:
    with pytest.raises(Unreachable, match="https://127"):
        await open_to(peer.url.replace("http:", "https:"))(GET)


async def test_credentials_of_the_settings_reach_the_server(peer: Any) -> None:
    settings = Settings(api_url=peer.url, api_auth_string="me:s3cret")
    with connect(settings) as client:
        client.send(admin.health())
    async with connect_async(settings) as other:
        await other.send(admin.health())
    assert [headers["authorization"] for _, _, headers, _ in peer.requests] == ["Basic bWU6czNjcmV0"] * 2


async def test_a_server_that_comes_up_late_is_waited_for(
    peer: Any, unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refused connection, then an answer."""
    transport = HttpTransport(f"http://127.0.0.1:{unused_tcp_port}/api")
    there = peer.url.removeprefix("http://").removesuffix("/api")
    monkeypatch.setattr(client_module.time, "sleep", lambda _: monkeypatch.setattr(transport, "_netloc", there))
    with Client(transport) as client:
        assert client.send(admin.health()) is True


# --- from threads


def test_a_post_is_sent_again_when_the_server_hangs_up_over_a_kept_connection(
    peer: Any, transport: HttpTransport, acts: Any
) -> None:
    """The server may have been at work on it: that is why runs have idempotency keys and states transition ids."""
    transport.send(POST)
    peer.script = [acts.HANG_UP]
    assert transport.send(POST).status == 200
    assert (len(peer.connections), len(peer.requests)) == (2, 3)


def test_a_request_is_sent_again_once_at_most(peer: Any, transport: HttpTransport, acts: Any) -> None:
    transport.send(POST)
    peer.script = [acts.HANG_UP] * 5
    with pytest.raises(Unreachable):
        transport.send(POST)
    assert len(peer.requests) == 3


def test_eight_threads_share_a_transport(peer: Any, transport: HttpTransport) -> None:
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for index in range(25):
                body = f"{number} {index}".encode()
                assert transport.send(Request("POST", "/", body, {}, PATIENCE)).body == body
                if index % 10 == number:
                    peer.hang_up()
        except BaseException as error:
            failures.append(error)

    run_in_threads(work, 8)
    # A hang-up meets calls of other threads under way, which is told; an answer of another's request never comes.
    assert all(isinstance(failure, Unreachable) for failure in failures)


def test_threads_that_come_and_go_leave_no_connections_behind(peer: Any, transport: HttpTransport) -> None:
    for _ in range(20):
        run_in_threads(lambda _: transport.send(POST), 1)
    assert len(peer.connections) == 1


def test_at_most_as_many_connections_are_open_as_calls_are_under_way(peer: Any, transport: HttpTransport) -> None:
    run_in_threads(lambda _: [transport.send(POST) for _ in range(10)], 8)
    assert len(peer.requests) == 80
    assert len(peer.connections) <= 8


def test_closing_twice_is_closing_once_and_later_calls_keep_nothing(peer: Any) -> None:
    transport = HttpTransport(peer.url)
    transport.send(POST)
    transport.close()
    transport.close()
    assert transport.send(POST).status == 200
    assert transport._idle == []


def test_an_authority_named_in_ssl_cert_file_is_believed(
    start_peer: Any, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    peer = start_peer(secure=True)
    transport = HttpTransport(peer.url)
    for _ in range(2):
        assert transport.send(POST).body == POST.body
    transport.close()
    assert len(peer.connections) == 1


FORKS = """
import os, sys
from headgate.client.http import HttpTransport
from headgate.client.transport import Request

transport = HttpTransport(sys.argv[1])
ask = lambda text: transport.send(Request("POST", "/", text, {}, 20.0)).body
assert ask(b"before") == b"before"
child = os.fork()
who = b"parent" if child else b"child"
for number in range(50):
    text = who + b"%d" % number
    assert ask(text) == text
transport.close()
if child:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_process_opens_connections_of_its_own(peer: Any) -> None:
    done = subprocess.run([sys.executable, "-W", "error", "-c", FORKS, peer.url], capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    assert len(peer.connections) == 2


# --- idle connections and uvicorn, which closes them


@contextmanager
def uvicorn_counting(handled: list[bytes], *, idle_seconds: float) -> Iterator[str]:
    """A uvicorn that closes connections idle for so long, and notes each body that it was asked to work on."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        handled.append((await receive())["body"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        await send({"type": "http.response.body", "body": b"true"})

    config = uvicorn.Config(app, port=0, log_level="critical", lifespan="off", ws="none")
    config.timeout_keep_alive = idle_seconds  # type: ignore[assignment]
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def test_calls_that_meet_the_end_of_an_idle_connection_are_neither_lost_nor_doubled() -> None:
    """An engine that calls as often as the server closes idle connections, give or take a millisecond."""
    handled: list[bytes] = []
    with uvicorn_counting(handled, idle_seconds=0.01) as url:
        transport = HttpTransport(url)
        sent = [b"%d" % number for number in range(80)]
        for number, body in enumerate(sent):
            assert transport.send(Request("POST", "/", body, {}, PATIENCE)).status == 200
            time.sleep(0.008 + 0.00005 * number)  # from before the end of the connection to after it
        transport.close()
    assert handled == sent


async def test_an_event_loop_gives_up_idle_connections_before_the_server_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for a worker, a hundred times faster than in life."""
    assert uvicorn.Config("app").timeout_keep_alive > aio.IDLE_SECONDS
    monkeypatch.setattr(aio, "IDLE_SECONDS", 0.04)
    handled: list[bytes] = []
    with uvicorn_counting(handled, idle_seconds=0.05) as url:
        transport = AiohttpTransport(url)
        sent = [b"%d" % number for number in range(20)]
        for number, body in enumerate(sent):
            assert (await transport.send_async(Request("POST", "/", body, {}, PATIENCE))).status == 200
            await asyncio.sleep(0.045 + 0.0005 * number)
        await transport.close_async()
    assert handled == sent


# --- helpers


def run_in_threads(work: Callable[[int], Any], count: int) -> None:
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)
