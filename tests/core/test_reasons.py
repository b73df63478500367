"""What gates are called, and what is said of a run."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from headgate.core.dispatch import Gate, GateKind
from headgate.core.reasons import Subject, as_message, label, none_blocks, not_taken, sentence, whereabouts
from headgate.schema.pauses import Pause
from headgate.schema.states import StateType

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


ABOUT = Subject(pool="local", queue="high", deployment="etl/nightly", online=1, due_at=datetime(2026, 3, 1, 9, tzinfo=UTC))
AT = datetime(2026, 3, 1, 8, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("gate", "text"),
    [
        (Gate(GateKind.POOL_PAUSED), "work pool 'local' is paused"),
        (Gate(GateKind.QUEUE_PAUSED), "work queue 'high' is paused"),
        (Gate(GateKind.DEPLOYMENT_PAUSED), "deployment 'etl/nightly' is paused"),
        (Gate(GateKind.NOT_DUE), "it is due at 2026-03-01 09:00:00 UTC"),
        (Gate(GateKind.HELD), "the process that ran it still has it"),
        (Gate(GateKind.NO_QUEUE), "it belongs to no work pool, and no process serves deployment 'etl/nightly'"),
        (Gate(GateKind.NO_WORKER), "no online worker polls work queue 'high' of work pool 'local'"),
        (Gate(GateKind.NO_ROOM, limit=1, used=1), "the worker has no room for it"),
        (Gate(GateKind.POOL_LIMIT, None, 0, 0), "work pool 'local' has a concurrency limit of 0"),
        (Gate(GateKind.QUEUE_LIMIT, None, 3, 3), "work queue 'high' has all of its 3 slots in use"),
        (Gate(GateKind.DEPLOYMENT_LIMIT, None, 1, 1), "deployment 'etl/nightly' has its only slot in use"),
        (Gate(GateKind.POOL_LIMIT, None, 2, 5), "work pool 'local' has 5 slots in use, more than its limit of 2"),
        (
            Gate(GateKind.QUEUE_LIMIT, None, 3, 3, ahead=1),
            "work queue 'high' has 2 of 3 slots in use, and the free slot goes to a run ahead of it",
        ),
        (
            Gate(GateKind.QUEUE_LIMIT, None, 3, 3, ahead=2),
            "work queue 'high' has 1 of 3 slots in use, and the free 2 slots go to runs ahead of it",
        ),
    ],
)
def test_a_gate_in_a_sentence(gate: Gate, text: str) -> None:
    assert sentence(gate, ABOUT) == text


@pytest.mark.parametrize(
    ("pause", "text"),
    [
        (Pause(at=AT), "work pool 'local' is paused since 2026-03-01 08:30:00 UTC"),
        (
            Pause(at=AT, by="ann", reason="Move of the data centre."),
            "work pool 'local' is paused since 2026-03-01 08:30:00 UTC by ann: Move of the data centre",
        ),
    ],
)
def test_a_pause_says_since_when_by_whom_and_why(pause: Pause, text: str) -> None:
    assert sentence(Gate(GateKind.POOL_PAUSED), replace(ABOUT, pauses={GateKind.POOL_PAUSED: pause})) == text


def test_why_nobody_takes_it_depends_on_who_should() -> None:
    gate = Gate(GateKind.NO_WORKER)
    assert sentence(gate, replace(ABOUT, online=0)) == "no worker of work pool 'local' is online"
    assert sentence(gate, replace(ABOUT, draining=1)) == (
        "every online worker of work pool 'local' is draining and takes no more runs"
    )
    assert sentence(gate, replace(ABOUT, typed=False)) == "nothing polls work queue 'high' of work pool 'local'"


def test_a_retry_is_told_as_one() -> None:
    about = replace(ABOUT, retries=True)
    assert sentence(Gate(GateKind.NOT_DUE), about) == "its next attempt is due at 2026-03-01 09:00:00 UTC"
    assert sentence(Gate(GateKind.HELD), about) == "the process that ran it still has it, and is to retry it"


def test_every_gate_has_a_sentence_whatever_is_known() -> None:
    for kind in GateKind:
        for about in (ABOUT, Subject()):
            assert as_message(sentence(Gate(kind), about)).endswith(".")


def test_a_run_without_a_gate_is_told_who_takes_it_and_when() -> None:
    assert none_blocks(ABOUT, 0) == "Nothing blocks it: the next poll with room for a run takes it."
    assert "after the run ahead of it" in none_blocks(ABOUT, 1)
    assert "after the 7 runs ahead of it" in none_blocks(ABOUT, 7)
    assert "after at least 7 runs ahead of it" in none_blocks(ABOUT, 7, more=True)
    assert "the process that serves its deployment" in none_blocks(replace(ABOUT, queue=None), 0)


def test_a_run_that_does_not_wait_is_told_where_it_is() -> None:
    for kind in [*StateType, None]:
        for worker in ("worker 'w'", None):
            text = whereabouts(kind, "Crashed", worker)
            assert text.endswith(".")
            assert ("'w'" in text) is (worker is not None and kind in ("PENDING", "RUNNING", "CANCELLING"))


def test_why_a_run_that_nothing_blocks_was_not_taken() -> None:
    assert not_taken(ABOUT) == "workers poll work queue 'high', but none has had room for it"
    assert not_taken(replace(ABOUT, typed=False)) == "work queue 'high' is polled, but nothing has taken it"
    assert not_taken(replace(ABOUT, queue=None)) == "the process that serves its deployment has not taken it"
