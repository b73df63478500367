"""The log shipper: bounded, ordered, never in the way, and the last lines always arrive."""

import threading
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from headgate.errors import Invalid, Unreachable
from headgate.flows import log_shipper
from headgate.flows.log_shipper import LONGEST_LINE, Line, LogShipper
from headgate.schema.logs import LogCreate

RUN = uuid4()


class Sink:
    """Takes batches; closed by the test, it makes the sender wait; `errors` are raised first."""

    def __init__(self) -> None:
        self.batches: list[list[LogCreate]] = []
        self.errors: list[Exception] = []
        self.tries = 0
        self.asked = threading.Event()
        self.open = threading.Event()
        self.open.set()

    def __call__(self, batch: list[LogCreate]) -> None:
        self.tries += 1
        self.asked.set()
        assert self.open.wait(20)
        if self.errors:
            raise self.errors.pop(0)
        self.batches.append(batch)

    @property
    def messages(self) -> list[str]:
        return [line.message for batch in self.batches for line in batch]


@pytest.fixture
def sink() -> Sink:
    return Sink()


def shipper(sink: Sink, **about: Any) -> LogShipper:
    return LogShipper(sink, RUN, **{"max_lines": 1000, "batch_bytes": 1_000_000, "interval": 3600.0, **about})


def line(message: str, created: float = 0.0) -> Line:
    return Line("headgate.flow_runs", 20, message, created)


def test_a_flush_sends_all_lines_in_order_with_their_facts(sink: Sink) -> None:
    ship = shipper(sink)
    ship.put(Line("headgate.flow_runs", 30, "a", 1.5))
    ship.put(line("b"))
    assert ship.flush(10)
    (batch,) = sink.batches
    assert batch[0] == LogCreate(
        name="headgate.flow_runs",
        level=30,
        message="a",
        timestamp=datetime(1970, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC),
        flow_run_id=RUN,
    )
    assert batch[1].message == "b"
    assert ship.close(10)


def test_nothing_is_sent_when_nothing_was_logged(sink: Sink) -> None:
    ship = shipper(sink)
    assert ship.flush(10)
    assert ship.close(10)
    assert sink.tries == 0


def test_lines_go_off_after_the_interval_without_a_flush(sink: Sink) -> None:
    ship = shipper(sink, interval=0.01)
    ship.put(line("a"))
    assert sink.asked.wait(10)
    assert ship.close(10)
    assert sink.messages == ["a"]


def test_a_full_batch_does_not_wait_for_the_interval(sink: Sink) -> None:
    ship = shipper(sink, batch_bytes=500)
    for n in range(10):
        ship.put(line(str(n)))
    assert sink.asked.wait(10)
    ship.close(10)
    assert sink.messages == [str(n) for n in range(10)]
    assert all(len(batch) <= 4 for batch in sink.batches)


def test_when_more_comes_than_fits_the_oldest_go_and_are_counted(sink: Sink) -> None:
    sink.open.clear()
    ship = shipper(sink, max_lines=100, interval=0.001)
    ship.put(line("first"))
    assert sink.asked.wait(10)
    for n in range(10_000):
        ship.put(line(str(n)))
    sink.open.set()
    assert ship.close(10)
    assert sink.messages[0] == "first"
    assert sink.messages[1] == "9,900 log lines were dropped here: they came faster than the API takes them."
    assert sink.messages[2:] == [str(n) for n in range(9_900, 10_000)]


def test_memory_is_bounded_by_bytes_too(sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_shipper, "_MOST_BYTES", 10_000)
    sink.open.clear()
    ship = shipper(sink, interval=0.001)
    ship.put(line("first"))
    assert sink.asked.wait(10)
    for _ in range(100):
        ship.put(line("x" * 1000))
    sink.open.set()
    ship.close(10)
    assert "92 log lines were dropped here" in sink.messages[1]
    assert len(sink.messages) == 2 + 8


def test_the_middle_of_an_oversized_line_is_left_out_with_a_note(sink: Sink) -> None:
    ship = shipper(sink)
    ship.put(line("begin" + "x" * LONGEST_LINE + "end"))
    ship.close(10)
    (message,) = sink.messages
    assert message.startswith("beginxxx")
    assert message.endswith("xxxend")
    assert "… [8 characters left out] …" in message
    assert len(message) < LONGEST_LINE + 100


def test_what_no_database_can_hold_is_replaced(sink: Sink) -> None:
    ship = shipper(sink)
    ship.put(line("nul \0 and half a pair \ud800"))
    ship.close(10)
    assert sink.messages == ["nul \ufffd and half a pair ?"]


def test_while_the_api_is_away_lines_are_kept_and_tried_again(
    sink: Sink, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(log_shipper, "_PAUSE_AFTER_FAILURE", 0.001)
    sink.errors = [Unreachable("nobody there"), Unreachable("nobody there"), RuntimeError("odd")]
    ship = shipper(sink)
    ship.put(line("a"))
    assert ship.close(10)
    assert sink.messages == ["a"]
    assert sink.tries == 4
    assert capsys.readouterr().err == "Log lines wait for the API: nobody there\n"


def test_a_batch_that_the_api_refuses_is_dropped_and_the_next_goes_on(
    sink: Sink, capsys: pytest.CaptureFixture[str]
) -> None:
    sink.errors = [Invalid("no such run")]
    ship = shipper(sink)
    ship.put(line("a"))
    assert ship.flush(10)
    ship.put(line("b"))
    assert ship.close(10)
    assert sink.messages == ["b"]
    assert capsys.readouterr().err == "The API refused 1 log lines, they are dropped: no such run\n"


def test_a_flush_gives_up_in_time_and_a_closed_shipper_takes_no_more(sink: Sink) -> None:
    sink.open.clear()
    ship = shipper(sink)
    ship.put(line("a"))
    assert not ship.flush(0.01)
    assert not ship.close(0.01)
    ship.put(line("too late"))
    sink.open.set()
    ship.close(10)
    assert "too late" not in sink.messages


def test_many_threads_may_log_at_once(sink: Sink) -> None:
    ship = shipper(sink, max_lines=100_000, batch_bytes=10_000)
    threads = [threading.Thread(target=lambda k=k: [ship.put(line(f"{k}-{n}")) for n in range(500)]) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ship.close(10)
    assert len(sink.messages) == 4000
    for k in range(8):
        assert [m for m in sink.messages if m.startswith(f"{k}-")] == [f"{k}-{n}" for n in range(500)]
