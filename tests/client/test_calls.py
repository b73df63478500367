"""Every call is an operation of the committed API document, and every operation has its call."""

import inspect
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints
from uuid import UUID

import jsonschema_rs
import msgspec
import pytest
from msgspec import inspect as types

from headgate.client import calls
from headgate.client.call import Call
from headgate.schema.claims import ClaimRequest
from headgate.schema.events import RESOURCE
from headgate.schema.schedules import Schedule

DOCUMENT = msgspec.json.decode((Path(__file__).parents[2] / "openapi.json").read_bytes())
PATHS: dict[str, dict[str, Any]] = DOCUMENT["paths"]
REF = "#/components/schemas/{name}"
METHODS = ("get", "post", "put", "patch", "delete")

MAKERS: dict[str, Callable[..., Call[Any]]] = {
    f"{module.name}.{name}": maker
    for module in iter_modules(calls.__path__)
    if module.name != "listings"  # of servers of other versions
    for name, maker in vars(import_module(f"headgate.client.calls.{module.name}")).items()
    if inspect.isfunction(maker) and not name.startswith("_")
}


SCALARS: dict[type, Any] = {
    types.UUIDType: str(UUID(int=7)),
    types.DateTimeType: "2026-03-02T09:00:00Z",
    types.IntType: 1,
    types.BoolType: True,
    types.FloatType: 1.0,
    types.StrType: "text",
    types.DictType: {"key": "value"},
    types.AnyType: [1],
}


def sample(type: Any) -> Any:
    """A value of a wire type: what is required, and nothing else."""
    if get_origin(type) in (Union, UnionType):
        type = get_args(type)[0]
    return msgspec.convert(_builtins(types.type_info(type)), type)


def _builtins(type: types.Type) -> Any:
    match type:
        case types.StructType(cls=cls) if cls is Schedule:
            return {"cron": "0 9 * * *"}  # one of three fields, which the type cannot say
        case types.DictType(value_type=types.StrType()):
            return {RESOURCE: "text"}  # the label without which nothing is a resource
        case types.StructType(fields=fields):
            required = [field for field in fields if field.required]
            return {field.encode_name: _builtins(field.type) for field in required}
        case types.ListType(item_type=item):
            return [_builtins(item)]
        case types.UnionType(types=(first, *_)):
            return _builtins(first)
        case types.EnumType(cls=cls):
            return next(iter(cls)).value
        case types.Metadata(type=inner):
            return _builtins(inner)
    return SCALARS[type.__class__]


def make(name: str) -> Call[Any]:
    """A call, with whatever arguments it needs."""
    hints = get_type_hints(MAKERS[name])
    parameters = inspect.signature(MAKERS[name]).parameters
    return MAKERS[name](*(sample(hints[parameter]) for parameter in parameters))


def schema_of(type: Any) -> Any:
    """The schema of a type as the document writes it."""
    (schema,), _ = msgspec.json.schema_components([type], ref_template=REF)
    return schema


def operation_of(call: Call[Any]) -> dict[str, Any]:
    assert call.path in PATHS
    assert call.method.lower() in PATHS[call.path]
    operation: dict[str, Any] = PATHS[call.path][call.method.lower()]
    return operation


each_call = pytest.mark.parametrize("name", sorted(MAKERS))


@each_call
def test_a_call_fills_the_path_and_the_query_of_its_operation(name: str) -> None:
    call = make(name)
    parameters = operation_of(call).get("parameters", [])
    assert set(call.at) == {each["name"] for each in parameters if each["in"] == "path"}
    query = {each["name"]: each["required"] for each in parameters if each["in"] == "query"}
    assert set(call.query) <= set(query)
    assert {name for name, required in query.items() if required} <= set(call.query)
    assert "{" not in call.target


@each_call
def test_a_call_sends_the_body_of_its_operation(name: str) -> None:
    call = make(name)
    content = operation_of(call).get("requestBody")
    if content is None:
        assert call.body is None
        return
    schema = content["content"]["application/json"]["schema"]
    hints = get_type_hints(MAKERS[name])
    declared = hints.get("body") or hints["labels"]
    if get_origin(declared) is UnionType:  # the caller may leave it out; then a body of defaults is sent
        declared = get_args(declared)[0]
    expected = {"type": "object"} if declared == dict[str, object] else schema_of(declared)
    assert expected in (schema, schema.get("anyOf", [None])[0])
    whole = {**schema, "components": DOCUMENT["components"]}
    jsonschema_rs.validate(whole, msgspec.to_builtins(call.body))


@each_call
def test_a_call_returns_what_its_operation_answers(name: str) -> None:
    call = make(name)
    answers = {code: answer for code, answer in operation_of(call)["responses"].items() if code.startswith("2")}
    assert answers
    for answer in answers.values():
        content = answer.get("content")
        expected = None if call.returns is None else {"application/json": {"schema": schema_of(call.returns)}}
        assert content == expected
    declared = get_args(get_type_hints(MAKERS[name])["return"])[0]
    assert declared == (type(None) if call.returns is None else call.returns)


def test_every_operation_has_one_call() -> None:
    operations = {(method.upper(), path) for path, item in PATHS.items() for method in METHODS if method in item}
    made = [(call.method, call.path) for call in map(make, MAKERS)]
    assert set(made) == operations
    assert len(made) == len(set(made))


@pytest.mark.parametrize(
    ("text", "quoted"), [("a b", "a%20b"), ("a/b", "a%2Fb"), ("100%", "100%25"), ("?#&", "%3F%23%26"), ("ü", "%C3%BC")]
)
def test_names_are_quoted_in_paths(text: str, quoted: str) -> None:
    assert Call("GET", "/flows/name/{name}", at={"name": text}).target == f"/flows/name/{quoted}"


def test_queries_are_quoted() -> None:
    assert Call("GET", "/x", query={"a": "b c&d"}).target == "/x?a=b+c%26d"


def test_a_long_poll_says_how_long_it_may_be_held() -> None:
    body = ClaimRequest(worker="w", wait_seconds=20)
    assert MAKERS["claims.claim"]("pool", body).wait == 20
    assert all(make(name).wait == 0 for name in MAKERS)
