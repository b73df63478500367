"""How a job configuration is filled, and where each of its values comes from."""

import re
from collections.abc import Mapping
from copy import deepcopy
from enum import StrEnum
from typing import Any, cast

import msgspec
from msgspec import UNSET, UnsetType

from headgate.core.placeholders import PLACEHOLDER, Kind, Path, list_uses, read_reference, whole


class Origin(StrEnum):
    """Where a value of a job configuration comes from."""

    HARD_CODED = "hard-coded"
    TYPE = "type's default"
    POOL = "pool default"
    DEPLOYMENT = "deployment"
    SCHEDULE = "schedule"
    RUN = "run"
    ENVIRONMENT = "environment"
    VARIABLE = "variable"
    SECRET = "secret"


Origins = Mapping[str, Any]
"""An origin for each variable, or for each name of `env`: overlaid as the values are."""


def resolve(value: Any, references: Mapping[str, Any]) -> Any:
    """A value with its references replaced: by the value with its type where one is all of a text, else by text."""
    match value:
        case str() if "{{" in value:
            if (name := whole(value)) is not None:
                return deepcopy(_referred(name, references, value))
            return PLACEHOLDER.sub(lambda found: _to_text(_referred(found[1], references, found[0])), value)
        case Mapping():
            return {key: resolve(item, references) for key, item in value.items()}
        case list():
            return [resolve(item, references) for item in value]
        case _:
            return value


_ORIGIN_OF = {Kind.VARIABLE: Origin.VARIABLE, Kind.SECRET: Origin.SECRET}
_AS_WRITTEN = object()
"""Stands for a placeholder that is to stay as it is."""


class Rendering:
    """One pass over a job configuration; without `environ` or `references` what they would fill stays as it is."""

    def __init__(
        self,
        values: Mapping[str, Any],
        sources: Origins,
        *,
        environ: Mapping[str, str] | None,
        references: Mapping[str, Any] | None,
    ) -> None:
        self.origins: dict[Path, tuple[Origin, ...]] = {}
        self._values = {name: value for name, value in values.items() if value is not None}
        self._sources = sources
        self._environ = environ
        self._references = references

    def of(self, template: Mapping[str, Any]) -> dict[str, Any]:
        """The template's job configuration, filled."""
        return cast(dict[str, Any], self._fill(template.get("job_configuration", {}), ()))

    def _fill(self, value: Any, path: Path) -> Any:
        """The value with its placeholders replaced, UNSET if it is to be left out."""
        match value:
            case str():
                return self._fill_text(value, path)
            case dict() if value:
                pairs = ((key, self._fill(item, (*path, key))) for key, item in value.items())
                return {key: item for key, item in pairs if item is not UNSET}
            case list() if value:
                filled: list[Any] = []
                for item in value:
                    if (found := self._fill(item, (*path, len(filled)))) is not UNSET:
                        filled.append(found)
                return filled
            case _:
                self.origins[path] = (Origin.HARD_CODED,)
                return deepcopy(value)

    def _fill_text(self, text: str, path: Path) -> Any:
        if (name := whole(text)) is not None:
            value, source = self._find(name)
            value = text if value is _AS_WRITTEN else value
            if value is not UNSET:
                self._note(value, source, path)
            return deepcopy(value)
        sources: list[Any] = [Origin.HARD_CODED]

        def replaced(found: re.Match[str]) -> str:
            value, source = self._find(found[1])
            sources.extend([] if value is UNSET else [source, *_kinds(value)])
            return found[0] if value is _AS_WRITTEN else _to_text(value)

        filled = PLACEHOLDER.sub(replaced, text)
        self.origins[path] = tuple(dict.fromkeys(origin for source in sources for origin in _flat(source)))
        return filled

    def _find(self, name: str) -> tuple[Any, Any]:
        """What a placeholder stands for, and where that comes from."""
        if name.startswith("$"):
            found = _AS_WRITTEN if self._environ is None else self._environ.get(name[1:], UNSET)
            return found, Origin.ENVIRONMENT
        if reference := read_reference(name):
            found = _AS_WRITTEN if self._references is None else self._references.get(reference.key)
            return UNSET if found is None else found, _ORIGIN_OF[reference.kind]
        if name in self._values:
            return self._values[name], self._sources.get(name)
        found, source = self._values, self._sources
        for key in name.split("."):
            found = found.get(key) if isinstance(found, Mapping) else None
            source = source.get(key, ()) if isinstance(source, Mapping) else source
        return UNSET if found is None else found, source

    def _note(self, value: Any, source: Any, path: Path) -> None:
        """Record where the innermost values of what was filled in come from."""
        if isinstance(value, Mapping) and value:
            for key, item in value.items():
                self._note(item, source.get(key, ()) if isinstance(source, Mapping) else source, (*path, key))
        elif isinstance(value, list) and value:
            for index, item in enumerate(value):
                self._note(item, source, (*path, index))
        else:
            self.origins[path] = tuple(dict.fromkeys([*_flat(source), *_kinds(value)]))


def _kinds(value: Any) -> list[Origin]:
    """What the references in a value name."""
    return [_ORIGIN_OF[use.reference.kind] for use in list_uses(value)]


def _flat(source: Any) -> list[Origin]:
    if isinstance(source, Mapping):
        return [origin for each in source.values() for origin in _flat(each)]
    return [source] if isinstance(source, Origin) else []


def _to_text(value: Any) -> str:
    match value:
        case str():
            return value
        case UnsetType() | None:
            return ""
        case _:
            return msgspec.json.encode(value).decode()


def _referred(name: str, references: Mapping[str, Any], text: str) -> Any:
    """What a reference names; the `text` as it stands for anything else, and for what is not known."""
    reference = read_reference(name)
    return text if reference is None else references.get(reference.key, text)
