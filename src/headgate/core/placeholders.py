"""Placeholders, `{{ name }}`, where they stand in a value, and the references among them.

A reference names a variable or a secret that the server keeps: `{{ headgate.variables.NAME }}`,
`{{ headgate.secrets.NAME }}`, or in the spelling of existing templates `{{ prefect.variables.NAME }}`,
`{{ prefect.blocks.secret.NAME }}`. It may stand in a template and in the values that fill it; any other placeholder in
a value is data.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from headgate.schema.variables import NAME_PATTERN

PLACEHOLDER = re.compile(r"\{\{\s*(\$?[\w.-]+)\s*\}\}")

Path = tuple[str | int, ...]
"""The keys and positions that lead to a place in a value."""


@dataclass(frozen=True, slots=True)
class Placed:
    """What is said of one place in a value."""

    path: Path

    @property
    def pointer(self) -> str:
        """The place as a JSON pointer (RFC 6901), such as `/env/A`; empty for the whole value."""
        return to_pointer(self.path)

    @property
    def dotted(self) -> str:
        """The place as people write it, such as `env.A` or `hosts[0]`; empty for the whole value."""
        return to_dotted(self.path)


class Kind(StrEnum):
    """What a reference names."""

    VARIABLE = "variable"
    SECRET = "secret"


_NAMESPACES: Mapping[str, Kind] = {
    "headgate.variables.": Kind.VARIABLE,
    "headgate.secrets.": Kind.SECRET,
    "prefect.variables.": Kind.VARIABLE,
    "prefect.blocks.secret.": Kind.SECRET,
}
_RESERVED = ("headgate.", "prefect.")
_KNOWN_FORMS = "known are {{ headgate.variables.NAME }} and {{ headgate.secrets.NAME }}, NAME in lowercase"


@dataclass(frozen=True, slots=True)
class Reference:
    """A variable or secret of the server, by name."""

    kind: Kind
    name: str

    @property
    def key(self) -> str:
        """`variables.region` or `secrets.token`, however it was spelled."""
        return f"{self.kind}s.{self.name}"

    def __str__(self) -> str:
        """As it is written in a template."""
        return f"{{{{ headgate.{self.key} }}}}"


@dataclass(frozen=True, slots=True)
class Use:
    """A reference, and where it stands."""

    path: Path
    reference: Reference


def read_reference(placeholder: str) -> Reference | None:
    """The reference that a placeholder's name is, or None."""
    for prefix, kind in _NAMESPACES.items():
        if placeholder.startswith(prefix) and re.match(NAME_PATTERN, name := placeholder.removeprefix(prefix)):
            return Reference(kind, name)
    return None


def whole(text: str) -> str | None:
    """The name of the placeholder that is all of a text, or None."""
    found = PLACEHOLDER.fullmatch(text.strip())
    return found[1] if found else None


def list_placeholders(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Where and by which name, for every placeholder in `value`, which stands at `path`; in its order, however deep."""
    for place, text in _texts(value, path):
        if "{{" in text:
            yield from ((place, name) for name in PLACEHOLDER.findall(text))


def list_uses(value: Any, path: Path = ()) -> Iterator[Use]:
    """Every reference in `value`, which stands at `path`."""
    for place, name in list_placeholders(value, path):
        if reference := read_reference(name):
            yield Use(place, reference)


def holds_reference(value: Any) -> bool:
    """Whether what a value will be is known only when a run is launched; quick where it holds none, however deep."""
    ahead = [value]
    while ahead:
        match ahead.pop():
            case str() as text:
                if "{{" in text and any(read_reference(name) for name in PLACEHOLDER.findall(text)):
                    return True
            case dict() as item:
                ahead += item.values()
            case list() as item:
                ahead += item
    return False


def list_broken(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Where, and what is wrong with it, for every placeholder that looks like a reference and is none."""
    for place, name in list_placeholders(value, path):
        if name.startswith(_RESERVED) and read_reference(name) is None:
            yield place, f"{{{{ {name} }}}} is no reference; {_KNOWN_FORMS}"


def to_pointer(path: Path) -> str:
    """A place as a JSON pointer (RFC 6901), such as `/env/A`; empty for the whole value."""
    return "".join("/" + str(key).replace("~", "~0").replace("/", "~1") for key in path)


def to_dotted(path: Path) -> str:
    """A place as people write it, such as `env.A` or `hosts[0]`; empty for the whole value."""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path).removeprefix(".")


def at(value: Any, path: Path) -> Any:
    """What stands at `path`; where the way ends early, what stands there."""
    for key in path:
        try:
            value = value[key] if not isinstance(value, str) else value
        except (KeyError, IndexError, TypeError):
            return value
    return value


def _texts(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Where and which, for every text in `value`; the keys of objects are none."""
    ahead: list[tuple[Path, Any]] = [(path, value)]
    while ahead:
        place, item = ahead.pop()
        match item:
            case str():
                yield place, item
            case dict():
                ahead += [((*place, key), inner) for key, inner in reversed(item.items())]
            case list():
                ahead += [((*place, index), item[index]) for index in reversed(range(len(item)))]
