"""What gates are called."""

from uuid import UUID

import pytest

from headgate.core.dispatch import Gate, GateKind
from headgate.core.reasons import label

SOME = UUID(int=1)


@pytest.mark.parametrize(
    ("gate", "text"),
    [
        (Gate(GateKind.POOL_PAUSED, SOME), "work pool paused"),
        (Gate(GateKind.QUEUE_PAUSED, SOME), "work queue paused"),
        (Gate(GateKind.DEPLOYMENT_PAUSED, SOME), "deployment paused"),
        (Gate(GateKind.POOL_LIMIT, SOME, 0, 0), "work pool limit 0"),
        (Gate(GateKind.QUEUE_LIMIT, SOME, 3, 3), "work queue limit 3"),
        (Gate(GateKind.DEPLOYMENT_LIMIT, SOME, 0, 0), "deployment limit 0"),
    ],
)
def test_a_gate_in_two_or_three_words(gate: Gate, text: str) -> None:
    assert label(gate) == text


def test_every_gate_has_words() -> None:
    assert all(label(Gate(kind)) for kind in GateKind)
