"""An API that answers what a test tells it to."""

from dataclasses import dataclass, field
from typing import Any

import msgspec

from headgate.client.transport import Request, Response


@dataclass(slots=True)
class Script:
    """Several answers of one call come in turn, and the last one stays; what is not known is 404."""

    answers: dict[tuple[str, str], list[tuple[int, Any]]] = field(default_factory=dict)
    requests: list[tuple[str, str, Any]] = field(default_factory=list)

    def on(self, method: str, target: str, *answers: Any, status: int = 200) -> None:
        """Answer calls of `target` with these bodies."""
        self.answers[method, target] = [(status, answer) for answer in answers]

    def send(self, request: Request) -> Response:
        """Answer a request."""
        body = msgspec.json.decode(request.body) if request.body else None
        self.requests.append((request.method, request.target, body))
        queue = self.answers.get((request.method, request.target), [(404, {"detail": "Not Found"})])
        status, answer = queue.pop(0) if len(queue) > 1 else queue[0]
        return Response(status, msgspec.json.encode(answer))

    def close(self) -> None:
        """Nothing to close."""
