"""Triggers of automations: which there are, their fields, what is left out, and which would never rest."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from uuid import UUID

from headgate.errors import Invalid

_POSTURES = ("Reactive", "Proactive")
_REQUIRED = ("any", "all")
DEEPEST = 20
SHORTEST_PROACTIVE = 10
"""Seconds that events must be able to stay away."""
EVERY_RUN = frozenset(f"prefect.flow-run.{name}" for name in ("Scheduled", "Pending", "Running", "*"))
"""Events of which each run of a deployment brings some."""


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


def check_rests(trigger: Mapping[str, Any], actions: Iterable[Mapping[str, Any]], *, field: str | None = None) -> None:
    """`Invalid` for an automation whose runs would set it off again, each of them.

    The trigger is a completed one. Every run of a deployment is Scheduled, Pending and Running, so that an action which
    runs one on these events needs a trigger that leaves its runs out. The deployment of the run itself never does.
    """
    if trigger["type"] != "event" or trigger["posture"] != "Reactive" or EVERY_RUN.isdisjoint(trigger["expect"]):
        return
    for action in actions:
        if action["type"] != "run-deployment":
            continue
        if action["source"] == "inferred":
            raise Invalid(
                "Running an inferred deployment from a flow run state change never ends: its run sets the automation off "
                "again. Select a deployment, and let match or match_related leave its runs out.",
                field=field,
            )
        if _is_any_run(trigger["match"]) and any(map(_is_any_run, _listed(trigger["match_related"]))):
            raise Invalid(
                "Running a selected deployment from a flow run state change may never end: its run sets the automation "
                "off again. Add labels to match or match_related that leave its runs out.",
                field=field,
            )


def _is_any_run(labels: Mapping[str, Any]) -> bool:
    """Whether labels that resources are to have leave no flow run out."""
    if not labels:
        return True
    return len(labels) == 1 and "prefect.flow-run.*" in _listed(labels.get("prefect.resource.id"))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _event(trigger: Mapping[str, Any], id: str, at: str) -> dict[str, Any]:
    posture = trigger.get("posture")
    if posture not in _POSTURES:
        raise Invalid("The posture is Reactive or Proactive.", field=f"{at}.posture", value=posture)
    threshold = trigger.get("threshold", 1)
    if not isinstance(threshold, int) or isinstance(threshold, bool):
        raise Invalid("The threshold is a whole number.", field=f"{at}.threshold", value=threshold)
    within = _seconds(trigger.get("within", 0), f"{at}.within") or 0.0
    if posture == "Proactive" and within == 0:
        within = float(SHORTEST_PROACTIVE)
    if posture == "Proactive" and within < SHORTEST_PROACTIVE:
        raise Invalid(
            f"`within` for Proactive triggers must be greater than or equal to {SHORTEST_PROACTIVE} seconds.",
            field=f"{at}.within",
            value=within,
        )
    return {
        "type": "event",
        "id": id,
        "match": _labels(trigger.get("match"), f"{at}.match"),
        "match_related": _labels_of_related(trigger.get("match_related"), f"{at}.match_related"),
        **{name: _texts(trigger.get(name), f"{at}.{name}") for name in ("after", "expect", "for_each")},
        "posture": posture,
        "threshold": threshold,
        "within": within,
    }


def _labels(value: Any, at: str) -> dict[str, Any]:
    if not isinstance(value or {}, Mapping):
        raise Invalid("Labels are needed: an object of names and texts.", field=at, value=value)
    return dict(value or {})


def _labels_of_related(value: Any, at: str) -> Any:
    """One set of labels, or several, each of another resource."""
    if isinstance(value, list):
        return [_labels(each, f"{at}[{index}]") for index, each in enumerate(value)]
    return _labels(value, at)


def _texts(value: Any, at: str) -> list[str]:
    if not isinstance(value or [], list) or not all(isinstance(each, str) for each in value or []):
        raise Invalid("A list of texts is needed.", field=at, value=value)
    return list(dict.fromkeys(value or []))


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
