"""Layers of job variables: each goes over those before it, whole values, and only `env` name by name."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.core.templates import overlay, render

Layer = dict[str, Any]


@pytest.mark.parametrize(
    ("layers", "merged"),
    [
        ([], {}),
        ([{"a": 1}, {"b": 2}, {"a": 3}], {"a": 3, "b": 2}),
        ([{"labels": {"A": 1, "B": 2}}, {"labels": {"A": 3}}], {"labels": {"A": 3}}),
        ([{"env": {"A": "1", "B": "2"}}, {"env": {"A": "3"}}], {"env": {"A": "3", "B": "2"}}),
        ([{"env": {"A": "1"}}, {"env": {"A": None}}], {"env": {"A": None}}),
        ([{"env": {"A": "1"}}, {"env": {"A": None}}, {"env": {"A": "2"}}], {"env": {"A": "2"}}),
        ([{"env": {"A": "1"}}, {"env": None}, {"env": {"B": "2"}}], {"env": {"B": "2"}}),
        ([{"env": {"A": "1"}}, {"env": "{{ headgate.variables.env }}"}], {"env": "{{ headgate.variables.env }}"}),
        ([{"env": ["A=1"]}, {"env": {"B": "2"}}], {"env": {"B": "2"}}),
        ([{"env": {"A": "1"}}, {"env": {}}], {"env": {"A": "1"}}),
        ([{"x": {"env": {"A": "1"}}}, {"x": {"env": {"B": "2"}}}], {"x": {"env": {"B": "2"}}}),
    ],
)
def test_overlay(layers: list[Layer], merged: Layer) -> None:
    assert overlay(*layers) == merged


NAMES = st.sampled_from(["env", "image", "labels"])
SCALARS = st.none() | st.integers() | st.text(max_size=3)
OBJECTS = st.dictionaries(st.sampled_from("ABC"), SCALARS, max_size=3)
LAYERS = st.lists(st.dictionaries(NAMES, SCALARS | OBJECTS | st.lists(SCALARS, max_size=2)), max_size=5)


def last(layers: list[Layer], name: str) -> Any:
    return [layer[name] for layer in layers if name in layer][-1]


@given(LAYERS)
def test_every_variable_but_env_is_the_last_that_was_given(layers: list[Layer]) -> None:
    merged = overlay(*layers)
    assert merged.keys() == {name for layer in layers for name in layer}
    assert all(merged[name] == last(layers, name) for name in merged if name != "env")


@given(LAYERS)
def test_each_name_in_env_is_the_last_that_was_given_since_env_was_last_replaced(layers: list[Layer]) -> None:
    given_env = [layer["env"] for layer in layers if "env" in layer]
    merged = overlay(*layers)
    if not given_env:
        assert "env" not in merged
    elif not isinstance(given_env[-1], dict):
        assert merged["env"] == given_env[-1]
    else:
        start = max((place for place, env in enumerate(given_env) if not isinstance(env, dict)), default=-1)
        since = given_env[start + 1 :]
        assert merged["env"] == {name: last(since, name) for env in since for name in env}


@given(LAYERS, st.integers(0, 5))
def test_an_overlay_of_the_first_layers_stands_for_them(layers: list[Layer], count: int) -> None:
    assert overlay(overlay(*layers[:count]), *layers[count:]) == overlay(*layers)


@given(LAYERS)
def test_the_layers_are_left_as_they_were(layers: list[Layer]) -> None:
    before = repr(layers)
    overlay(*layers)["env"] = {"A": "changed"}
    assert repr(layers) == before


@given(LAYERS)
def test_a_job_is_rendered_from_the_overlay_of_the_templates_defaults_and_all_layers(layers: list[Layer]) -> None:
    """What is null at the end disappears with its key."""
    first, *rest = layers or [{}]
    properties = {name: {"default": value} for name, value in ({"env": None, "image": None, "labels": None} | first).items()}
    template = {
        "job_configuration": {name: f"{{{{ {name} }}}}" for name in properties},
        "variables": {"type": "object", "properties": properties},
    }
    expected = overlay({name: value for name, value in first.items() if value is not None}, *rest)
    assert render(template, *rest) == {name: value for name, value in expected.items() if value is not None}
