"""Everything that is wrong with a body, where the decoder stops at the first fault."""

from collections.abc import Iterator
from itertools import islice
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec
from msgspec.structs import fields

from headgate.api import lenience

MOST = 100
"""How many faults of a body are told."""

Place = list[str | int]

_HERE = " - at `$[0]`"


def find(value: Any, kind: Any) -> list[tuple[Place, str]]:
    """The faults of a body as untyped JSON: the way to each, and the decoder's words for it; the first `MOST`.

    The words are those for a list that holds the value at that place, so that they always end in a place of their own.
    Fields of objects and items of lists are looked at one by one. A value of several kinds of object, or one whose
    fields are right each for itself, has one fault, its own.
    """
    return list(islice(_faults(value, kind, []), MOST))


def _faults(value: Any, kind: Any, at: Place) -> Iterator[tuple[Place, str]]:
    try:
        lenience.convert([value], list[kind])
    except msgspec.ValidationError as error:
        inner = _inner_faults(value, _only(kind), at)
        first = next(inner, None)
        if first is None:
            yield at, str(error)
        else:
            yield first
            yield from inner


def _inner_faults(value: Any, kind: Any, at: Place) -> Iterator[tuple[Place, str]]:
    if isinstance(value, dict) and isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        yield from _struct_faults(value, kind, at)
    elif isinstance(value, list) and get_origin(kind) is list:
        for index, item in enumerate(value):
            yield from _faults(item, get_args(kind)[0], [*at, index])


def _struct_faults(value: dict[str, Any], kind: type[msgspec.Struct], at: Place) -> Iterator[tuple[Place, str]]:
    known = set()
    for each in fields(kind):
        name = each.encode_name
        known.add(name)
        if name in value:
            yield from _faults(value[name], each.type, [*at, name])
        elif each.required:
            yield at, f"Object missing required field `{name}`{_HERE}"
    if kind.__struct_config__.forbid_unknown_fields:
        for name in (each for each in value if each not in known):
            yield at, f"Object contains unknown field `{name}`{_HERE}"


def _only(kind: Any) -> Any:
    """The one kind of object or list that `kind` may be, without its bounds and without null."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) in (Union, UnionType):
        told = [each for each in get_args(kind) if each not in (type(None), msgspec.UnsetType)]
        return _only(told[0]) if len(told) == 1 else None
    return kind
