"""Changes that a manifest makes, as a plan shows them."""

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, Struct

from headgate.cli.output import counted
from headgate.core.manifests import Action, Change, FieldChange

S = TypeVar("S", bound=Struct)

_MARKS = {Action.CREATE: "+", Action.UPDATE: "~"}
_LONGEST = 60


class ChangeRecord(Struct, omit_defaults=True):
    """A change as JSON output has it."""

    kind: str
    name: str
    action: Action
    fields: list[FieldChange]
    error: str | None = None


def record_of(change: Change, error: str | None = None) -> ChangeRecord:
    """The change without what it is made of."""
    return ChangeRecord(change.kind, change.name, change.action, change.fields, error)


def plan_lines(changes: Sequence[Change]) -> Iterator[str]:
    """What is to be made, a line each, with the fields that change; at the end a count."""
    for change in changes:
        if change.action is Action.KEEP:
            continue
        yield f"  {_MARKS[change.action]} {change.kind} {change.name!r}"
        for each in change.fields:
            yield f"      {each.field}: {_short(each.before)} -> {_short(each.after)}"
    counts = {action: sum(change.action is action for change in changes) for action in Action}
    yield (
        f"Plan: {counts[Action.CREATE]} to create, {counts[Action.UPDATE]} to change, "
        f"{counted(counts[Action.KEEP], 'record')} as wanted already."
    )


def _short(value: Any) -> str:
    if value is None or value is UNSET:
        return "none"
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def pending(changes: Sequence[Change]) -> list[Change]:
    """Those that change anything."""
    return [change for change in changes if change.action is not Action.KEEP]
