"""The error tree. Errors are raised low and become an HTTP status in one place, `api/errors.py`.

    HeadgateError
    ├── Invalid            422  a value breaks a rule that its type does not express
    │   ├── BrokenTemplate          a template of messages that cannot be read
    │   └── Unprocessable           told in one sentence, for clients that read it under a key of its own
    │       └── PageTooLarge        more rows asked for than one answer holds
    ├── NotFound           404
    ├── Conflict           409  it exists already, or something depends on it
    ├── Gone               410  it was there, and has ended
    ├── Forbidden          403
    ├── Unauthorized       401
    ├── TooLarge           413
    ├── Locked             423  others hold what is asked for
    ├── BadRequest         400
    ├── Unavailable        503  the server cannot answer now; the call may be sent again
    │   └── Unreachable         the client got no answer
    ├── DatabaseError           the database cannot be opened or is not ours to use
    └── ConfigError             a setting, profile or file of the user's is wrong
        └── NotConfigured  501  the server lacks a setting that the call needs; its caller is told which

Messages say what is wrong, with the value, and what to do next.
"""

from collections.abc import Mapping
from typing import Any


class HeadgateError(Exception):
    """Ground of all errors whose message is meant for a person."""


class Invalid(HeadgateError):
    """A value breaks a rule. `field` is its path, such as `schedules[0].cron`; `value` is what was given.

    A `field` of "" says that it is none of what was sent, but what stands already.

    `detail` are the words in which existing clients read it, where they look for some.
    """

    def __init__(self, message: str, *, field: str | None = None, value: Any = None, detail: str | None = None) -> None:
        super().__init__(message)
        self.field = field
        self.value = value
        self.detail = detail


class BrokenTemplate(Invalid):
    """A template of messages that cannot be read; `line` says where, 0 that the whole is at fault."""

    def __init__(self, message: str, *, line: int, source: str) -> None:
        super().__init__(message)
        self.line = line
        self.source = source


class Unprocessable(Invalid):
    """A call that cannot be carried out as things are; existing clients read its words under a key of their own."""


class PageTooLarge(Unprocessable):
    """More rows asked for than one answer holds."""


class NotFound(HeadgateError):
    """No such record."""


class Conflict(HeadgateError):
    """The record exists already, or something depends on it."""


class Gone(HeadgateError):
    """It was there, and has ended."""


class Locked(HeadgateError):
    """Others hold what is asked for; `retry_after` says in how many seconds it may be free."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Forbidden(HeadgateError):
    """Not allowed, whoever asks."""


class Unauthorized(HeadgateError):
    """No credentials, or wrong ones."""


class TooLarge(HeadgateError):
    """A body over the limit."""


class BadRequest(HeadgateError):
    """A request that cannot be read."""


class Unavailable(HeadgateError):
    """The server cannot answer now; the call may be sent again."""


class Unreachable(Unavailable):
    """No answer from the API at all."""


class DatabaseError(HeadgateError):
    """The database cannot be opened, or is not one that this program may use."""


class ConfigError(HeadgateError):
    """A setting, a profile or a file of the user's is wrong."""


class NotConfigured(ConfigError):
    """The server lacks a setting that the call needs, or has one that does not fit."""


BY_STATUS: Mapping[int, type[HeadgateError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    413: TooLarge,
    422: Invalid,
    423: Locked,
    501: NotConfigured,
    503: Unavailable,
}
"""The error that a client raises for a status; the server's mapping is its inverse."""
