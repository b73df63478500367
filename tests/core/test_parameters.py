"""Parameters are checked in the words that existing clients show to people."""

import time
from typing import Any

import pytest

from headgate.core.parameters import check_parameters, merge
from headgate.errors import Invalid

SCHEMA: dict[str, Any] = {
    "title": "Parameters",
    "type": "object",
    "properties": {
        "n": {"default": 3, "position": 0, "title": "n", "type": "integer"},
        "name": {"type": "string", "maxLength": 300},
        "maybe": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "choice": {"enum": ["a", "b"]},
        "rows": {"type": "array", "items": {"$ref": "#/definitions/Row"}},
    },
    "required": ["name"],
    "definitions": {"Row": {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}},
}


def test_merge_lays_a_runs_parameters_over_its_deployments() -> None:
    defaults = {"a": 1, "b": {"x": 1}}
    assert merge(defaults, {"b": {"y": 2}, "c": None}) == {"a": 1, "b": {"y": 2}, "c": None}
    assert defaults == {"a": 1, "b": {"x": 1}}


@pytest.mark.parametrize("schema", [None, {}])
def test_without_a_schema_anything_passes(schema: dict[str, Any] | None) -> None:
    check_parameters(schema, {"n": "notint"})


@pytest.mark.parametrize("more", [{}, {"n": 1, "maybe": None, "choice": "b", "rows": [{"id": 1}]}, {"unknown": [1]}])
def test_good_and_unknown_parameters_pass(more: dict[str, Any]) -> None:
    check_parameters(SCHEMA, {"name": "x", **more})


@pytest.mark.parametrize(
    ("parameters", "field", "reason"),
    [
        ({"n": "notint"}, "n", "'notint' is not of type 'integer'"),
        ({"n": None}, "n", "None is not of type 'integer'"),
        (
            {"maybe": "x"},
            "maybe",
            "'x' is not valid under any of the given schemas: 'x' is not of type 'integer'; or 'x' is not of type 'null'",
        ),
        ({"choice": "c"}, "choice", "'c' is not one of ['a', 'b']"),
        ({"rows": [{"id": 1}, {"id": "2"}]}, "rows[1].id", "'2' is not of type 'integer'"),
        ({"rows": [{}]}, "rows[0]", "'id' is a required property"),
    ],
)
def test_refusals_name_the_field_and_the_value(parameters: dict[str, Any], field: str, reason: str) -> None:
    with pytest.raises(Invalid) as refusal:
        check_parameters(SCHEMA, {"name": "x", **parameters})
    assert str(refusal.value) == f"Validation failed for field '{field}'. Failure reason: {reason}"
    assert refusal.value.field == f"parameters.{field}"


def test_missing_parameters_are_refused_unless_they_may_still_come() -> None:
    with pytest.raises(Invalid, match=r"^Validation failed\. Failure reason: 'name' is a required property$"):
        check_parameters(SCHEMA, {})
    check_parameters(SCHEMA, {}, partial=True)
    with pytest.raises(Invalid, match="field 'n'"):
        check_parameters(SCHEMA, {"n": "x"}, partial=True)


def test_unknown_parameters_are_refused_where_the_schema_says_so() -> None:
    with pytest.raises(Invalid, match="'extra' was unexpected"):
        check_parameters({**SCHEMA, "additionalProperties": False}, {"name": "x", "extra": 1})


def test_long_values_are_cut_in_messages() -> None:
    with pytest.raises(Invalid) as refusal:
        check_parameters(SCHEMA, {"name": "x" * 10_000})
    assert len(str(refusal.value)) < 400


def test_lists_of_items_as_older_tools_write_them_are_understood() -> None:
    pair = {"properties": {"p": {"type": "array", "items": [{"type": "string"}, {"type": "integer"}]}}}
    check_parameters(pair, {"p": ["a", 1]})
    with pytest.raises(Invalid, match=r"'p\[1\]'"):
        check_parameters(pair, {"p": ["a", "b"]})


@pytest.mark.parametrize("schema", [{"type": "nope"}, {"$ref": "#/none"}, {"$ref": "http://127.0.0.1:9/x"}])
def test_what_is_not_a_schema_is_refused_as_such(schema: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as refusal:
        check_parameters(schema, {})
    assert refusal.value.field == "parameter_openapi_schema"


def test_what_is_not_json_is_refused() -> None:
    with pytest.raises(Invalid, match="Validation failed"):
        check_parameters(SCHEMA, {"name": object()})


def test_a_schema_is_compiled_once() -> None:
    """Ten thousand checks against an equal schema take a moment; compiling each time takes seconds."""
    begin = time.process_time()
    for _ in range(10_000):
        check_parameters({**SCHEMA}, {"name": "x"})
    assert time.process_time() - begin < 1.5


def test_a_deployments_defaults_may_lack_anything_however_deep() -> None:
    """A run may bring it; a property that is itself called `required` is judged all the same."""
    person = {"type": "object", "required": ["name"], "properties": {"required": {"type": "integer"}}}
    schema = {"type": "object", "required": ["who"], "properties": {"who": {"allOf": [{"$ref": "#/$defs/Person"}]}}}
    schema |= {"$defs": {"Person": person}}
    check_parameters(schema, {}, partial=True)
    check_parameters(schema, {"who": {}}, partial=True)
    with pytest.raises(Invalid, match="'name' is a required property"):
        check_parameters(schema, {"who": {}})
    with pytest.raises(Invalid, match="'a' is not of type 'integer'"):
        check_parameters(schema, {"who": {"required": "a"}}, partial=True)
