"""Actions of automations: which there are, which fields they have, and what these are when left out."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from headgate.errors import Invalid
from headgate.schema.states import StateType

_TARGETS = {"deployment": "deployment_id", "work-pool": "work_pool_id", "work-queue": "work_queue_id"}
_TARGETS |= {"automation": "automation_id"}
_SOURCES = ("selected", "inferred")

_FIELDS: Mapping[str, Mapping[str, Any]] = {
    "do-nothing": {},
    "run-deployment": {"parameters": None, "job_variables": None, "schedule_after": 0.0},
    "change-flow-run-state": {"name": None, "state": ..., "message": None, "force": False},
    "call-webhook": {"block_document_id": ..., "payload": ""},
    "send-notification": {"block_document_id": ..., "subject": "Prefect automated notification", "body": ...},
    "declare-incident": {},
    **{f"{verb}-flow-run": {} for verb in ("cancel", "delete", "resume", "suspend")},
    **{f"{verb}-{noun}": {} for verb in ("pause", "resume") for noun in _TARGETS},
}
"""The fields of each type beside its target, with what they are when left out; `...` must be given."""


def completed_action(action: Mapping[str, Any], *, at: str) -> dict[str, Any]:
    """An action with all of its fields; `Invalid` names what does not fit."""
    kind = action.get("type")
    fields = _FIELDS.get(kind) if isinstance(kind, str) else None
    if fields is None or not isinstance(kind, str):
        raise Invalid(f"An action is one of the types {', '.join(sorted(_FIELDS))}.", field=f"{at}.type", value=kind)
    made: dict[str, Any] = {"type": kind}
    if target := _TARGETS.get(kind.partition("-")[2]):
        made |= _target(action, target, at)
    for name, default in fields.items():
        made[name] = _given(action, name, default, at)
    return dict(action) | made


def _target(action: Mapping[str, Any], name: str, at: str) -> dict[str, Any]:
    """What it acts upon: one that is named, or that of the event."""
    source, id = action.get("source", "selected"), action.get(name)
    if source not in _SOURCES:
        raise Invalid("The source is selected or inferred.", field=f"{at}.source", value=source)
    if source == "selected" and id is None:
        raise Invalid(f"{name} is required for the source selected.", field=f"{at}.{name}", value=id)
    if source == "inferred" and id is not None:
        raise Invalid(f"{name} is not allowed for the source inferred.", field=f"{at}.{name}", value=id)
    return {"source": source, name: _uuid(id, f"{at}.{name}")}


def _given(action: Mapping[str, Any], name: str, default: Any, at: str) -> Any:
    place = f"{at}.{name}"
    value = action.get(name, default)
    if value is ...:
        raise Invalid("Field required", field=place)
    if name == "block_document_id":
        return _uuid(value, place)
    if name == "state" and value not in [*StateType]:
        raise Invalid(f"A state is one of {', '.join(StateType)}.", field=place, value=value)
    return value


def _uuid(value: Any, place: str) -> str | None:
    try:
        return None if value is None else str(UUID(value))
    except (ValueError, TypeError, AttributeError):
        raise Invalid("An id (UUID) is needed.", field=place, value=value) from None
