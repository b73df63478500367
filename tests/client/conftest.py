"""A server on a free port that counts connections and misbehaves when told to."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

CERTIFICATE = Path(__file__).with_name("self_signed.pem")
"""Of 127.0.0.1, with its key; for tests only, no authority vouches for it."""


class Act(Enum):
    """What the server does with a request."""

    ANSWER = auto()
    """Answer 200 with the request's body, or `true`."""

    ANSWER_AND_LEAVE = auto()
    """The same, with the word that it closes the connection."""

    HANG_UP = auto()
    """Close the connection without an answer."""

    HALF = auto()
    """Close the connection in the middle of the answer."""

    SILENCE = auto()
    """Say nothing until the test is over."""

    BABBLE = auto()
    """Answer with something that is not HTTP."""


@dataclass
class Peer:
    """The server. `script` holds what it does with the next requests; after that it answers."""

    server: ThreadingHTTPServer
    scheme: str = "http"
    script: list[Act] = field(default_factory=list)
    requests: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    connections: list[socket.socket] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server.server_port}/api"

    def hang_up(self) -> None:
        """Close all connections, as a server does with idle ones."""
        for connection in self.connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def act(self) -> Act:
        return self.script.pop(0) if self.script else Act.ANSWER


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self.peer: Peer = self.server.peer  # type: ignore[attr-defined]
        self.peer.connections.append(self.connection)

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.peer.requests.append((self.command, self.path, headers, body))
        act = self.peer.act()
        if act in (Act.ANSWER, Act.ANSWER_AND_LEAVE):
            self._answer(body or b"true", leave=act is Act.ANSWER_AND_LEAVE)
            return
        self.close_connection = True
        match act:
            case Act.HALF:
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[")
            case Act.BABBLE:
                self.wfile.write(b"SSH-2.0-OpenSSH_9.9\r\n")
            case Act.SILENCE:
                self.peer.over.wait()

    do_GET = do_POST = answer

    def _answer(self, body: bytes, *, leave: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Word", "Yes")
        if leave:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that gave up


@pytest.fixture
def start_peer() -> Iterator[Callable[..., Peer]]:
    """Starts servers, and stops them in the end."""
    peers: list[tuple[Peer, threading.Thread]] = []

    def start(*, secure: bool = False) -> Peer:
        server = _Server(("127.0.0.1", 0), _Handler)
        if secure:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(CERTIFICATE)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        peer = Peer(server, "https" if secure else "http")
        server.peer = peer  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        peers.append((peer, thread))
        return peer

    yield start
    for peer, thread in peers:
        peer.over.set()
        peer.server.shutdown()
        peer.hang_up()
        peer.server.server_close()
        thread.join()


@pytest.fixture
def peer(start_peer: Callable[..., Peer]) -> Peer:
    """A server."""
    return start_peer()


@pytest.fixture
def acts() -> type[Act]:
    """The class of what a server does."""
    return Act


@pytest.fixture
def certificate() -> Path:
    """The certificate of secure servers."""
    return CERTIFICATE
