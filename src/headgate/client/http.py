"""HTTP from a thread, on the standard library's client: a flow's process and the CLI start without importing another."""

import http.client
import ssl
import threading
from urllib.parse import urlsplit

from headgate.client.transport import Request, Response, unreachable


class HttpTransport:
    """One kept connection per thread."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._url = url
        self._root = parts.path.rstrip("/")
        self._netloc = parts.netloc.rpartition("@")[2]
        self._secure = parts.scheme == "https"
        self._context = ssl.create_default_context() if self._secure else None
        self._local = threading.local()

    def send(self, request: Request) -> Response:
        """Send; a kept connection that the server closed meanwhile is opened anew once."""
        connection: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if connection is not None:
            try:
                return self._exchange(connection, request)
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                connection.close()
            except (OSError, http.client.HTTPException) as error:
                self._drop()
                raise unreachable(self._url, error) from error
        try:
            connection = self._local.connection = self._connect(request.timeout)
            return self._exchange(connection, request)
        except (OSError, http.client.HTTPException) as error:
            self._drop()
            raise unreachable(self._url, error) from error

    def close(self) -> None:
        """Close this thread's connection."""
        self._drop()

    def _connect(self, timeout: float) -> http.client.HTTPConnection:
        if self._secure:
            return http.client.HTTPSConnection(self._netloc, timeout=timeout, context=self._context)
        return http.client.HTTPConnection(self._netloc, timeout=timeout)

    def _exchange(self, connection: http.client.HTTPConnection, request: Request) -> Response:
        if connection.sock is not None:
            connection.sock.settimeout(request.timeout)
        connection.request(request.method, self._root + request.target, request.body, request.headers)
        answer = connection.getresponse()
        return Response(answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()})

    def _drop(self) -> None:
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            self._local.connection = None
