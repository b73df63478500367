"""What one template has that another has not, place by place."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from headgate.core.template_diff import diff

Json = dict[str, Any]


def changes(before: Json, after: Json) -> list[tuple[str, str, Any, Any]]:
    return [(change.pointer, change.kind, change.before, change.after) for change in diff(before, after)]


def test_variables_come_first_and_each_place_is_one_change() -> None:
    before = {
        "job_configuration": {"image": "{{ image }}", "args": ["a"], "a/b": 1},
        "variables": {"properties": {"image": {"type": "string", "default": "x"}, "old": {"type": "string"}}},
    }
    after = {
        "job_configuration": {"image": "{{ image }}", "args": ["a", "b"], "env": "{{ env }}"},
        "variables": {"properties": {"image": {"type": "string", "default": "y"}, "env": {"type": "object"}}},
    }
    assert changes(before, after) == [
        ("/variables/properties/env", "added", None, {"type": "object"}),
        ("/variables/properties/image/default", "changed", "x", "y"),
        ("/variables/properties/old", "removed", {"type": "string"}, None),
        ("/job_configuration/args", "changed", ["a"], ["a", "b"]),
        ("/job_configuration/a~1b", "removed", 1, None),
        ("/job_configuration/env", "added", None, "{{ env }}"),
    ]


def test_values_of_other_types_are_not_the_same() -> None:
    assert changes({"a": 1}, {"a": True}) == [("/a", "changed", 1, True)]
    assert changes({"a": {"b": 1}}, {"a": None}) == [("/a", "changed", {"b": 1}, None)]


def test_an_empty_template_has_all_of_the_other_to_add() -> None:
    assert changes({}, {"job_configuration": {}, "variables": {}}) == [
        ("/variables", "added", None, {}),
        ("/job_configuration", "added", None, {}),
    ]


TREES = st.recursive(
    st.none() | st.integers(0, 2) | st.text("ab/~", max_size=2),
    lambda t: st.lists(t, max_size=2) | st.dictionaries(st.text("ab/~", max_size=2), t, max_size=3),
    max_leaves=8,
)
TEMPLATES = st.dictionaries(st.sampled_from(["variables", "job_configuration"]), TREES)


@given(TEMPLATES, TEMPLATES)
def test_the_changes_lead_from_one_to_the_other(before: Json, after: Json) -> None:
    assert diff(before, before) == []
    document: Any = {"": _copy(before)}
    for change in diff(before, after):
        *way, last = ("", *change.path)
        holder = document
        for key in way:
            holder = holder[key]
        if change.kind == "removed":
            del holder[last]
        else:
            holder[last] = change.after
    assert document[""] == after


def _copy(value: Any) -> Any:
    return {key: _copy(item) for key, item in value.items()} if isinstance(value, dict) else value
