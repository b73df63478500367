"""Base job templates: what is rendered, what is refused, and by which name."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.core.templates import check, render, validate_variables
from headgate.errors import Invalid

Json = dict[str, Any]


def template(configuration: Json, variables: Json | None = None, **schema: Any) -> Json:
    """A template whose variables are given as name -> schema."""
    return {"job_configuration": configuration, "variables": {"type": "object", "properties": variables or {}, **schema}}


PROCESS: Json = template(
    {
        "command": "{{ command }}",
        "env": "{{ env }}",
        "labels": "{{ labels }}",
        "name": "{{ name }}",
        "stream_output": "{{ stream_output }}",
        "working_dir": "{{ working_dir }}",
    },
    {
        "name": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
        "env": {"type": "object", "additionalProperties": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "command": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
        "stream_output": {"type": "boolean", "default": True},
        "working_dir": {"anyOf": [{"type": "string", "format": "path"}, {"type": "null"}], "default": None},
    },
)


# Rendering.


def test_defaults_fill_what_is_not_given_and_the_rest_disappears() -> None:
    assert render(PROCESS, {}) == {"stream_output": True}
    assert render(PROCESS, {"env": {"A": "1"}, "stream_output": False}) == {"env": {"A": "1"}, "stream_output": False}


def test_an_empty_template_renders_nothing() -> None:
    assert render({}, {"command": "x"}) == {}


@pytest.mark.parametrize("value", ["text", "", 5, 0, 1.5, True, False, [], [1, {"a": None}], {}, {"a": {"b": [None]}}])
def test_a_whole_placeholder_keeps_the_type_of_its_value(value: Any) -> None:
    assert render(template({"a": {"b": ["{{ v }}"]}, "c": "  {{v}} "}, {"v": {}}), {"v": value}) == {
        "a": {"b": [value]},
        "c": value,
    }


def test_a_placeholder_in_a_text_becomes_text() -> None:
    """Strings as they are, all else as JSON."""
    job = template({"a": "{{ s }}-{{ i }}-{{ b }}-{{ d }}!"}, {name: {} for name in "sibd"})
    assert render(job, {"s": 'say "hi"', "i": 5, "b": True, "d": {"k": [1]}}) == {"a": 'say "hi"-5-true-{"k":[1]}!'}


def test_what_is_unset_disappears_with_its_key_or_place() -> None:
    """Without a value or default, or with null as either."""
    job = template(
        {
            "key": "{{ no }}",
            "list": ["a", "{{ no }}", "{{ null }}", "b"],
            "text": "<{{ no }}{{ null }}>",
            "deep": {"x": "{{ no }}"},
        },
        {"no": {}, "null": {"default": None}},
    )
    assert render(job, {"null": None}) == {"list": ["a", "b"], "text": "<>", "deep": {}}


def test_null_as_a_value_unsets_a_default_too() -> None:
    assert render(template({"a": "{{ v }}"}, {"v": {"default": 5}}), {"v": None}) == {}


def test_hard_coded_values_stay() -> None:
    fixed: Json = {"null": None, "number": 5, "text": "{ not } {{}} {{ a b }}", "list": [None, {}]}
    assert render(template(fixed), {}) == fixed


def test_a_value_replaces_its_default_as_a_whole() -> None:
    job = template({"labels": "{{ labels }}"}, {"labels": {"default": {"A": "1", "B": "2"}}})
    assert render(job, {"labels": {"A": "3"}}) == {"labels": {"A": "3"}}


def test_a_dotted_placeholder_reaches_into_a_value() -> None:
    job = template({"a": "{{ env.HOME }}", "b": "{{ env.NONE }}", "c": "{{ text.x }}"}, {"env": {}, "text": {}})
    assert render(job, {"env": {"HOME": "/root"}, "text": "x"}) == {"a": "/root"}


def test_environment_variables() -> None:
    job = template({"a": "{{ $HOME }}", "b": "{{$NONE}}", "c": "x{{ $NONE }}y{{ $HOME }}"})
    assert render(job, {}, environ={"HOME": "/root"}) == {"a": "/root", "c": "xy/root"}
    assert render(job, {"$HOME": "no"}) == {"c": "xy"}


def test_values_are_data_and_are_not_rendered_again() -> None:
    job = template({"a": "{{ v }}", "b": "-{{ v }}-", "c": "{{ d }}"}, {"v": {}, "d": {}})
    values = {"v": "{{ $SECRET }}", "d": {"x": ["{{ v }}"]}}
    assert render(job, values, environ={"SECRET": "s"}) == {
        "a": "{{ $SECRET }}",
        "b": "-{{ $SECRET }}-",
        "c": {"x": ["{{ v }}"]},
    }


def test_what_is_rendered_shares_nothing_with_what_was_given() -> None:
    job, values = template({"a": "{{ v }}", "b": "{{ w }}"}, {"v": {}, "w": {"default": {"x": 1}}}), {"v": {"y": [1]}}
    rendered = render(job, values)
    rendered["a"]["y"].append(2)
    rendered["b"]["x"] = 2
    assert values == {"v": {"y": [1]}}
    assert render(job, values) == {"a": {"y": [1]}, "b": {"x": 1}}


LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
TREES = st.recursive(
    LEAVES, lambda t: st.lists(t, max_size=3) | st.dictionaries(st.text(max_size=3), t, max_size=3), max_leaves=12
)


@given(tree=TREES)
def test_any_value_passes_through_unchanged(tree: Any) -> None:
    assert render(template({"a": "{{ v }}"}, {"v": {}}), {"v": tree}) == ({} if tree is None else {"a": tree})


# Checking templates.


@pytest.mark.parametrize("fine", [{}, PROCESS, {"job_configuration": {}, "variables": {}}, template({"a": "{{ $HOME }}"})])
def test_check_passes(fine: Json) -> None:
    check(fine)


@pytest.mark.parametrize(
    ("broken", "path", "names"),
    [
        ({"job_configuration": {}}, "variables", "missing"),
        ({"variables": {}}, "job_configuration", "missing"),
        ({"job_configuration": [], "variables": {}}, "job_configuration", "[]"),
        ({"job_configuration": {}, "variables": "x"}, "variables", "'x'"),
        ({"job_configuration": {}, "variables": {"properties": []}}, "variables.properties", "[]"),
        ({"job_configuration": {}, "variables": {"type": "array"}}, "variables.type", "'array'"),
        (template({}, {"a": {"type": "strng"}}), "variables.properties.a.type", "/variables/properties/a/type is not JSON"),
        (template({}, {"a": 5}), "variables.properties.a", "/variables/properties/a is not JSON Schema: 5 is not"),
        (template({}, {"a": {"$ref": "#/$defs/none"}}), "variables.properties.a.$ref", "'#/$defs/none' leads to nothing"),
        (template({}, {"a": {"$ref": "file:///etc/passwd"}}), "variables.properties.a.$ref", "outside"),
        (template({}, {"a": {"$ref": "http://127.0.0.1:9/x"}}), "variables.properties.a.$ref", "outside"),
        (template({"a": "{{ headgate.secret.x }}"}), "job_configuration.a", "{{ headgate.secret.x }} is no reference"),
        (
            template({}, {"a/b": {"default": "{{ prefect.blocks.aws.x }}"}}),
            "variables.properties.a/b.default",
            "/a~1b/default",
        ),
        (template({"a": "{{ imge }}"}, {"image": {}}), "job_configuration.a", "did you mean 'image'?"),
        (template({"a": {"b": ["c", "d {{ x }}"]}}, {"y": {}}), "job_configuration.a.b[1]", "{{ x }}"),
        (template({"a": "{{ x }}"}), "job_configuration.a", "(none)"),
    ],
)
def test_check_names_the_field_at_fault(broken: Json, path: str, names: str) -> None:
    with pytest.raises(Invalid) as refusal:
        check(broken)
    assert refusal.value.field == f"base_job_template.{path}"
    assert names in str(refusal.value)


# Validating values.

JOB: Json = template(
    {},
    {
        "image": {"type": "string"},
        "level": {"type": "integer", "default": 1},
        "env": {"type": "object", "additionalProperties": {"type": "string"}},
        "resources": {"$ref": "#/definitions/Resources"},
        "mode": {"enum": ["a", "b"], "default": "z"},
    },
    required=["image", "level"],
    definitions={"Resources": {"type": "object", "properties": {"cpu": {"$ref": "#/$defs/Cpu"}}}},
    **{"$defs": {"Cpu": {"type": "number", "minimum": 0}}},
)


@pytest.mark.parametrize(
    "values",
    [
        {"image": "x"},
        {"image": "x", "level": 2, "env": None},
        {"image": "x", "env": {"A": "1"}, "resources": {"cpu": 0.5}, "mode": "b"},
    ],
)
def test_good_values_pass_and_defaults_are_not_judged(values: Json) -> None:
    validate_variables(JOB, values)


def test_an_empty_template_takes_any_value() -> None:
    validate_variables({}, {"env.A": 1})


def test_unknown_variables_pass_where_the_schema_says_so() -> None:
    validate_variables(template({}, additionalProperties=True), {"x": 1})


@pytest.mark.parametrize(
    ("values", "field", "names"),
    [
        (
            {"image": "x", "imag": 1},
            "job_variables.imag",
            "did you mean 'image'? its variables are env, image, level, mode, resources",
        ),
        ({}, "job_variables", "'image' is a required property"),
        ({"image": None}, "job_variables", "'image' is a required property"),
        ({"image": "x", "level": None}, "job_variables", "'level' is a required property"),
        ({"image": 5}, "job_variables.image", "/image: 5 is not of type 'string'"),
        ({"image": "x", "env": {"a/b": 5}}, "job_variables.env.a/b", "/env/a~1b: 5 is not of type 'string'"),
        (
            {"image": "x", "resources": {"cpu": "1"}},
            "job_variables.resources.cpu",
            "/resources/cpu: '1' is not of type 'number'",
        ),
        ({"image": "x", "resources": {"cpu": -1}}, "job_variables.resources.cpu", "less than the minimum"),
        ({"image": "x", "mode": "c"}, "job_variables.mode", "'c' is not one of ['a', 'b']"),
    ],
)
def test_bad_values_are_refused_by_name(values: Json, field: str, names: str) -> None:
    with pytest.raises(Invalid) as refusal:
        validate_variables(JOB, values)
    assert refusal.value.field == field
    assert names in str(refusal.value)
