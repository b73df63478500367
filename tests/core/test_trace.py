"""Every value of a job says where it comes from, by the renderer that makes the job."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from headgate.core.placeholders import to_pointer
from headgate.core.rendering import Origin
from headgate.core.templates import render, trace

Json = dict[str, Any]


def origins(template: Json, *layers: tuple[Origin, Json], **more: Any) -> dict[str, str]:
    traced = trace(template, layers, **more)
    return {to_pointer(path): " + ".join(origins) for path, origins in traced.origins.items()}


def template(configuration: Json, **properties: Json) -> Json:
    return {"job_configuration": configuration, "variables": {"type": "object", "properties": properties}}


def test_each_layer_is_named_and_env_name_by_name() -> None:
    job = template(
        {"env": "{{ env }}", "image": "{{ image }}", "tier": "{{ tier }}", "fixed": {"a": [1]}, "gone": "{{ gone }}"},
        env={"default": {"A": "1", "B": "1", "C": "1", "E": "1"}},
        image={"default": "x"},
        tier={"default": "low"},
        gone={},
    )
    installed = template({}, image={"default": "x"}, tier={"default": "high"}, env={"default": {"A": "2", "E": "1"}})
    layers = ((Origin.DEPLOYMENT, {"env": {"B": "2", "D": None}}), (Origin.SCHEDULE, {"env": {"C": "3"}}))
    assert origins(job, *layers, installed=installed) == {
        "/env/A": "pool default",
        "/env/B": "deployment",
        "/env/C": "schedule",
        "/env/D": "deployment",
        "/env/E": "type's default",
        "/image": "type's default",
        "/tier": "pool default",
        "/fixed/a/0": "hard-coded",
    }


def test_references_and_the_environment_stay_as_they_are() -> None:
    """And are named, beside the layer that brought them."""
    job = template(
        {
            "a": "{{ $HOME }}",
            "b": "{{ headgate.secrets.token }}",
            "c": "{{ image }}",
            "d": "-{{ image }}-{{ $HOME }}-{{ none }}-{{ prefect.variables.x }}",
            "e": ["{{ none }}", "{{ level }}"],
        },
        image={},
        none={},
        level={"default": [1, "{{ headgate.variables.level }}"]},
    )
    layers = ((Origin.RUN, {"image": "{{ headgate.variables.image }}:1"}),)
    traced = trace(job, layers)
    assert traced.configuration == {
        "a": "{{ $HOME }}",
        "b": "{{ headgate.secrets.token }}",
        "c": "{{ headgate.variables.image }}:1",
        "d": "-{{ headgate.variables.image }}:1-{{ $HOME }}--{{ prefect.variables.x }}",
        "e": [[1, "{{ headgate.variables.level }}"]],
    }
    assert origins(job, *layers) == {
        "/a": "environment",
        "/b": "secret",
        "/c": "run + variable",
        "/d": "hard-coded + run + variable + environment",
        "/e/0/0": "pool default",
        "/e/0/1": "pool default + variable",
    }


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(["", "x", "{{ a }}", "{{ env }}", "{{ env.A }}", "-{{ b }}-"])
)
TREES = st.recursive(
    LEAVES, lambda t: st.lists(t, max_size=3) | st.dictionaries(st.sampled_from("xyz"), t, max_size=3), max_leaves=10
)
VALUES = st.dictionaries(st.sampled_from(["a", "b", "env"]), st.none() | st.text("pq", max_size=2) | st.lists(st.integers()))


def leaves(value: Any, path: tuple[Any, ...] = ()) -> set[tuple[Any, ...]]:
    if isinstance(value, dict | list) and value:
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return {leaf for key, item in items for leaf in leaves(item, (*path, key))}
    return {path}


def emptied(value: Any, path: tuple[Any, ...] = ()) -> set[tuple[Any, ...]]:
    """Objects and lists that are empty because all in them was left out."""
    if not isinstance(value, dict | list):
        return set()
    if not value:
        return {path}
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return {leaf for key, item in items for leaf in emptied(item, (*path, key))}


@given(st.dictionaries(st.sampled_from("xyz"), TREES), VALUES, VALUES)
def test_what_is_traced_is_what_is_rendered_and_every_leaf_has_an_origin(
    configuration: Json, lower: Json, upper: Json
) -> None:
    job = template(configuration, a={"default": 1}, b={}, env={"default": {"A": "1"}})
    traced = trace(job, ((Origin.DEPLOYMENT, lower), (Origin.RUN, upper)))
    assert traced.configuration == render(job, lower, upper)
    empty = emptied(traced.configuration)
    assert leaves(traced.configuration) - empty == set(traced.origins) - empty
    assert all(traced.origins[leaf] for leaf in leaves(traced.configuration) - empty)
