"""What one base job template has that another has not."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from headgate.core.placeholders import Path, Placed


class Kind(StrEnum):
    """What became of a place."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Change(Placed):
    """A place that differs; `before` is None where it was added, `after` where it was removed."""

    kind: Kind
    before: Any = None
    after: Any = None


def diff(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """How to come from one template to the other: the variables' changes first, then the configuration's, by place.

    A variable that is new or gone is one change; of one that differs, each place in its schema is. Lists count whole.
    """
    changes = _changes(dict(before), dict(after), ())
    return sorted(changes, key=lambda change: (change.path[:1] != ("variables",), change.pointer))


def _changes(before: Any, after: Any, path: Path) -> Iterator[Change]:
    if not isinstance(before, dict) or not isinstance(after, dict):
        if before != after or type(before) is not type(after):
            yield Change(path, Kind.CHANGED, before, after)
        return
    for key in before.keys() | after.keys():
        place = (*path, key)
        if key not in after:
            yield Change(place, Kind.REMOVED, before=before[key])
        elif key not in before:
            yield Change(place, Kind.ADDED, after=after[key])
        else:
            yield from _changes(before[key], after[key], place)
