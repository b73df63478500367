"""Routes as functions: a signature, read once at registration, says what a request holds and what its answer is."""

import inspect
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import NoneType, UnionType
from typing import Any, Generic, TypeVar, Union, get_args, get_origin
from urllib.parse import parse_qs

import msgspec

from headgate.api import faults, lenience
from headgate.api.errors import (
    FieldProblem,
    Reply,
    Unreadable,
    malformed_body,
    misfit_body,
    unreadable_query,
    unstorable_body,
)

T = TypeVar("T")
Handler = Callable[..., Awaitable[Any]]
H = TypeVar("H", bound=Handler)

_JSON = msgspec.json.Encoder()
_NUL = rb"\u0000"
_ESCAPED_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")
"""With an even number of backslashes before it; with an odd one it is a backslash and the text `u0000`."""

ABSENT: Any = inspect.Parameter.empty
"""The default of a parameter that must be given."""


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """A value with a status that overrides the route's, and further headers."""

    value: T
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Prebuilt(Generic[T]):
    """An answer whose JSON exists already; `T` is what it holds, for the OpenAPI document."""

    body: bytes
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Text:
    """An answer, or a body, that is text as it stands."""

    content: str


@dataclass(frozen=True, slots=True)
class Download:
    """An answer that is a file, sent as it is made."""

    chunks: AsyncIterator[str]
    kind: str
    headers: Mapping[str, str] = field(default_factory=dict)

    async def encoded(self) -> AsyncIterator[bytes]:
        """Its bytes."""
        async for chunk in self.chunks:
            yield chunk.encode()


@dataclass(frozen=True, slots=True)
class Parameter:
    """A value from the path or the query. `many`: it may be given several times and is a list.

    `title`: its name on the wire, where that is no name of Python's: `Annotated[str, Meta(title="page-token")]`.
    """

    name: str
    type: Any
    default: Any = ABSENT
    many: bool = False
    title: str | None = None

    @property
    def key(self) -> str:
        """Its name on the wire."""
        return self.title or self.name


@dataclass(frozen=True, slots=True)
class Body:
    """The JSON body. `optional`: a request without one means None. `is_text`: it is a `Text`, empty when there is none.

    `NUL` has no place in PostgreSQL's texts: it is refused, or, where `replaces_nul` because programs wrote the text
    and nobody could mend it, stands as the replacement character.
    """

    type: Any
    optional: bool
    replaces_nul: bool
    decoder: msgspec.json.Decoder[Any]
    is_text: bool = False

    def decode(self, raw: bytes) -> Any:
        """`raw` as the route's type; `Unreadable` names the field and the value that do not fit."""
        if self.is_text:
            return Text(_text(raw, self.decoder))
        if not raw and self.optional:
            return None
        if _NUL in raw and _ESCAPED_NUL.search(raw):
            if not self.replaces_nul:
                raise unstorable_body(raw)
            raw = _ESCAPED_NUL.sub(rb"\1\\ufffd", raw)
        try:
            return self.decoder.decode(raw)
        except msgspec.ValidationError:
            return self._decode_leniently(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise malformed_body(raw, error) from None

    def _decode_leniently(self, raw: bytes) -> Any:
        try:
            return lenience.read(raw, self.type)
        except msgspec.ValidationError:
            parsed = msgspec.json.decode(raw)
            raise misfit_body(parsed, faults.find(msgspec.json.decode(raw), self.type)) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise malformed_body(raw, error) from None


@dataclass(frozen=True, slots=True)
class Route:
    """One operation. `path` holds `{names}`; `returns` is the type of the answer's JSON, `NoneType` for none."""

    method: str
    path: str
    handler: Handler
    status: int
    tag: str
    error_key: str
    takes_scope: bool
    in_path: Mapping[str, Parameter]
    in_query: tuple[Parameter, ...]
    body: Body | None
    returns: Any
    chooses_status: bool
    confidential: bool

    def arguments(self, values: Mapping[str, Any], query: bytes, raw: bytes) -> dict[str, Any]:
        """What the handler is called with, apart from `scope`; `Unreadable` names all that is missing or does not fit."""
        arguments = dict(values)
        problems: list[FieldProblem] = []
        given = parse_qs(query.decode("latin-1"), keep_blank_values=True) if self.in_query else {}
        for each in self.in_query:
            try:
                arguments[each.name] = _convert_query(each, given.get(each.key))
            except Unreadable as error:
                problems += error.problems
        if self.body is not None:
            try:
                arguments["body"] = self.body.decode(raw)
            except Unreadable as error:
                problems += error.problems
        if problems:
            raise Unreadable(*problems)
        return arguments

    def reply(self, result: Any) -> Reply:
        """What the handler returned, as it is sent."""
        match result:
            case Answer(value, status, headers):
                return Reply(status, _encode(value, status), _pairs(headers))
            case Text(content):
                return Reply(self.status, content.encode(), kind=b"text/plain; charset=utf-8")
            case Download(kind=kind, headers=headers):
                return Reply(self.status, b"", _pairs(headers), kind=kind.encode("latin-1"), chunks=result.encoded())
            case Prebuilt(body, status):
                return Reply(status or self.status, body)
            case _:
                return Reply(self.status, _encode(result, self.status))


def _pairs(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), text.encode("latin-1")) for name, text in headers.items()]


def _encode(value: Any, status: int) -> bytes:
    return b"" if status == 204 else _JSON.encode(value)


class Router:
    """Collects the routes of one noun, under one prefix and one tag.

    A handler's parameters are found by name and annotation: `scope` is what `make_scope` gave, `body` the JSON
    body (`| None`: it may be empty; `Text`: it is text as it stands), names in the path come from the path, all
    others from the query. A path whose values do not have the annotated types is no path of that route. `error_key`
    is the key that a `NotFound`'s message stands under; `replaces_nul` is for bodies of text that programs print.
    Of a `confidential` noun no refusal shows what was sent.
    """

    def __init__(self, prefix: str = "", *, tag: str = "", confidential: bool = False) -> None:
        self.prefix = prefix
        self.tag = tag
        self.confidential = confidential
        self.routes: list[Route] = []

    def get(self, path: str, *, status: int = 200, error_key: str = "detail") -> Callable[[H], H]:
        """Register a handler of GET, and of HEAD."""
        return self._register("GET", path, status, error_key)

    def post(
        self, path: str, *, status: int = 200, error_key: str = "detail", replaces_nul: bool = False
    ) -> Callable[[H], H]:
        """Register a handler of POST."""
        return self._register("POST", path, status, error_key, replaces_nul=replaces_nul)

    def put(self, path: str, *, status: int = 200, error_key: str = "detail") -> Callable[[H], H]:
        """Register a handler of PUT."""
        return self._register("PUT", path, status, error_key)

    def patch(self, path: str, *, status: int = 204, error_key: str = "detail") -> Callable[[H], H]:
        """Register a handler of PATCH."""
        return self._register("PATCH", path, status, error_key)

    def delete(self, path: str, *, status: int = 204, error_key: str = "detail") -> Callable[[H], H]:
        """Register a handler of DELETE."""
        return self._register("DELETE", path, status, error_key)

    def _register(
        self, method: str, path: str, status: int, error_key: str, *, replaces_nul: bool = False
    ) -> Callable[[H], H]:
        def register(handler: H) -> H:
            shape = _read_signature(handler, path=self.prefix + path, replaces_nul=replaces_nul)
            self.routes.append(
                Route(
                    method=method,
                    path=self.prefix + path,
                    handler=handler,
                    status=status,
                    tag=self.tag,
                    error_key=error_key,
                    confidential=self.confidential,
                    **shape,
                )
            )
            return handler

        return register


def _read_signature(handler: Handler, *, path: str, replaces_nul: bool) -> dict[str, Any]:
    """What a route takes and returns, as the fields of `Route`; `TypeError` for what cannot be served."""
    signature = inspect.signature(handler, eval_str=True)
    given = dict(signature.parameters)
    takes_scope = given.pop("scope", None) is not None
    body = given.pop("body", None)
    in_path: dict[str, Parameter] = {}
    for name in re.findall(r"{(\w+)}", path):
        if name not in given:
            raise TypeError(f"{handler.__qualname__} has no parameter for {{{name}}} of {path}.")
        in_path[name] = Parameter(name, _annotation(handler, given.pop(name)))
    returns = _annotation(handler, signature, name="return")
    return {
        "takes_scope": takes_scope,
        "in_path": in_path,
        "in_query": tuple(_query_parameter(handler, each) for each in given.values()),
        "body": None if body is None else _body(_annotation(handler, body), replaces_nul=replaces_nul),
        "returns": _unwrapped(returns),
        "chooses_status": get_origin(returns) is Answer,
    }


def _annotation(handler: Handler, holder: inspect.Parameter | inspect.Signature, *, name: str = "") -> Any:
    found = holder.return_annotation if isinstance(holder, inspect.Signature) else holder.annotation
    if found is ABSENT:
        name = name or getattr(holder, "name", "")
        raise TypeError(f"{handler.__qualname__}: {name!r} needs an annotation.")
    return found


def _unwrapped(returns: Any) -> Any:
    """The type of the JSON: what `Answer[…]` and `Prebuilt[…]` hold, `NoneType` for None."""
    if get_origin(returns) in (Answer, Prebuilt):
        returns = get_args(returns)[0]
    if returns in (Text, Download):
        return str
    return NoneType if returns is None else returns


def _body(annotation: Any, *, replaces_nul: bool) -> Body:
    if annotation is Text:
        return Body(str, True, replaces_nul, msgspec.json.Decoder(str), is_text=True)
    optional = get_origin(annotation) in (Union, UnionType) and NoneType in get_args(annotation)
    return Body(annotation, optional, replaces_nul, msgspec.json.Decoder(annotation))


def _text(raw: bytes, decoder: msgspec.json.Decoder[str]) -> str:
    """Text as it stands, or as JSON has it."""
    try:
        return decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return raw.decode(errors="replace")


def _query_parameter(handler: Handler, parameter: inspect.Parameter) -> Parameter:
    kind = _annotation(handler, parameter)
    many = any(get_origin(each) in (list, set, tuple) for each in (kind, *get_args(kind)))
    title = next((each.title for each in get_args(kind) if isinstance(each, msgspec.Meta) and each.title), None)
    return Parameter(parameter.name, kind, parameter.default, many=many, title=title)


def _convert_query(parameter: Parameter, given: list[str] | None) -> Any:
    if given is None:
        if parameter.default is ABSENT:
            raise unreadable_query(parameter.key, None)
        return parameter.default
    try:
        return msgspec.convert(given if parameter.many else given[-1], parameter.type, strict=False)
    except msgspec.ValidationError as error:
        raise unreadable_query(parameter.key, given if parameter.many else given[-1], error=error) from None
