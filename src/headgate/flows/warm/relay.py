"""The way of a forked engine to the API: through its worker for as long as that is there, then on its own."""

import os
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass

from headgate.client.transport import Request, Response, Transport
from headgate.errors import Unreachable
from headgate.flows.reporter import Assignment
from headgate.flows.warm.wire import Answer, Ask, Silence, receive, send

PATIENCE = 5.0
"""Seconds for an answer through the worker, well within a lease. After that the worker is taken to hang."""


@dataclass(frozen=True, slots=True)
class Provision:
    """What a forked engine is given: its run, which saves it from asking, and its line to the worker."""

    assignment: Assignment | None
    line: socket.socket | None


class RelayTransport:
    """Sends over a line to the worker, one request at a time, from any thread.

    When the worker is gone, or hangs, everything goes over `direct()` from then on, and a request that was not answered
    is sent again; `Client` says why that does no harm. A process that was forked from this one uses its own.
    """

    def __init__(self, line: socket.socket, direct: Callable[[], Transport]) -> None:
        line.settimeout(PATIENCE)
        self._line = line
        self._make_direct = direct
        self._direct: Transport | None = None
        self._pid = os.getpid()
        self._cut = False
        self._lock = threading.Lock()

    def send(self, request: Request) -> Response:
        """Send through the worker, or past it."""
        if self._pid == os.getpid():
            with self._lock:
                answer = None if self._cut else self._ask(request)
            match answer:
                case Answer(status, body, headers):
                    return Response(status, body, headers)
                case Silence(reason):
                    raise Unreachable(reason)
        if self._direct is None:
            self._direct = self._make_direct()
        return self._direct.send(request)

    def close(self) -> None:
        """Close what is idle; like other transports it can be used again."""
        if self._direct is not None:
            self._direct.close()

    def hang_up(self) -> None:
        """Close the line for good."""
        self._cut = True
        self._line.close()

    def _ask(self, request: Request) -> Answer | Silence | None:
        """The answer; None when there is none to be had from the worker any more."""
        self._cut = True  # whatever comes in between, a signal too: an answer that nobody read would be taken for the next
        ask = Ask(request.method, request.target, request.body, request.headers, request.timeout)
        try:
            send(self._line, ask)
            received = receive(self._line)
        except OSError:
            return None
        if received is None:
            return None
        self._cut = False
        answer: Answer | Silence = received[0]
        return answer
