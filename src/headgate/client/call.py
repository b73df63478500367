"""A call of the API as data: what to send, and what comes back."""

from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote, urlencode
from uuid import UUID

import msgspec

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request.

    `path` holds `{names}` filled from `at`; `returns` is the type of the answer's JSON, or None for no answer.
    `wait` is how many seconds the server may hold the call open on purpose, beyond the ordinary time-out.
    """

    method: str
    path: str
    at: dict[str, str | UUID] = field(default_factory=dict)
    body: Any = None
    query: dict[str, Any] = field(default_factory=dict)
    returns: Any = None
    wait: float = 0.0
    text: bool = False
    """The answer is text as it stands, not JSON."""

    @property
    def target(self) -> str:
        """Path and query as they stand in the request line, below the API's root."""
        path = self.path.format_map({name: quote(str(value), safe="") for name, value in self.at.items()})
        return f"{path}?{urlencode(self.query)}" if self.query else path

    def decode(self, body: bytes) -> T:
        """The answer's body as `returns`."""
        if self.text:
            return body.decode()  # type: ignore[return-value]
        return msgspec.json.decode(body, type=self.returns) if self.returns is not None else None  # type: ignore[return-value]
