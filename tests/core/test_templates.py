"""Base job templates: what is rendered, what is refused, and by which name."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.core.placeholders import at, to_pointer
from headgate.core.templates import (
    check,
    check_references,
    list_misfits,
    list_references,
    render,
    validate_variables,
)
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
        validate_variables(JOB, values, known_only=True)
    assert refusal.value.field == field
    assert names in str(refusal.value)


def test_unknown_variables_pass_unless_the_template_or_the_caller_forbids_them() -> None:
    """They have no effect: what clients set for several kinds of pools is no error in one of them."""
    given = {"image": "x", "cpus": 1}
    validate_variables(JOB, given)
    with pytest.raises(Invalid, match="'cpus' was unexpected"):
        validate_variables({**JOB, "variables": {**JOB["variables"], "additionalProperties": False}}, given)


def test_what_is_missing_passes_while_others_may_still_bring_it() -> None:
    """However deep: of `required` nothing is judged, of what is there everything."""
    validate_variables(JOB, {"resources": {}}, partial=True)
    with pytest.raises(Invalid, match="/resources/cpu"):
        validate_variables(JOB, {"resources": {"cpu": -1}}, partial=True)


# Schemas.

NESTED: Json = template(
    {"image": "{{ image }}", "resources": "{{ resources }}", "replicas": "{{ replicas }}", "mode": "{{ mode }}"},
    {
        "image": {"type": "string", "pattern": "^[a-z/]+(:[a-z0-9.]+)?$", "maxLength": 20},
        "replicas": {"$ref": "#/definitions/Replicas"},
        "resources": {"allOf": [{"$ref": "#/$defs/Resources"}], "title": "Resources"},
        "mode": {"$ref": "#/$defs/Mode"},
    },
    required=["replicas", "image"],
    definitions={"Replicas": {"type": "integer", "minimum": 1, "maximum": 9, "default": 2}},
    **{
        "$defs": {
            "Resources": {
                "type": "object",
                "properties": {"cpu": {"$ref": "#/$defs/Cpu"}, "gpus": {"type": "array", "items": {"type": "string"}}},
                "required": ["cpu"],
                "additionalProperties": False,
                "default": {"cpu": 1},
            },
            "Cpu": {"type": "number", "exclusiveMinimum": 0},
            "Mode": {"$ref": "#/$defs/Modes/0"},
            "Modes": [{"enum": ["fast", "slow"], "default": "slow"}],
        }
    },
)


def test_a_default_may_stand_where_a_ref_leads() -> None:
    """In `definitions` or `$defs`, through several steps, or below a lone `allOf`; it counts as set where it is required."""
    assert render(NESTED, {"image": "x"}) == {"image": "x", "resources": {"cpu": 1}, "replicas": 2, "mode": "slow"}
    validate_variables(NESTED, {"image": "x"})
    check(NESTED)


def test_refs_that_go_in_circles_have_no_default() -> None:
    circle = template({"a": "{{ a }}"}, {"a": {"$ref": "#/$defs/A"}}, **{"$defs": {"A": {"$ref": "#/$defs/A"}}})
    assert render(circle, {}) == {}


@pytest.mark.parametrize(
    ("values", "pointer", "reason"),
    [
        ({"image": "UPPER"}, "/image", "does not match"),
        ({"image": "a" * 21}, "/image", "longer than 20 characters"),
        ({"replicas": 0}, "/replicas", "0 is less than the minimum of 1"),
        ({"replicas": 10}, "/replicas", "10 is greater than the maximum of 9"),
        ({"replicas": 1.5}, "/replicas", "1.5 is not of type 'integer'"),
        ({"replicas": True}, "/replicas", "True is not of type 'integer'"),
        ({"mode": "warp"}, "/mode", "'warp' is not one of ['fast', 'slow']"),
        ({"resources": {"cpu": 0}}, "/resources/cpu", "less than or equal to the minimum"),
        ({"resources": {}}, "/resources", "'cpu' is a required property"),
        ({"resources": {"cpu": 1, "gpus": ["a", 5]}}, "/resources/gpus/1", "5 is not of type 'string'"),
        ({"resources": {"cpu": 1, "a/b~c": 5}}, "/resources", "'a/b~c'"),
        ({"cpus": 1}, "/cpus", "'cpus' is unknown to this work pool"),
        ({"image": None}, "", "'image' is a required property"),
    ],
)
def test_a_misfit_is_told_with_its_pointer_its_reason_and_its_value(values: Json, pointer: str, reason: str) -> None:
    [misfit] = list_misfits(NESTED, {"image": "x"}, values)
    assert misfit.pointer == pointer
    assert reason in misfit.message
    assert misfit.pointer in misfit.message or misfit.is_unknown
    if misfit.path and "required" not in misfit.reason:
        assert misfit.value in (values[str(misfit.path[0])], at(values, misfit.path))


def test_all_misfits_are_listed() -> None:
    found = list_misfits(NESTED, {"replicas": 0, "modus": "x", "resources": {"cpu": "1"}})
    assert [misfit.pointer for misfit in found] == ["/modus", "", "/replicas", "/resources/cpu"]


def test_what_is_null_in_env_is_unset_and_not_judged() -> None:
    """It takes a name out; a template that allows no null value means the values that there are."""
    strict = template({"env": "{{ env }}"}, {"env": {"type": "object", "additionalProperties": {"type": "string"}}})
    validate_variables(strict, {"env": {"A": None, "B": "1"}})
    with pytest.raises(Invalid, match="/env/B: 5 is not"):
        validate_variables(strict, {"env": {"A": None, "B": 5}})


# References.

REFERRING: Json = template(
    {"image": "{{ image }}", "args": ["--region={{ prefect.variables.region }}", "{{ headgate.secrets.token }}"]},
    {
        "image": {"type": "string", "default": "{{ headgate.variables.image }}"},
        "level": {"type": "integer", "maximum": 9},
        "env": {"type": "object", "additionalProperties": {"type": "string"}},
    },
)
FOUND: Json = {"variables.region": "eu", "secrets.token": "t0ken", "variables.image": "x:1", "variables.level": 5}


def test_references_are_resolved_in_the_template_in_defaults_and_in_values() -> None:
    """As all of a text with their type, within one as text; however they are spelled."""
    job = template(
        {"a": "{{ level }}", "b": "{{ env }}", "c": "{{ image }}", "d": "{{headgate.variables.none}}", "e": "<{{ level }}>"},
        {"level": {}, "env": {}, "image": {"default": "{{ prefect.variables.image }}"}},
    )
    values = {
        "level": "{{ headgate.variables.level }}",
        "env": {"T": "{{ prefect.blocks.secret.token }}", "M": "{{ prefect.variables.level }}/{{ headgate.secrets.token }}"},
    }
    assert render(job, values, references=FOUND | {"variables.none": None}) == {
        "a": 5,
        "b": {"T": "t0ken", "M": "5/t0ken"},
        "c": "x:1",
        "e": "<5>",
    }


def test_what_a_reference_stands_for_is_data() -> None:
    """Neither placeholders nor references in it are looked at again."""
    hostile = {"variables.image": "{{ headgate.secrets.token }} {{ level }} {{ $HOME }}"}
    job = template({"a": "{{ image }}", "b": "{{ headgate.variables.image }}"}, {"image": {}, "level": {}})
    rendered = render(
        job, {"image": "{{ headgate.variables.image }}", "level": 1}, environ={"HOME": "/"}, references=FOUND | hostile
    )
    assert set(rendered.values()) == {hostile["variables.image"]}


def test_references_are_listed_with_where_they_stand() -> None:
    """Those that a layer replaced are not needed."""
    uses = list_references(
        REFERRING, {"env": {"A": "{{ headgate.variables.a }}"}}, {"env": {"B": "{{ prefect.variables.b }}"}}
    )
    assert {(to_pointer(use.path), use.reference.key) for use in uses} == {
        ("/job_configuration/args/0", "variables.region"),
        ("/job_configuration/args/1", "secrets.token"),
        ("/variables/properties/image/default", "variables.image"),
        ("/job_variables/env/A", "variables.a"),
        ("/job_variables/env/B", "variables.b"),
    }
    keys = {use.reference.key for use in list_references(REFERRING, {"image": "x"})}
    assert keys == {"variables.region", "secrets.token"}


@pytest.mark.parametrize(
    "values",
    [
        {"level": "{{ headgate.variables.level }}"},
        {"image": "{{ headgate.secrets.image }}:{{ headgate.variables.tag }}"},
        {"env": {"A": "{{ headgate.secrets.a }}"}},
        {"env": "{{ headgate.variables.env }}"},
    ],
)
def test_before_launch_a_reference_may_be_anything(values: Json) -> None:
    validate_variables(REFERRING, values)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"level": "1{{ headgate.variables.level }}"}, "/level: '1{{ headgate.variables.level }}' is not of type 'integer'"),
        ({"env": {"A": 5, "B": "{{ headgate.variables.b }}"}}, "/env/A: 5 is not of type 'string'"),
        ({"leve": "{{ headgate.variables.level }}"}, "'leve' is unknown to this work pool; did you mean 'level'?"),
        ({"image": "{{ headgate.variable.x }}"}, "/image: {{ headgate.variable.x }} is no reference; known are"),
        ({"env": {"A": "x {{ prefect.blocks.aws.x }}"}}, "/env/A: {{ prefect.blocks.aws.x }} is no reference"),
        ({"image": "{{ headgate.variables.Upper }}"}, "NAME in lowercase"),
    ],
)
def test_what_no_value_could_mend_is_refused_before_launch(values: Json, said: str) -> None:
    with pytest.raises(Invalid) as refusal:
        validate_variables(REFERRING, values, known_only=True)
    assert said in str(refusal.value)


def test_names_of_an_object_are_judged_before_launch_whatever_its_values_will_be() -> None:
    with pytest.raises(Invalid, match="/resources"):
        validate_variables(NESTED, {"image": "x", "resources": {"cpu": "{{ headgate.variables.cpu }}", "ram": 1}})


@pytest.mark.parametrize(
    ("values", "found", "said"),
    [
        (
            {"level": "{{ headgate.variables.level }}"},
            {"variables.level": "high"},
            "/level: 'high' is not of type 'integer' (from {{ headgate.variables.level }})",
        ),
        ({}, {"variables.image": 5}, "/image: 5 is not of type 'string' (from {{ headgate.variables.image }})"),
        ({"env": "{{ headgate.variables.env }}"}, {"variables.env": {"A": 5}}, "/env/A: 5 is not of type 'string' (from"),
    ],
)
def test_at_launch_all_is_judged_the_defaults_that_hold_references_too(values: Json, found: Json, said: str) -> None:
    with pytest.raises(Invalid) as refusal:
        validate_variables(REFERRING, values, references=FOUND | found)
    assert said in str(refusal.value)


SECRET = "s3cret'\"\\x"


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "integer"}, "{{ headgate.secrets.token }}"),
        ({"enum": ["a"]}, "{{ headgate.secrets.token }}"),
        ({"pattern": "^a$"}, "x{{ prefect.blocks.secret.token }}y"),
        ({"maxLength": 2}, "{{ headgate.secrets.token }}{{ headgate.variables.region }}"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "{{ headgate.secrets.token }}"),
        ({"items": {"type": "integer"}}, [1, "{{ headgate.secrets.token }}"]),
        ({"not": {"type": "object"}}, {"a": {"b": "{{ headgate.secrets.token }}"}}),
        ({"additionalProperties": False}, {"a": "{{ headgate.secrets.token }}"}),
        ({"uniqueItems": True}, ["{{ headgate.secrets.token }}", "{{ headgate.secrets.token }}"]),
        ({"const": 1}, "{{ headgate.secrets.token }}"),
    ],
)
def test_no_secret_shows_in_a_refusal(schema: Json, value: Any) -> None:
    """Neither in its words nor in the value that goes with it; which rule and which secret does show."""
    job = template({"a": "{{ v }}"}, {"v": schema})
    with pytest.raises(Invalid) as refusal:
        validate_variables(job, {"v": value}, references=FOUND | {"secrets.token": SECRET})
    shown = str(refusal.value) + repr(refusal.value.value)
    assert "s3cret" not in shown
    assert "{{ headgate.secrets.token }}" in shown
    forbidding = template({}, {"v": {}}, **{"not": {"required": ["v"]}})
    with pytest.raises(Invalid) as refusal:
        validate_variables(forbidding, {"v": value}, references=FOUND | {"secrets.token": SECRET})
    assert "s3cret" not in str(refusal.value) + repr(refusal.value.value)


@pytest.mark.parametrize(
    ("reference", "place", "command"),
    [
        ("{{ headgate.variables.lost }}", "/job_variables/env/A", "`headgate variable set lost VALUE` creates it"),
        ("{{ prefect.blocks.secret.lost }}", "/job_variables/env/A", "`headgate secret set lost` creates it"),
    ],
)
def test_what_is_not_there_is_named_with_its_place_and_its_remedy(reference: str, place: str, command: str) -> None:
    with pytest.raises(Invalid) as refusal:
        check_references(REFERRING, {"env": {"A": f"x{reference}"}}, references=FOUND)
    assert "lost }}, used at" in str(refusal.value)
    assert place in str(refusal.value)
    assert command in str(refusal.value)
    check_references(REFERRING, {"env": {"A": "{{ headgate.variables.level }}"}}, references=FOUND)
