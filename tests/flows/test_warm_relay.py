"""The line from a forked engine to its worker: records in pieces, answers, and a worker that goes away or hangs."""

import os
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from headgate.client.transport import Request, Response
from headgate.errors import Unreachable
from headgate.flows.warm import relay
from headgate.flows.warm.relay import RelayTransport
from headgate.flows.warm.wire import Answer, Ask, Begun, Ended, Record, Silence, Unframer, framed, receive, send

ASKED = Request("GET", "/x", b"{}", {"a": "b"}, 60.0)


class Direct:
    """The API without a worker."""

    def __init__(self) -> None:
        self.sent: list[Request] = []
        self.closed = 0

    def send(self, request: Request) -> Response:
        self.sent.append(request)
        return Response(200, b"direct")

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def direct() -> Direct:
    return Direct()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
def transport(pair: tuple[socket.socket, socket.socket], direct: Direct) -> RelayTransport:
    return RelayTransport(pair[0], lambda: direct)


@pytest.fixture
def worker(pair: tuple[socket.socket, socket.socket]) -> Iterator[Callable[..., list[Ask]]]:
    """`worker(answer, …)` answers as many requests, in a thread."""
    threads: list[threading.Thread] = []

    def work(*answers: Record) -> list[Ask]:
        asked: list[Ask] = []

        def run() -> None:
            for answer in answers:
                received = receive(pair[1])
                assert received is not None
                asked.append(received[0])
                send(pair[1], answer)

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        return asked

    yield work
    for thread in threads:
        thread.join(10)


def test_records_may_come_in_any_pieces() -> None:
    records: list[Record] = [Begun(7), Ask("POST", "/y", b"x" * 300, {}, 1.0), Ended(1, -9)]
    stream = b"".join(map(framed, records))
    for size in (1, 2, 3, 5, 100, len(stream)):
        unframer = Unframer()
        pieces = (stream[at : at + size] for at in range(0, len(stream), size))
        assert [record for piece in pieces for record in unframer.feed(piece)] == records


def test_a_large_record_with_descriptors_arrives_whole(pair: tuple[socket.socket, socket.socket]) -> None:
    ask = Ask("POST", "/y", os.urandom(3_000_000), {}, 1.0)
    sender = threading.Thread(target=send, args=(pair[0], ask, [0, 1]))
    sender.start()
    received = receive(pair[1])
    sender.join(10)
    assert received is not None
    assert received[0] == ask
    assert len(received[1]) == 2
    for descriptor in received[1]:
        assert not os.get_inheritable(descriptor)
        os.close(descriptor)


def test_answers_come_through_the_worker(
    transport: RelayTransport, worker: Callable[..., list[Ask]], direct: Direct
) -> None:
    asked = worker(Answer(200, b"one", {"h": "v"}), Answer(409, b"two", {}))
    assert transport.send(ASKED) == Response(200, b"one", {"h": "v"})
    assert transport.send(ASKED) == Response(409, b"two")
    assert asked == [Ask("GET", "/x", b"{}", {"a": "b"}, 60.0)] * 2
    assert direct.sent == []


def test_an_api_that_is_away_is_unreachable(
    transport: RelayTransport, worker: Callable[..., list[Ask]], direct: Direct
) -> None:
    worker(Silence("No answer from the API."), Answer(200, b"back", {}))
    with pytest.raises(Unreachable, match="No answer from the API"):
        transport.send(ASKED)
    assert transport.send(ASKED).body == b"back"
    assert direct.sent == []


def test_without_a_worker_requests_go_past_it(
    transport: RelayTransport, pair: tuple[socket.socket, socket.socket], direct: Direct
) -> None:
    pair[1].close()
    assert [transport.send(ASKED).body for _ in range(2)] == [b"direct"] * 2
    transport.close()
    assert direct.closed == 1


def test_a_worker_that_goes_without_an_answer_is_done_without(
    transport: RelayTransport, pair: tuple[socket.socket, socket.socket], direct: Direct
) -> None:
    def leave() -> None:
        receive(pair[1])
        pair[1].close()

    thread = threading.Thread(target=leave)
    thread.start()
    assert transport.send(ASKED).body == b"direct"
    thread.join(10)
    assert direct.sent == [ASKED], "the request is sent again"


def test_a_worker_that_hangs_is_done_without(
    pair: tuple[socket.socket, socket.socket], direct: Direct, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "PATIENCE", 0.05)
    transport = RelayTransport(pair[0], lambda: direct)
    assert transport.send(ASKED).body == b"direct"
    send(pair[1], Answer(200, b"too late", {}))
    assert transport.send(ASKED).body == b"direct", "an answer to an earlier request is not taken for another's"


def test_an_interrupted_exchange_is_not_gone_on_with(
    transport: RelayTransport, direct: Direct, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stop may raise anywhere in the main thread."""

    def interrupt(line: socket.socket) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(relay, "receive", interrupt)
    with pytest.raises(KeyboardInterrupt):
        transport.send(ASKED)
    assert transport.send(ASKED).body == b"direct"


def test_a_process_that_was_forked_from_the_run_goes_past_the_worker(transport: RelayTransport) -> None:
    """Also while another thread of its parent holds the line."""
    with transport._lock:
        pid = os.fork()
        if pid == 0:
            os._exit(transport.send(ASKED).body != b"direct")
        assert os.waitpid(pid, 0)[1] == 0


def test_threads_take_turns(transport: RelayTransport, worker: Callable[..., list[Ask]]) -> None:
    worker(*(Answer(200, b"x", {}) for _ in range(20)))
    bodies: list[bytes] = []
    threads = [threading.Thread(target=lambda: bodies.append(transport.send(ASKED).body)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert bodies == [b"x"] * 20
