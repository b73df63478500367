"""Everything that is wrong with a template, at once, each with its place; and what is only strange."""

from typing import Any

import pytest

from headgate.core.template_lint import lint
from headgate.worker.infra.process import ProcessInfrastructure

Json = dict[str, Any]


def found(template: Json, *, errors: bool) -> list[tuple[str, str]]:
    return [(finding.pointer, finding.reason) for finding in lint(template) if finding.is_error is errors]


@pytest.mark.parametrize("template", [{}, ProcessInfrastructure().default_base_job_template()])
def test_nothing_is_wrong(template: Json) -> None:
    assert lint(template) == []


def test_all_errors_are_listed_with_their_pointers() -> None:
    template = {
        "job_configuration": {"a": ["{{ imge }}", "{{ headgate.variables.A }}"], "b/c": "x {{ none.x }} {{ $HOME }}"},
        "variables": {
            "properties": {
                "image": {"type": "strng"},
                "size": {"minimum": "1"},
                "lost": {"$ref": "#/$defs/Lost"},
                "far": {"$ref": "https://example.com/schema"},
                "ref": {"default": {"a": "{{ prefect.blocks.aws.x }}"}},
            }
        },
    }
    places = dict(found(template, errors=True))
    assert set(places) == {
        "/variables/properties/image/type",
        "/variables/properties/size/minimum",
        "/variables/properties/lost/$ref",
        "/variables/properties/far/$ref",
        "/variables/properties/ref/default/a",
        "/job_configuration/a/0",
        "/job_configuration/a/1",
        "/job_configuration/b~1c",
    }
    assert "did you mean 'image'?" in places["/job_configuration/a/0"]
    assert "is no reference" in places["/job_configuration/a/1"]
    assert "outside of the schema" in places["/variables/properties/far/$ref"]


def test_parts_that_are_missing_or_no_objects_are_all_told() -> None:
    assert [place for place, _ in found({"x": 1}, errors=True)] == ["/job_configuration", "/variables"]
    misshapen = {"job_configuration": [], "variables": {"type": "array", "properties": 5}}
    assert [place for place, _ in found(misshapen, errors=True)] == [
        "/job_configuration",
        "/variables/properties",
        "/variables/type",
    ]


def test_warnings_name_what_is_strange() -> None:
    template = {
        "job_configuration": {"a": "{{ used }}", "b": "{{ deep.x }}", "c": "{{ later }}", "d": "{{ open }}"},
        "variables": {
            "properties": {
                "used": {"type": "integer", "default": "one"},
                "deep": {"type": "object", "additionalProperties": {"type": "string"}, "default": {"x": "1", "y": 2}},
                "later": {"type": "integer", "default": "{{ headgate.variables.later }}"},
                "open": {"type": "string"},
                "idle": {"$ref": "#/$defs/Idle"},
            },
            "required": ["open", "idle"],
            "$defs": {"Idle": {"default": 1}},
        },
    }
    assert found(template, errors=True) == []
    assert found(template, errors=False) == [
        ("/variables/properties/idle", "no placeholder uses the variable 'idle': setting it changes nothing"),
        ("/variables/properties/used/default", "its own schema refuses this default: 'one' is not of type 'integer'"),
        ("/variables/properties/deep/default/y", "its own schema refuses this default: 2 is not of type 'string'"),
        ("/variables/required/0", "'open' is required and has no default: every deployment has to set it"),
    ]
