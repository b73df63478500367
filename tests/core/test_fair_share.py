"""A pool that is shared fairly gives each deployment that has work an equal part of it, and leaves no part idle."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from snapshots import DEPLOYMENTS, KEYS, NOW, POOL, QUEUES, SNAPSHOTS, a_run, snapshot

from headgate.core.dispatch import Candidate, GateKind, Lane, Snapshot, dispatch, place_of
from headgate.core.fair_share import REMEMBERED, Party, Share, after_turns, party_of

PARTIES = st.sampled_from([(owner, key) for owner in (None, *DEPLOYMENTS) for key in (None, *KEYS) if owner or not key])
SHARES = st.builds(
    Share,
    under_way=st.dictionaries(PARTIES, st.integers(1, 4)),
    turns=st.lists(PARTIES, unique=True),
)


def shared() -> st.SearchStrategy[Snapshot]:
    return st.builds(lambda snapshot, share: replace(snapshot, share=share), SNAPSHOTS, SHARES)


def standing(run: Candidate, share: Share) -> tuple[Any, ...]:
    """The rule as the documents word it: fewest under way, then who was served longest ago; of deployments, then of keys."""
    of_owner = sum(count for (owner, _), count in share.under_way.items() if owner == run.deployment_id)
    owners = [owner for owner, _ in share.turns]
    last = len(owners) - owners[::-1].index(run.deployment_id) if run.deployment_id in owners else 0
    turn = [*share.turns].index(party_of(run)) + 1 if party_of(run) in share.turns else 0
    return of_owner, last, share.under_way.get(party_of(run), 0), turn, run.due_at, run.id


def oracle(snapshot: Snapshot) -> list[UUID]:
    """Who is admitted, one at a time: of all that can start, by themselves, the best as things stand then."""
    share, admitted, waiting = snapshot.share, list[Candidate](), [*snapshot.candidates]
    assert share is not None
    while waiting:
        state = share.after(admitted)

        def rank(run: Candidate, state: Share = state) -> tuple[Any, ...]:
            queue = snapshot.queues.get(run.queue_id)
            return (queue.priority if queue else 0, -run.priority, *standing(run, state))

        for run in sorted(waiting, key=rank):
            # What was admitted goes first here, in its order, whatever its rank: then the one in question.
            if _starts(run, admitted, snapshot):
                admitted.append(run)
                waiting.remove(run)
                break
        else:
            break
    return [run.id for run in admitted]


def _starts(run: Candidate, admitted: Sequence[Candidate], snapshot: Snapshot) -> bool:
    """Whether it fits beside those that were admitted."""
    taken = Counter(id for each in admitted for id in (each.queue_id, each.deployment_id, each.key_id) if id)
    pooled = sum(1 for each in admitted if each.queue_id in snapshot.queues)

    def more(lanes: Any) -> Any:
        return {id: replace(lane, used=lane.used + taken[id]) for id, lane in lanes.items()}

    launching, pace = snapshot.launching, snapshot.pace
    if pace is not None and run.queue_id in snapshot.queues and pooled >= pace.left:
        return False
    beside = replace(
        snapshot,
        pool=replace(snapshot.pool, used=snapshot.pool.used + pooled),
        queues=more(snapshot.queues),
        deployments=more(snapshot.deployments),
        keys=more(snapshot.keys),
        candidates=[run],
        room=snapshot.room - len(admitted),
        launching=launching and replace(launching, used=launching.used + pooled),
        pace=None,
        share=None,
    )
    return bool(dispatch(beside).admitted)


@given(shared())
def test_one_after_the_other_the_best_as_things_stand_then(snapshot: Snapshot) -> None:
    assert [run.id for run in dispatch(snapshot).admitted] == oracle(snapshot)


@given(shared())
def test_it_changes_the_order_and_nothing_else(snapshot: Snapshot) -> None:
    """As many start under each queue and run priority as in the default order, where no limit of one deployment counts."""
    open = replace(snapshot, deployments={}, keys={})
    fair, plain = (dispatch(each).admitted for each in (open, replace(open, share=None)))
    assert Counter((run.queue_id, run.priority) for run in fair) == Counter((run.queue_id, run.priority) for run in plain)


@given(shared())
def test_no_slot_stays_idle_while_something_can_start(snapshot: Snapshot) -> None:
    decision = dispatch(snapshot)
    for run in snapshot.candidates:
        assert _starts(run, decision.admitted, snapshot) is False or run in decision.admitted


@given(shared(), st.randoms(use_true_random=False))
def test_same_runs_same_answer(snapshot: Snapshot, random: Any) -> None:
    listed = [*snapshot.candidates]
    random.shuffle(listed)
    first, again = dispatch(snapshot), dispatch(replace(snapshot, candidates=listed))
    assert (first.admitted, first.blocked) == (again.admitted, again.blocked)


@given(shared())
def test_a_place_counts_those_that_go_before(snapshot: Snapshot) -> None:
    """Each run has a place of its own, and the starting ones before it are the first of the admitted."""
    places = {run.id: place_of(run, snapshot) for run in snapshot.candidates}
    assert sorted(place.ahead for place in places.values()) == [*range(len(places))]
    decision = dispatch(snapshot)
    for number, run in enumerate(decision.admitted):
        assert (places[run.id].gates, places[run.id].starting) == ([], number)


def rounds(
    share: Share, waiting: list[Candidate], *, slots: int, ends: Any, steps: int
) -> list[tuple[Share, list[Candidate]]]:
    """A pool with so many slots: at each step one run ends, at random, and what fits starts. Nothing runs out."""
    running: list[Candidate] = []
    seen = []
    for _ in range(steps):
        if running:
            running.remove(ends.choice(running))
        under_way = Counter(party_of(run) for run in running)
        pool = Lane(POOL, limit=slots, used=len(running))
        queues = {QUEUES[0]: Lane(QUEUES[0], priority=1)}
        share = replace(share, under_way=under_way)
        started = dispatch(Snapshot(pool, queues, {}, waiting, NOW, 100, share=share)).admitted
        waiting = [run for run in waiting if run not in started]
        share = share.after(started)
        running += started
        seen.append((share, started))
    return seen


def backlog(tenants: int, each: int) -> list[Candidate]:
    """All runs of the first tenant are due before all of the second, and so on."""
    return [
        Candidate(
            UUID(int=1000 * tenant + n + 1), QUEUES[0], NOW - timedelta(hours=tenants - tenant), UUID(int=9000 + tenant)
        )
        for tenant in range(tenants)
        for n in range(each)
    ]


@given(st.integers(1, 5), st.integers(1, 9), st.randoms(use_true_random=False))
def test_every_deployment_has_its_part_of_the_slots(tenants: int, slots: int, random: Any) -> None:
    """At the first moment exactly; later as far as ends, which nobody decides, let it: what starts goes to who has least."""
    seen = rounds(Share(), backlog(tenants, 25), slots=slots, ends=random, steps=16)
    first = Counter(run.deployment_id for run in seen[0][1])
    assert {first[UUID(int=9000 + n)] for n in range(tenants)} <= {slots // tenants, -(-slots // tenants)}
    for share, started in seen[1:]:
        [one] = started
        before = share.under_way[one.deployment_id, None] - 1
        others = [share.under_way.get((UUID(int=9000 + n), None), 0) for n in range(tenants)]
        assert all(before <= count for count in others if count != before + 1)


@given(st.integers(2, 6), st.integers(1, 6), st.randoms(use_true_random=False))
def test_nobody_starves_where_slots_are_fewer_than_deployments(tenants: int, slots: int, random: Any) -> None:
    """Who has nothing under way lets each of the others go before it once at most; by counts alone the first one's backlog,
    all of it due earlier, would go first for ever."""
    idle = Counter[UUID | None]()
    for share, started in rounds(Share(), backlog(tenants, 40), slots=slots, ends=random, steps=30):
        for run in started:
            idle.update(UUID(int=9000 + n) for n in range(tenants))
            idle[run.deployment_id] = 0
        for n in range(tenants):
            idle[UUID(int=9000 + n)] *= not share.under_way.get((UUID(int=9000 + n), None))
        assert max(idle.values()) < tenants


def test_of_a_deployment_the_key_with_the_fewest_goes_first() -> None:
    runs = [structs.replace(a_run(n, deployment=0, due=9 - n), key_id=KEYS[n >= 3]) for n in range(6)]
    decided = dispatch(replace(snapshot(*runs, room=4), share=Share()))
    assert [each.id.int - 100 for each in decided.admitted] == [0, 3, 1, 4]


def test_another_key_is_no_other_turn() -> None:
    """Whose deployment was served last waits for the other one, though its own key never was."""
    runs = [structs.replace(a_run(1, deployment=0, due=9), key_id=KEYS[1]), a_run(2, deployment=1)]
    share = Share(turns=[(DEPLOYMENTS[0], KEYS[0])])
    assert [each.id.int - 100 for each in dispatch(replace(snapshot(*runs, room=1), share=share)).admitted] == [2]


def test_who_waits_for_a_slot_has_a_place_among_all() -> None:
    """The second's only run is third, although four of the first are due before it, and no slot is free."""
    runs = [*(a_run(n, deployment=0, due=9) for n in range(4)), a_run(8, deployment=1)]
    one = {(DEPLOYMENTS[0], None): 0, (DEPLOYMENTS[1], None): 1}
    full = replace(snapshot(*runs, pool=Lane(POOL, limit=1, used=1)), share=Share(one))
    place = place_of(runs[-1], full)
    assert (place.ahead, place.starting, [gate.kind for gate in place.gates]) == (1, 0, [GateKind.POOL_LIMIT])


def test_a_queue_that_is_full_moves_nobody_in_the_next() -> None:
    """Who only waits there has no part of what the next queue gives."""
    first = [a_run(n, 0, deployment=0, due=9) for n in range(3)]
    then = [a_run(8, 1, deployment=0, due=5), a_run(9, 1, deployment=1, due=1)]
    decided = dispatch(replace(snapshot(*first, *then, full=Lane(QUEUES[0], limit=0, priority=1), room=1), share=Share()))
    assert [each.id.int - 100 for each in decided.admitted] == [8]


@pytest.mark.parametrize("served", [1, REMEMBERED, REMEMBERED + 30])
def test_only_the_last_turns_are_remembered(served: int) -> None:
    parties: list[Party] = [(UUID(int=n), None) for n in range(served)]
    turns = after_turns([], parties)
    assert turns == parties[-REMEMBERED:]
    assert after_turns(turns, [turns[0]]) == [*turns[1:], turns[0]]
