"""Gates in words for people."""

from headgate.core.dispatch import Gate, GateKind

_LABELS = {
    GateKind.POOL_PAUSED: "work pool paused",
    GateKind.QUEUE_PAUSED: "work queue paused",
    GateKind.DEPLOYMENT_PAUSED: "deployment paused",
    GateKind.POOL_LIMIT: "work pool limit",
    GateKind.QUEUE_LIMIT: "work queue limit",
    GateKind.DEPLOYMENT_LIMIT: "deployment limit",
}


def label(gate: Gate) -> str:
    """A gate in two or three words: `work pool paused`, `deployment limit 0`."""
    text = _LABELS.get(gate.kind, gate.kind.value)
    return text if gate.limit is None else f"{text} {gate.limit}"
