"""What goes before a run, where limits that are not its own hold some of it."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from headgate.core.contenders import Ahead, Bunch, contenders
from headgate.core.dispatch import Candidate, Lane, Snapshot

NOW = datetime(2026, 1, 1, tzinfo=UTC)
POOL, QUEUE, BETTER, MINE, OTHER, SHARED, KEY = (UUID(int=number) for number in range(1, 8))
RUN = Candidate(UUID(int=100), QUEUE, NOW, MINE)


def snapshot(**lanes: Lane) -> Snapshot:
    return Snapshot(
        Lane(POOL, limit=1, used=1),
        {QUEUE: lanes.get("queue", Lane(QUEUE)), BETTER: lanes.get("better", Lane(BETTER))},
        {MINE: lanes.get("mine", Lane(MINE)), OTHER: lanes.get("other", Lane(OTHER))},
        [],
        NOW,
        1,
        {KEY: lanes["key"]} if "key" in lanes else {},
        shared={OTHER: lanes["shared"]} if "shared" in lanes else {},
    )


@pytest.mark.parametrize(
    ("name", "id", "behind"),
    [("better", BETTER, BETTER), ("other", OTHER, OTHER), ("shared", SHARED, OTHER), ("key", KEY, OTHER)],
)
def test_limits_of_others_let_as_many_through_as_they_have_free_slots(name: str, id: UUID, behind: UUID) -> None:
    bunch = Bunch(BETTER, OTHER, KEY, 5)
    for limit, able in ((None, 5), (9, 5), (4, 2), (2, 0), (1, 0)):
        ahead = Ahead(contenders(RUN, [bunch], snapshot(**{name: Lane(id, limit=limit, used=2)})))
        assert ahead.able(POOL) == able
        assert ahead.held(POOL) == ({behind: 5 - able} if able < 5 else {})


def test_its_own_limits_hold_nothing_in_front_of_it() -> None:
    """The pool's, its queue's and its deployment's slots go to those in front first, however few there are."""
    full = snapshot(queue=Lane(QUEUE, limit=1, used=1), mine=Lane(MINE, limit=1, used=1))
    ahead = Ahead(contenders(RUN, [Bunch(QUEUE, MINE, None, 3), Bunch(QUEUE, OTHER, None, 2)], full))
    assert (ahead.able(POOL), ahead.able(QUEUE), ahead.able(MINE), ahead.able(OTHER)) == (5, 5, 3, 2)
    assert ahead.held(POOL) == {}


def test_the_free_slots_of_a_limit_go_once() -> None:
    """Whatever queues its runs wait in, the first in front have them."""
    ahead = Ahead(
        contenders(RUN, [Bunch(BETTER, OTHER, None, 2), Bunch(QUEUE, OTHER, None, 4)], snapshot(other=Lane(OTHER, limit=3)))
    )
    assert (ahead.able(POOL), ahead.able(BETTER), ahead.able(QUEUE)) == (3, 2, 1)
    assert ahead.held(QUEUE) == {OTHER: 3}
