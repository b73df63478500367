"""Which events a filter means; the store's conditions say the same in SQL."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import msgspec

from headgate.schema.events import (
    RESOURCE,
    ROLE,
    AnyResourceFilter,
    Event,
    EventFilter,
    EventNameFilter,
    Labels,
    RelatedFilter,
    ResourceFilter,
    Wanted,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Words:
    """A search: one of `any`, all of `all` and none of `none` must occur."""

    any: tuple[str, ...]
    all: tuple[str, ...]
    none: tuple[str, ...]


_WORD = re.compile(r"""(?P<sign>[-!+]?)(?:"(?P<phrase>(?:\\.|[^"\\])*)"?|(?P<word>[^\s"]+))""")


@lru_cache(maxsize=256)
def words(query: str) -> Words:
    """What a search asks for, in lower case."""
    found: dict[str, list[str]] = {"": [], "+": [], "-": []}
    for match in _WORD.finditer(query):
        phrase = match["phrase"]
        text = match["word"] if phrase is None else re.sub(r"\\([\"\\])", r"\1", phrase)
        if text and text.strip() and text not in ("-", "!", "+"):
            found[match["sign"].replace("!", "-")].append(text.lower())
    return Words(tuple(found[""]), tuple(found["+"]), tuple(found["-"]))


def each(given: T | list[T] | None) -> list[T]:
    """One filter, several or none, as a list."""
    return given if isinstance(given, list) else [] if given is None else [given]


def values_of(wanted: str | list[str]) -> list[str]:
    """The values of a label that will do, as a list."""
    return [wanted] if isinstance(wanted, str) else wanted


def matches(f: EventFilter, event: Event) -> bool:
    """Whether the filter means this event."""
    return all(_tests(f, event))


def _tests(f: EventFilter, event: Event) -> Iterator[bool]:
    since, until = f.occurred.since, f.occurred.until
    yield (since is None or since <= event.occurred) and (until is None or event.occurred <= until)
    yield not f.id.id or event.id in f.id.id
    if f.event:
        yield _named(f.event, event.event)
    if f.resource:
        yield _is(f.resource, event.resource)
    for related in each(f.related):
        yield _any(lambda labels, related=related: _relates(related, labels), event.related, unless=_empty(related))  # type: ignore[misc]
    for resource in each(f.any_resource):
        yield any(_is(resource, labels) for labels in (event.resource, *event.related))
    if f.text:
        yield _says(words(f.text.query), event)


def _empty(f: RelatedFilter) -> bool:
    return not (f.id or f.role or f.resources_in_roles or f.labels)


def _any(test: Callable[[Labels], bool], resources: Iterable[Labels], *, unless: bool) -> bool:
    return unless or any(map(test, resources))


def _named(f: EventNameFilter, name: str) -> bool:
    if f.prefix and not name.startswith(tuple(f.prefix)):
        return False
    if f.exclude_prefix and name.startswith(tuple(f.exclude_prefix)):
        return False
    return (not f.name or name in f.name) and (not f.exclude_name or name not in f.exclude_name)


def _is(f: ResourceFilter | AnyResourceFilter, labels: Labels) -> bool:
    id = labels[RESOURCE]
    if (f.id and id not in f.id) or (f.id_prefix and not id.startswith(tuple(f.id_prefix))):
        return False
    return _labelled(f.labels, labels)


def _relates(f: RelatedFilter, labels: Labels) -> bool:
    id, role = labels[RESOURCE], labels.get(ROLE, "")
    if (f.id and id not in f.id) or (f.role and role not in f.role):
        return False
    return (not f.resources_in_roles or (id, role) in f.resources_in_roles) and _labelled(f.labels, labels)


def _labelled(wanted: Wanted | None, labels: Mapping[str, str]) -> bool:
    return all(
        any(_fits(value, labels.get(label)) for value in values_of(values)) for label, values in (wanted or {}).items()
    )


def _fits(wanted: str, value: str | None) -> bool:
    if value is None:
        return False
    return bool(_pattern(wanted.removeprefix("!")).fullmatch(value)) != wanted.startswith("!")


@lru_cache(maxsize=1024)
def _pattern(wanted: str) -> re.Pattern[str]:
    return re.compile(re.escape(wanted).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)


def _says(wanted: Words, event: Event) -> bool:
    parts = (event.resource, event.related, event.payload)
    text = " ".join([event.event, *(msgspec.json.encode(part).decode() for part in parts)]).lower()
    if wanted.any and not any(word in text for word in wanted.any):
        return False
    return all(word in text for word in wanted.all) and not any(word in text for word in wanted.none)
