"""What carries a request to the API: HTTP from a thread, HTTP from an event loop, or the app in this process."""

from dataclasses import dataclass, field
from typing import Protocol

from headgate.errors import Unreachable


@dataclass(frozen=True, slots=True)
class Request:
    """A request on the wire; `target` is below the API's root, `timeout` in seconds."""

    method: str
    target: str
    body: bytes | None
    headers: dict[str, str]
    timeout: float


@dataclass(frozen=True, slots=True)
class Response:
    """An answer; header names are lower-case."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


class Transport(Protocol):
    """Sends from a thread. Raises `Unreachable` when there is no answer."""

    def send(self, request: Request) -> Response: ...

    def close(self) -> None: ...


class AsyncTransport(Protocol):
    """Sends from an event loop. Raises `Unreachable` when there is no answer."""

    async def send_async(self, request: Request) -> Response: ...

    async def close_async(self) -> None: ...


def unreachable(url: str, error: BaseException) -> Unreachable:
    """The error of an API that does not answer, with what to do about it."""
    error = getattr(error, "certificate_error", error)  # aiohttp wraps it
    if refused := getattr(error, "verify_message", None):
        return Unreachable(
            f"The certificate of the API at {url} is refused: {refused}. If it comes from an authority of your own, "
            "name that authority's certificate in SSL_CERT_FILE."
        )
    reason = " ".join(str(error).split()) or ("timed out" if isinstance(error, TimeoutError) else type(error).__name__)
    return Unreachable(
        f"No answer from the API at {url}: {reason}. Is the server running (`headgate server start`), "
        "and is HEADGATE_API_URL right?"
    )
