"""KEY=VALUE pairs, JSON, hints."""

import io

import pytest

from headgate.cli.hints import hint
from headgate.cli.output import UsageError
from headgate.cli.values import pairs, parameters_of, unknown_parameters

SCHEMA = {"properties": {"name": {"type": "string"}, "times": {"type": "integer"}}}


def test_a_value_may_hold_an_equals_sign_and_may_be_empty() -> None:
    assert pairs(["a=b=c", "d="], option="--x") == {"a": "b=c", "d": ""}


@pytest.mark.parametrize("item", ["a", "=b", ""])
def test_what_is_no_pair_is_refused_by_name(item: str) -> None:
    with pytest.raises(UsageError, match=r"--x .* is not KEY=VALUE"):
        pairs([item], option="--x")


def test_values_are_json_where_they_are_json() -> None:
    given = parameters_of(["a=1", "b=text", 'c={"d": [true]}', "e=null"], None)
    assert given == {"a": 1, "b": "text", "c": {"d": [True]}, "e": None}


def test_a_parameter_that_is_text_stays_text() -> None:
    assert parameters_of(["name=123", "times=2"], None, schema=SCHEMA) == {"name": "123", "times": 2}


def test_single_parameters_go_before_the_object(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO('{"a": 1, "b": 2}'))
    assert parameters_of(["a=3"], "-") == {"a": 3, "b": 2}


def test_an_object_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="--params is not a JSON object"):
        parameters_of(None, "[1]")


def test_unknown_parameters_are_named_with_a_hint() -> None:
    assert unknown_parameters(["nmae"], SCHEMA) == ["The flow has no parameter 'nmae'; did you mean 'name'?"]


@pytest.mark.parametrize("schema", [None, {}, {"properties": {}, "additionalProperties": True}])
def test_nothing_is_unknown_where_nothing_is_known(schema: dict[str, object] | None) -> None:
    assert unknown_parameters(["x"], schema) == []


@pytest.mark.parametrize(
    ("word", "known", "said"),
    [
        ("nmae", ["name", "tags"], "; did you mean 'name'?"),
        ("PORT", ["SERVER_API_PORT", "HOME"], "; did you mean 'SERVER_API_PORT'?"),
        ("xyz", ["name", "tags"], "; there is name, tags."),
        ("xyz", [], "; there are none."),
        ("xyz", [f"name-{n}" for n in range(30)], "."),
    ],
)
def test_hints(word: str, known: list[str], said: str) -> None:
    assert hint(word, known) == said
