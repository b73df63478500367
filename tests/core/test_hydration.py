"""Parameters that say where their value comes from."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.core.hydration import KIND, holds_kinds, hydrate, list_variables
from headgate.errors import BadRequest

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text().filter(lambda key: key != KIND), inner),
)
VARIABLES = {"v": 7, "n": None, "name": "v"}


def of(kind: str, **fields: Any) -> dict[str, Any]:
    return {KIND: kind, **fields}


@given(st.dictionaries(st.text().filter(lambda key: key != KIND), PLAIN))
def test_what_names_no_kind_stays(parameters: dict[str, Any]) -> None:
    assert not holds_kinds(parameters)
    assert hydrate(parameters, {}) == parameters


@given(PLAIN)
def test_a_kind_is_found_however_deep_and_none_is_its_value(value: Any) -> None:
    parameters = {"a": [{"b": of("none", value=value)}]}
    assert holds_kinds(parameters)
    assert hydrate(parameters, {}) == {"a": [{"b": value}]}


@pytest.mark.parametrize(
    ("wrapped", "value"),
    [
        (of("json", value='{"a": [1, null]}'), {"a": [1, None]}),
        (of("json", value=5), 5),
        (of("json", value=of("workspace_variable", variable_name="v")), 7),
        (of("json", value=of("none", value='"x"')), "x"),
        (of("workspace_variable", variable_name="v"), 7),
        (of("workspace_variable", variable_name="n"), None),
        (of("workspace_variable", variable_name=of("json", value='"v"')), 7),
        (of("none", value=of("json", value="[1]")), [1]),
        (of("jinja", template="plain"), "plain"),
        (of("other", value=3), 3),
        (of("other"), None),
    ],
)
def test_each_kind_becomes_its_value(wrapped: dict[str, Any], value: Any) -> None:
    names = set(list_variables(wrapped))
    assert hydrate({"x": wrapped}, {name: VARIABLES[name] for name in names}) == {"x": value}


def test_what_has_nothing_to_read_is_left_out() -> None:
    empty = [of("json"), of("workspace_variable")]
    assert hydrate({"a": empty[0], "b": [1, *empty], "c": {"d": empty[1]}}, {}) == {"b": [1], "c": {}}
    assert hydrate(empty[0], {}) == {}


@pytest.mark.parametrize(
    ("wrapped", "words"),
    [
        (of("none"), "Missing 'value' key"),
        (of("json", value="{bad"), "Invalid JSON: "),
        (of("workspace_variable", variable_name="w"), "Variable 'w' not found in workspace."),
        (of("workspace_variable", variable_name=["v"]), "not found in workspace."),
        (of("jinja"), "Missing 'template' key"),
        (of("jinja", template="{{ 1 + 1 }}"), "Invalid jinja: "),
    ],
)
def test_what_cannot_be_had_is_told(wrapped: dict[str, Any], words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        hydrate({"x": [wrapped]}, VARIABLES)


def test_depth_is_no_way_to_break_it() -> None:
    deep: Any = of("none", value=1)
    for _ in range(5000):
        deep = [deep]
    assert holds_kinds({"x": deep})
    with pytest.raises(BadRequest, match="too deeply"):
        hydrate({"x": deep}, {})
