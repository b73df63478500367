"""Whatever waits, dispatch admits no more than every limit allows, the best first, and says truly why the rest waits."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from snapshots import DEPLOYMENTS, NOW, NOWHERE, POOL, QUEUES, SNAPSHOTS, a_run, snapshot

from headgate.core.dispatch import Candidate, Gate, GateKind, Lane, Snapshot, dispatch, place_of, standing_gates, starting


def rank(run: Candidate, snapshot: Snapshot) -> tuple[Any, ...]:
    queue = snapshot.queues.get(run.queue_id)
    return queue.priority if queue else 0, -run.priority, run.due_at, run.id


def is_reachable(run: Candidate, snapshot: Snapshot) -> bool:
    """Nobody has it, and somebody polls its queue or serves its deployment."""
    lanes = lanes_of(run, snapshot)
    takers = (lanes.get("queue"), lanes.get("deployment"))
    return not run.held and any(taker.served for taker in takers if taker is not None)


def lanes_of(run: Candidate, snapshot: Snapshot) -> dict[str, Lane]:
    """The lanes that a run passes, under the first word of their gates' kinds."""
    queue = snapshot.queues.get(run.queue_id)
    found = {"pool": snapshot.pool, "queue": queue} if queue else {}
    deployment = snapshot.deployments.get(run.deployment_id) if run.deployment_id else None
    found |= {"deployment": deployment} if deployment else {}
    shared = snapshot.shared.get(run.deployment_id) if run.deployment_id else None
    found |= {"shared": shared} if shared else {}
    key = snapshot.keys.get(run.key_id) if run.key_id else None
    return found | ({"key": key} if key else {})


def taken(admitted: Iterable[Candidate], snapshot: Snapshot) -> Mapping[UUID, int]:
    return Counter(lane.id for run in admitted for lane in lanes_of(run, snapshot).values())


def is_too_quick(run: Candidate, snapshot: Snapshot, used: Mapping[UUID, int]) -> bool:
    """No launch of the pool's rate is left, now that the better ones went."""
    return snapshot.pace is not None and run.queue_id in snapshot.queues and used[POOL] >= snapshot.pace.left


def is_one_too_many(run: Candidate, snapshot: Snapshot, used: Mapping[UUID, int]) -> bool:
    """As many of the pool's runs are being launched as may be, with the better ones."""
    launching = snapshot.launching
    return launching is not None and run.queue_id in snapshot.queues and launching.is_full(used[POOL])


@given(SNAPSHOTS)
def test_who_asks_only_for_the_runs_that_start_gets_the_same(snapshot: Snapshot) -> None:
    assert starting(snapshot) == dispatch(snapshot).admitted


@given(SNAPSHOTS)
def test_every_run_is_either_admitted_or_blocked_by_at_least_one_gate(snapshot: Snapshot) -> None:
    decision = dispatch(snapshot)
    admitted = [run.id for run in decision.admitted]
    assert sorted([*admitted, *decision.blocked]) == sorted(run.id for run in snapshot.candidates)
    assert all(decision.blocked.values())


@given(SNAPSHOTS)
def test_no_limit_is_ever_passed(snapshot: Snapshot) -> None:
    decision = dispatch(snapshot)
    used = taken(decision.admitted, snapshot)
    assert len(decision.admitted) <= snapshot.room
    for run in decision.admitted:
        for lane in lanes_of(run, snapshot).values():
            assert lane.limit is None or lane.used + used[lane.id] <= lane.limit
    if snapshot.pace is not None:
        assert used[POOL] <= snapshot.pace.left
    if (launching := snapshot.launching) is not None:
        assert used[POOL] <= max((launching.limit or 0) - launching.used, 0)


@given(SNAPSHOTS)
def test_nothing_paused_nothing_before_its_time_and_nothing_that_nobody_would_take_is_admitted(snapshot: Snapshot) -> None:
    for run in dispatch(snapshot).admitted:
        assert is_reachable(run, snapshot)
        assert run.due_at <= snapshot.until
        assert not any(lane.paused for lane in lanes_of(run, snapshot).values())


@given(SNAPSHOTS)
def test_the_admitted_are_in_the_order_in_which_they_start(snapshot: Snapshot) -> None:
    ranks = [rank(run, snapshot) for run in dispatch(snapshot).admitted]
    assert ranks == sorted(ranks)


@given(SNAPSHOTS)
def test_a_run_waits_only_for_what_better_runs_took_and_nothing_else(snapshot: Snapshot) -> None:
    """So no worse run is preferred to one that fits, and a blocked run takes nothing from those behind it."""
    decision = dispatch(snapshot)
    for run in snapshot.candidates:
        better = [other for other in decision.admitted if rank(other, snapshot) < rank(run, snapshot)]
        used = taken(better, snapshot)
        fits = (
            len(better) < snapshot.room
            and not is_too_quick(run, snapshot, used)
            and not is_one_too_many(run, snapshot, used)
            and is_reachable(run, snapshot)
            and run.due_at <= snapshot.until
            and not any(lane.paused for lane in lanes_of(run, snapshot).values())
            and all(
                lane.limit is None or lane.used + used[lane.id] < lane.limit for lane in lanes_of(run, snapshot).values()
            )
        )
        assert fits is (run in decision.admitted)


@given(SNAPSHOTS)
def test_every_gate_is_true_of_its_run(snapshot: Snapshot) -> None:
    decision = dispatch(snapshot)
    for run in snapshot.candidates:
        better = [other for other in decision.admitted if rank(other, snapshot) < rank(run, snapshot)]
        used = taken(better, snapshot)
        for gate in decision.blocked.get(run.id, ()):
            word, _, what = gate.kind.value.partition(" ")
            lane = {**lanes_of(run, snapshot), "launch": snapshot.launching}.get(word)
            match gate.kind, what:
                case GateKind.NOT_DUE, _:
                    assert run.due_at > snapshot.until
                    assert gate == Gate(GateKind.NOT_DUE)
                case GateKind.HELD, _:
                    assert run.held
                case GateKind.NO_QUEUE | GateKind.NO_WORKER, _:
                    assert not is_reachable(structs.replace(run, held=False), snapshot)
                    assert (gate.kind is GateKind.NO_WORKER) == (run.queue_id in snapshot.queues)
                case GateKind.NO_ROOM, _:
                    assert (gate.limit, gate.used) == (snapshot.room, len(better))
                    assert len(better) >= snapshot.room
                case GateKind.LAUNCH_RATE, _:
                    assert snapshot.pace is not None
                    assert is_too_quick(run, snapshot, used)
                    assert (gate.ahead, gate.limit) == (used[POOL], snapshot.pace.rate.limit)
                    assert gate.until == snapshot.pace.opens_at(used[POOL] + 1)
                case _, "paused":
                    assert lane is not None
                    assert lane.paused
                    assert gate == Gate(gate.kind, lane.id)
                case _, "limit":
                    assert lane is not None
                    assert gate.limit is not None
                    assert gate.used is not None
                    assert gate.used >= gate.limit
                    assert (gate.id, gate.limit, gate.used) == (lane.id, lane.limit, lane.used + used[lane.id])
                    assert gate.ahead == used[lane.id]
                case _:
                    raise AssertionError(gate)


@given(SNAPSHOTS)
def test_gates_are_told_outermost_first_and_each_once(snapshot: Snapshot) -> None:
    order = [*GateKind]
    for gates in dispatch(snapshot).blocked.values():
        places = [order.index(gate.kind) for gate in gates]
        assert places == sorted(set(places))


@given(SNAPSHOTS, st.randoms(use_true_random=False))
def test_the_order_in_which_runs_and_lanes_are_listed_changes_nothing(snapshot: Snapshot, random: Any) -> None:
    first = dispatch(snapshot)
    listed = [*snapshot.candidates]
    random.shuffle(listed)
    queues = dict(reversed([*snapshot.queues.items()]))
    again = dispatch(replace(snapshot, candidates=listed, queues=queues))
    assert (again.admitted, again.blocked) == (first.admitted, first.blocked)


@given(SNAPSHOTS, st.sampled_from(["pool", "room"]))
def test_more_room_takes_no_start_away(snapshot: Snapshot, where: str) -> None:
    """Room and the pool's limit are shared by all runs alike; raising them only adds at the end."""
    first = [run.id for run in dispatch(snapshot).admitted]
    if where == "room":
        wider = replace(snapshot, room=snapshot.room + 3)
    else:
        wider = replace(snapshot, pool=replace(snapshot.pool, limit=None))
    assert [run.id for run in dispatch(wider).admitted][: len(first)] == first


@given(SNAPSHOTS)
def test_a_place_is_what_the_decision_says_of_a_run(snapshot: Snapshot) -> None:
    """Its gates; and of those before it how many there are, and how many start. Those behind it change nothing."""
    decision = dispatch(snapshot)
    for run in snapshot.candidates:
        better = [other for other in snapshot.candidates if rank(other, snapshot) < rank(run, snapshot)]
        place = place_of(run, snapshot)
        assert place.gates == decision.blocked.get(run.id, [])
        assert (place.ahead, place.starting) == (len(better), sum(1 for other in better if other in decision.admitted))
        assert place == place_of(run, replace(snapshot, candidates=[*better, run]))


@given(SNAPSHOTS)
def test_standing_gates_are_those_that_stay_when_all_slots_are_free(snapshot: Snapshot) -> None:
    """Pauses, and limits of 0; whatever else holds a run back passes by itself."""
    for run in snapshot.candidates:
        lanes = lanes_of(run, snapshot)
        paused = {f"{word} paused" for word, lane in lanes.items() if lane.paused}
        shut = {f"{word} limit" for word, lane in lanes.items() if lane.limit == 0}
        passing = {GateKind.HELD.value, GateKind.NO_QUEUE.value}
        assert {gate.kind.value for gate in standing_gates(run, snapshot)} - passing == paused | shut


# --- by example


def admitted(snapshot: Snapshot) -> list[int]:
    return [run.id.int - 100 for run in dispatch(snapshot).admitted]


def test_queue_priority_goes_before_run_priority_before_due_time_before_id() -> None:
    runs = [a_run(1, 1, due=99, priority=9), a_run(2, 0), a_run(3, 0, due=5), a_run(4, 0, priority=1), a_run(5, 0, due=5)]
    assert admitted(snapshot(*runs)) == [4, 3, 5, 2, 1]


def test_a_full_deployment_lets_the_runs_of_others_pass() -> None:
    full = Lane(DEPLOYMENTS[0], limit=1, used=1)
    runs = [a_run(1, deployment=0, due=3), a_run(2, deployment=0, due=2), a_run(3, deployment=1, due=1)]
    assert admitted(snapshot(*runs, deployment=full, room=1)) == [3]


def test_a_full_queue_lets_the_runs_of_a_worse_queue_pass() -> None:
    assert admitted(snapshot(a_run(1, 0), a_run(2, 1), queue=Lane(QUEUES[0], limit=2, used=2, priority=1))) == [2]


def test_slots_taken_beyond_a_limit_that_was_lowered_admit_nothing() -> None:
    assert admitted(snapshot(a_run(1), pool=Lane(POOL, limit=1, used=5))) == []


def test_a_limit_of_zero_admits_nothing_and_none_limits_nothing() -> None:
    assert admitted(snapshot(a_run(1), pool=Lane(POOL, limit=0))) == []
    assert admitted(snapshot(*(a_run(n) for n in range(300)), room=300)) == [*range(300)]


def test_all_gates_of_a_run_are_told_at_once() -> None:
    everything = snapshot(
        structs.replace(a_run(1, due=-1, deployment=0), held=True),
        pool=Lane(POOL, paused=True, limit=1, used=1),
        queue=Lane(QUEUES[0], paused=True, limit=2, used=2, priority=1, served=False),
        deployment=Lane(DEPLOYMENTS[0], paused=True, limit=3, used=3, served=False),
    )
    assert dispatch(everything).blocked[UUID(int=101)] == [
        Gate(GateKind.HELD),
        Gate(GateKind.POOL_PAUSED, POOL),
        Gate(GateKind.QUEUE_PAUSED, QUEUES[0]),
        Gate(GateKind.DEPLOYMENT_PAUSED, DEPLOYMENTS[0]),
        Gate(GateKind.NOT_DUE),
        Gate(GateKind.NO_WORKER, QUEUES[0]),
        Gate(GateKind.POOL_LIMIT, POOL, 1, 1),
        Gate(GateKind.QUEUE_LIMIT, QUEUES[0], 2, 2),
        Gate(GateKind.DEPLOYMENT_LIMIT, DEPLOYMENTS[0], 3, 3),
    ]


@pytest.mark.parametrize("room", [0, 1, 2])
def test_a_run_that_only_the_workers_room_holds_back_is_told_that(room: int) -> None:
    blocked = dispatch(snapshot(a_run(1), a_run(2), a_run(3), room=room)).blocked
    assert [*blocked.values()] == [[Gate(GateKind.NO_ROOM, limit=room, used=room)]] * (3 - room)


def test_a_run_that_is_due_exactly_at_the_end_of_the_prefetch_is_due() -> None:
    assert admitted(snapshot(a_run(1, due=0))) == [1]


def test_a_limit_tells_slots_in_use_from_slots_that_better_runs_are_about_to_take() -> None:
    blocked = dispatch(snapshot(a_run(1), a_run(2), a_run(3), pool=Lane(POOL, limit=5, used=3))).blocked
    assert blocked == {UUID(int=103): [Gate(GateKind.POOL_LIMIT, POOL, 5, 5, ahead=2)]}


def test_a_run_without_a_queue_is_for_the_process_that_serves_its_deployment() -> None:
    """The pool has no say in it; the deployment's pause and limit have."""
    homeless = Candidate(UUID(int=101), NOWHERE, NOW, DEPLOYMENTS[0])
    shut = Lane(POOL, paused=True, limit=0)
    assert admitted(snapshot(homeless, pool=shut, deployment=Lane(DEPLOYMENTS[0]))) == [1]
    for lanes, gates in (
        ({}, [Gate(GateKind.NO_QUEUE)]),
        ({"deployment": Lane(DEPLOYMENTS[0], served=False)}, [Gate(GateKind.NO_QUEUE)]),
        ({"deployment": Lane(DEPLOYMENTS[0], limit=1, used=1)}, [Gate(GateKind.DEPLOYMENT_LIMIT, DEPLOYMENTS[0], 1, 1)]),
    ):
        assert dispatch(snapshot(homeless, pool=shut, **lanes)).blocked == {homeless.id: gates}
