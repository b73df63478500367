"""What an error is on the wire: the one mapping of `headgate.errors` to a status and a body.

Invalid, or a request that does not fit the route's types
                             422  {"exception_message", "exception_detail": [{type, loc, msg, input}], "request_body"}
Unprocessable                422  {"detail"}
NotFound                     404  {"detail"}, or under the route's `error_key`
BadRequest Forbidden Conflict Gone TooLarge
             400 403 409 410 413  {"detail"}
Locked                       423  {"detail"}, with Retry-After where it is known
Unauthorized                 401  {"exception_message"}
Unavailable                  503  {"exception_message"}, with Retry-After
NotConfigured                501  {"exception_message"}
anything else                500  {"exception_message"}; logged with its traceback
"""

import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from starlette.exceptions import HTTPException

from headgate.errors import (
    BY_STATUS,
    BadRequest,
    BrokenTemplate,
    Conflict,
    Forbidden,
    Gone,
    HeadgateError,
    Invalid,
    Locked,
    NotConfigured,
    NotFound,
    TooLarge,
    Unauthorized,
    Unavailable,
    Unprocessable,
)

RETRY_AFTER_SECONDS = 1
OLDEST_API_VERSION = (0, 8, 0)

_JSON = msgspec.json.Encoder(enc_hook=str)


class FieldProblem(msgspec.Struct, kw_only=True):
    """One value that is not as it should be; `loc` leads to it from `body` or `query`."""

    type: str
    loc: list[str | int]
    msg: str
    input: Any = None


class ValidationProblem(msgspec.Struct, kw_only=True):
    """The answer to a request that cannot be used, with what is wrong and the body as it came."""

    exception_message: str
    exception_detail: list[FieldProblem]
    request_body: Any = None
    detail: str | msgspec.UnsetType = msgspec.UNSET
    """The same in the words of existing servers, where clients read those."""


class Problem(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Any other refusal, in words."""

    detail: str | None = None
    exception_message: str | None = None


class Unreadable(Invalid):
    """A request that does not fit its route's types."""

    def __init__(self, *problems: FieldProblem) -> None:
        super().__init__(problems[0].msg, value=problems[0].input)
        self.problems = problems


class Reply(NamedTuple):
    """An answer as it is sent: JSON, and the headers beyond its type and length."""

    status: int
    body: bytes
    headers: Sequence[tuple[bytes, bytes]] = ()
    kind: bytes = b"application/json"
    chunks: AsyncIterator[bytes] | None = None
    """What follows the body, sent as it comes."""


def failure(error: Exception, *, raw: bytes = b"", error_key: str = "detail") -> Reply:
    """`error` on the wire. `raw` is the request's body; `error_key` the key of a `NotFound`'s message."""
    match error:
        case Invalid():
            return _invalid(error, raw)
        case NotFound():
            return _problem(404, error_key, str(error))
        case BadRequest() | Forbidden() | Conflict() | Gone() | TooLarge():
            status = next(status for status, kind in BY_STATUS.items() if isinstance(error, kind))
            return _problem(status, "detail", str(error))
        case Locked(retry_after=seconds):
            return _problem(423, "detail", str(error), None if seconds is None else {"retry-after": str(seconds)})
        case Unauthorized():
            return _problem(401, "exception_message", "Unauthorized")
        case Unavailable():
            return _problem(503, "exception_message", "Service Unavailable", {"retry-after": str(RETRY_AFTER_SECONDS)})
        case NotConfigured():
            return _problem(501, "exception_message", str(error))
        case HTTPException():
            return _problem(error.status_code, "detail", error.detail, error.headers)
        case _:
            return _problem(500, "exception_message", "Internal Server Error")


def without_values(error: HeadgateError) -> HeadgateError:
    """`error` without what was sent."""
    match error:
        case Unreadable(problems=problems):
            return Unreadable(*(msgspec.structs.replace(each, input=None) for each in problems))
        case Unprocessable():
            return error
        case Invalid():
            return Invalid(str(error), field=error.field)
        case _:
            return error


def malformed_body(raw: bytes, error: Exception) -> Unreadable:
    """There is no body, or `error`, met in decoding `raw`, says that it is no JSON."""
    if not raw:
        return Unreadable(FieldProblem(type="missing", loc=["body"], msg="Field required"))
    return Unreadable(_malformed(raw, error))


def misfit_body(parsed: Any, faults: Iterable[tuple[list[str | int], str]]) -> Unreadable:
    """The values at fault in a body, each by the way to it and the decoder's words."""
    return Unreadable(*(_told(parsed, at, words) for at, words in faults))


def _told(parsed: Any, at: list[str | int], words: str) -> FieldProblem:
    message, path = _split(words)
    return _located(["body", *at, *path[1:]], message, parsed)


def unstorable_body(raw: bytes) -> Unreadable:
    """Where `raw` holds the character NUL, for which PostgreSQL has no place."""
    path, text = _nul_in(_parsed(raw)) or ([], None)
    message = "The character NUL (\\u0000) cannot be stored; leave it out"
    return Unreadable(FieldProblem(type="value_error", loc=["body", *path], msg=message, input=text))


def unreadable_query(name: str, given: Any, *, error: msgspec.ValidationError | None = None) -> Unreadable:
    """A query parameter that does not fit, or, without an `error`, is missing."""
    if error is None:
        return Unreadable(FieldProblem(type="missing", loc=["query", name], msg="Field required"))
    message, path = _split(str(error))
    kind, words = _named(message)
    return Unreadable(FieldProblem(type=kind, loc=["query", name, *path], msg=words, input=_value_at(given, path)))


def place_of(message: str) -> list[str | int]:
    """The way to the value that a `ValidationError` is about."""
    return _split(message)[1]


def check_api_version(header: str) -> None:
    """`BadRequest` for an X-PREFECT-API-VERSION that is none, or is older than this server speaks."""
    try:
        major, minor, patch = (int(part) for part in header.split("."))
    except ValueError:
        raise BadRequest(
            f"Invalid X-PREFECT-API-VERSION header format.Expected header in format 'x.y.z' but received {header}"
        ) from None
    if (major, minor, patch) < OLDEST_API_VERSION:
        oldest = ".".join(map(str, OLDEST_API_VERSION))
        raise BadRequest(f"The request specified API version {header} but this server requires version {oldest} or higher.")


def _problem(status: int, key: str, message: str, headers: Mapping[str, str] | None = None) -> Reply:
    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in (headers or {}).items()]
    return Reply(status, _JSON.encode({key: message}), pairs)


def _invalid(error: Invalid, raw: bytes) -> Reply:
    parsed = _parsed(raw)
    match error:
        case BrokenTemplate(line=line, source=source):
            fault = {"line": line, "message": str(error), "source": source}
            return Reply(422, _JSON.encode({"error": fault}))
        case Unprocessable():
            return _problem(422, "detail", str(error))
        case Unreadable(problems=told):
            problems = [*told]
        case _:
            path = _parts(error.field or "")
            value = _value_at(parsed, path) if error.value is None and path else error.value
            loc: list[str | int] = [] if error.field == "" else ["body", *path]
            problems = [FieldProblem(type="value_error", loc=loc, msg=str(error), input=value)]
    body = ValidationProblem(
        exception_message="Invalid request received.",
        exception_detail=problems,
        request_body=parsed,
        detail=error.detail or msgspec.UNSET,
    )
    return Reply(422, _JSON.encode(body))


def _nul_in(value: Any) -> tuple[list[str | int], str] | None:
    """The way to the first text with a NUL in it, and that text; the name of a field counts as the field's."""
    match value:
        case str():
            return ([], value) if "\0" in value else None
        case dict():
            steps: Iterable[tuple[Any, Any]] = value.items()
        case list():
            steps = enumerate(value)
        case _:
            return None
    for step, inner in steps:
        if isinstance(step, str) and "\0" in step:
            return [step], step
        if (found := _nul_in(inner)) is not None:
            return [step, *found[0]], found[1]
    return None


def _malformed(raw: bytes, error: Exception) -> FieldProblem:
    """JSON that is none; its `loc` ends in the byte where that shows."""
    loc: list[str | int] = ["body"]
    message = str(error)
    if isinstance(error, RecursionError):
        message = "JSON is nested too deeply"
    elif isinstance(error, UnicodeDecodeError):
        message = "JSON is not in UTF-8"
        loc.append(_first_bad_byte(raw))
    elif found := re.search(r"\(byte (\d+)\)", message):
        loc.append(int(found[1]))
    elif "truncated" in message:
        loc.append(len(raw))
    return FieldProblem(type="json_invalid", loc=loc, msg=message)


def _first_bad_byte(raw: bytes) -> int:
    """Where `raw` stops being UTF-8; the JSON decoder counts from the start of the text that it was in."""
    try:
        return len(raw.decode())
    except UnicodeDecodeError as error:
        return error.start


_MISSING = re.compile(r"Object missing required field `(.+)`")
_UNKNOWN = re.compile(r"Object contains unknown field `(.+)`")


def _located(loc: list[str | int], message: str, parsed: Any) -> FieldProblem:
    """The problem that `message` tells of the value at `loc`; a missing or unknown field is named by `loc` too."""
    value = _value_at(parsed, loc[1:])
    if found := _MISSING.fullmatch(message):
        return FieldProblem(type="missing", loc=[*loc, found[1]], msg="Field required", input=value)
    if found := _UNKNOWN.fullmatch(message):
        return FieldProblem(
            type="extra_forbidden",
            loc=[*loc, found[1]],
            msg="Extra inputs are not permitted",
            input=_value_at(value, [found[1]]),
        )
    kind, words = _named(message)
    return FieldProblem(type=kind, loc=loc, msg=words, input=value)


def _split(message: str) -> tuple[str, list[str | int]]:
    """msgspec's "Expected `int`, got `str` - at `$.b[1]`" as words and path.

    The path ends where msgspec does not name the step: at the key, or at the values, of a mapping.
    """
    words, at, place = message.rpartition(" - at `")
    if not at:
        return message, []
    place = place.removeprefix("key` in `").removesuffix("`").removeprefix("$")
    return words, _parts(place.partition("[...]")[0])


def _parts(place: str) -> list[str | int]:
    """`schedules[0].cron` as `["schedules", 0, "cron"]`."""
    return [int(index) if index else name for name, index in re.findall(r"([^.\[\]]+)(?![^\[]*\])|\[(\d+)\]", place)]


def _parsed(raw: bytes) -> Any:
    """`raw` as untyped JSON, or as text when it is none; None when there is none."""
    try:
        return msgspec.json.decode(raw) if raw else None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return raw.decode(errors="replace")


def _value_at(value: Any, path: list[str | int]) -> Any:
    """What stands at `path`, or None."""
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return None
    return value


_TYPES = {
    "str": ("string", "string"),
    "int": ("int", "integer"),
    "float": ("float", "number"),
    "bool": ("bool", "boolean"),
    "array": ("list", "list"),
    "object": ("dict", "dictionary"),
}
"""The peer's words for types: in kinds of faults, and in messages."""

_KINDS = (
    (r"Expected `(.+)`, got `.*", "{0}_type", "Input should be a valid {1}"),
    (r"Expected `str` of length >= (\d+)", "string_too_short", "String should have at least {} characters"),
    (r"Expected `str` of length <= (\d+)", "string_too_long", "String should have at most {} characters"),
    (r"Expected `str` matching regex (.+)", "string_pattern_mismatch", "String should match pattern {}"),
    (r"Expected `\w+` of length >= (\d+)", "too_short", "Value should have at least {} items"),
    (r"Expected `\w+` of length <= (\d+)", "too_long", "Value should have at most {} items"),
    (r"Expected `\w+` >= (.+)", "greater_than_equal", "Input should be greater than or equal to {}"),
    (r"Expected `\w+` > (.+)", "greater_than", "Input should be greater than {}"),
    (r"Expected `\w+` <= (.+)", "less_than_equal", "Input should be less than or equal to {}"),
    (r"Expected `\w+` < (.+)", "less_than", "Input should be less than {}"),
    (r"Invalid enum value.*", "enum", None),
    (r"Invalid UUID.*", "uuid_parsing", None),
    (r"Invalid RFC3339 encoded datetime.*", "datetime_parsing", None),
)
"""What the decoder says, and the peer's word and words for it: clients, and their tests, compare them."""


def _named(message: str) -> tuple[str, str]:
    """The kind of the fault that the decoder tells of, and how it is told to clients."""
    for pattern, kind, words in _KINDS:
        if found := re.fullmatch(pattern, message, re.DOTALL):
            names = found[1].split(" | ") if kind == "{0}_type" else []
            known = _TYPES.get("float" if "float" in names else names[0], (names[0], names[0])) if names else found.groups()
            return kind.format(*known), words.format(*known) if words else message
    return "value_error", message
