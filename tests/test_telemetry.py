"""Events reach every listener, whatever one of them does."""

import logging
from dataclasses import FrozenInstanceError
from uuid import uuid4

import pytest

from headgate.telemetry import Event, LoopFailed, LoopPassed, PartitionsPostponed, StateChanged, Telemetry, log_events

CHANGED = StateChanged(uuid4(), "PENDING", "RUNNING", "Running")


def test_every_listener_hears_every_event_in_order() -> None:
    telemetry = Telemetry()
    heard: list[tuple[str, Event]] = []
    telemetry.subscribe(lambda event: heard.append(("first", event)))
    telemetry.subscribe(lambda event: heard.append(("second", event)))
    passed = LoopPassed("pruner", 0.1, 3)
    telemetry.emit(CHANGED)
    telemetry.emit(passed)
    assert heard == [("first", CHANGED), ("second", CHANGED), ("first", passed), ("second", passed)]


def test_a_listener_hears_only_what_comes_after_it_subscribed() -> None:
    telemetry = Telemetry()
    telemetry.emit(CHANGED)
    heard: list[Event] = []
    telemetry.subscribe(heard.append)
    assert heard == []


def test_a_listener_that_raises_is_logged_and_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    telemetry = Telemetry()
    heard: list[Event] = []

    def fail(event: Event) -> None:
        raise RuntimeError("out of ink")

    telemetry.subscribe(fail)
    telemetry.subscribe(heard.append)
    telemetry.emit(CHANGED)
    assert heard == [CHANGED]
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None
    assert "out of ink" in str(record.exc_info[1])
    assert "StateChanged" in record.getMessage()


def test_failed_passes_are_logged_as_errors_with_their_traceback(caplog: pytest.LogCaptureFixture) -> None:
    log_events(logging.getLogger("test"))(LoopFailed("late runs", ValueError("no")))
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "late runs" in record.getMessage()
    assert record.exc_info is not None


def test_partitions_that_have_to_wait_are_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    log_events(logging.getLogger("test"))(PartitionsPostponed("log", TimeoutError("somebody reads")))
    (record,) = caplog.records
    assert (record.levelno, record.exc_info) == (logging.WARNING, None)
    assert record.getMessage() == "partitions of log are made and dropped later: somebody reads"


def test_all_else_is_logged_at_debug_level(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("test")
    with caplog.at_level(logging.DEBUG, "test"):
        log_events(logger)(CHANGED)
    assert [record.levelno for record in caplog.records] == [logging.DEBUG]


def test_events_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        CHANGED.to_name = "Other"  # type: ignore[misc]
