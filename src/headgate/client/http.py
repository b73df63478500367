"""HTTP from a thread, on the standard library's client: a flow's process and the CLI start without importing another."""

import http.client
import os
import selectors
import ssl
from contextlib import suppress
from urllib.parse import urlsplit

from headgate.client.transport import Request, Response, unreachable

_HUNG_UP = (ConnectionResetError, BrokenPipeError)
"""How a server closes a connection under a request; `http.client.RemoteDisconnected` is one of them."""


class HttpTransport:
    """Kept connections, as many as calls were under way at once; any thread may use any of them.

    Servers close idle connections (uvicorn after 5 s). One that is closed is noticed before it is used. One that the
    server closes at that very moment is replaced and the request sent again, once, whatever its method: it is not to
    be told from a server that died over the request. So a request must do no harm when it arrives twice; see `Client`.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._url = url
        self._root = parts.path.rstrip("/")
        self._netloc = parts.netloc
        self._context = ssl.create_default_context() if parts.scheme == "https" else None
        self._idle: list[http.client.HTTPConnection] = []
        self._pid = os.getpid()
        self._closed = False

    def send(self, request: Request) -> Response:
        """Send over a kept connection, or a new one."""
        try:
            if (kept := self._take()) is not None:
                with suppress(*_HUNG_UP):
                    return self._exchange(kept, request)
            return self._exchange(self._connection(request.timeout), request)
        except (OSError, http.client.HTTPException) as error:
            raise unreachable(self._url, error) from error

    def close(self) -> None:
        """Close what is idle now, and what is in use when it is done. Later calls open a connection each."""
        self._closed = True
        while (connection := self._pop()) is not None:
            connection.close()

    def _take(self) -> http.client.HTTPConnection | None:
        """A kept connection that is still open."""
        if self._pid != os.getpid():  # forked: the parent goes on using these
            self._pid, inherited, self._idle = os.getpid(), self._idle, []
            for connection in inherited:
                connection.close()
        while (taken := self._pop()) is not None:
            if not _is_closed(taken):
                return taken
            taken.close()
        return None

    def _pop(self) -> http.client.HTTPConnection | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        if self._context is not None:
            return http.client.HTTPSConnection(self._netloc, timeout=timeout, context=self._context)
        return http.client.HTTPConnection(self._netloc, timeout=timeout)

    def _exchange(self, connection: http.client.HTTPConnection, request: Request) -> Response:
        try:
            if connection.sock is not None:
                connection.sock.settimeout(request.timeout)
            connection.request(request.method, self._root + request.target, request.body, request.headers)
            answer = connection.getresponse()
            response = Response(answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()})
        except BaseException:
            connection.close()
            raise
        self._keep(connection)
        return response

    def _keep(self, connection: http.client.HTTPConnection) -> None:
        if connection.sock is None:  # the server wants it closed, and it is
            return
        self._idle.append(connection)
        if self._closed:
            self.close()


def _is_closed(connection: http.client.HTTPConnection) -> bool:
    """Whether the server closed an idle connection: nothing else makes one readable."""
    with _Selector() as selector:
        selector.register(connection.sock, selectors.EVENT_READ)
        return bool(selector.select(0))


_Selector: type[selectors.BaseSelector] = getattr(selectors, "PollSelector", selectors.SelectSelector)
"""Windows has no `poll`; `select` would fail in a process with many open files."""
