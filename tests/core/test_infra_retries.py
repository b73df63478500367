"""Runs that lost their infrastructure: given other as often, after as long and for such reasons as the policy says."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from headgate.core.states import AWAITING_INFRA, Accept, Current, Reject, Timing, advance, decide, keeps_lease
from headgate.schema.deployments import InfraRetries
from headgate.schema.states import CrashReason, StateCreate, StateDetails, StateType

S = StateType
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def current(kind: S = S.RUNNING, **fields: Any) -> Current:
    return Current(**{"type": kind, "timestamp": NOW, "has_deployment": True, "run_count": 1, "held": True} | fields)


def crash(reason: CrashReason | None = CrashReason.LOST, message: str | None = "Gone.") -> StateCreate:
    details = StateDetails(crash_reason=UNSET if reason is None else reason)
    return StateCreate(type=S.CRASHED, message=message, state_details=details)


def restarted(run: Current, state: StateCreate) -> StateCreate | None:
    """The state that stands in for the crash, or None when the crash is accepted."""
    match decide(run, state, now=NOW):
        case Accept():
            return None
        case Reject(_, StateCreate() as instead):
            return instead
    raise AssertionError(state)


def test_it_waits_to_be_claimed_again() -> None:
    """Under another name than a retry in place: nobody keeps the run. The reason and the count are told."""
    instead = restarted(current(infra_retries=InfraRetries(max=2, delay_seconds=10)), crash())
    assert instead
    assert instead.state_details
    assert (instead.type, instead.name) == (S.SCHEDULED, AWAITING_INFRA)
    assert instead.state_details.scheduled_time == NOW + timedelta(seconds=10)
    assert instead.state_details.crash_reason is CrashReason.LOST
    assert instead.message == "Gone. It is tried again, 1 of 2."
    assert not keeps_lease(instead, by_holder=True)


@pytest.mark.parametrize("reason", [*CrashReason, None])
def test_by_default_for_faults_of_the_infrastructure_alone(reason: CrashReason | None) -> None:
    """What ends badly for no known reason may be the code's fault, and goes by its own retries."""
    run = current(infra_retries=InfraRetries(max=1))
    assert (restarted(run, crash(reason)) is None) is (reason in (CrashReason.OTHER, None))


@pytest.mark.parametrize("wanted", CrashReason)
@pytest.mark.parametrize("reason", CrashReason)
def test_only_for_the_reasons_that_are_named(wanted: CrashReason, reason: CrashReason) -> None:
    run = current(infra_retries=InfraRetries(max=1, reasons=[wanted]))
    assert (restarted(run, crash(reason)) is not None) is (wanted is reason)


@pytest.mark.parametrize("kind", [S.PENDING, S.RUNNING])
def test_whether_its_code_had_begun_or_not(kind: S) -> None:
    assert restarted(current(kind, infra_retries=InfraRetries(max=1)), crash()) is not None


@pytest.mark.parametrize("kind", [S.SCHEDULED, S.PAUSED])
def test_what_has_no_infrastructure_cannot_lose_it(kind: S) -> None:
    assert restarted(current(kind, infra_retries=InfraRetries(max=1)), crash()) is None


def test_without_a_policy_it_is_crashed() -> None:
    assert restarted(current(), crash()) is None


def test_a_crash_that_is_forced_stands() -> None:
    run = current(infra_retries=InfraRetries(max=1))
    assert isinstance(decide(run, crash(), now=NOW, force=True), Accept)


@given(
    st.integers(0, 100),
    st.integers(0, 120),
    st.floats(0, 1000),
    st.floats(1, 100),
    st.floats(0, 100_000),
)
def test_never_more_often_and_never_later_than_it_says(
    most: int, before: int, delay: float, backoff: float, longest: float
) -> None:
    policy = InfraRetries(max=most, delay_seconds=delay, backoff=backoff, max_delay_seconds=longest)
    instead = restarted(current(infra_retries=policy, restarts=before), crash())
    assert (instead is not None) is (before < most)
    if instead is not None:
        assert instead.state_details
        assert instead.state_details.scheduled_time
        waited = instead.state_details.scheduled_time - NOW
        assert waited <= timedelta(seconds=longest)
        assert waited >= timedelta(seconds=min(delay, longest))


def test_the_delay_grows() -> None:
    policy = InfraRetries(max=5, delay_seconds=2, backoff=3, max_delay_seconds=50)
    waits = []
    for before in range(5):
        instead = restarted(current(infra_retries=policy, restarts=before), crash())
        assert instead
        assert instead.state_details
        assert instead.state_details.scheduled_time
        waits.append((instead.state_details.scheduled_time - NOW).total_seconds())
    assert waits == [2, 6, 18, 50, 50]


@given(st.lists(st.sampled_from(["lost", "error"]), max_size=8), st.integers(0, 3))
def test_a_flows_own_retries_are_counted_apart(ends: list[str], retries: int) -> None:
    """However often the infrastructure goes, a flow that raises gets all of its retries, and no more."""
    policy, timing, run = InfraRetries(max=100), Timing(), current(S.PENDING, run_count=0)
    raised = 0
    for end in ends:
        timing = advance(timing, run, StateCreate(type=S.RUNNING), at=NOW)
        run = current(
            run_count=timing.run_count,
            restarts=timing.restarts,
            restarts_begun=timing.restarts_begun,
            infra_retries=policy,
            retries=retries,
        )
        proposed = crash() if end == "lost" else StateCreate(type=S.FAILED)
        decision = decide(run, proposed, now=NOW)
        raised += end == "error"
        if end == "error" and raised > retries:
            assert isinstance(decision, Accept)
            return
        assert isinstance(decision, Reject)
        assert decision.state
        timing = advance(timing, run, decision.state, at=NOW)
        run = current(S.SCHEDULED, run_count=timing.run_count)
    assert timing.restarts == timing.restarts_begun == ends.count("lost")


def test_a_run_that_is_rescheduled_on_purpose_begins_anew() -> None:
    timing = Timing(run_count=3, restarts=2, restarts_begun=1)
    again = advance(timing, current(S.CRASHED), StateCreate(type=S.SCHEDULED), at=NOW)
    assert (again.restarts, again.restarts_begun) == (0, 1)
