"""Placeholders and references are found wherever they stand, and in whatever spelling."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.core.placeholders import (
    Kind,
    Reference,
    at,
    holds_reference,
    list_broken,
    list_placeholders,
    list_uses,
    read_reference,
    to_pointer,
    whole,
)

DEPTH = 5000


def nested(core: Any) -> Any:
    for number in range(DEPTH):
        core = {"a": core} if number % 2 else [core]
    return core


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("headgate.variables.region", Reference(Kind.VARIABLE, "region")),
        ("prefect.variables.my_region-1", Reference(Kind.VARIABLE, "my_region-1")),
        ("headgate.secrets.token", Reference(Kind.SECRET, "token")),
        ("prefect.blocks.secret.token", Reference(Kind.SECRET, "token")),
        ("headgate.variables.", None),
        ("headgate.variables.A", None),
        ("headgate.variables.a.b", None),
        ("headgate.secret.a", None),
        ("prefect.blocks.string.a", None),
        ("variables.a", None),
        ("$headgate.variables.a", None),
    ],
)
def test_references_are_read_in_both_spellings(name: str, reference: Reference | None) -> None:
    assert read_reference(name) == reference
    if reference:
        assert read_reference(whole(str(reference)) or "") == reference


def test_each_is_found_with_its_place_in_the_values_order() -> None:
    value = {"a": ["{{ x }} {{y.z}}", {"b/c": "{{ $HOME }}"}], "{{ key }}": 1, "d": "{{ headgate.secrets.s }}"}
    assert [(to_pointer(path), name) for path, name in list_placeholders(value)] == [
        ("/a/0", "x"),
        ("/a/0", "y.z"),
        ("/a/1/b~1c", "$HOME"),
        ("/d", "headgate.secrets.s"),
    ]
    [use] = list_uses(value, ("job_configuration",))
    assert (use.path, use.reference.key) == (("job_configuration", "d"), "secrets.s")
    assert list(list_broken(value)) == []
    assert [to_pointer(path) for path, _ in list_broken(["{{ prefect.x }}", "{{ x }}"])] == ["/0"]


def test_depth_does_not_matter() -> None:
    """Values come from clients: one that is nested deeply must not keep a server from its work."""
    assert holds_reference(nested("{{ headgate.secrets.s }}"))
    assert not holds_reference(nested("{{ x }}"))
    [(path, name)] = list_placeholders(nested("{{ x }}"))
    assert (len(path), name) == (DEPTH, "x")


TREES = st.recursive(
    st.none()
    | st.integers()
    | st.sampled_from(["", "x", "{{ a }}", "-{{ headgate.variables.v }}-", "{{ prefect.blocks.secret.s }}"]),
    lambda t: st.lists(t, max_size=3) | st.dictionaries(st.sampled_from("xyz/~"), t, max_size=3),
    max_leaves=10,
)


@given(TREES)
def test_what_is_found_is_there(tree: Any) -> None:
    for path, name in list_placeholders(tree):
        assert f"{{{{ {name} }}}}" in at(tree, path)
    assert holds_reference(tree) is bool(list(list_uses(tree)))
