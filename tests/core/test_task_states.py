"""How task runs change state when the server orchestrates them."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from headgate.core.states import NAMES, TERMINAL, Abort, Accept, Decision, Reject, Timing, Wait
from headgate.core.task_states import MAX_CACHE_KEY, Enclosing, Task, advance_task, decide
from headgate.schema.states import State, StateCreate, StateDetails, StateType

S = StateType
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
RUN = Enclosing(uuid4(), S.RUNNING, 1)

# Rows: the state that a task run is in; columns: the one proposed, in a flow run that is running.
# A accepted; x aborted.
TABLE = """
            SCHEDULED PENDING RUNNING PAUSED CANCELLING COMPLETED FAILED CRASHED CANCELLED
None                A       A       A      A          A         A      A       A         A
SCHEDULED           A       A       A      A          A         A      A       A         A
PENDING             A       A       A      A          A         A      A       A         A
RUNNING             A       A       A      A          A         A      A       A         A
PAUSED              A       A       A      A          A         A      A       A         A
CANCELLING          A       A       A      A          A         A      A       A         A
COMPLETED           A       A       A      x          x         A      A       x         A
FAILED              A       A       A      x          x         A      A       x         A
CRASHED             A       A       A      x          x         A      A       x         A
CANCELLED           A       A       A      x          x         A      A       x         A
"""


def state(kind: StateType, *, name: str | None = None, data: object = None, **details: object) -> State:
    about = StateDetails(**details)  # type: ignore[arg-type]
    return State(id=uuid4(), type=kind, name=name or NAMES[kind], timestamp=NOW, data=data, state_details=about)


def proposed(kind: StateType, **details: object) -> StateCreate:
    return StateCreate(type=kind, state_details=StateDetails(**details))  # type: ignore[arg-type]


def accepted(decision: Decision) -> StateCreate:
    assert isinstance(decision, Accept), decision
    return decision.state


def cells() -> list[tuple[StateType | None, StateType, str]]:
    head, *rows = (line.split() for line in TABLE.strip().splitlines())
    return [
        (None if row[0] == "None" else S(row[0]), S(to), mark)
        for row in rows
        for to, mark in zip(head, row[1:], strict=True)
    ]


@pytest.mark.parametrize(("before", "to", "mark"), cells())
def test_every_pair_of_states_has_one_answer(before: StateType | None, to: StateType, mark: str) -> None:
    task = Task(state=state(before) if before else None, run_count=1)
    decision = decide(task, proposed(to), now=NOW, flow_run=RUN)
    assert type(decision) is {"A": Accept, "x": Abort}[mark]
    assert isinstance(decide(task, proposed(to), now=NOW, flow_run=RUN, force=True), Accept)


def test_a_result_that_was_kept_is_not_run_for_again() -> None:
    kept = Task(state=state(S.COMPLETED, data={"type": "reference"}))
    assert decide(kept, proposed(S.RUNNING), now=NOW) == Reject("This run is already completed.")
    for data in (None, {}, {"type": "unpersisted"}):
        accepted(decide(Task(state=state(S.COMPLETED, data=data)), proposed(S.RUNNING), now=NOW))


@pytest.mark.parametrize("kind", [None, *sorted(set(S) - {S.RUNNING, S.PAUSED})])
def test_no_task_starts_in_a_flow_run_that_does_not_run(kind: StateType | None) -> None:
    decision = decide(Task(state=state(S.PENDING)), proposed(S.RUNNING), now=NOW, flow_run=Enclosing(uuid4(), kind, 1))
    assert decision == Abort("The enclosing flow must be running to begin task execution.")


def test_a_paused_flow_run_holds_its_tasks_back() -> None:
    run = Enclosing(uuid4(), S.PAUSED, 1, pause_timeout=NOW, pause_reschedule=True)
    decision = decide(Task(state=state(S.PENDING)), proposed(S.RUNNING), now=NOW, flow_run=run)
    assert isinstance(decision, Reject)
    assert decision.state
    assert (decision.state.type, decision.state.name) == (S.PAUSED, "NotReady")
    assert decision.state.state_details == StateDetails(pause_timeout=NOW, pause_reschedule=True)
    assert str(run.id) in decision.reason


@pytest.mark.parametrize(("seconds", "waits"), [(90, 90), (1.6, 2), (0.4, None), (-5, None)])
def test_scheduled_times_are_waited_for(seconds: float, waits: int | None) -> None:
    """Also of a Pending state that a Scheduled one came before: it took the time over."""
    time = NOW + timedelta(seconds=seconds)
    pending = accepted(decide(Task(state=state(S.SCHEDULED, scheduled_time=time)), proposed(S.PENDING), now=NOW))
    assert pending.state_details
    assert pending.state_details.scheduled_time == time
    for before in (state(S.SCHEDULED, scheduled_time=time), state(S.PENDING, scheduled_time=time)):
        decision = decide(Task(state=before), proposed(S.RUNNING), now=NOW)
        assert type(decision) is (Wait if waits else Accept)
        assert getattr(decision, "seconds", None) == waits


@given(
    retries=st.integers(0, 5),
    run_count=st.integers(1, 7),
    delays=st.lists(st.floats(0, 100), max_size=4),
    jitter=st.floats(0, 3),
    draw=st.floats(0, 1, exclude_max=True),
)
def test_a_failed_task_is_retried_as_its_policy_says(
    retries: int, run_count: int, delays: list[float], jitter: float, draw: float
) -> None:
    task = Task(state=state(S.RUNNING), run_count=run_count, retries=retries, retry_delays=delays, jitter=jitter)
    failed = structs.replace(proposed(S.FAILED), message="no", data={"x": 1})
    decision = decide(task, failed, now=NOW, flow_run=RUN, draw=draw)
    if run_count > retries:
        assert accepted(decision).type is S.FAILED
        return
    assert isinstance(decision, Reject)
    assert decision.state
    assert decision.state.state_details
    assert (decision.state.type, decision.state.name) == (S.SCHEDULED, "AwaitingRetry")
    assert (decision.state.message, decision.state.data) == ("no", {"x": 1})
    time = decision.state.state_details.scheduled_time
    assert time
    delay, base = (time - NOW).total_seconds(), ([*delays, delays[-1]] if delays else [0.0])
    wanted = base[min(run_count, len(base)) - 1] if delays else 0.0
    assert max(wanted * (1 - jitter), 0) - 1e-6 <= delay <= wanted * (1 + jitter) + 1e-6


def test_what_says_that_it_is_not_to_be_retried_is_not() -> None:
    task = Task(state=state(S.RUNNING), run_count=1, retries=3)
    assert accepted(decide(task, proposed(S.FAILED, retriable=False), now=NOW)).type is S.FAILED
    assert isinstance(decide(task, proposed(S.FAILED, retriable=True), now=NOW), Reject)
    assert accepted(decide(task, proposed(S.FAILED), now=NOW, force=True)).type is S.FAILED


def test_a_state_under_the_cache_key_is_taken_instead_of_running() -> None:
    cached = state(S.COMPLETED, data={"value": 1}, cache_key="k")
    task = Task(state=state(S.PENDING))
    decision = decide(task, proposed(S.RUNNING, cache_key="k"), now=NOW, cached=cached)
    assert isinstance(decision, Reject)
    assert decision.state
    assert (decision.state.type, decision.state.name, decision.state.data) == (S.COMPLETED, "Cached", {"value": 1})
    fresh = proposed(S.RUNNING, cache_key="k", refresh_cache=True)
    assert accepted(decide(task, fresh, now=NOW, cached=cached)).type is S.RUNNING


def test_cache_keys_have_a_longest_length() -> None:
    for length, kind in ((MAX_CACHE_KEY, Accept), (MAX_CACHE_KEY + 1, Reject)):
        decision = decide(Task(state=state(S.RUNNING)), proposed(S.COMPLETED, cache_key="k" * length), now=NOW)
        assert type(decision) is kind
    assert isinstance(decision, Reject)
    assert decision.state
    assert (decision.state.type, decision.state.state_details) == (S.COMPLETED, StateDetails())  # done, and not kept


def test_states_of_runs_that_ran_before_say_so() -> None:
    def name(task: Task, flow_run: Enclosing = RUN) -> str | None:
        return accepted(decide(task, proposed(S.RUNNING), now=NOW, flow_run=flow_run)).name

    assert name(Task(state=state(S.PENDING))) == "Running"
    assert name(Task(state=state(S.SCHEDULED, name="AwaitingRetry"), run_count=1)) == "Retrying"
    assert name(Task(state=state(S.RUNNING), run_count=1)) == "Rerunning"
    # A flow run that is retried runs its tasks again.
    over = Task(state=state(S.FAILED), run_count=2, flow_run_run_count=1)
    assert name(over) == "Running"
    assert name(over, Enclosing(uuid4(), S.RUNNING, 2)) == "Retrying"


def test_a_background_run_is_claimed_once() -> None:
    for before in (S.PENDING, S.RUNNING, S.CANCELLED):
        refused = Abort(f"This run is in a {before} state and cannot transition to a PENDING state.")
        assert decide(Task(state=state(before)), proposed(S.PENDING, deferred=True), now=NOW) == refused
        assert decide(Task(state=state(before), alone=True), proposed(S.PENDING), now=NOW) == refused
        accepted(decide(Task(state=state(before)), proposed(S.PENDING), now=NOW))
    parameters = uuid4()
    waits = Task(state=state(S.SCHEDULED, deferred=True, task_parameters_id=parameters))
    details = accepted(decide(waits, proposed(S.PENDING, deferred=True), now=NOW)).state_details
    assert details
    assert details.task_parameters_id == parameters


def test_figures_follow_from_the_states() -> None:
    """A run that leaves its end counts its runs anew; one that ends without having run began then."""
    timing, before = Timing(), None
    for second, kind in enumerate((S.PENDING, S.RUNNING, S.FAILED, S.RUNNING, S.COMPLETED)):
        at = NOW + timedelta(seconds=second)
        timing = advance_task(timing, before, StateCreate(type=kind), at=at)
        before = structs.replace(state(kind), timestamp=at)
    assert (timing.run_count, timing.total_run_time) == (1, 2.0)
    assert (timing.start_time, timing.end_time) == (NOW + timedelta(seconds=1), NOW + timedelta(seconds=4))
    for kind in TERMINAL:
        assert advance_task(Timing(), None, StateCreate(type=kind), at=NOW).start_time == NOW
