"""What tests of the command line share: how a command is called and what it answers."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A command's exit code and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """stdout as JSON."""
        return msgspec.json.decode(self.out)


Run = Callable[..., Outcome]
"""`run("flow", "ls")`."""


def lines(text: str) -> list[str]:
    """The lines of an output without the blanks at their ends."""
    return [line.rstrip() for line in text.splitlines()]


def drawn(text: str) -> list[str]:
    """The lines of a table; where its title and caption stand over it does not matter."""
    return [line.strip() for line in text.splitlines()]
