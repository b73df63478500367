"""The parameters of a flow's function: bound to a call, checked against type hints, described as JSON Schema."""

import inspect
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import PurePath
from typing import Any, get_type_hints

import msgspec

from headgate.errors import Invalid

_NAMED = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class Parameters:
    """What a function takes.

    Hints that msgspec understands are checked and converted (dataclasses, `Literal`, `datetime`, unions, containers,
    …), as are paths and classes with a `model_validate`. Any other hint, or none, lets every value through.
    """

    def __init__(self, fn: Callable[..., Any]) -> None:
        self._fn = fn
        self._signature = inspect.signature(fn)
        self._named = {p.name: p for p in self._signature.parameters.values() if p.kind in _NAMED}

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> inspect.BoundArguments:
        """A Python call's arguments by name, defaults filled in; `TypeError` when they do not fit, as Python says it."""
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{getattr(self._fn, '__name__', self._fn)}() {error}") from None
        bound.apply_defaults()
        return bound

    def bind_values(self, values: Mapping[str, Any]) -> inspect.BoundArguments:
        """Values by name, as a run carries them; `Invalid` names those that are missing or unknown."""
        problems = self._unknown(values) + self._missing(values)
        if problems:
            raise Invalid("; ".join(problems) + ".")
        args = [
            values.get(name, parameter.default)
            for name, parameter in self._named.items()
            if parameter.kind is inspect.Parameter.POSITIONAL_ONLY
        ]
        positional = {name for name, p in self._named.items() if p.kind is inspect.Parameter.POSITIONAL_ONLY}
        return self.bind(tuple(args), {name: value for name, value in values.items() if name not in positional})

    def checked(self, bound: inspect.BoundArguments) -> inspect.BoundArguments:
        """The same call with its values converted to their hints; `Invalid` lists every value that does not fit."""
        given = {name: value for name, value in bound.arguments.items() if name in self._named}
        defaults = {name for name, value in given.items() if value is self._named[name].default}
        bound.arguments.update(self._converted({name: given[name] for name in given if name not in defaults}))
        return bound

    def check_some(self, values: Mapping[str, Any]) -> None:
        """Check values of which some may be left out, as a deployment's; `Invalid` lists what is wrong."""
        if problems := self._unknown(values):
            raise Invalid("; ".join(problems) + ".")
        self._converted({name: value for name, value in values.items() if name in self._named})

    def schema(self) -> dict[str, Any]:
        """JSON Schema of the parameters, one property each with its `position`; hints without a schema give `{}`."""
        properties: dict[str, Any] = {}
        definitions: dict[str, Any] = {}
        for position, (name, parameter) in enumerate(self._named.items()):
            described, components = _described(self._hints.get(name, Any))
            definitions |= components
            properties[name] = {"title": name, **described, **_default(parameter), "position": position}
        required = [name for name, parameter in self._named.items() if parameter.default is parameter.empty]
        schema: dict[str, Any] = {"title": "Parameters", "type": "object", "properties": properties}
        if required:
            schema["required"] = required
        if definitions:
            schema["definitions"] = definitions
        return schema

    def _unknown(self, values: Mapping[str, Any]) -> list[str]:
        if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in self._signature.parameters.values()):
            return []
        known = ", ".join(self._named) or "no parameters"
        return [f"there is no parameter {name!r} (the flow takes {known})" for name in values if name not in self._named]

    def _missing(self, values: Mapping[str, Any]) -> list[str]:
        return [
            f"parameter {name!r} has no value and no default"
            for name, parameter in self._named.items()
            if parameter.default is parameter.empty and name not in values
        ]

    def _converted(self, values: Mapping[str, Any]) -> dict[str, Any]:
        converted: dict[str, Any] = {}
        problems = []
        for name, value in values.items():
            try:
                converted[name] = convert(value, self._hints.get(name, Any))
            except msgspec.ValidationError as error:
                problems.append(f"parameter {name!r} is not valid: {error} (got {_short(value)})")
        if problems:
            raise Invalid("; ".join(problems) + ".")
        return converted

    @cached_property
    def _hints(self) -> dict[str, Any]:
        fn = inspect.unwrap(self._fn)
        try:
            return get_type_hints(fn, include_extras=True)
        except Exception:  # one hint that cannot be resolved here must not take the checks off the others
            scope = getattr(fn, "__globals__", {})
            return {name: _evaluated(hint, scope) for name, hint in getattr(fn, "__annotations__", {}).items()}


def convert(value: Any, hint: Any) -> Any:
    """`value` as `hint` asks for it; `msgspec.ValidationError` when it does not fit.

    A value that fits as it is stays as it is; only then is text read as a number, a boolean and so on. A hint that
    cannot be checked lets every value through.
    """
    if hint is Any or (isinstance(hint, type) and isinstance(value, hint)):
        return value
    try:
        return msgspec.convert(value, hint, strict=True, dec_hook=_custom)
    except msgspec.ValidationError:
        return _converted_loosely(value, hint)
    except (TypeError, _Uncheckable):
        return value


def _converted_loosely(value: Any, hint: Any) -> Any:
    try:
        return msgspec.convert(value, hint, strict=False, dec_hook=_custom)
    except _Uncheckable:
        return value


class _Uncheckable(Exception):
    """A hint that says nothing about JSON values."""


def _custom(hint: Any, value: Any) -> Any:
    """msgspec's hook for classes that it does not know."""
    if not isinstance(hint, type):
        raise _Uncheckable
    if isinstance(value, hint):
        return value
    if issubclass(hint, PurePath) and isinstance(value, str):
        return hint(value)
    validate = getattr(hint, "model_validate", None)
    if validate is None:
        raise _Uncheckable
    return validate(value)


def _evaluated(hint: Any, scope: dict[str, Any]) -> Any:
    try:
        return eval(hint, scope) if isinstance(hint, str) else hint
    except Exception:
        return Any


def _described(hint: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """A hint's schema and the definitions that it refers to."""
    if hint is Any:
        return {}, {}
    try:
        (schema,), components = msgspec.json.schema_components(
            [hint], schema_hook=_custom_schema, ref_template="#/definitions/{name}"
        )
    except Exception:  # msgspec, or a hint's own schema method, knows no schema for it: then any value will do
        return {}, {}
    return schema, components


def _custom_schema(hint: type) -> dict[str, Any]:
    if issubclass(hint, PurePath):
        return {"type": "string", "format": "path"}
    describe = getattr(hint, "model_json_schema", None)
    return describe() if describe is not None else {}


def _default(parameter: inspect.Parameter) -> dict[str, Any]:
    if parameter.default is parameter.empty:
        return {}
    try:
        return {"default": msgspec.to_builtins(parameter.default, enc_hook=_plain)}
    except Exception:  # a default without a JSON form is left to the function itself
        return {}


def jsonable(name: str, value: Any) -> Any:
    """A parameter's value as JSON carries it; `Invalid` when it has no such form."""
    try:
        return msgspec.to_builtins(value, enc_hook=_plain, str_keys=True)
    except (TypeError, NotImplementedError):
        raise Invalid(
            f"Parameter {name!r} cannot be sent as JSON: {type(value).__name__}. Give a reference (a path, an id) instead.",
            field=f"parameters.{name}",
            value=value,
        ) from None


def _plain(value: Any) -> Any:
    if isinstance(value, PurePath):
        return str(value)
    dump = getattr(value, "model_dump", None)
    if dump is not None:
        return dump(mode="json")
    raise NotImplementedError


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else text[:97] + "…"
