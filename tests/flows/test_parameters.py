"""Parameters: bound as Python binds, checked and converted by their hints, described as JSON Schema."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import pytest

from headgate.errors import Invalid
from headgate.flows.parameters import Parameters, convert, jsonable


@dataclass
class Window:
    start: date
    days: int = 7


class Colour(StrEnum):
    RED = "red"


class Opaque:
    pass


class Validated:
    """Stands for classes of validation libraries."""

    def __init__(self, value: Any) -> None:
        self.value = value

    @classmethod
    def model_validate(cls, value: Any) -> "Validated":
        if value == "bad":
            raise ValueError("not that one")
        return cls(value)

    @classmethod
    def model_json_schema(cls) -> dict[str, Any]:
        return {"type": "string"}

    def model_dump(self, mode: str) -> Any:
        return {"value": self.value, "mode": mode}


def report(path: Path, minimum: int = 3, *, window: Window | None = None, colour: Literal["red", "blue"] = "red"):
    """A flow's function as users write it."""


def values_of(fn: Callable[..., Any], **values: Any) -> dict[str, Any]:
    parameters = Parameters(fn)
    return parameters.checked(parameters.bind_values(values)).arguments


@pytest.mark.parametrize(
    ("value", "hint", "expected"),
    [
        ("5", int, 5),
        (5, int, 5),
        ("1.5", float, 1.5),
        (2, float, 2.0),
        ("true", bool, True),
        ("5", int | str, "5"),
        (None, int | None, None),
        ("/tmp/x", Path, Path("/tmp/x")),
        ("/tmp/x", Path | None, Path("/tmp/x")),
        (None, Path | None, None),
        ({"start": "2024-03-01"}, Window, Window(date(2024, 3, 1))),
        ([{"start": "2024-03-01", "days": 1}], list[Window], [Window(date(2024, 3, 1), 1)]),
        ("2024-03-01T10:00:00Z", datetime, datetime(2024, 3, 1, 10, tzinfo=UTC)),
        ("red", Colour, Colour.RED),
        ("blue", Literal["red", "blue"], "blue"),
        ([1, 2], tuple[int, ...], (1, 2)),
        ({"a": "1"}, dict[str, int], {"a": 1}),
        ("0192f3a1-0000-7000-8000-000000000000", UUID, UUID("0192f3a1-0000-7000-8000-000000000000")),
        ("anything", Any, "anything"),
    ],
)
def test_values_are_converted_to_their_hints(value: Any, hint: Any, expected: Any) -> None:
    assert convert(value, hint) == expected


@pytest.mark.parametrize("hint", [Opaque, Iterable[int], Callable[[int], int], str | Path, int | Opaque])
def test_hints_that_say_nothing_about_json_let_every_value_through(hint: Any) -> None:
    value = object()
    assert convert(value, hint) is value
    assert convert([value], list[Opaque]) == [value]


def test_an_instance_of_the_hint_is_not_touched() -> None:
    given = Opaque()
    assert convert(given, Opaque) is given
    assert convert(given, Opaque | None) is given


def test_classes_with_a_validator_of_their_own_are_used() -> None:
    assert convert("x", Validated).value == "x"

    def fn(v: Validated): ...

    with pytest.raises(Invalid, match="parameter 'v' is not valid: not that one"):
        values_of(fn, v="bad")


def test_every_wrong_value_is_named_with_what_was_given() -> None:
    with pytest.raises(Invalid) as caught:
        values_of(report, path="x", minimum="many", colour="green")
    assert "parameter 'minimum' is not valid: Expected `int`, got `str` (got 'many')" in str(caught.value)
    assert "parameter 'colour' is not valid: Invalid enum value 'green' (got 'green')" in str(caught.value)


def test_long_values_are_shortened_in_messages() -> None:
    with pytest.raises(Invalid) as caught:
        values_of(report, path="x", minimum="m" * 10_000)
    assert len(str(caught.value)) < 250


def test_missing_and_unknown_parameters_are_named_with_what_there_is() -> None:
    with pytest.raises(Invalid, match=r"parameter 'path' has no value and no default"):
        values_of(report)
    with pytest.raises(Invalid, match=r"no parameter 'pth' \(the flow takes path, minimum, window, colour\)"):
        values_of(report, path="x", pth="y")


def test_defaults_are_filled_in_and_never_checked() -> None:
    def fn(a: int = "odd", b: Opaque = "b"): ...

    assert values_of(fn) == {"a": "odd", "b": "b"}


def test_any_name_goes_into_double_star_parameters() -> None:
    def fn(a: int, **rest: Any): ...

    assert values_of(fn, a="1", b=2) == {"a": 1, "rest": {"b": 2}}


def test_positional_only_parameters_can_be_given_by_name() -> None:
    def fn(a: int, /, b: int = 2): ...

    bound = Parameters(fn).bind_values({"a": 1})
    assert (bound.args, bound.kwargs) == ((1, 2), {})


def test_one_hint_that_cannot_be_resolved_leaves_the_others_checked() -> None:
    def fn(a: "NoSuchThing", b: "int"): ...  # type: ignore[name-defined]  # noqa: F821

    assert values_of(fn, a="x", b="3") == {"a": "x", "b": 3}


def test_a_python_call_that_does_not_fit_fails_as_python_says_it() -> None:
    with pytest.raises(TypeError, match=r"report\(\) missing a required argument: 'path'"):
        Parameters(report).bind((), {})


def test_a_deployments_values_may_be_incomplete_but_not_wrong() -> None:
    parameters = Parameters(report)
    parameters.check_some({"minimum": 3})
    with pytest.raises(Invalid, match="minimum"):
        parameters.check_some({"minimum": "x"})
    with pytest.raises(Invalid, match="no parameter 'other'"):
        parameters.check_some({"other": 1})


def test_the_schema_has_the_wires_shape() -> None:
    schema = Parameters(report).schema()
    assert schema["title"] == "Parameters"
    assert schema["type"] == "object"
    assert schema["required"] == ["path"]
    assert schema["properties"]["path"] == {"title": "path", "type": "string", "format": "path", "position": 0}
    assert schema["properties"]["minimum"] == {"title": "minimum", "type": "integer", "default": 3, "position": 1}
    window = schema["properties"]["window"]
    assert {"$ref": "#/definitions/Window"} in window["anyOf"]
    assert window["default"] is None
    assert schema["definitions"]["Window"]["properties"]["days"] == {"type": "integer", "default": 7}


def test_hints_without_a_schema_and_missing_hints_allow_anything() -> None:
    def fn(a, b: Opaque, c: Callable[[], None], d: Any, e: str | Path, f=Opaque(), *args: int, **kwargs: int): ...  # noqa: B008

    properties = Parameters(fn).schema()["properties"]
    assert properties == {name: {"title": name, "position": at} for at, name in enumerate("abcdef")}


def test_a_function_without_parameters_has_an_empty_schema() -> None:
    assert Parameters(lambda: None).schema() == {"title": "Parameters", "type": "object", "properties": {}}


def test_values_are_made_json_or_refused_by_name() -> None:
    assert jsonable("p", {"at": Path("/x"), "w": Window(date(2024, 3, 1))}) == {
        "at": "/x",
        "w": {"start": "2024-03-01", "days": 7},
    }
    assert jsonable("v", Validated(1)) == {"value": 1, "mode": "json"}
    with pytest.raises(Invalid, match="Parameter 'frame' cannot be sent as JSON: Opaque"):
        jsonable("frame", Opaque())
