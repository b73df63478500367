"""Triggers of automations: which there are, which fields they have, and what these are when left out."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from headgate.errors import Invalid

_POSTURES = ("Reactive", "Proactive")
_REQUIRED = ("any", "all")
DEEPEST = 20
SHORTEST_PROACTIVE = 10
"""Seconds that events must be able to stay away."""


def completed(
    trigger: Mapping[str, Any], new_id: Callable[[], UUID], *, at: str = "trigger", depth: int = 0
) -> dict[str, Any]:
    """A trigger with all of its fields, and ids of its own for it and those in it; `Invalid` names what does not fit."""
    if depth > DEEPEST:
        raise Invalid(f"Triggers stand in each other more than {DEEPEST} deep.", field=at)
    kind = trigger.get("type", "compound" if "require" in trigger else "sequence" if "triggers" in trigger else "event")
    match kind:
        case "event":
            return _event(trigger, str(new_id()), at)
        case "compound" | "sequence":
            inner = trigger.get("triggers")
            if not isinstance(inner, list) or not all(isinstance(each, Mapping) for each in inner):
                raise Invalid("A list of triggers is needed.", field=f"{at}.triggers", value=inner)
            made: dict[str, Any] = {
                "type": kind,
                "id": str(new_id()),
                "triggers": [
                    completed(each, new_id, at=f"{at}.triggers[{index}]", depth=depth + 1)
                    for index, each in enumerate(inner)
                ],
                "within": _seconds(trigger.get("within"), f"{at}.within", optional=True),
            }
            return made | {"require": _require(trigger.get("require"), inner, at)} if kind == "compound" else made
    raise Invalid("A trigger is one of the types event, compound and sequence.", field=f"{at}.type", value=kind)


def _event(trigger: Mapping[str, Any], id: str, at: str) -> dict[str, Any]:
    posture = trigger.get("posture")
    if posture not in _POSTURES:
        raise Invalid("The posture is Reactive or Proactive.", field=f"{at}.posture", value=posture)
    threshold = trigger.get("threshold", 1)
    if not isinstance(threshold, int) or isinstance(threshold, bool):
        raise Invalid("The threshold is a whole number.", field=f"{at}.threshold", value=threshold)
    within = _seconds(trigger.get("within", 0), f"{at}.within")
    if posture == "Proactive" and (within or 0) < SHORTEST_PROACTIVE:
        raise Invalid(
            f"`within` for Proactive triggers must be greater than or equal to {SHORTEST_PROACTIVE} seconds.",
            field=f"{at}.within",
            value=within,
        )
    return {
        "type": "event",
        "id": id,
        "match": trigger.get("match") or {},
        "match_related": trigger.get("match_related") or {},
        "after": trigger.get("after") or [],
        "expect": trigger.get("expect") or [],
        "for_each": trigger.get("for_each") or [],
        "posture": posture,
        "threshold": threshold,
        "within": within,
    }


def _seconds(value: Any, at: str, *, optional: bool = False) -> float | None:
    if value is None and optional:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or value < 0:
        raise Invalid("Seconds are needed: a number of 0 or more.", field=at, value=value)
    return float(value)


def _require(value: Any, inner: list[Any], at: str) -> Any:
    fits = value in _REQUIRED if isinstance(value, str) else isinstance(value, int) and 0 < value <= len(inner)
    if not fits:
        raise Invalid(
            "`require` is any, all, or how many of the triggers: from 1 up to their number.",
            field=f"{at}.require",
            value=value,
        )
    return value
