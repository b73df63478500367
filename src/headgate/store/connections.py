"""How a process connects to PostgreSQL. SQLite has no use for any of it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Connections:
    """`most` of them at a time, beside the one that listens, which goes to `direct_url` if there is one.

    A unit of work that has no answer after `answer_seconds` is given up and its connection with it; None: never.
    `prepared`: statements are kept prepared, which takes a connection that stays the same between transactions.
    `wait_seconds`: for how long a database that is not there yet is tried again when it is opened.
    """

    most: int = 10
    connect_seconds: float = 10.0
    answer_seconds: float | None = None
    prepared: bool = True
    direct_url: str | None = None
    wait_seconds: float = 0.0


DEFAULT = Connections()
