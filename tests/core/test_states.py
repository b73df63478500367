"""Every pair of states has one answer, and the figures of a run follow from the states that it went through."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise, takewhile
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from headgate.core.states import (
    AWAITING_RETRY,
    HOLDS_SLOT,
    LATE,
    NAMES,
    NEXT,
    TERMINAL,
    Abort,
    Accept,
    Current,
    Decision,
    Reject,
    Timing,
    Wait,
    advance,
    decide,
    estimated_run_time,
    estimated_start_delta,
    keeps_lease,
)
from headgate.core.suspensions import Pausing
from headgate.schema.states import StateCreate, StateDetails, StateType

S = StateType
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
EVERY: tuple[StateType | None, ...] = (None, *S)

# Rows: the state that a run is in; columns: the one proposed, by its own name, for a deployment's run that is due.
# A accepted; C turned into Cancelled; k refused, the run keeps its state; x aborted.
TABLE = """
            SCHEDULED PENDING RUNNING PAUSED CANCELLING COMPLETED FAILED CRASHED CANCELLED
None                A        A       A      A        C          A        A      A        A
SCHEDULED           A        A       A      k        C          A        A      A        A
PENDING             A        x       A      k        A          A        A      A        A
RUNNING             A        x       A      A        A          A        A      A        A
PAUSED              A        k       A      k        A          A        A      A        A
CANCELLING          k        k       k      k        k          k        k      k        A
COMPLETED           A        x       x      x        x          x        x      x        x
FAILED              A        x       x      x        x          x        x      x        x
CRASHED             A        x       x      x        x          x        x      x        x
CANCELLED           A        x       x      x        x          x        x      x        x
"""


def cells() -> list[tuple[StateType | None, StateType, str]]:
    head, *rows = (line.split() for line in TABLE.strip().splitlines())
    return [
        (None if row[0] == "None" else S(row[0]), S(to), mark)
        for row in rows
        for to, mark in zip(head, row[1:], strict=True)
    ]


CELLS = cells()


def current(kind: StateType | None, **changes: Any) -> Current:
    """A deployment's run that was due a minute ago, entered its state ten seconds ago, and has run once if it runs."""
    run = Current(
        type=kind,
        name=NAMES[kind] if kind else None,
        timestamp=NOW - timedelta(seconds=10) if kind else None,
        scheduled_time=NOW - timedelta(seconds=60),
        transition_id=uuid4() if kind else None,
        has_deployment=True,
        run_count=1 if kind in (S.RUNNING, S.PAUSED, S.CANCELLING, *TERMINAL) else 0,
        fence=3,
    )
    return Current(**{name: changes.get(name, getattr(run, name)) for name in Current.__struct_fields__})


def answer(run: Current, to: StateType, *, force: bool = False, fence: int | None = None, **state: Any) -> Decision:
    return decide(run, StateCreate(type=to, **state), now=NOW, force=force, fence=fence)


def mark_of(decision: Decision) -> str:
    match decision:
        case Accept():
            return "A"
        case Reject(state=None):
            return "k"
        case Reject(state=StateCreate(type=S.CANCELLED)):
            return "C"
        case Abort():
            return "x"
    return repr(decision)


def test_the_table_has_every_pair() -> None:
    assert {(start, to) for start, to, _ in CELLS} == {(start, to) for start in EVERY for to in S}
    assert set(NEXT) == set(EVERY)


@pytest.mark.parametrize(("start", "to", "mark"), CELLS)
def test_the_documented_moves_are_those_that_are_made(start: StateType | None, to: StateType, mark: str) -> None:
    renamed = (start, to) == (S.PENDING, S.PENDING)  # refused only under the same name
    assert (to in NEXT[start]) is (mark in "AC" or renamed)


@pytest.mark.parametrize(("start", "to", "mark"), CELLS)
def test_each_pair_has_the_answer_of_the_table(start: StateType | None, to: StateType, mark: str) -> None:
    decision = answer(current(start), to)
    assert mark_of(decision) == mark
    if isinstance(decision, Accept):
        assert decision.state.type is to
        assert decision.state.name == NAMES[to]


@pytest.mark.parametrize(("start", "to", "mark"), CELLS)
def test_force_is_accepted_from_everywhere_to_everywhere(start: StateType | None, to: StateType, mark: str) -> None:
    """But for runs that are to stop and have nothing that could be stopped."""
    decision = answer(current(start, has_deployment=False), to, force=True)
    if mark == "C":
        assert mark_of(decision) == "C"
        return
    assert isinstance(decision, Accept)
    assert decision.state.type is to


@pytest.mark.parametrize(("start", "to", "mark"), CELLS)
@pytest.mark.parametrize("force", [False, True])
def test_a_stale_fence_says_no_more_whatever_it_says(start: StateType | None, to: StateType, mark: str, force: bool) -> None:
    for fence in (0, 2, 4):
        decision = answer(current(start), to, force=force, fence=fence)
        assert isinstance(decision, Abort)
        assert str(fence) in decision.reason
        assert "3" in decision.reason


@pytest.mark.parametrize(("start", "to", "mark"), CELLS)
def test_the_holders_own_fence_changes_no_answer(start: StateType | None, to: StateType, mark: str) -> None:
    assert mark_of(answer(current(start), to, fence=3)) == mark


@pytest.mark.parametrize(("start", "to", "mark"), [cell for cell in CELLS if cell[0] is not None])
@pytest.mark.parametrize("force", [False, True])
def test_a_transition_that_was_made_already_is_answered_with_the_state_that_it_made(
    start: StateType, to: StateType, mark: str, force: bool
) -> None:
    run = current(start)
    details = StateDetails(transition_id=run.transition_id)
    assert answer(run, to, force=force, state_details=details) == Reject("This run has already made this state transition.")


def test_proposals_without_a_transition_id_are_never_taken_for_replays() -> None:
    assert isinstance(answer(current(S.RUNNING, transition_id=None), S.RUNNING), Accept)


@pytest.mark.parametrize(
    ("start", "to", "reason"),
    [
        (S.PENDING, S.PENDING, "This run is in a PENDING state and cannot transition to a PENDING state."),
        (S.RUNNING, S.PENDING, "This run is in a RUNNING state and cannot transition to a PENDING state."),
        (S.COMPLETED, S.PENDING, "This run is in a COMPLETED state and cannot transition to a PENDING state."),
        (S.CANCELLED, S.CANCELLING, "Run is already in terminal state CANCELLED."),
        (S.FAILED, S.RUNNING, "Run is already in terminal state FAILED."),
        (S.CANCELLING, S.RUNNING, "Cannot transition flows that are cancelling to a state other than Cancelled."),
        (S.CANCELLING, S.CRASHED, "Cannot transition flows that are cancelling to a state other than Cancelled."),
        (S.SCHEDULED, S.CANCELLING, "Scheduled flow run has no infrastructure to terminate."),
    ],
)
def test_reasons_are_those_that_existing_clients_show(start: StateType, to: StateType, reason: str) -> None:
    decision = answer(current(start), to)
    assert isinstance(decision, Abort | Reject)
    assert decision.reason == reason


def test_a_claimed_run_may_be_called_submitting_but_not_claimed_again() -> None:
    assert isinstance(answer(current(S.PENDING), S.PENDING, name="Submitting"), Accept)
    assert isinstance(answer(current(S.PENDING, name="Submitting"), S.PENDING, name="Pending"), Abort)


def test_cancelling_a_run_that_waits_cancels_it_at_once_with_the_callers_words_and_transition() -> None:
    transition = uuid4()
    details = StateDetails(transition_id=transition)
    decision = answer(current(S.SCHEDULED), S.CANCELLING, message="by Ann", state_details=details)
    assert isinstance(decision, Reject)
    assert decision.state is not None
    assert (decision.state.type, decision.state.name, decision.state.message) == (S.CANCELLED, "Cancelled", "by Ann")
    assert decision.state.state_details is not None
    assert decision.state.state_details.transition_id == transition


def test_a_final_run_is_run_again_only_where_its_deployment_says_how() -> None:
    assert isinstance(answer(current(S.FAILED), S.SCHEDULED, name=AWAITING_RETRY), Accept)
    refused = answer(current(S.FAILED, has_deployment=False), S.SCHEDULED)
    assert refused == Abort("Cannot reschedule a run without an associated deployment.")


# --- times


@pytest.mark.parametrize("start", [S.SCHEDULED, S.PENDING])
@pytest.mark.parametrize(
    ("ahead", "seconds"), [(0.001, 1), (1.0, 1), (1.2, 2), (2.0, 2), (3600.0, 3600), (86_400.5, 86_401)]
)
def test_a_start_before_the_time_waits_whole_seconds_that_reach_it(start: StateType, ahead: float, seconds: int) -> None:
    run = current(start, scheduled_time=NOW + timedelta(seconds=ahead))
    assert answer(run, S.RUNNING) == Wait(seconds, "Scheduled time is in the future")


@pytest.mark.parametrize("start", [S.SCHEDULED, S.PENDING])
@pytest.mark.parametrize("behind", [0.0, 0.001, 60.0])
def test_a_start_at_or_after_the_time_waits_no_more(start: StateType, behind: float) -> None:
    run = current(start, scheduled_time=NOW - timedelta(seconds=behind))
    assert isinstance(answer(run, S.RUNNING), Accept)


@pytest.mark.parametrize("start", [None, S.RUNNING, S.PAUSED])
def test_runs_that_did_not_wait_for_a_time_do_not_wait(start: StateType | None) -> None:
    assert isinstance(answer(current(start, scheduled_time=NOW + timedelta(hours=1)), S.RUNNING), Accept)


def test_a_run_may_be_claimed_before_its_time_and_keeps_it() -> None:
    due = NOW + timedelta(seconds=10)
    decision = answer(current(S.SCHEDULED, scheduled_time=due), S.PENDING)
    assert isinstance(decision, Accept)
    assert decision.state.state_details is not None
    assert decision.state.state_details.scheduled_time == due
    again = answer(current(S.PENDING, scheduled_time=due), S.PENDING, name="Submitting")
    assert isinstance(again, Accept)
    assert again.state.state_details is not None
    assert again.state.state_details.scheduled_time == due


def test_scheduled_always_has_a_time_the_proposed_one_or_now() -> None:
    due = NOW + timedelta(days=1)
    for details, expected in ((None, NOW), (StateDetails(), NOW), (StateDetails(scheduled_time=due), due)):
        decision = answer(current(S.FAILED), S.SCHEDULED, state_details=details)
        assert isinstance(decision, Accept)
        assert decision.state.state_details is not None
        assert decision.state.state_details.scheduled_time == expected


# --- retries


def retry(run: Current, **state: Any) -> StateCreate | None:
    """The state that a failed run gets instead, or None when it stays Failed."""
    match answer(run, S.FAILED, **state):
        case Reject("Retrying", StateCreate() as instead):
            assert (instead.type, instead.name) == (S.SCHEDULED, AWAITING_RETRY)
            return instead
        case Accept():
            return None
        case other:
            raise AssertionError(other)


def delay(run: Current) -> float | None:
    """Seconds until the next attempt."""
    instead = retry(run)
    if instead is None:
        return None
    assert instead.state_details is not None
    assert instead.state_details.scheduled_time is not None
    return (instead.state_details.scheduled_time - NOW).total_seconds()


@pytest.mark.parametrize(
    ("retries", "delays", "expected"),
    [
        (0, (), [None]),
        (1, (), [0.0, None]),
        (3, (), [0.0, 0.0, 0.0, None]),
        (2, (7.5,), [7.5, 7.5, None]),
        (4, (1.0, 2.0, 4.0), [1.0, 2.0, 4.0, 4.0, None]),
        (1, (5.0, 9.0), [5.0, None]),
    ],
)
def test_each_failure_waits_its_own_delay_the_last_one_for_all_further(
    retries: int, delays: tuple[float, ...], expected: list[float | None]
) -> None:
    runs = [current(S.RUNNING, run_count=n + 1, retries=retries, retry_delays=delays) for n in range(len(expected))]
    assert [delay(run) for run in runs] == expected


def test_a_retry_keeps_what_the_failure_said_and_can_be_replayed() -> None:
    transition = uuid4()
    instead = retry(
        current(S.RUNNING, retries=1),
        message="ValueError: first",
        data={"storage_key": "x"},
        state_details=StateDetails(transition_id=transition),
    )
    assert instead is not None
    assert (instead.message, instead.data) == ("ValueError: first", {"storage_key": "x"})
    assert instead.state_details is not None
    assert instead.state_details.transition_id == transition


@pytest.mark.parametrize(
    ("name", "has_process", "mark"), [(AWAITING_RETRY, True, "A"), (AWAITING_RETRY, False, "C"), (LATE, True, "C")]
)
def test_a_retry_in_a_process_that_its_client_named_can_be_stopped(name: str, has_process: bool, mark: str) -> None:
    run = current(S.SCHEDULED, name=name, has_process=has_process)
    assert mark_of(answer(run, S.CANCELLING)) == mark_of(answer(run, S.CANCELLING, force=True)) == mark


@pytest.mark.parametrize("force", [False, True])
def test_a_result_is_not_lost_to_another_report_that_the_run_completed(force: bool) -> None:
    done = current(S.COMPLETED, has_result=True)
    for data in (None, {"type": "unpersisted"}):
        assert not isinstance(answer(done, S.COMPLETED, data=data, force=force), Accept)
    assert isinstance(answer(done, S.COMPLETED, data={"type": "reference"}, force=True), Accept)
    assert isinstance(answer(done, S.SCHEDULED, force=True), Accept)


@pytest.mark.parametrize("to", [S.SCHEDULED, S.PENDING, S.RUNNING, S.FAILED, S.COMPLETED])
def test_a_run_whose_result_was_kept_is_not_run_again_and_its_proposer_is_told_of_the_result(to: StateType) -> None:
    """A parent that is tried again takes its child's result so; an abort would end the parent."""
    for is_child in (False, True):
        done = current(S.COMPLETED, has_result=True, has_deployment=False, pausing=Pausing(is_child=is_child))
        assert answer(done, to) == Reject("Run is already COMPLETED.")


def test_a_parent_that_is_tried_again_runs_a_child_of_its_own_process_again() -> None:
    child = current(S.COMPLETED, has_deployment=False, pausing=Pausing(is_child=True))
    assert isinstance(answer(child, S.RUNNING), Accept)
    elsewhere = structs.replace(child, has_deployment=True)
    for run, to in ((child, S.FAILED), (elsewhere, S.RUNNING), (structs.replace(child, type=S.CANCELLED), S.RUNNING)):
        assert answer(run, to) == Abort(f"Run is already in terminal state {run.type}.")


@pytest.mark.parametrize("start", [S.SCHEDULED, S.PENDING, S.PAUSED])
def test_only_a_failure_of_running_code_is_retried(start: StateType) -> None:
    assert retry(current(start, run_count=1, retries=5)) is None


@pytest.mark.parametrize("to", [S.CRASHED, S.COMPLETED, S.CANCELLED])
def test_other_ends_are_not_retried(to: StateType) -> None:
    assert isinstance(answer(current(S.RUNNING, retries=5), to), Accept)


def test_a_forced_failure_is_not_retried() -> None:
    assert isinstance(answer(current(S.RUNNING, retries=5), S.FAILED, force=True), Accept)


# --- leases


@pytest.mark.parametrize("kind", list(S))
def test_a_holder_keeps_its_run_while_it_takes_a_slot(kind: StateType) -> None:
    assert keeps_lease(StateCreate(type=kind, name=NAMES[kind]), by_holder=True) is (kind in HOLDS_SLOT)
    assert keeps_lease(StateCreate(type=kind, name=NAMES[kind]), by_holder=False) is (kind in HOLDS_SLOT)


def test_an_engine_that_waits_for_its_own_retry_keeps_its_run_and_nobody_else_does() -> None:
    waiting = StateCreate(type=S.SCHEDULED, name=AWAITING_RETRY)
    assert keeps_lease(waiting, by_holder=True)
    assert not keeps_lease(waiting, by_holder=False)
    assert not keeps_lease(StateCreate(type=S.SCHEDULED, name=LATE), by_holder=True)


# --- what follows for the run

HISTORIES = st.lists(
    st.tuples(st.sampled_from(list(S)), st.floats(0, 1e6), st.none() | st.floats(0, 1e6)), min_size=1, max_size=12
)


def live(history: list[tuple[StateType, float, float | None]]) -> tuple[Timing, Current, list[tuple[StateType, datetime]]]:
    """Walk through states, each entered some seconds after the one before, Scheduled ones with a time or without."""
    timing, run, at = Timing(), Current(), NOW
    entries = []
    for kind, seconds, wait in history:
        at += timedelta(seconds=seconds)
        due = None if wait is None else at + timedelta(seconds=wait)
        details = StateDetails(scheduled_time=due if kind is S.SCHEDULED else None)
        timing = advance(timing, run, StateCreate(type=kind, state_details=details), at=at)
        run = Current(type=kind, timestamp=at)
        entries.append((kind, at))
    return timing, run, entries


@given(HISTORIES)
def test_the_run_time_is_the_sum_of_all_running_spans(history: list[Any]) -> None:
    timing, run, entries = live(history)
    spans = [(until - since).total_seconds() for (kind, since), (_, until) in pairwise(entries) if kind is S.RUNNING]
    assert timing.total_run_time == pytest.approx(sum(spans))
    later = run.timestamp + timedelta(seconds=30) if run.timestamp else NOW
    open_span = 30 if run.type is S.RUNNING else 0
    assert estimated_run_time(timing, run, now=later) == pytest.approx(sum(spans) + open_span)


@given(HISTORIES)
def test_a_run_started_with_its_first_running_state_or_its_end_and_counts_them(history: list[Any]) -> None:
    timing, _, entries = live(history)
    starts = [at for kind, at in entries if kind is S.RUNNING or kind in TERMINAL]
    assert timing.start_time == (starts[0] if starts else None)
    assert timing.run_count == sum(kind is S.RUNNING for kind, _ in entries)


@given(HISTORIES)
def test_only_a_final_state_ends_a_run(history: list[Any]) -> None:
    timing, _, entries = live(history)
    ends = [*takewhile(lambda entry: entry[0] in TERMINAL, reversed(entries))]
    assert timing.end_time == (ends[-1][1] if ends else None)


@given(HISTORIES)
def test_only_a_scheduled_run_is_due(history: list[Any]) -> None:
    timing, _, entries = live(history)
    kind, at = entries[-1]
    wait = history[-1][2]
    due = at + timedelta(seconds=wait) if kind is S.SCHEDULED and wait is not None else None
    assert timing.due_at == due


@given(HISTORIES)
def test_a_run_is_expected_when_its_first_state_said(history: list[Any]) -> None:
    timing, _, entries = live(history)
    (kind, at), wait = entries[0], history[0][2]
    assert timing.expected_start_time == (at + timedelta(seconds=wait) if kind is S.SCHEDULED and wait is not None else at)


def test_a_clock_that_went_back_makes_no_negative_run_time() -> None:
    running = Current(type=S.RUNNING, timestamp=NOW + timedelta(seconds=5))
    timing = advance(Timing(start_time=NOW), running, StateCreate(type=S.COMPLETED), at=NOW)
    assert timing.total_run_time == 0.0
    assert estimated_run_time(timing, running, now=NOW) == 0.0


def test_a_run_that_runs_again_has_no_end_and_keeps_its_start() -> None:
    timing, _, entries = live([(S.RUNNING, 0, None), (S.FAILED, 5, None), (S.SCHEDULED, 5, 0), (S.RUNNING, 5, None)])
    assert (timing.start_time, timing.end_time, timing.run_count) == (entries[0][1], None, 2)
    assert timing.total_run_time == 5.0


@pytest.mark.parametrize(
    ("expected", "started", "kind", "delta"),
    [
        (None, None, S.PENDING, 0.0),
        (-60, None, S.SCHEDULED, 60.0),
        (60, None, S.SCHEDULED, 0.0),
        (-60, -50, S.RUNNING, 10.0),
        (-50, -60, S.RUNNING, 0.0),
        (-60, -50, S.COMPLETED, 10.0),
        (-60, None, S.CANCELLED, 0.0),
    ],
)
def test_the_start_delta_is_how_late_a_run_started_or_by_now_is(
    expected: int | None, started: int | None, kind: StateType, delta: float
) -> None:
    def at(seconds: int | None) -> datetime | None:
        return None if seconds is None else NOW + timedelta(seconds=seconds)

    timing = Timing(expected_start_time=at(expected), start_time=at(started))
    assert estimated_start_delta(timing, Current(type=kind), now=NOW) == delta


# --- the rules as a whole


@given(
    st.sampled_from(EVERY),
    st.sampled_from(list(S)),
    st.none() | st.sampled_from(["Late", "Submitting", "Pending", "x"]),
    st.booleans(),
    st.none() | st.integers(0, 5),
    st.integers(0, 5),
    st.floats(-1e5, 1e5),
    st.integers(0, 3),
)
def test_no_proposal_is_left_without_an_answer_and_the_same_one_gets_the_same(
    start: StateType | None,
    to: StateType,
    name: str | None,
    force: bool,
    fence: int | None,
    count: int,
    ahead: float,
    retries: int,
) -> None:
    run = current(start, transition_id=UUID(int=1), scheduled_time=NOW + timedelta(seconds=ahead))
    run = Current(**{**{n: getattr(run, n) for n in Current.__struct_fields__}, "run_count": count, "retries": retries})
    proposed = StateCreate(type=to, name=name)
    first = decide(run, proposed, now=NOW, force=force, fence=fence)
    assert first == decide(run, structs.replace(proposed), now=NOW, force=force, fence=fence)
    match first:
        case Accept(state):
            assert state.type is to
            assert state.name
        case Reject(reason, state):
            assert reason
            assert state is None or (state.name and state.type is not to)
        case Wait(seconds, reason):
            assert seconds >= 1
            assert to is S.RUNNING
            assert NOW + timedelta(seconds=seconds) >= (run.scheduled_time or NOW)
        case Abort(reason):
            assert reason.endswith(".")


@given(st.lists(st.sampled_from(list(S)), max_size=10))
def test_a_final_run_stays_final_until_it_is_rescheduled(proposals: list[StateType]) -> None:
    run = current(S.COMPLETED)
    for to in proposals:
        decision = answer(run, to)
        if to is S.SCHEDULED:
            assert isinstance(decision, Accept)
            break
        assert isinstance(decision, Abort)
